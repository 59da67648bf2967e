//! `GET /v1/attention`: everything that needs a person, in one document: how much there is of each kind, and the first of it.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use sqlx::MySqlConnection;

use crate::{
    App,
    http::{error::ApiError, query::Query, transaction::transaction},
    openapi::Operation,
    resources::attention::{
        Kind,
        dead_letters::{LetterView, peek},
        entry::{Entry, example},
        list::{Page, read_page},
        store::{Place, count_trouble},
    },
};

/// Entries of each kind; its list has them all.
const FIRST: u32 = 10;

/// The document.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "Trouble")]
pub struct Overview {
    /// How much there is in all; 0: nobody has to do anything.
    total: i64,
    /// By kind.
    kinds: BTreeMap<&'static str, Summary>,
}

/// One kind.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "TroubleKind")]
pub struct Summary {
    /// How many entries its list has.
    count: i64,
    /// The first of them.
    entries: Vec<Listed>,
    /// Where its list goes on; null: this is all.
    next_cursor: Option<String>,
    /// The list.
    href: String,
    /// Queues that did not answer: of them nothing is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unreachable: Vec<String>,
}

/// An entry of any kind.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(untagged)]
#[schemars(rename = "TroubleEntryOrLetter")]
enum Listed {
    /// Of a schedule.
    Entry(Entry),
    /// Of a queue.
    DeadLetter(LetterView),
}

/// 200 with the document.
pub async fn overview(State(app): State<App>, query: Query) -> Result<Json<Overview>, ApiError> {
    query.finish()?;
    let app = &app;
    let mut kinds = transaction(&app.db, |transaction| {
        Box::pin(read_kinds(app, transaction))
    })
    .await?;
    let letters = peek(app, FIRST as usize).await;
    let summary = Summary {
        count: letters.counts.values().sum::<u64>() as i64,
        entries: letters
            .entries
            .into_iter()
            .map(Listed::DeadLetter)
            .collect(),
        next_cursor: None,
        href: "/v1/attention/dead-letters".to_owned(),
        unreachable: letters.unreachable,
    };
    kinds.insert("dead-letters", summary);
    Ok(Json(Overview {
        total: kinds.values().map(|kind| kind.count).sum(),
        kinds,
    }))
}

async fn read_kinds(
    app: &App,
    connection: &mut MySqlConnection,
) -> Result<BTreeMap<&'static str, Summary>, ApiError> {
    let now = app.db.now();
    let totals = count_trouble(connection, now).await?;
    let mut kinds = BTreeMap::new();
    for kind in Kind::ALL {
        let Page {
            entries,
            next_cursor,
            ..
        } = read_page(connection, kind, (Place::START, FIRST), now).await?;
        let entries = entries.into_iter().map(Listed::Entry).collect();
        let (count, href) = (
            kind.count(&totals),
            format!("/v1/attention/{}", kind.as_str()),
        );
        kinds.insert(
            kind.as_str(),
            Summary {
                count,
                entries,
                next_cursor,
                href,
                unreachable: Vec::new(),
            },
        );
    }
    Ok(kinds)
}

/// For the document.
pub fn overview_doc() -> Operation {
    let kind = json!({"count": 1, "entries": [example()], "next_cursor": null, "href": "/v1/attention/missed-schedules"});
    Operation::new("getTrouble", "attention", "Everything that needs a person")
        .text("How much there is of each kind, and the first of it. A `total` of 0: nobody has to do anything.")
        .answers::<Overview>(200, "How much there is.", json!({"total": 1, "kinds": {"missed-schedules": kind}}))
}
