//! `POST /v1/schedules/{id}/recipients`: appends recipients. Repeated calls append lists of any
//! size. The same call made twice adds nothing, because its numbers are duplicates the second time.

use axum::{Json, body::Body, extract::State, http::HeaderMap};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use shared::{
    platform::queue::DeliveryMessage,
    schedule::{status::ScheduleStatus, unique_by::UniqueBy},
};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::{
    App,
    auth::{
        Caller,
        audit::{AuditedTransaction, audited_transaction},
        caller::Change,
    },
    http::{
        error::{ApiError, FieldError},
        path::Path,
        query::Query,
    },
    lists::{
        AcceptedVariables, List, Options,
        calls::record_call,
        doc,
        duplicates::DuplicateEntry,
        entry::RejectedEntry,
        load::{Target, load},
        options::{ListDefaults, NumberTypes, OnDuplicate, OnInvalid},
        request::{column, read_list},
    },
    openapi::{Operation, parameters::flag},
    resources::{
        recipients::dry_run::{Report, dry_run},
        schedules::{
            approval::{self, Step},
            arrange_dispatch::enqueue_deliveries,
            show::parse_id,
            state::begun,
            store::{LockedSchedule, count_added, lock_schedule},
        },
    },
};

/// The effect of a call.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "AppendedRecipients")]
pub struct Appended {
    /// Numbers that are new in this schedule.
    accepted: u32,
    /// Entries whose number was in it already, or in this call before.
    duplicates: u32,
    /// Of these, entries that have changed their recipient: `on_duplicate` is `update`.
    updated: u32,
    /// The first hundred duplicates, and what became of each.
    duplicate_entries: Vec<DuplicateEntry>,
    /// The number of this call among those that brought a list for the schedule, from 1. If the same
    /// list was appended before, that of the first call.
    call: u32,
    /// Whether the same list was appended before: then nothing of it is new.
    repeated: bool,
    /// Entries that were skipped.
    invalid_count: u32,
    /// The first thousand of them.
    invalid: Vec<RejectedEntry>,
    /// The number of recipients in the schedule now.
    recipients_total: u32,
    /// The deliveries of the event that the schedule waits for an approval.
    #[serde(skip)]
    deliveries: Vec<DeliveryMessage>,
}

/// The answer to a call.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "AppendAnswer")]
#[serde(untagged)]
pub enum Answer {
    /// The effect of a call.
    Appended(Appended),
    /// The effect that it would have.
    DryRun(Box<Report>),
}

/// Returns 200 with the effect. If the call fails, nothing is written.
pub async fn append(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    mut query: Query,
    request: (HeaderMap, Body),
) -> Result<Json<Answer>, ApiError> {
    let (headers, body) = request;
    let id = parse_id(&id)?;
    let is_dry_run = query.flag("dry_run");
    let on_invalid = query.choice("on_invalid", &OnInvalid::ALL, OnInvalid::as_str);
    let on_duplicate = query.choice("on_duplicate", &OnDuplicate::ALL, OnDuplicate::as_str);
    let types = query.choice("types", &NumberTypes::ALL, NumberTypes::as_str);
    let mut list = read_list(&headers, &mut query, body).await?;
    list.options.types = types;
    list.options.countries = app.allowed_countries();
    list.options.number_types = app.number_types;
    list.options.reference_column = column(&mut query, "reference_column");
    list.options.group_column = column(&mut query, "group_column");
    query.finish()?;
    let (app, caller, list) = (&app, &caller, &list);
    let given = ListEffects {
        on_invalid,
        on_duplicate,
    };
    let answer = if is_dry_run {
        let report = dry_run(app, id, list.clone(), given).await;
        report.map(|report| Answer::DryRun(Box::new(report)))
    } else {
        let appended = audited_transaction(&app.db, caller, |transaction| {
            let list = list.clone();
            Box::pin(write(app, caller, transaction, id, list, given))
        });
        let appended = appended.await;
        if let Ok(appended) = &appended {
            enqueue_deliveries(app, &appended.deliveries).await;
        }
        appended.map(Answer::Appended)
    };
    app.count_entries(caller, &list.entries).await?;
    answer.map(Json)
}

