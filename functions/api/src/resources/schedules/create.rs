//! `POST /v1/schedules`: creates a schedule with its recipients, as many as one call accepts. All
//! of it is written, or nothing. With `?dry_run=true` nothing is written in any case.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use shared::{
    platform::{logs::context::name_schedule, queue::DeliveryMessage, traces::begin_schedule},
    schedule::{status::ScheduleStatus, unique_by::UniqueBy},
};
use uuid::Uuid;

use crate::{
    App,
    auth::{
        Caller,
        audit::{AuditedTransaction, audited_transaction},
        caller::Change,
    },
    http::{
        body,
        error::{ApiError, FieldError},
        query::Query,
    },
    lists::{
        AcceptedVariables, Format, List, Options,
        calls::record_call,
        duplicates::DuplicateEntry,
        entry::RejectedEntry,
        load::{Target, load, refuse},
    },
    openapi::{
        Operation, Takes,
        parameters::{AHEAD, flag},
    },
    resources::{
        schedules::{
            approval::{self, Step},
            arrange_dispatch::{arrange_dispatch, enqueue_deliveries},
            budget::{StartTimes, refuse_beyond},
            callback,
            callback_webhook::find_or_create,
            dry_run::{NewList, Report, dry_run, report_example},
            examples::shown,
            priority,
            request::{CreateRequest, request_schema},
            show::{ScheduleView, read_view},
            store::{callbacks::write_callback, count_added, insert_schedule},
        },
        senders::permitted::permit_sender,
    },
};

/// The schedule, and the entries that were skipped.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "CreatedSchedule")]
pub struct Created {
    #[serde(flatten)]
    schedule: ScheduleView,
    /// The first thousand of the entries that were skipped.
    invalid: Vec<RejectedEntry>,
    /// The first hundred of the entries whose number is in the list before, and what became of each.
    duplicate_entries: Vec<DuplicateEntry>,
    /// The deliveries of the event that it waits for an approval.
    #[serde(skip)]
    deliveries: Vec<DeliveryMessage>,
}

/// Returns 201 with the schedule, or 200 with a report for a dry run.
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    mut query: Query,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let is_dry_run = query.flag("dry_run");
    query.finish()?;
    let body = body::read_json(&headers, body).await?;
    let mut request = CreateRequest::read(&body, app.webhook_targets, app.db.now())?;
    let list = take_list(&app, &mut request)?;
    let entries = list.as_ref().map(|list| Arc::clone(&list.entries));
    let answer = execute(&app, &caller, request, list, is_dry_run).await;
    if let Some(entries) = entries {
        app.count_entries(&caller, &entries).await?;
    }
    answer
}

/// Creates the schedule, or reports the effect.
async fn execute(
    app: &App,
    caller: &Caller,
    request: CreateRequest,
    list: Option<List>,
    is_dry_run: bool,
) -> Result<Response, ApiError> {
    let Some(mut schedule) = request.schedule else {
        return Err(refuse(request.errors, list, request.on_invalid).await);
    };
    priority::allow(caller, schedule.priority)?;
    if let Some(sender) = &schedule.sender {
        permit_sender(&mut *app.db.acquire().await?, caller, sender).await?;
    }
    schedule.created_by = Some(caller.actor());
    if request.callback_url.is_some() {
        callback::allow(caller, schedule.created_by.as_deref())?;
    }
    let new = NewList {
        schedule: &schedule,
        list: list.as_ref(),
        on_invalid: request.on_invalid,
        on_duplicate: request.on_duplicate,
    };
    if is_dry_run {
        return Ok(Json(dry_run(app, new).await?).into_response());
    }
    let callback_id = match &request.callback_url {
        Some(url) => Some(find_or_create(app, caller, url).await?),
        None => None,
    };
    let created = audited_transaction(&app.db, caller, |transaction| {
        Box::pin(write(app, caller, transaction, new, callback_id))
    })
    .await?;
    name_schedule(schedule.id);
    begin_schedule(schedule.id);
    enqueue_deliveries(app, &created.deliveries).await;
    let location = format!("/v1/schedules/{}", schedule.id);
    if created.schedule.status == ScheduleStatus::Scheduled {
        arrange_dispatch(app, created.schedule.message(), schedule.start().at()).await;
    }
    let headers = [(header::LOCATION, location)];
    Ok((StatusCode::CREATED, headers, Json(created)).into_response())
}

