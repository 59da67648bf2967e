//! Handles a submit request: it is refused, or it is accepted into the ledger and then gets a
//! response, possibly with a fault.
//!
//! The sequence: `slow_ms` passes, the numbers are accepted, `latency_ms` passes, the response is
//! sent. So a client that disconnects during `slow_ms` leaves no trace, and the messages of a
//! client that disconnects during `latency_ms` are sent.

use std::time::Instant;

use axum::http::StatusCode;
use axum::response::Response;

use crate::acceptance::{self, ResponseRow};
use crate::carrier::{Carrier, State};
use crate::clock::now_ms;
use crate::number;
use crate::parameters::Parameters;
use crate::push;
use crate::responses::{self, HangUp};
use crate::shares::{FaultAfter, FaultBefore};
use crate::submission::{Refusal, Submission};

/// Handles a submit request. `parameters` is `None` if the request could not be read.
pub(crate) async fn submit(carrier: &Carrier, parameters: Option<&Parameters>) -> Response {
    let _in_flight = InFlight::begin(carrier);
    let admitted = admit(&mut carrier.state(), parameters);
    let slow_ms = carrier.state().settings.slow_ms;
    responses::wait(slow_ms).await;
    let reply = match admitted {
        Ok(submission) => accept(carrier, &submission),
        Err(refusal) => refuse(&mut carrier.state(), refusal),
    };
    let latency_ms = latency_ms(&mut carrier.state());
    responses::wait(latency_ms).await;
    match reply {
        Reply::Response(response) => response,
        Reply::Hang(hang_ms) => responses::hang(hang_ms).await,
    }
}

/// The end of a request: a response, or a hanging connection for this many milliseconds.
enum Reply {
    Response(Response),
    Hang(u32),
}

/// Counts a request as in progress until the value is dropped, however the request ends.
struct InFlight(Carrier);

impl InFlight {
    fn begin(carrier: &Carrier) -> Self {
        carrier.state().counters.request_begins(now_ms());
        Self(carrier.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.state().counters.request_ends();
    }
}

/// Checks the credentials, the limits, the parameters and the credit, then draws a fault.
fn admit<'a>(
    state: &mut State,
    parameters: Option<&'a Parameters>,
) -> Result<Submission<'a>, Refusal> {
    let parameters = parameters.ok_or(Refusal::Malformed("400 Bad Request (Malformed body)"))?;
    if !state.is_authorized(parameters) {
        return Err(Refusal::Unauthorized);
    }
    let submission = count_against_limits(state, parameters)?;
    if state
        .settings
        .credit_parts
        .is_some_and(|credit| credit < submission.part_count())
    {
        return Err(Refusal::NoCredit);
    }
    let refused_prefixes = &state.settings.refuse_numbers;
    if submission
        .numbers
        .iter()
        .any(|(dnis, _)| number::has_prefix(dnis, refused_prefixes))
    {
        return Err(Refusal::NoRoutes);
    }
    let faults = state.settings.faults_before_acceptance();
    match state.random.pick(&faults).map(|fault| fault.result) {
        Some(FaultBefore::NoRoutes) => Err(Refusal::NoRoutes),
        Some(FaultBefore::Busy) => Err(Refusal::Busy),
        Some(FaultBefore::Unavailable) => Err(Refusal::Unavailable),
        None => Ok(submission),
    }
}

/// Reads the submission, and counts the request and its parts against the limits if it exceeds none
/// of them. An invalid request counts as a request.
fn count_against_limits<'a>(
    state: &mut State,
    parameters: &'a Parameters,
) -> Result<Submission<'a>, Refusal> {
    let now = Instant::now();
    let State {
        settings,
        rate_limits,
        ..
    } = state;
    let requests = settings.limit(settings.capacity_rps);
    if !rate_limits.requests.has_room(requests, 1, now) {
        return Err(Refusal::Busy);
    }
    let submission = Submission::read(parameters);
    if let Ok(submission) = &submission {
        let (parts, cost) = (
            settings.limit(settings.capacity_parts),
            submission.part_count(),
        );
        if !rate_limits.parts.has_room(parts, cost, now) {
            return Err(Refusal::BusyParts);
        }
        rate_limits.parts.count(cost, now);
    }
    rate_limits.requests.count(1, now);
    submission
}

fn refuse(state: &mut State, refusal: Refusal) -> Reply {
    state.counters.refused(refusal.cause());
    Reply::Response(responses::refusal(refusal, &state.settings))
}

fn latency_ms(state: &mut State) -> u32 {
    let jitter_ms = state.random.up_to(state.settings.latency_jitter_ms.into()) as u32;
    state.settings.latency_ms.saturating_add(jitter_ms)
}

/// Records the messages, starts their receipts, and builds the response or its fault.
fn accept(carrier: &Carrier, submission: &Submission<'_>) -> Reply {
    let state = &mut *carrier.state();
    if let Some(credit) = &mut state.settings.credit_parts {
        // Another request may have used it since this one was admitted.
        let Some(rest) = credit.checked_sub(submission.part_count()) else {
            return refuse(state, Refusal::NoCredit);
        };
        *credit = rest;
    }
    let before = state.ledger.len();
    let mut rows = acceptance::record(state, submission);
    push::start(&state.settings, &state.ledger, before);
    // Clients must not match rows by position.
    state.random.shuffle(&mut rows);
    let faults = state.settings.faults_after_acceptance();
    let Some(fault) = state.random.pick(&faults) else {
        return Reply::Response(rows_as_json(&rows));
    };
    state.counters.fault(fault.setting);
    Reply::Response(match fault.result {
        FaultAfter::Hang => return Reply::Hang(state.settings.hang_ms),
        FaultAfter::Reset => responses::hang_up(HangUp::Reset),
        FaultAfter::Unavailable => {
            responses::text(StatusCode::SERVICE_UNAVAILABLE, "503 Service Unavailable")
        }
        FaultAfter::EmptyObject => json("{}"),
        FaultAfter::EmptyArray => json("[]"),
        FaultAfter::Html => responses::web_page(),
        FaultAfter::Partial => {
            remove_some_numbers(state, &mut rows, submission.numbers.len());
            json(serde_json::to_string(&rows).unwrap_or_default())
        }
    })
}

/// Removes at least one of the request's numbers from the response. Keeps at least one if the
/// request has several.
fn remove_some_numbers(state: &mut State, rows: &mut Vec<ResponseRow<'_>>, numbers: usize) {
    let mut indexes: Vec<usize> = (0..numbers).collect();
    state.random.shuffle(&mut indexes);
    let removed = 1 + state.random.up_to(numbers.saturating_sub(2) as u64) as usize;
    rows.retain(|row| !indexes[..removed].contains(&row.number_index));
}

fn rows_as_json(rows: &[ResponseRow<'_>]) -> Response {
    match rows {
        [row] => json(serde_json::json!({ "message_id": row.message_id }).to_string()),
        rows => json(serde_json::to_string(rows).unwrap_or_default()),
    }
}

fn json(body: impl Into<axum::body::Body>) -> Response {
    responses::response(StatusCode::OK, "application/json", body)
}
