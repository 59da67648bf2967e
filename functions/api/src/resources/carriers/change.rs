//! `PATCH /v1/carriers/{carrier}`: configures the limits, also while schedules run.

use std::ops::RangeInclusive;

use axum::{Json, body::Body, extract::State, http::HeaderMap};
use serde_json::{Map, Value, json};
use shared::carrier::capacity::{CARRIER, LimitKey, LimitKind};

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
        fields::Fields,
        path::Path,
        query::Query,
    },
    openapi::{Operation, Takes, operation::object},
    resources::carriers::{
        list::named,
        store::{Configured, configure, lock_configured},
        view::{CarrierView, example, no_such_carrier, read_view},
    },
};

/// Units or requests per second.
const PER_SECOND: RangeInclusive<u32> = 1..=1_000_000;
const PARTS: &str = "parts_per_second";
const REQUESTS: &str = "requests_per_second";
const QUERIES: &str = "queries_per_second";

/// The limits to change; `None` leaves a limit as it is.
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::option_option,
    reason = "null removes a limit, which differs from leaving it out"
)]
struct CarrierEdit {
    parts: Option<Option<u32>>,
    requests: Option<Option<u32>>,
    queries: Option<Option<u32>>,
}

impl CarrierEdit {
    fn read(body: &[u8]) -> Result<Self, ApiError> {
        let mut fields = Fields::read(body)?;
        let mut limit =
            |name| fields.nullable(name, |fields: &mut Fields| fields.number(name, PER_SECOND));
        let edit = Self {
            parts: limit(PARTS),
            requests: limit(REQUESTS),
            queries: limit(QUERIES),
        };
        let mut errors = fields.finish();
        let is_empty = edit.parts.is_none() && edit.requests.is_none() && edit.queries.is_none();
        if errors.is_empty() && is_empty {
            let expected = format!("expected at least one of: {PARTS}, {REQUESTS}, {QUERIES}");
            errors.push(FieldError::new("", "nothing-to-change", expected));
        }
        if errors.is_empty() {
            Ok(edit)
        } else {
            Err(ApiError::invalid(errors))
        }
    }

    /// Returns the limits of sending and of queries after the change.
    fn apply(self, submit: Configured, query: Configured) -> (Configured, Configured) {
        let submit = Configured {
            per_second: self.parts.unwrap_or(submit.per_second),
            requests_per_second: self.requests.unwrap_or(submit.requests_per_second),
        };
        let query = Configured {
            per_second: self.queries.unwrap_or(query.per_second),
            ..query
        };
        (submit, query)
    }

    /// Returns the limits that this edit changes, for the audit log.
    fn changed_fields(self, submit: Configured, query: Configured) -> Value {
        let fields = [
            (PARTS, self.parts.is_some(), submit.per_second),
            (
                REQUESTS,
                self.requests.is_some(),
                submit.requests_per_second,
            ),
            (QUERIES, self.queries.is_some(), query.per_second),
        ];
        let changed = fields.into_iter().filter(|(_, changed, _)| *changed);
        let changed = changed.map(|(name, _, value)| (name.to_owned(), json!(value)));
        Value::Object(changed.collect::<Map<_, _>>())
    }
}

/// Returns 200 with the carrier.
pub async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    query: Query,
    request: (HeaderMap, Body),
) -> Result<Json<CarrierView>, ApiError> {
    query.finish()?;
    let edit = CarrierEdit::read(&body::read_small_json(&request.0, request.1).await?)?;
    if name != CARRIER {
        return Err(no_such_carrier());
    }
    let app = &app;
    let view = audited_transaction(&app.db, &caller, |transaction| {
        Box::pin(write(app, transaction, edit))
    });
    Ok(Json(view.await?))
}

/// Describes `PATCH /v1/carriers/{carrier}` in the OpenAPI document.
pub fn change_doc() -> Operation {
    let limit = |text: &str| json!({"type": ["integer", "null"], "minimum": PER_SECOND.start(), "maximum": PER_SECOND.end(), "description": text});
    let fields = json!({
        PARTS: limit("Message parts per second. null: the deployment's default, or learned from the carrier's answers 429."),
        REQUESTS: limit("HTTP requests per second that submit messages. null: the deployment's default, or no such limit."),
        QUERIES: limit("Status queries per second. null: the deployment's default, or learned from the carrier's answers 429."),
    });
    let mut schema = object(fields, &[]);
    schema["minProperties"] = json!(1);
    let examples = vec![
        ("limit", json!({PARTS: 1_000})),
        ("learned", json!({PARTS: null, REQUESTS: null})),
    ];
    named("changeCarrier", "Change the limits of a carrier")
        .text("A field that is left out stays as it is; null removes a limit. It takes effect with the next requests, also of schedules that run.")
        .body(Takes::json_with(schema, examples))
        .answers::<CarrierView>(200, "The carrier.", example())
        .problems(&["not-found"])
}

async fn write(
    app: &App,
    mut transaction: AuditedTransaction<'_, '_>,
    edit: CarrierEdit,
) -> Result<(CarrierView, Change<'static>), ApiError> {
    let key = |kind| LimitKey {
        carrier: CARRIER,
        kind,
    };
    let (submit, query) = (key(LimitKind::Submit), key(LimitKind::Query));
    let now = app.db.now();
    let before_submit = lock_configured(&mut transaction, submit)
        .await?
        .unwrap_or_default();
    let before_query = lock_configured(&mut transaction, query)
        .await?
        .unwrap_or_default();
    let (after_submit, after_query) = edit.apply(before_submit, before_query);
    if after_submit != before_submit {
        configure(&mut transaction, submit, after_submit, now).await?;
    }
    if after_query != before_query {
        configure(&mut transaction, query, after_query, now).await?;
    }
    let view = read_view(app, &mut transaction, CARRIER).await?;
    let change = Change {
        action: "carrier.change",
        resource: format!("carrier:{CARRIER}"),
        before: Some(edit.changed_fields(before_submit, before_query)),
        after: Some(edit.changed_fields(after_submit, after_query)),
    };
    Ok((view, change))
}