/// Takes the list out of a request. Its entries may have the variables that the message names.
fn take_list(app: &App, request: &mut CreateRequest) -> Result<Option<List>, ApiError> {
    let message = request
        .schedule
        .as_ref()
        .map_or("", |schedule| &schedule.message);
    let options = Options {
        region: request.region.take(),
        country: request.country.take(),
        types: request.types,
        countries: app.allowed_countries(),
        number_types: app.number_types,
        variables: AcceptedVariables::of(message)?,
        needs_reference: request
            .schedule
            .as_ref()
            .is_some_and(|schedule| schedule.unique_by == UniqueBy::Reference),
        ..Options::default()
    };
    Ok(request.recipients.take().map(|bytes| List {
        bytes,
        format: Some(Format::Json),
        gzip: false,
        options,
        entries: Arc::default(),
    }))
}

/// Describes `POST /v1/schedules` in the OpenAPI document.
pub fn create_doc() -> Operation {
    let body = json!({
        "run_at": AHEAD,
        "message": "Dear {{name|default('customer')}}, your parcel is here.",
        "recipients": ["+60123456789", {"phone": "+60123456780", "vars": {"name": "Ana"}}],
        "name": "Parcels of Tuesday",
        "reference": "run-4711",
        "labels": ["parcels"],
        "sender": "Acme",
        "rate": 20,
        "window": {"days": ["Mon", "Fri"], "from": "09:00", "to": "20:00", "zone": "Asia/Kuala_Lumpur"},
    });
    let draft = json!({"run_at": AHEAD, "message": "Your parcel is here.", "draft": true});
    let body = Takes::json_with(request_schema(), vec![("schedule", body), ("draft", draft)]);
    Operation::new("createSchedule", "schedules", "Schedule a message to a list of numbers")
        .text(
            "All of it is written, or nothing. Append a longer list to a draft with further calls, and then `activate` the draft. \
             `{{name}}` in the message is replaced with the variable of each recipient.",
        )
        .query("dry_run", flag(), "Reports the effect of the call, and writes nothing.")
        .body(body)
        .makes::<Created>("The schedule, and the entries that were skipped.", shown("scheduled", json!({"invalid": [], "duplicate_entries": []})))
        .answers::<Report>(200, "For a dry run: the effect that the call would have.", report_example())
        .problems(&["daily-limit", "budget-exceeded", "too-many-webhooks", "webhook-disabled"])
}

async fn write(
    app: &App,
    caller: &Caller,
    mut transaction: AuditedTransaction<'_, '_>,
    new: NewList<'_>,
    callback_id: Option<Uuid>,
) -> Result<(Created, Change<'static>), ApiError> {
    let schedule = new.schedule;
    insert_schedule(&mut transaction, schedule).await?;
    if callback_id.is_some() {
        write_callback(&mut transaction, schedule.id, callback_id).await?;
    }
    let (mut invalid, mut duplicate_entries) = (Vec::new(), Vec::new());
    if let Some(list) = new.list {
        record_call(&mut transaction, schedule.id, list, 1, schedule.created_at).await?;
        let target = Target {
            schedule_id: schedule.id,
            next_seq: 1,
            is_repeated: false,
            on_invalid: new.on_invalid,
            on_duplicate: new.on_duplicate,
            unique_by: schedule.unique_by,
            now: schedule.created_at,
        };
        let loaded = load(&mut transaction, list.clone(), target).await?;
        if loaded.added.recipients == 0 && schedule.status != ScheduleStatus::Draft {
            let error = FieldError::new(
                "recipients",
                "none-valid",
                "expected at least one valid number",
            );
            return Err(ApiError::invalid(vec![error]));
        }
        caller
            .use_messages(&mut transaction, app.db.now(), loaded.added.recipients)
            .await?;
        let bulk_above = app.capacity.bulk_above();
        count_added(&mut transaction, schedule.id, &loaded.added, bulk_above).await?;
        if schedule.status == ScheduleStatus::Scheduled {
            let (start, now) = (schedule.start().at(), schedule.created_at);
            refuse_beyond(&mut transaction, schedule.id, StartTimes { start, now }).await?;
        }
        (invalid, duplicate_entries) = (loaded.invalid, loaded.duplicates.shown);
    }
    let deliveries =
        approval::follow(app, &mut transaction, caller, schedule.id, Step::Begin).await?;
    let view = read_view(app, &mut transaction, schedule.id).await?;
    let change = Change::of_schedule("schedule.create", schedule.id, (), &view);
    let created = Created {
        schedule: view,
        invalid,
        duplicate_entries,
        deliveries,
    };
    Ok((created, change))
}
