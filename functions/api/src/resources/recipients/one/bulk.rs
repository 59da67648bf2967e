//! `POST /v1/schedules/{id}/recipients/cancel` and `PATCH /v1/schedules/{id}/recipients`: cancels or
//! changes up to a thousand recipients. The answer says of each what became of it.

use axum::{
    Json,
    body::{Body, Bytes},
    extract::State,
    http::HeaderMap,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json, value::RawValue};
use uuid::Uuid;

use super::{
    address::{Address, entry_schema},
    carry_out::carry_out,
    edit::{self, RecipientEdit},
    outcome::{ChangeOutcome, Order, RecipientChange},
};
use crate::{
    App,
    auth::Caller,
    http::{
        body,
        error::{ApiError, FieldError},
        fields::Fields,
        path::Path,
        query::Query,
    },
    openapi::{Operation, Takes, operation::object},
    resources::schedules::{show::parse_id, store::lock_schedule},
};

/// The largest number of recipients of a call.
const MOST: usize = 1_000;
/// What `set` is.
const SET: &str = "an object with at least one of: phone, vars, reference, group";
/// The number of errors that are shown.
const SHOWN: usize = 100;

/// What became of the recipients of a call.
#[derive(JsonSchema, Serialize)]
pub struct ChangedRecipients {
    /// Those that were in time.
    in_time: u32,
    /// Those that a request carries or has carried, or that have ended.
    too_late: u32,
    /// Those whose new number, or reference, another recipient has.
    duplicate: u32,
    /// Those whose reference, or number, several recipients have.
    ambiguous: u32,
    /// Those that are not in the schedule.
    not_found: u32,
    /// Those that the call did not reach, because its time was over.
    not_reached: u32,
    /// Whether there is more than one call can do; if so, repeat the call.
    more: bool,
    /// Each of them, in the order of the request.
    recipients: Vec<RecipientChange>,
}

impl ChangedRecipients {
    fn of(recipients: Vec<RecipientChange>) -> Self {
        let count = |outcome| {
            recipients
                .iter()
                .filter(|change| change.outcome == outcome)
                .count() as u32
        };
        let not_reached = count(ChangeOutcome::NotReached);
        Self {
            in_time: recipients.iter().filter(|change| change.in_time).count() as u32,
            too_late: count(ChangeOutcome::TooLate),
            duplicate: count(ChangeOutcome::Duplicate),
            ambiguous: count(ChangeOutcome::Ambiguous),
            not_found: count(ChangeOutcome::NotFound),
            not_reached,
            more: not_reached > 0,
            recipients,
        }
    }
}

/// Cancels recipients.
pub async fn cancel(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
    request: (HeaderMap, Body),
) -> Result<Json<ChangedRecipients>, ApiError> {
    let id = parse_id(&id)?;
    let orders = read_orders(query, request, |fields| {
        let address = Address::read(fields)?;
        Some(Order {
            address,
            edit: None,
        })
    });
    run(&app, &caller, id, &orders.await?).await
}

/// Changes recipients.
pub async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
    request: (HeaderMap, Body),
) -> Result<Json<ChangedRecipients>, ApiError> {
    let id = parse_id(&id)?;
    let orders = read_orders(query, request, |fields| {
        let set = fields.raw("set");
        fields.require("set", SET);
        let edit = set.and_then(|set| read_set(fields, set));
        let address = Address::read(fields)?;
        Some(Order {
            address,
            edit: Some(edit?),
        })
    });
    let orders = orders.await?;
    check(&app, id, &orders).await?;
    run(&app, &caller, id, &orders).await
}

/// Reads the entries of a request.
async fn read_orders(
    query: Query,
    (headers, body): (HeaderMap, Body),
    entry: impl Fn(&mut Fields) -> Option<Order>,
) -> Result<Vec<Order>, ApiError> {
    query.finish()?;
    read(&body::read_json(&headers, body).await?, entry)
}

fn read_set(fields: &mut Fields, set: &RawValue) -> Option<RecipientEdit> {
    let Ok(mut inner) = Fields::read(set.get().as_bytes()) else {
        fields.complain("set", "wrong-type", format!("expected {SET}"));
        return None;
    };
    let edit = RecipientEdit::read(&mut inner);
    let errors = inner.finish();
    for error in &errors {
        fields.complain(
            &format!("set.{}", error.field),
            error.code,
            error.detail.clone(),
        );
    }
    errors.is_empty().then_some(edit)
}

