//! The body of a resend, and the schedule that follows from it.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use shared::{
    message::status::Status,
    schedule::{row::Schedule, status::ScheduleStatus},
};
use uuid::Uuid;

use crate::{
    http::{
        error::{ApiError, FieldError},
        fields::Fields,
    },
    openapi::operation::{object, or_null},
    resources::schedules::{
        end::{EndFields, SendEnd, send_until_schema, send_within_schema},
        names::{Labels, Names},
        run_at::{Moment, moment, run_at_schema},
        store::NewSchedule,
    },
};

/// Returns the states whose recipients certainly got nothing.
pub const fn resendable() -> [Status; 4] {
    [
        Status::Undeliv,
        Status::Expired,
        Status::Rejectd,
        Status::Deleted,
    ]
}

/// A body.
#[derive(Debug)]
pub struct ResendRequest {
    /// The states of the recipients who are sent to again.
    pub statuses: Vec<Status>,
    /// Whether the new schedule stays a draft.
    pub is_draft: bool,
    run_at: Option<Moment>,
    end: EndFields,
    name: Option<String>,
}

impl ResendRequest {
    /// Reads a body, in which every field may be missing.
    pub fn read(body: &[u8], now: DateTime<Utc>) -> Result<Self, ApiError> {
        let mut fields = Fields::read(body)?;
        let request = Self {
            statuses: statuses(&mut fields),
            is_draft: fields.read_as("draft", "true or false").unwrap_or(false),
            run_at: moment(&mut fields, now),
            end: EndFields::read(&mut fields),
            name: Names::read_name(&mut fields),
        };
        if request.is_draft && request.run_at.is_none() {
            fields.require(
                "run_at",
                "a time at which the draft begins when it is activated",
            );
        }
        let errors = fields.finish();
        if errors.is_empty() {
            Ok(request)
        } else {
            Err(ApiError::invalid(errors))
        }
    }
}

fn statuses(fields: &mut Fields) -> Vec<Status> {
    let names = resendable().map(Status::as_str).join(", ");
    let expected = format!("an array with at least one of: {names}");
    let Some(given) = fields.read_as::<Vec<String>>("statuses", &expected) else {
        return vec![Status::Undeliv];
    };
    let mut statuses = Vec::new();
    for name in &given {
        match resendable().into_iter().find(|kind| kind.as_str() == name) {
            Some(status) if !statuses.contains(&status) => statuses.push(status),
            Some(_) => {}
            None => {
                fields.complain("statuses", "not-a-choice", format!("expected {expected}"));
                return statuses;
            }
        }
    }
    if statuses.is_empty() {
        fields.complain("statuses", "wrong-length", format!("expected {expected}"));
    }
    statuses
}

/// Returns the schedule that sends again: a draft with the text, the rules and the names of the
/// finished one. A hard end that was a time of day is not taken over, because it has passed.
pub fn new_schedule(
    row: Schedule,
    request: &ResendRequest,
    now: DateTime<Utc>,
    actor: &str,
) -> Result<NewSchedule, ApiError> {
    let run_at = request.run_at.as_ref();
    let at = run_at.map_or(now, |moment| moment.at);
    let end = request.end.apply(SendEnd {
        until: None,
        within_s: row.send_within_s,
    });
    if let Err(wrong) = end.check(at, row.send_window.as_deref(), now) {
        let error = FieldError::new(end.field(), wrong.code, wrong.detail);
        return Err(ApiError::invalid(vec![error]));
    }
    Ok(NewSchedule {
        id: Uuid::now_v7(),
        status: ScheduleStatus::Draft,
        message: row.message,
        parts: row.parts,
        sender: row.sender,
        run_at: at,
        run_at_offset: run_at.map_or(row.run_at_offset, |moment| moment.offset.clone()),
        rate: row.rate,
        priority: row.priority,
        auto_priority: row.auto_priority,
        send_window: row.send_window,
        max_lateness_s: row.max_lateness_s,
        end,
        max_resends: row.max_resends,
        resend_within_s: row.resend_within_s,
        on_uncertain: row.on_uncertain,
        list_defaults: None,
        unique_by: row.unique_by,
        canary: None,
        names: Names {
            name: request.name.clone().or(row.name),
            reference: row.reference,
            labels: Labels::of_column(row.labels.as_deref()),
        },
        created_at: now,
        created_by: Some(actor.to_owned()),
    })
}

/// Returns the schema of a body.
pub fn body_schema() -> Value {
    let statuses = json!({"type": "array", "minItems": 1, "items": {"title": "ResendableStatus", "type": "string", "enum": resendable().map(Status::as_str)}, "default": ["UNDELIV"],
        "description": "The states of the recipients who are sent to again."});
    let draft = json!({"type": "boolean", "default": false, "description": "Leaves it a draft, which can be changed and then activated."});
    let mut run_at = run_at_schema();
    run_at["description"] =
        json!("A time in the future with an offset from UTC; without it, it is sent at once.");
    let name = Names::name_schema();
    let mut schema = object(
        json!({
            "statuses": or_null(statuses), "draft": or_null(draft), "run_at": or_null(run_at),
            "send_until": or_null(send_until_schema()), "send_within_s": or_null(send_within_schema()), "name": or_null(name),
        }),
        &[],
    );
    schema["if"] = json!({"properties": {"draft": {"const": true}}, "required": ["draft"]});
    schema["then"] = json!({"properties": {"run_at": {"type": "string"}}, "required": ["run_at"]});
    schema
}