/// Describes `POST /v1/schedules/{id}/recipients` in the OpenAPI document.
pub fn append_doc() -> Operation {
    let known = json!({"position": 4, "phone": "+60123456789", "seq": 17, "became": "updated"});
    let answer = json!({"accepted": 2, "duplicates": 1, "updated": 1, "duplicate_entries": [known], "call": 1, "repeated": false, "invalid_count": 0, "invalid": [], "recipients_total": 2});
    Operation::new("appendRecipients", "recipients", "Append numbers to a schedule")
        .text(
            "Repeat the call for lists of any size; each call is written as a whole or not at all. At most 5 MiB of text or 4.6 MB of gzip per call. \
             The same call made twice adds nothing, because its numbers are duplicates the second time. `default_country`, `column`, `reference_column`, \
             `group_column`, `on_invalid`, `on_duplicate` and `types` are by default those with which the schedule was created.",
        )
        .query("dry_run", flag(), "Reports the effect of the call, and writes nothing.")
        .query(
            "on_invalid",
            json!({"title": "OnInvalid", "type": "string", "enum": OnInvalid::ALL.map(OnInvalid::as_str)}),
            "`reject`: one invalid entry refuses the call; `skip`: entries that are no numbers are kept as INVALID.",
        )
        .query("on_duplicate", doc::on_duplicate_schema(), doc::ON_DUPLICATE)
        .query("types", doc::types_schema(), doc::TYPES)
        .queries(doc::list_parameters())
        .queries(doc::name_column_parameters())
        .body(doc::list_body(true))
        .answers::<Answer>(200, "What was accepted; for a dry run, the effect that the call would have.", answer)
        .problems(&["not-found", "schedule-begun", "daily-limit"])
}

/// What becomes of the entries of a list that are not new recipients; `None`: what the schedule says.
#[derive(Clone, Copy, Debug)]
pub struct ListEffects {
    /// The effect of invalid entries.
    pub on_invalid: Option<OnInvalid>,
    /// The effect of duplicates.
    pub on_duplicate: Option<OnDuplicate>,
}

/// A schedule to which recipients can be appended.
pub struct Appendable(LockedSchedule);

impl Appendable {
    /// Reads a schedule, and locks it until the transaction ends.
    pub async fn lock(connection: &mut MySqlConnection, id: Uuid) -> Result<Self, ApiError> {
        use ScheduleStatus::{AwaitingApproval, Draft, Scheduled};
        let schedule = lock_schedule(connection, id)
            .await?
            .ok_or_else(ApiError::no_such_schedule)?;
        if !matches!(schedule.status, Draft | AwaitingApproval | Scheduled) {
            let expected = "recipients can be appended to a schedule that is draft or scheduled";
            return Err(begun(&schedule, expected));
        }
        Ok(Self(schedule))
    }

    /// Adds to the options of a list what its call does not say. Returns the defaults of the schedule.
    pub fn complete(&self, options: &mut Options) -> Result<ListDefaults, ApiError> {
        options.variables = AcceptedVariables::of(&self.0.message)?;
        options.needs_reference = self.0.unique_by == UniqueBy::Reference;
        let defaults = ListDefaults::read(self.0.list_defaults.as_deref());
        defaults.apply(options);
        Ok(defaults)
    }
}

/// Returns the error for a list without entries.
pub fn empty() -> ApiError {
    let error = FieldError::new("recipients", "empty", "expected at least one entry");
    ApiError::invalid(vec![error])
}

async fn write(
    app: &App,
    caller: &Caller,
    mut transaction: AuditedTransaction<'_, '_>,
    id: Uuid,
    mut list: List,
    given: ListEffects,
) -> Result<(Appended, Change<'static>), ApiError> {
    let appendable = Appendable::lock(&mut transaction, id).await?;
    let defaults = appendable.complete(&mut list.options)?;
    let Appendable(schedule) = appendable;
    let now = app.db.now();
    let call = record_call(&mut transaction, id, &list, schedule.next_seq, now).await?;
    let target = Target {
        schedule_id: id,
        next_seq: schedule.next_seq,
        is_repeated: call.is_repeated,
        on_invalid: given.on_invalid.or(defaults.on_invalid).unwrap_or_default(),
        on_duplicate: given
            .on_duplicate
            .or(defaults.on_duplicate)
            .unwrap_or_default(),
        unique_by: schedule.unique_by,
        now,
    };
    let loaded = load(&mut transaction, list, target).await?;
    let added = loaded.added;
    if loaded.entries == 0 {
        return Err(empty());
    }
    caller
        .use_messages(&mut transaction, target.now, added.recipients)
        .await?;
    count_added(&mut transaction, id, &added, app.capacity.bulk_above()).await?;
    let deliveries = approval::follow(app, &mut transaction, caller, id, Step::List).await?;
    let recipients_total = schedule.recipient_count + added.recipients;
    let before = json!({"recipients": schedule.recipient_count});
    let after = json!({"recipients": recipients_total, "invalid": added.invalid, "duplicates": added.duplicates, "updated": loaded.duplicates.updated});
    let appended = Appended {
        accepted: added.recipients,
        duplicates: added.duplicates,
        updated: loaded.duplicates.updated,
        duplicate_entries: loaded.duplicates.shown,
        call: call.call_no,
        repeated: call.is_repeated,
        invalid_count: loaded.invalid_total,
        invalid: loaded.invalid,
        recipients_total,
        deliveries,
    };
    Ok((
        appended,
        Change::of_schedule("schedule.append", id, before, after),
    ))
}
