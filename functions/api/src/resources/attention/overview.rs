//! `GET /v1/attention`: returns everything that needs an operator in one document: the number of
//! entries of each kind, and the first of them.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use shared::money::budgets::store::all_budgets;
use sqlx::MySqlConnection;

use crate::{
    App,
    http::{error::ApiError, page::PageRequest, query::Query, transaction::transaction},
    openapi::Operation,
    resources::{
        attention::{
            dead_letters::{DeadLetterView, peek},
            entry::{AttentionEntry, example},
            list::read_page,
            page::{Position, Sort},
            velocity::{self, FastCaller, fast_callers},
        },
        budgets::{self, view::BudgetView},
        schedules::attention::Kind,
    },
};

/// Entries of each kind; its list has all of them.
const FIRST_PAGE: PageRequest<Option<Position>> = PageRequest {
    after: None,
    limit: 10,
};

/// The number of entries of each kind, and the first of them.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "AttentionOverview")]
pub struct Overview {
    /// The number of entries of all kinds; 0 if no operator has to act.
    total: u64,
    /// By kind.
    kinds: BTreeMap<&'static str, Summary>,
    /// Budgets of which 80 percent are used in the present period; they are not in `total`, because a
    /// schedule that one of them has paused is.
    budgets: Vec<BudgetView>,
    /// Who has begun to send unusually fast within the last 24 hours, the newest first; not in `total`.
    callers: Vec<FastCaller>,
}

/// One kind of entry.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "AttentionKind")]
pub struct Summary {
    /// The number of entries in its list: schedules, or dead letters.
    count: u64,
    /// The recipients that the schedules affect together; null for dead letters, which may name
    /// many or none.
    people: Option<u64>,
    /// The first of them.
    entries: Vec<Listed>,
    /// The cursor at which its list continues; null if this is all of it.
    next_cursor: Option<String>,
    /// The path of its list.
    href: String,
    /// Queues that did not answer, so that their entries are not known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unreachable: Vec<String>,
}

/// An entry of any kind.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(untagged)]
#[schemars(rename = "AttentionEntryOrDeadLetter")]
enum Listed {
    /// A schedule.
    Entry(AttentionEntry),
    /// A dead letter.
    DeadLetter(DeadLetterView),
}

/// Returns 200 with the overview.
pub async fn overview(State(app): State<App>, query: Query) -> Result<Json<Overview>, ApiError> {
    query.finish()?;
    let app = &app;
    let (mut kinds, budgets, callers) = transaction(&app.db, |transaction| {
        Box::pin(async move {
            let kinds = read_kinds(app, transaction).await?;
            let budgets = all_budgets(transaction, app.db.now()).await?;
            let callers = fast_callers(transaction, app.db.now()).await?;
            Ok((kinds, budgets, callers))
        })
    })
    .await?;
    let warning = budgets.iter().filter(|budget| budget.warned_at.is_some());
    let dead_letters = peek(app, FIRST_PAGE.limit as usize).await;
    let summary = Summary {
        count: dead_letters.counts.values().sum(),
        people: None,
        entries: dead_letters
            .entries
            .into_iter()
            .map(Listed::DeadLetter)
            .collect(),
        next_cursor: None,
        href: "/v1/attention/dead-letters".to_owned(),
        unreachable: dead_letters.unreachable,
    };
    kinds.insert("dead-letters", summary);
    Ok(Json(Overview {
        total: kinds.values().map(|kind| kind.count).sum(),
        kinds,
        budgets: warning.map(BudgetView::from).collect(),
        callers,
    }))
}

async fn read_kinds(
    app: &App,
    connection: &mut MySqlConnection,
) -> Result<BTreeMap<&'static str, Summary>, ApiError> {
    let now = app.db.now();
    let mut kinds = BTreeMap::new();
    for kind in Kind::ALL {
        let page = read_page(connection, kind, Sort::default(), FIRST_PAGE, now).await?;
        let summary = Summary {
            count: page.count,
            people: Some(page.people),
            entries: page.entries.into_iter().map(Listed::Entry).collect(),
            next_cursor: page.next_cursor,
            href: format!("/v1/attention/{}", kind.as_str()),
            unreachable: Vec::new(),
        };
        kinds.insert(kind.as_str(), summary);
    }
    Ok(kinds)
}

/// Describes `GET /v1/attention` in the OpenAPI document.
pub fn overview_doc() -> Operation {
    let kind = json!({"count": 1, "people": 2, "entries": [example()], "next_cursor": null, "href": "/v1/attention/missed"});
    Operation::new("getAttention", "attention", "Get everything that needs an operator")
        .text("The number of entries of each kind, and the first of them. If `total` is 0, no operator has to act.")
        .answers::<Overview>(200, "The numbers of entries.", json!({"total": 1, "kinds": {"missed": kind}, "budgets": [budgets::view::example()], "callers": [velocity::example()]}))
}
