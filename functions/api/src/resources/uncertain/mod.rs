//! `POST /v1/schedules/{id}/uncertain` and `POST /v1/schedules/{id}/recipients/{recipient}/resolve`: an
//! operator resolves messages whose answer was lost. A repeated call changes nothing, because no
//! recipient is UNCERTAIN any more.

pub mod batch;
pub mod request;
pub mod routes;
pub mod store;

use std::{collections::BTreeMap, time::Instant};

use axum::{Json, body::Body, extract::State, http::HeaderMap};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use shared::{platform::queue::BatchMessage, schedule::row::load_schedule};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::{
    App, CALL_BUDGET,
    auth::Caller,
    http::{body, error::ApiError, path::Path, query::Query},
    openapi::{Operation, Takes},
    resources::{
        schedules::{arrange_dispatch::request_sweep, show::parse_id},
        uncertain::{
            batch::{Tally, resolve_batch},
            request::{Names, Outcome, ResolveRequest},
            store::{batch_ranges, batches_with_uncertain, find_seqs, places_of},
        },
    },
};

/// The effect of a decision.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "ResolvedRecipients")]
pub struct Resolved {
    /// The decision.
    outcome: Outcome,
    #[serde(flatten)]
    tally: Tally,
    /// Whether there is more than one call can do; if so, repeat the call.
    more: bool,
}

/// Resolves all UNCERTAIN recipients of a schedule, or the named ones of them.
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
    let request = ResolveRequest::read(&bytes)?;
    resolve(&app, &caller, id, request).await.map(Json)
}

/// Resolves one recipient, by its place in the list.
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
    let request = ResolveRequest {
        outcome,
        names: Some(names),
    };
    let resolved = resolve(&app, &caller, id, request).await?;
    if resolved.tally.left.not_found > 0 {
        Err(no_such_recipient())
    } else {
        Ok(Json(resolved))
    }
}

/// Resolves one batch after the other, each in a transaction of its own, because otherwise a
/// million rows would be locked for a long time. A call that ends half-way has resolved whole
/// batches; a repeated call resolves the rest.
async fn resolve(
    app: &App,
    caller: &Caller,
    id: Uuid,
    request: ResolveRequest,
) -> Result<Resolved, ApiError> {
    let ResolveRequest { outcome, names } = request;
    let begun = Instant::now();
    let mut tally = Tally::default();
    let mut more = false;
    let mut work = Work::find(app, id, names, &mut tally).await?;
    while let Some(BatchSeqs { batch_no, seqs }) = work.next(app, id).await? {
        if begun.elapsed() > CALL_BUDGET {
            more = true;
            break;
        }
        let batch = BatchMessage {
            schedule_id: id,
            batch_no,
        };
        tally.add(resolve_batch(app, caller, batch, seqs.as_deref(), outcome).await?);
    }
    if tally.changed > 0 {
        request_sweep(app).await;
    }
    Ok(Resolved {
        outcome,
        tally,
        more,
    })
}

/// A batch to resolve.
struct BatchSeqs {
    batch_no: u32,
    /// The named places in the list; `None` for all.
    seqs: Option<Vec<u32>>,
}

/// The batches that are still to be resolved.
enum Work {
    /// The named places in the list, by batch.
    Named(BTreeMap<u32, Vec<u32>>),
    /// All batches, page by page: the rest of this page, and the end of the page before.
    All(Vec<u32>, u32),
}

impl Work {
    async fn find(
        app: &App,
        id: Uuid,
        names: Option<Names>,
        tally: &mut Tally,
    ) -> Result<Self, ApiError> {
        let mut connection = app.db.acquire().await?;
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

    async fn next(&mut self, app: &App, id: Uuid) -> Result<Option<BatchSeqs>, ApiError> {
        match self {
            Self::Named(batches) => Ok(batches.pop_first().map(|(batch_no, seqs)| BatchSeqs {
                batch_no,
                seqs: Some(seqs),
            })),
            Self::All(page, after) => {
                if page.is_empty() {
                    *page =
                        batches_with_uncertain(&mut *app.db.acquire().await?, id, *after).await?;
                    page.reverse();
                }
                let next = page.pop();
                *after = next.unwrap_or(*after);
                Ok(next.map(|batch_no| BatchSeqs {
                    batch_no,
                    seqs: None,
                }))
            }
        }
    }
}

/// Returns the named places, by batch. A recipient that is in no batch was never sent to.
async fn by_batch(
    connection: &mut MySqlConnection,
    id: Uuid,
    names: &Names,
    tally: &mut Tally,
) -> sqlx::Result<BTreeMap<u32, Vec<u32>>> {
    let phones: Vec<_> = names.phones.iter().map(ToString::to_string).collect();
    let seqs: Vec<_> = names.seqs.iter().copied().collect();
    let mut found = find_seqs(connection, id, &seqs).await?;
    let places = places_of(connection, id, &phones).await?;
    tally.left.not_found = (seqs.len() + phones.len() - found.len() - places.len()) as u64;
    for places in places.into_values() {
        match places[..] {
            [place] => found.push(place),
            _ => tally.left.ambiguous += 1,
        }
    }
    found.sort_unstable();
    found.dedup();
    let ranges = batch_ranges(connection, id).await?;
    let mut batches = BTreeMap::<u32, Vec<u32>>::new();
    for seq in found {
        let at = ranges.partition_point(|batch| batch.last_seq < seq);
        match ranges.get(at).filter(|batch| batch.first_seq <= seq) {
            Some(batch) => batches.entry(batch.batch_no).or_default().push(seq),
            None => tally.left.not_uncertain += 1,
        }
    }
    Ok(batches)
}

/// Describes `POST /v1/schedules/{id}/uncertain` in the OpenAPI document.
pub fn resolve_all_doc() -> Operation {
    let everybody = ("everybody", json!({"outcome": "sent"}));
    let some = (
        "some",
        json!({"outcome": "resend", "recipients": ["+60123456789", 2]}),
    );
    resolve_doc("resolveRecipients", "Resolve messages whose answer was lost", request::request_schema())
        .text("Resolves all UNCERTAIN recipients, or the named ones of them. `more`: the call ran out of time; repeat it.")
        .body(Takes::json_with(request::request_schema(), vec![everybody, some]))
}

/// Describes `POST /v1/schedules/{id}/recipients/{recipient}/resolve` in the OpenAPI document.
pub fn resolve_one_doc() -> Operation {
    resolve_doc(
        "resolveRecipient",
        "Resolve one message whose answer was lost",
        request::outcome_schema(),
    )
}

fn resolve_doc(id: &'static str, summary: &'static str, schema: Value) -> Operation {
    let answer = json!({"outcome": "sent", "changed": 2, "left": {"busy": 0, "too_recent": 0, "not_uncertain": 0, "ambiguous": 0, "not_found": 0},
        "too_recent_until": null, "held": 0, "parked": 0, "more": false});
    Operation::new(id, "attention", summary)
        .body(Takes::json(schema, json!({"outcome": "sent"})))
        .answers::<Resolved>(
            200,
            "How many recipients were changed, and how many were not, by the reason.",
            answer,
        )
        .problems(&["not-found", "wrong-state"])
}
