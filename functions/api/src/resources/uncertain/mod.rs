//! `POST /v1/schedules/{id}/uncertain` and `POST /v1/schedules/{id}/recipients/{seq}/resolve`: a person says what became of messages
//! whose answer was lost. Asked twice, the second time nobody is UNCERTAIN any more.

pub mod store;

pub mod batch;
pub mod request;

use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Instant};

use crate::resources::uncertain::store::{
    batch_ranges, batches_with_uncertain, find_phones, find_seqs,
};
use axum::{Json, body::Body, extract::State, http::HeaderMap};
use schemars::JsonSchema;
use serde::Serialize;
use shared::schedule::row::load_schedule;
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::resources::uncertain::{
    batch::{Tally, resolve_batch},
    request::{Names, Outcome, ResolveRequest},
};
use crate::{
    App, CALL_BUDGET,
    auth::Caller,
    http::{body, error::ApiError, path::Path, query::Query},
    openapi::{Operation, Takes},
    resources::schedules::{arrange_dispatch::sweep, show::parse_id},
};

/// What came of a decision.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "ResolvedRecipients")]
pub struct Resolved {
    /// The decision.
    outcome: Outcome,
    #[serde(flatten)]
    tally: Tally,
    /// Whether there is more than one call can do: make it again.
    more: bool,
}

/// All UNCERTAIN recipients of a schedule, or those of them that are named.
pub async fn resolve_all(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
    request: (HeaderMap, Body),
) -> Result<Json<Resolved>, ApiError> {
    query.finish()?;
    let id = parse_id(&id)?;
    let bytes = body::read_json(&request.0, request.1).await?;
    let ResolveRequest { outcome, names } = ResolveRequest::read(&bytes)?;
    resolve(&app, &caller, id, (outcome, names)).await.map(Json)
}

/// One recipient, by its place in the list.
pub async fn resolve_one(
    State(app): State<App>,
    caller: Caller,
    Path((id, seq)): Path<(String, String)>,
    query: Query,
    request: (HeaderMap, Body),
) -> Result<Json<Resolved>, ApiError> {
    query.finish()?;
    let id = parse_id(&id)?;
    let no_such_recipient = || ApiError::NotFound("there is no recipient at this place".to_owned());
    let seq = seq.parse().map_err(|_| no_such_recipient())?;
    let bytes = body::read_json(&request.0, request.1).await?;
    let outcome = ResolveRequest::read_outcome(&bytes)?;
    let names = Names {
        seqs: [seq].into(),
        ..Names::default()
    };
    let resolved = resolve(&app, &caller, id, (outcome, Some(names))).await?;
    if resolved.tally.left.not_found > 0 {
        Err(no_such_recipient())
    } else {
        Ok(Json(resolved))
    }
}

/// One batch after the other, each in a transaction of its own: a million rows would be locked for long. So a call that ends half-way
/// has done whole batches, and made again does the rest.
async fn resolve(
    app: &App,
    caller: &Caller,
    id: Uuid,
    (outcome, names): (Outcome, Option<Names>),
) -> Result<Resolved, ApiError> {
    let begun = Instant::now();
    let mut tally = Tally::default();
    let mut more = false;
    let mut work = Work::find(app, id, names, &mut tally).await?;
    while let Some((batch_no, seqs)) = work.next(app, id).await? {
        if begun.elapsed() > CALL_BUDGET {
            more = true;
            break;
        }
        tally.add(resolve_batch(app, caller, (id, batch_no), seqs.as_deref(), outcome).await?);
    }
    if tally.changed > 0 {
        sweep(app).await;
    }
    Ok(Resolved {
        outcome,
        tally,
        more,
    })
}

/// The batches that are left to look at.
enum Work {
    /// By the places that are named.
    Named(BTreeMap<u32, Vec<u32>>),
    /// All of them, page by page: the next of this page, and where the page before ended.
    All(Vec<u32>, u32),
}

impl Work {
    async fn find(
        app: &App,
        id: Uuid,
        names: Option<Names>,
        tally: &mut Tally,
    ) -> Result<Self, ApiError> {
        let mut connection = app.db.pool.acquire().await?;
        load_schedule(&mut connection, id)
            .await?
            .ok_or_else(ApiError::no_such_schedule)?;
        match names {
            Some(names) => Ok(Self::Named(
                by_batch(&mut connection, id, &names, tally).await?,
            )),
            None => Ok(Self::All(Vec::new(), 0)),
        }
    }

    async fn next(
        &mut self,
        app: &App,
        id: Uuid,
    ) -> Result<Option<(u32, Option<Vec<u32>>)>, ApiError> {
        match self {
            Self::Named(batches) => Ok(batches
                .pop_first()
                .map(|(batch_no, seqs)| (batch_no, Some(seqs)))),
            Self::All(page, after) => {
                if page.is_empty() {
                    *page = batches_with_uncertain(&mut *app.db.pool.acquire().await?, id, *after)
                        .await?;
                    page.reverse();
                }
                let next = page.pop();
                *after = next.unwrap_or(*after);
                Ok(next.map(|batch_no| (batch_no, None)))
            }
        }
    }
}

/// The places that are named, by their batches. Who is in no batch was never sent to.
async fn by_batch(
    connection: &mut MySqlConnection,
    id: Uuid,
    names: &Names,
    tally: &mut Tally,
) -> sqlx::Result<BTreeMap<u32, Vec<u32>>> {
    let phones: Vec<_> = names.phones.iter().map(ToString::to_string).collect();
    let seqs: Vec<_> = names.seqs.iter().copied().collect();
    let mut found = find_seqs(connection, id, &seqs).await?;
    found.extend(find_phones(connection, id, &phones).await?);
    tally.left.not_found = (seqs.len() + phones.len() - found.len()) as u64;
    found.sort_unstable();
    found.dedup();
    let ranges = batch_ranges(connection, id).await?;
    let mut batches = BTreeMap::<u32, Vec<u32>>::new();
    for seq in found {
        let at = ranges.partition_point(|(_, _, last)| *last < seq);
        match ranges.get(at).filter(|(_, first, _)| *first <= seq) {
            Some((batch_no, ..)) => batches.entry(*batch_no).or_default().push(seq),
            None => tally.left.not_uncertain += 1,
        }
    }
    Ok(batches)
}

/// For the document.
pub fn resolve_all_doc() -> Operation {
    let everybody = ("everybody", json!({"outcome": "sent"}));
    let some = (
        "some",
        json!({"outcome": "resend", "recipients": ["+60123456789", 2]}),
    );
    resolve_doc("resolveRecipients", "Say what became of messages whose answer was lost", request::request_schema())
        .text("Of all that are UNCERTAIN, or of those that are named. `more`: the time of the call was over first; make it again.")
        .body(Takes { required: true, media: vec![("application/json", request::request_schema(), vec![everybody, some])] })
}

/// Likewise.
pub fn resolve_one_doc() -> Operation {
    resolve_doc(
        "resolveRecipient",
        "Say what became of one message whose answer was lost",
        request::outcome_schema(),
    )
}

fn resolve_doc(id: &'static str, summary: &'static str, schema: Value) -> Operation {
    let answer = json!({"outcome": "sent", "changed": 2, "left": {"busy": 0, "too_recent": 0, "not_uncertain": 0, "not_found": 0},
        "held": 0, "parked": 0, "more": false});
    Operation::new(id, "trouble", summary)
        .body(Takes::json(schema, json!({"outcome": "sent"})))
        .answers::<Resolved>(
            200,
            "How many were changed, and how many were left, and why.",
            answer,
        )
        .problems(&["not-found", "wrong-state"])
}
