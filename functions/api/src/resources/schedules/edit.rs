//! The body of `PATCH /v1/schedules/{id}`: any field of the first call except the list. A field
//! that is not named stays as it is.

use axum::body::Bytes;
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use shared::{
    events::target::AllowedTargets,
    message::window::Window,
    schedule::{
        canary::CanaryRule, on_uncertain::OnUncertain, priority::Priority, row::Schedule,
        start::Start, status::ScheduleStatus,
    },
};

use crate::{
    http::{
        error::{ApiError, FieldError},
        fields::Fields,
    },
    openapi::operation::{object, or_null},
    resources::{
        schedules::{
            callback, canary,
            end::{EndFields, SendEnd, WrongEnd},
            names::{self, Labels, NamesEdit, labels_of},
            priority,
            request::{MAX_ATTEMPTS, MAX_LATENESS_S, RATE, RESEND_WITHIN_S, fields_schema, text},
            run_at::{Moment, moment},
            window,
        },
        senders::field as sender,
    },
};

/// Fields that no schedule can be without.
const REQUIRED: [&str; 6] = [
    "run_at",
    "message",
    "max_attempts",
    "max_lateness_s",
    "resend_within_s",
    "on_uncertain",
];

/// The fields to change; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
#[expect(
    clippy::option_option,
    reason = "null removes a field, which differs from leaving it out"
)]
pub struct ScheduleEdit {
    /// The new time.
    pub run_at: Option<Moment>,
    /// The new text, and its number of parts.
    pub message: Option<(String, u16)>,
    /// What the message is sent from.
    pub sender: Option<Option<String>>,
    /// The new rate, or no rate.
    pub rate: Option<Option<u32>>,
    /// The new priority, or the one that follows from the number of recipients.
    pub priority: Option<Option<Priority>>,
    /// The new end, or no end.
    pub end: EndFields,
    window: Option<Option<String>>,
    /// The new canary, or no canary.
    pub canary: Option<Option<CanaryRule>>,
    max_attempts: Option<u32>,
    max_lateness_s: Option<u32>,
    resend_within_s: Option<u32>,
    on_uncertain: Option<OnUncertain>,
    /// What it is called from now on.
    pub names: NamesEdit,
    /// The new callback, or no callback.
    pub callback_url: Option<Option<String>>,
}

impl ScheduleEdit {
    /// Reads a body. The error names every wrong field. A body that changes nothing is an error
    /// too.
    pub fn read(
        body: &Bytes,
        targets: AllowedTargets,
        now: DateTime<Utc>,
    ) -> Result<Self, ApiError> {
        let mut fields = Fields::read(body)?;
        for name in REQUIRED
            .into_iter()
            .filter(|name| fields.is_null(name))
            .collect::<Vec<_>>()
        {
            fields.complain(
                name,
                "wrong-type",
                "expected a value; a field that is left out stays as it is",
            );
        }
        let edit = Self {
            run_at: moment(&mut fields, now),
            message: text(&mut fields),
            sender: fields.nullable("sender", sender::read),
            rate: fields.nullable("rate", |fields| fields.number("rate", RATE)),
            priority: fields.nullable("priority", priority::read),
            end: EndFields::read(&mut fields),
            window: fields.nullable("window", window::read),
            canary: fields.nullable("canary", canary::read),
            max_attempts: fields.number("max_attempts", MAX_ATTEMPTS),
            max_lateness_s: fields.number("max_lateness_s", MAX_LATENESS_S),
            resend_within_s: fields.number("resend_within_s", RESEND_WITHIN_S),
            on_uncertain: fields.choice("on_uncertain", &OnUncertain::ALL, OnUncertain::as_str),
            names: NamesEdit::read(&mut fields),
            callback_url: fields.nullable("callback_url", |fields| callback::read(fields, targets)),
        };
        let mut errors = fields.finish();
        let is_named = edit.names.is_given() || edit.callback_url.is_some();
        if errors.is_empty() && !is_named && edit.is_only_names() {
            let names: Vec<_> = all_fields().map(|(name, _)| name).collect();
            let names = names.join(", ");
            let expected = format!("expected at least one of: {names}");
            errors.push(FieldError::new("", "nothing-to-change", expected));
        }
        if errors.is_empty() {
            Ok(edit)
        } else {
            Err(ApiError::invalid(errors))
        }
    }

    /// Returns whether the change needs a schedule that has not begun.
    pub const fn requires_unbegun(&self) -> bool {
        self.run_at.is_some()
            || self.message.is_some()
            || self.sender.is_some()
            || self.window.is_some()
            || self.canary.is_some()
            || self.max_attempts.is_some()
            || self.max_lateness_s.is_some()
            || self.resend_within_s.is_some()
            || self.on_uncertain.is_some()
    }

    /// Returns whether it changes nothing but what the schedule is called, and its callback.
    pub const fn is_only_names(&self) -> bool {
        !self.requires_unbegun() && self.rate.is_none() && !self.changes_priority_or_end()
    }

    /// Returns whether it changes the priority or the end.
    pub const fn changes_priority_or_end(&self) -> bool {
        self.priority.is_some() || self.end.is_given()
    }

    /// Returns an error if nothing could be sent before the end of the changed schedule.
    pub fn check_end(&self, row: &Schedule, now: DateTime<Utc>) -> Result<(), ApiError> {
        let field = match (self.end.is_given(), &self.run_at, &self.window) {
            (true, ..) => end_of(row).field(),
            (false, Some(_), _) => "run_at",
            (false, None, Some(_)) => "window",
            (false, None, None) => return Ok(()),
        };
        let checked = end_of(row).check(row.run_at, row.send_window.as_deref(), now);
        checked.map_err(|WrongEnd { code, detail }| {
            ApiError::invalid(vec![FieldError::new(field, code, detail)])
        })
    }

