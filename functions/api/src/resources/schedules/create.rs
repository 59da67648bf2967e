//! `POST /v1/schedules`: a schedule and its recipients, as many as one call takes; all of it is written, or nothing. With `?dry_run=true`
//! nothing, in any case.

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
use shared::schedule::status::ScheduleStatus;

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
    lists::{AcceptedVariables, Format, List, Options, entry::RejectedEntry},
    openapi::{
        Operation, Takes,
        parameters::{AHEAD, flag},
    },
    resources::{
        recipients::load::{OnInvalid, Target, load, refuse},
        schedules::{
            arrange_dispatch::announce,
            dry_run::{Report, dry_run, report_example},
            examples::shown,
            request::{CreateRequest, request_schema},
            show::{ScheduleView, read_view},
            store::{NewSchedule, count_added, insert_schedule},
        },
    },
};

/// The schedule, and what was wrong with the list.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "CreatedSchedule")]
pub struct Created {
    #[serde(flatten)]
    schedule: ScheduleView,
    /// The first thousand of the entries that were skipped.
    invalid: Vec<RejectedEntry>,
}

/// 201 with the schedule; 200 with a report for a dry run.
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    mut query: Query,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let only_look = query.flag("dry_run");
    query.finish()?;
    let body = body::read_json(&headers, body).await?;
    let request = CreateRequest::read(&body, app.db.now())?;
    let message = request
        .schedule
        .as_ref()
        .map_or("", |schedule| &schedule.message);
    let options = Options {
        region: request.region,
        column: None,
        variables: AcceptedVariables::of(message)?,
    };
    let list = request.recipients.map(|bytes| List {
        bytes,
        format: Some(Format::Json),
        gzip: false,
        options,
    });
    let Some(mut schedule) = request.schedule else {
        return Err(refuse(request.errors, list, request.on_invalid).await);
    };
    if only_look {
        let mut connection = app.db.pool.acquire().await?;
        let report = dry_run(
            &mut connection,
            &schedule,
            list,
            request.on_invalid,
            app.capacity,
        )
        .await?;
        return Ok(Json(report).into_response());
    }
    schedule.created_by = Some(caller.actor());
    let new = New {
        schedule: &schedule,
        list: list.as_ref(),
        on_invalid: request.on_invalid,
    };
    let (app, caller) = (&app, &caller);
    let created = audited_transaction(&app.db, caller, |transaction| {
        Box::pin(write(app, caller, transaction, new))
    })
    .await?;
    let location = format!("/v1/schedules/{}", schedule.id);
    if created.schedule.status == ScheduleStatus::Scheduled {
        announce(app, created.schedule.message(), schedule.run_at).await;
    }
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        Json(created),
    )
        .into_response())
}

/// For the document.
pub fn create_doc() -> Operation {
    let body = json!({
        "run_at": AHEAD,
        "message": "Dear {{name|default('customer')}}, your parcel is here.",
        "recipients": ["+60123456789", {"phone": "+60123456780", "vars": {"name": "Ana"}}],
        "sender": "Acme",
        "rate": 20,
        "window": {"days": ["Mon", "Fri"], "from": "09:00", "to": "20:00", "zone": "Asia/Kuala_Lumpur"},
    });
    let draft = json!({"run_at": AHEAD, "message": "Your parcel is here.", "draft": true});
    let body = Takes::json_with(request_schema(), vec![("schedule", body), ("draft", draft)]);
    Operation::new("createSchedule", "schedules", "Plan a text for a list of numbers")
        .text(
            "All of it is written, or nothing. A longer list is appended to a draft by further calls, which `activate` then makes a plan. \
             `{{name}}` in the message takes the variable of each recipient.",
        )
        .query("dry_run", flag(), "Says what would come of the call, and writes nothing.")
        .body(body)
        .makes::<Created>("The schedule, and the entries that were skipped.", shown("scheduled", json!({"invalid": []})))
        .answers::<Report>(200, "Of a dry run, what would come of the call.", report_example())
        .problems(&["daily-limit"])
}

/// What a call creates.
#[derive(Clone, Copy)]
struct New<'a> {
    schedule: &'a NewSchedule,
    list: Option<&'a List>,
    on_invalid: OnInvalid,
}

async fn write(
    app: &App,
    caller: &Caller,
    mut transaction: AuditedTransaction<'_, '_>,
    new: New<'_>,
) -> Result<(Created, Change<'static>), ApiError> {
    let schedule = new.schedule;
    insert_schedule(&mut transaction, schedule).await?;
    let mut invalid = Vec::new();
    if let Some(list) = new.list {
        let target = Target {
            schedule_id: schedule.id,
            next_seq: 1,
            on_invalid: new.on_invalid,
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
        count_added(&mut transaction, schedule.id, &loaded.added).await?;
        invalid = loaded.invalid;
    }
    let view = read_view(app, &mut transaction, schedule.id).await?;
    let change = Change::of_schedule("schedule.create", schedule.id, (), &view);
    let created = Created {
        schedule: view,
        invalid,
    };
    Ok((created, change))
}
