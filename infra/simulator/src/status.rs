//! Handles status queries: one message per request.

use std::time::Instant;

use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use crate::carrier::Carrier;
use crate::clock::now_ms;
use crate::message::Message;
use crate::parameters::Parameters;
use crate::responses;
use crate::settings::UnknownId;
use crate::shares::StatusFault;
use crate::submission::Refusal;

/// The response's JSON. Only some of the carrier's switches add the last two fields.
#[derive(Serialize)]
struct StatusResponse {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mccmnc: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<&'static str>,
}

/// Handles a status query.
pub(crate) async fn status(carrier: &Carrier, parameters: &Parameters) -> Response {
    let status_latency_ms = carrier.state().settings.status_latency_ms;
    responses::wait(status_latency_ms).await;
    match respond(carrier, parameters) {
        Ok(response) => response,
        Err(Hang(hang_ms)) => responses::hang(hang_ms).await,
    }
}

/// The query hangs for this many milliseconds.
struct Hang(u32);

fn respond(carrier: &Carrier, parameters: &Parameters) -> Result<Response, Hang> {
    let state = &mut *carrier.state();
    state.counters.status_query();
    if !state.is_authorized(parameters) {
        return Ok(responses::refusal(Refusal::Unauthorized, &state.settings));
    }
    let limit = state.settings.limit(state.settings.capacity_queries);
    let (queries, now) = (&mut state.rate_limits.queries, Instant::now());
    if !queries.has_room(limit, 1, now) {
        state.counters.status_refused();
        return Ok(responses::refusal(Refusal::Busy, &state.settings));
    }
    queries.count(1, now);
    let faults = state.settings.status_query_faults();
    if let Some(fault) = state.random.pick(&faults) {
        state.counters.fault(fault.setting);
        return match fault.result {
            StatusFault::Error => Ok(responses::text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "500 Internal Server Error",
            )),
            StatusFault::Html => Ok(responses::web_page()),
            StatusFault::Hang => Err(Hang(state.settings.hang_ms)),
        };
    }
    let message = parameters
        .message_id
        .as_deref()
        .and_then(|message_id| state.ledger.find(message_id));
    Ok(match (message, state.settings.unknown_id) {
        (Some(message), _) => json(&known(message)),
        (None, UnknownId::Unknown) => json(&StatusResponse {
            status: "UNKNOWN",
            delivery_time: None,
            mccmnc: None,
            error_code: None,
        }),
        (None, UnknownId::NotFound) => {
            responses::text(StatusCode::NOT_FOUND, "404 message not found")
        }
    })
}

fn known(message: Message) -> StatusResponse {
    let now_ms = now_ms();
    let has_extra_fields = message.serial % 4 == 3;
    StatusResponse {
        status: message.status(now_ms),
        delivery_time: Some(message.delivery_time(now_ms)),
        mccmnc: has_extra_fields.then_some("26201"),
        error_code: has_extra_fields.then_some("0"),
    }
}

/// Returns JSON with the content type of a web page, as the real carrier does.
fn json(status: &StatusResponse) -> Response {
    responses::response(
        StatusCode::OK,
        "text/html; charset=utf-8",
        serde_json::to_string(status).unwrap_or_default(),
    )
}