    /// Applies the changes to a schedule's row. `bulk_above`: the number of recipients above which
    /// a schedule is bulk if nobody has chosen its priority.
    pub fn apply(&self, row: &mut Schedule, bulk_above: Option<u32>) {
        if let Some(Moment { at, offset }) = &self.run_at {
            (row.run_at, row.run_at_offset) = (*at, offset.clone());
        }
        if let Some((message, parts)) = &self.message {
            (row.message, row.parts) = (message.clone(), *parts);
        }
        if let Some(sender) = &self.sender {
            row.sender.clone_from(sender);
        }
        row.rate = self.rate.unwrap_or(row.rate);
        if let Some(chosen) = self.priority {
            let by_size = priority::by_size(row.recipient_count.into(), bulk_above);
            (row.priority, row.auto_priority) = (chosen.unwrap_or(by_size), chosen.is_none());
        }
        let end = self.end.apply(end_of(row));
        (row.send_until, row.send_within_s) = (end.until, end.within_s);
        if let Some(window) = &self.window {
            row.send_window.clone_from(window);
        }
        row.max_resends = self
            .max_attempts
            .map_or(row.max_resends, |attempts| attempts - 1);
        row.max_lateness_s = self.max_lateness_s.unwrap_or(row.max_lateness_s);
        row.resend_within_s = self.resend_within_s.unwrap_or(row.resend_within_s);
        row.on_uncertain = self.on_uncertain.unwrap_or(row.on_uncertain);
        if let Some(name) = &self.names.name {
            row.name.clone_from(name);
        }
        if let Some(reference) = &self.names.reference {
            row.reference.clone_from(reference);
        }
        if let Some(labels) = &self.names.labels {
            row.labels = labels.as_ref().map(Labels::to_column);
        }
    }

    /// Returns this edit with a `run_at` of now, if it gives a schedule that waits for its window
    /// another start, and that has passed: the schedule begins now, and is not late.
    pub fn moved_to_now(&self, row: &Schedule, now: DateTime<Utc>) -> Option<Self> {
        if self.run_at.is_some() || row.status != ScheduleStatus::Scheduled {
            return None;
        }
        let end = self.end.apply(end_of(row));
        let send_window = self.window.as_ref().unwrap_or(&row.send_window).as_deref();
        let start = Start {
            run_at: row.run_at,
            send_window,
            send_until: end.until,
            send_within_s: end.within_s,
        };
        let has_passed = start.at() != Start::of(row).at() && start.at() <= now;
        has_passed.then(|| Self {
            run_at: Some(Moment {
                at: now,
                offset: row.run_at_offset.clone(),
            }),
            ..self.clone()
        })
    }

    /// Returns the fields of a row that this edit changes, for the audit log.
    pub fn changed_fields(&self, row: &Schedule) -> Value {
        let fields = [
            ("run_at", self.run_at.is_some(), json!(row.run_at)),
            ("message", self.message.is_some(), json!(row.message)),
            ("sender", self.sender.is_some(), json!(row.sender)),
            ("rate", self.rate.is_some(), json!(row.rate)),
            ("priority", self.priority.is_some(), json!(row.priority)),
            (
                "send_until",
                self.end.is_given(),
                json!(end_of(row).at(row.run_at)),
            ),
            (
                "window",
                self.window.is_some(),
                json!(Window::of(row.send_window.as_deref())),
            ),
            (
                "max_attempts",
                self.max_attempts.is_some(),
                json!(row.max_resends + 1),
            ),
            (
                "max_lateness_s",
                self.max_lateness_s.is_some(),
                json!(row.max_lateness_s),
            ),
            (
                "resend_within_s",
                self.resend_within_s.is_some(),
                json!(row.resend_within_s),
            ),
            (
                "on_uncertain",
                self.on_uncertain.is_some(),
                json!(row.on_uncertain),
            ),
            (
                "canary",
                self.canary.is_some(),
                json!(self.canary.flatten().map(|rule| rule.recipients)),
            ),
            ("name", self.names.name.is_some(), json!(row.name)),
            (
                "reference",
                self.names.reference.is_some(),
                json!(row.reference),
            ),
            (
                "labels",
                self.names.labels.is_some(),
                json!(labels_of(row.labels.as_deref())),
            ),
            (
                "callback_webhook_id",
                self.callback_url.is_some(),
                json!(row.callback_id),
            ),
        ];
        let changed = fields.into_iter().filter(|(_, changed, _)| *changed);
        Value::Object(
            changed
                .map(|(name, _, value)| (name.to_owned(), value))
                .collect::<Map<_, _>>(),
        )
    }
}

/// Returns the end of a schedule.
pub fn end_of(row: &Schedule) -> SendEnd {
    SendEnd {
        until: row.send_until,
        within_s: row.send_within_s,
    }
}

/// Returns the schemas of the fields that can be changed.
fn all_fields() -> impl Iterator<Item = (&'static str, Value)> {
    let all = fields_schema().into_iter().chain(names::schemas());
    all.chain([("callback_url", callback::schema())])
}

/// Returns the schema of the body that [`ScheduleEdit::read`] reads.
pub fn edit_schema() -> Value {
    let field = |(name, mut schema): (&str, Value)| {
        if let Some(schema) = schema.as_object_mut() {
            schema.remove("default");
        }
        (
            name.to_owned(),
            if REQUIRED.contains(&name) {
                schema
            } else {
                or_null(schema)
            },
        )
    };
    let mut schema = object(Value::Object(all_fields().map(field).collect()), &[]);
    schema["minProperties"] = json!(1);
    schema
}