/// Reads the entries of a body. The error names everything that is wrong, with positions.
fn read(
    body: &Bytes,
    entry: impl Fn(&mut Fields) -> Option<Order>,
) -> Result<Vec<Order>, ApiError> {
    let mut fields = Fields::read(body)?;
    let given: Option<Vec<&RawValue>> = fields.read_as("recipients", "an array of objects");
    fields.require("recipients", "an array of objects");
    let given = given.unwrap_or_default();
    if fields.is_faultless() && !(1..=MOST).contains(&given.len()) {
        let expected = format!("expected 1 to {MOST} entries");
        fields.complain("recipients", "wrong-length", expected);
    }
    let mut errors = fields.finish();
    let mut orders = Vec::with_capacity(given.len().min(MOST));
    for (position, given) in (0..).zip(given.into_iter().take(MOST)) {
        let mut found = match Fields::read(given.get().as_bytes()) {
            Ok(mut fields) => {
                orders.extend(entry(&mut fields));
                fields.finish()
            }
            Err(_) => vec![FieldError::new("", "not-an-object", "expected an object")],
        };
        for error in &mut found {
            let field = format!("recipients.{}", error.field);
            field.trim_end_matches('.').clone_into(&mut error.field);
            error.position = Some(position);
        }
        errors.append(&mut found);
    }
    let total = errors.len();
    errors.truncate(SHOWN);
    if total == 0 {
        Ok(orders)
    } else {
        Err(ApiError::Invalid(errors, total))
    }
}

/// Checks all new values before anything is written.
async fn check(app: &App, id: Uuid, orders: &[Order]) -> Result<(), ApiError> {
    // Outside a transaction the lock ends with the statement.
    let schedule = lock_schedule(&mut *app.db.acquire().await?, id)
        .await?
        .ok_or_else(ApiError::no_such_schedule)?;
    let mut errors = Vec::new();
    for (position, edit) in (0..).zip(orders.iter().filter_map(|order| order.edit.as_ref())) {
        match edit.check_locked(app, &schedule) {
            Ok(_) => {}
            Err(ApiError::Invalid(found, _)) => {
                errors.extend(found.into_iter().map(|error| FieldError {
                    field: format!("recipients.set.{}", error.field),
                    position: Some(position),
                    ..error
                }));
            }
            Err(other) => return Err(other),
        }
    }
    let total = errors.len();
    errors.truncate(SHOWN);
    if total == 0 {
        Ok(())
    } else {
        Err(ApiError::Invalid(errors, total))
    }
}

async fn run(
    app: &App,
    caller: &Caller,
    id: Uuid,
    orders: &[Order],
) -> Result<Json<ChangedRecipients>, ApiError> {
    let changes = carry_out(app, caller, id, orders).await?;
    Ok(Json(ChangedRecipients::of(changes)))
}

/// Describes [`cancel`] in the OpenAPI document.
pub fn cancel_doc() -> Operation {
    let example =
        json!({"recipients": [{"seq": 1}, {"phone": "+60123456780"}, {"reference": "4711"}]});
    Operation::new("cancelRecipients", "recipients", "Cancel many recipients until they are sent")
        .text("Each batch of the schedule is written on its own. A repeated call is answered in the same way, so a call that failed can be repeated. `more`: the call ran out of time; repeat it.")
        .body(Takes::json(body_schema("RecipientAddress", entry_schema(json!({}), &[])), example))
        .answers::<ChangedRecipients>(200, "What became of each recipient.", answer("cancelled", "CANCELLED"))
        .problems(&["not-found", "invalid-request"])
}

/// Describes [`change`] in the OpenAPI document.
pub fn change_doc() -> Operation {
    let example = json!({"recipients": [{"seq": 1, "set": {"phone": "+60123456799"}}, {"phone": "+60123456780", "set": {"vars": {"time": "10:30"}}}]});
    let members = json!({"set": edit::schema()});
    Operation::new("changeRecipients", "recipients", "Change many recipients until they are sent")
        .text("All new values are checked first: if one of them is wrong, nothing is written. Then each batch of the schedule is written on its own. `more`: the call ran out of time; repeat it.")
        .body(Takes::json(body_schema("RecipientToChange", entry_schema(members, &["set"])), example))
        .answers::<ChangedRecipients>(200, "What became of each recipient.", answer("changed", "PENDING"))
        .problems(&["not-found", "wrong-state", "schedule-begun", "invalid-request"])
}

fn body_schema(title: &str, mut entry: Value) -> Value {
    entry["title"] = json!(title);
    let recipients = json!({"type": "array", "minItems": 1, "maxItems": MOST, "items": entry});
    object(json!({"recipients": recipients}), &["recipients"])
}

fn answer(outcome: &str, status: &str) -> Value {
    json!({"in_time": 1, "too_late": 1, "duplicate": 0, "ambiguous": 0, "not_found": 0, "not_reached": 0, "more": false, "recipients": [
        {"seq": 1, "in_time": true, "status": status, "outcome": outcome},
        {"seq": 2, "in_time": false, "status": "ACCEPTD", "outcome": "too-late"},
    ]})
}
