//! A status query: one message a request.

use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use crate::answers;
use crate::carrier::{Carrier, now_ms};
use crate::life::Life;
use crate::parameters::Parameters;
use crate::settings::UnknownId;
use crate::shares::StatusFault;
use crate::submission::Refusal;

/// The answer's JSON. Some switches add the last two, some don't.
#[derive(Serialize)]
struct StatusAnswer {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mccmnc: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<&'static str>,
}

/// Answers a status query.
pub(crate) async fn status(carrier: &Carrier, parameters: &Parameters) -> Response {
    let status_latency_ms = carrier.state().settings.status_latency_ms;
    answers::wait(status_latency_ms).await;
    match plan(carrier, parameters) {
        Ok(response) => response,
        Err(Hanging(hang_ms)) => answers::hang(hang_ms).await,
    }
}

/// No answer for so many milliseconds.
struct Hanging(u32);

fn plan(carrier: &Carrier, parameters: &Parameters) -> Result<Response, Hanging> {
    let state = &mut *carrier.state();
    state.tally.status_query();
    if !state.knows(parameters) {
        return Ok(answers::refusal(Refusal::Unauthorized, None));
    }
    if let Some((setting, fault)) = state.draws.pick(&state.settings.status_faults()) {
        state.tally.fault(setting);
        return match fault {
            StatusFault::Error => Ok(answers::text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "500 Internal Server Error",
            )),
            StatusFault::Html => Ok(answers::web_page()),
            StatusFault::Hang => Err(Hanging(state.settings.hang_ms)),
        };
    }
    let life = parameters
        .message_id
        .as_deref()
        .and_then(|message_id| state.ledger.find(message_id));
    Ok(match (life, state.settings.unknown_id) {
        (Some(life), _) => json(&known(life)),
        (None, UnknownId::Unknown) => json(&StatusAnswer {
            status: "UNKNOWN",
            delivery_time: None,
            mccmnc: None,
            error_code: None,
        }),
        (None, UnknownId::NotFound) => {
            answers::text(StatusCode::NOT_FOUND, "404 message not found")
        }
    })
}

fn known(life: Life) -> StatusAnswer {
    let now_ms = now_ms();
    let is_talkative = life.serial % 4 == 3;
    StatusAnswer {
        status: life.status(now_ms),
        delivery_time: Some(life.delivery_time(now_ms)),
        mccmnc: is_talkative.then_some("26201"),
        error_code: is_talkative.then_some("0"),
    }
}

/// JSON that calls itself a web page, as the carrier's does.
fn json(status: &StatusAnswer) -> Response {
    answers::answer(
        StatusCode::OK,
        "text/html; charset=utf-8",
        serde_json::to_string(status).unwrap_or_default(),
    )
}
