//! `GET /v1/schedules/{id}/approval`: what is to be approved.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use shared::{
    batch::texts::read_variables,
    message::template::Template,
    platform::secret,
    schedule::{row::load_schedule, status::ScheduleStatus},
};
use sqlx::MySqlConnection;
use uuid::Uuid;

use super::{
    content::{hash_list, hash_of},
    rule::Reason,
    store::{authors, page_of_list, was_approved},
};
use crate::{
    App,
    auth::{Caller, caller::Identity},
    http::{error::ApiError, path::Path, query::Query},
    openapi::{Operation, parameters::AHEAD},
    resources::schedules::{
        examples::shown,
        show::{ScheduleView, parse_id, read_view},
    },
};

/// Texts that are shown.
const SAMPLES: u32 = 5;

/// What is to be approved, or was.
#[derive(Debug, JsonSchema, Serialize)]
pub struct ScheduleApproval {
    /// What is to be named in the approval: SHA-256 of the text, the sender, the times, the rules and
    /// the list. Null while a long list is being hashed: repeat the call.
    pub hash: Option<String>,
    /// Why it needs an approval.
    #[schemars(extend("title" = "ApprovalReason", "enum" = Reason::ALL.map(Reason::as_str)))]
    pub reason: String,
    /// Who has asked for the approval, as in the audit log.
    pub asked_by: String,
    /// Since when it needs the approval, or waits for it.
    pub asked_at: DateTime<Utc>,
    /// Who has created or changed it, and may not approve it. A key of a person counts as the person.
    pub authors: Vec<String>,
    /// Whether the caller may approve it now.
    pub may_approve: bool,
    /// Who has approved it; null unless it is approved.
    pub approved_by: Option<String>,
    /// When.
    pub approved_at: Option<DateTime<Utc>>,
    /// Whether it waits again because what it sends was changed after an approval.
    pub changed_since_approval: bool,
    /// The texts of the first recipients of the list.
    pub samples: Vec<ApprovalSample>,
    /// The schedule.
    pub schedule: ScheduleView,
}

/// A text as it would be sent.
#[derive(Debug, JsonSchema, Serialize)]
pub struct ApprovalSample {
    /// The place in the list.
    seq: u32,
    /// The recipient.
    phone: String,
    /// The text.
    text: String,
}

/// Returns 200 with what is to be approved.
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
) -> Result<Json<ScheduleApproval>, ApiError> {
    query.finish()?;
    let id = parse_id(&id)?;
    let exists = load_schedule(&mut *app.db.acquire().await?, id).await?;
    exists.ok_or_else(ApiError::no_such_schedule)?;
    // It is hashed before the transaction below, which shows rows of one moment.
    hash_list(&app, id).await?;
    let (app, caller) = (&app, &caller);
    crate::http::transaction::transaction(&app.db, |transaction| {
        Box::pin(read(app, transaction, caller, id))
    })
    .await
    .map(Json)
}

async fn read(
    app: &App,
    connection: &mut MySqlConnection,
    caller: &Caller,
    id: Uuid,
) -> Result<ScheduleApproval, ApiError> {
    let row = load_schedule(connection, id).await?;
    let row = row.ok_or_else(ApiError::no_such_schedule)?;
    let found = super::store::read_approval(connection, id).await?;
    let (approval, reason) =
        found.ok_or_else(|| ApiError::NotFound("this schedule needs no approval".to_owned()))?;
    let authors = authors(connection, id).await?;
    let hash = hash_of(connection, &row, &approval).await?;
    let is_waiting = row.status == ScheduleStatus::AwaitingApproval;
    Ok(ScheduleApproval {
        may_approve: is_waiting && hash.is_some() && may_decide(caller, &authors),
        hash: hash.as_deref().map(secret::to_hex),
        reason,
        asked_by: approval.asked_by,
        asked_at: approval.asked_at,
        authors,
        approved_by: approval.approved_by,
        approved_at: approval.approved_at,
        changed_since_approval: is_waiting && was_approved(connection, id).await?,
        samples: samples(connection, id, &row.message).await?,
        schedule: read_view(app, connection, id).await?,
    })
}

/// Returns whether the caller is a person who may approve schedules, and has neither created nor
/// changed this one.
pub fn may_decide(caller: &Caller, authors: &[String]) -> bool {
    let is_person = matches!(
        caller.identity,
        Identity::User { .. } | Identity::Outsider { .. }
    );
    let permission = shared::access::Permission::SchedulesApprove;
    is_person && caller.permissions.contains(&permission) && !authors.contains(&caller.actor())
}

async fn samples(
    connection: &mut MySqlConnection,
    id: Uuid,
    message: &str,
) -> Result<Vec<ApprovalSample>, ApiError> {
    let template =
        Template::parse(message).map_err(|error| ApiError::Internal(error.to_string()))?;
    let page = page_of_list(connection, id, 0, SAMPLES).await?;
    page.into_iter()
        .map(|recipient| {
            let text = match &template {
                None => message.to_owned(),
                Some(template) => {
                    let variables = recipient.variables.as_deref();
                    let variables = variables.map(read_variables).transpose()?;
                    let made = template.render(&variables.unwrap_or_default());
                    made.map_err(|error| ApiError::Internal(error.to_string()))?
                        .text
                }
            };
            Ok(ApprovalSample {
                seq: recipient.seq,
                phone: recipient.phone,
                text,
            })
        })
        .collect()
}

/// Describes `GET /v1/schedules/{id}/approval` in the OpenAPI document.
pub fn show_doc() -> Operation {
    Operation::new("getApproval", "schedules", "Get what is to be approved")
        .text(
            "Of a schedule that needs the approval of a second person: the hash that the approval names, and who may not give it. \
             If the list is so long that `hash` is null, repeat the call: it goes on where it ended.",
        )
        .answers::<ScheduleApproval>(200, "What is to be approved, or was.", example())
        .problems(&["not-found"])
}

fn example() -> Value {
    json!({
        "hash": "3b8f1f2c9a0d4e5f60718293a4b5c6d7e8f90123456789abcdef0123456789ab",
        "reason": "recipients",
        "asked_by": "user:0198c6c4-9f7e-7c3a-8f5e-6f7a8b9c0d1e",
        "asked_at": "2026-12-01T01:00:00Z",
        "authors": ["user:0198c6c4-9f7e-7c3a-8f5e-6f7a8b9c0d1e"],
        "may_approve": true,
        "approved_by": null,
        "approved_at": null,
        "changed_since_approval": false,
        "samples": [{"seq": 1, "phone": "+60123456789", "text": "Dear Ana, your parcel is here."}],
        "schedule": shown("awaiting-approval", json!({"run_at": AHEAD, "changeable_until": null, "next_send_at": null})),
    })
}
