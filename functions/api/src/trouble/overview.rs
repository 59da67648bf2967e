//! `GET /v1/trouble`: everything that needs a person, in one document: how much there is of each kind, and the first of it.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use serde::Serialize;
use serde_json::{Value, json};
use shared::db::trouble::{Place, count_trouble};
use sqlx::MySqlConnection;

use super::{
    Kind,
    dead_letters::peek,
    list::{Page, read_page},
};
use crate::{App, error::ApiError, query::Query, transaction::settle};

/// Entries of each kind; its list has them all.
const FIRST: u32 = 10;

/// The document.
#[derive(Debug, Serialize)]
pub struct Overview {
    /// How much there is in all; 0: nobody has to do anything.
    total: i64,
    /// By kind.
    kinds: BTreeMap<&'static str, Summary>,
}

/// One kind.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// How many entries its list has.
    count: i64,
    /// The first of them.
    entries: Value,
    /// Where its list goes on; null: this is all.
    next_cursor: Option<String>,
    /// The list.
    href: String,
    /// Queues that did not answer: of them nothing is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unreachable: Vec<String>,
}

/// 200 with the document.
pub async fn overview(State(app): State<App>, query: Query) -> Result<Json<Overview>, ApiError> {
    query.finish()?;
    let mut transaction = app.db.pool.begin().await?;
    let kinds = read_kinds(&app, &mut transaction).await;
    let mut kinds = settle(transaction, kinds).await?;
    let letters = peek(&app, FIRST as usize).await;
    let summary = Summary {
        count: letters.counts.values().sum::<u64>() as i64,
        entries: json!(letters.entries),
        next_cursor: None,
        href: "/v1/trouble/dead-letters".to_owned(),
        unreachable: letters.unreachable,
    };
    kinds.insert("dead-letters", summary);
    Ok(Json(Overview { total: kinds.values().map(|kind| kind.count).sum(), kinds }))
}

async fn read_kinds(app: &App, connection: &mut MySqlConnection) -> Result<BTreeMap<&'static str, Summary>, ApiError> {
    let now = app.db.now();
    let totals = count_trouble(connection, now).await?;
    let mut kinds = BTreeMap::new();
    for kind in Kind::ALL {
        let Page { entries, next_cursor, .. } = read_page(connection, kind, (Place::START, FIRST), now).await?;
        let (count, href) = (kind.count(&totals), format!("/v1/trouble/{}", kind.as_str()));
        kinds.insert(kind.as_str(), Summary { count, entries: json!(entries), next_cursor, href, unreachable: Vec::new() });
    }
    Ok(kinds)
}
