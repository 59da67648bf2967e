//! A submit request: refused, or accepted into the ledger and then answered, well or badly.
//!
//! In time: `slow_ms` passes, the numbers are accepted, `latency_ms` passes, the answer goes out. So a client that gives up
//! during the first leaves no trace, and one that gives up during the second has sent its messages.

use std::time::Instant;

use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use crate::answers::{self, HangUp};
use crate::carrier::{Carrier, State, now_ms};
use crate::ledger::Entry;
use crate::life::Fate;
use crate::parameters::Parameters;
use crate::push;
use crate::shares::{FaultAfter, FaultBefore};
use crate::submission::{Refusal, Submission};

/// Answers a submit request; `None` is one that could not even be read.
pub(crate) async fn submit(carrier: &Carrier, parameters: Option<&Parameters>) -> Response {
    let _in_flight = InFlight::begin(carrier);
    let admitted = admit(&mut carrier.state(), parameters);
    let slow_ms = carrier.state().settings.slow_ms;
    answers::wait(slow_ms).await;
    let response = match admitted {
        Ok(submission) => accept_and_answer(carrier, &submission),
        Err(refusal) => refuse(&mut carrier.state(), refusal),
    };
    let latency_ms = latency_ms(&mut carrier.state());
    answers::wait(latency_ms).await;
    match response {
        Planned::Answer(response) => response,
        Planned::Hang(hang_ms) => answers::hang(hang_ms).await,
    }
}

/// An answer ready to go out, or one that won't for so many milliseconds.
enum Planned {
    Answer(Response),
    Hang(u32),
}

/// A row of the answer.
#[derive(Serialize)]
struct Row<'a> {
    dnis: &'a str,
    message_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    segment_num: Option<u8>,
    // Which of the request's numbers it is for.
    #[serde(skip)]
    place: usize,
}

/// Counts a request as under way for as long as it lives, however it ends.
struct InFlight(Carrier);

impl InFlight {
    fn begin(carrier: &Carrier) -> Self {
        carrier.state().tally.request_begins(now_ms());
        Self(carrier.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.state().tally.request_ends();
    }
}

/// Whether the request may pass: who asks, how much is asked of late, whether it makes sense, and then the draw.
fn admit<'a>(
    state: &mut State,
    parameters: Option<&'a Parameters>,
) -> Result<Submission<'a>, Refusal> {
    let parameters = parameters.ok_or(Refusal::Malformed("400 Bad Request (Malformed body)"))?;
    if !state.knows(parameters) {
        return Err(Refusal::Unauthorized);
    }
    if !state
        .capacity
        .admit(state.settings.capacity_rps, Instant::now())
    {
        return Err(Refusal::Busy);
    }
    let submission = Submission::read(parameters)?;
    if submission
        .numbers
        .iter()
        .any(|(number, _)| begins_with_any(number, &state.settings.refuse_numbers))
    {
        return Err(Refusal::NoRoutes);
    }
    match state.draws.pick(&state.settings.faults_before()) {
        Some((_, FaultBefore::NoRoutes)) => Err(Refusal::NoRoutes),
        Some((_, FaultBefore::Busy)) => Err(Refusal::Busy),
        Some((_, FaultBefore::Unavailable)) => Err(Refusal::Unavailable),
        None => Ok(submission),
    }
}

fn refuse(state: &mut State, refusal: Refusal) -> Planned {
    state.tally.refused(refusal.cause());
    Planned::Answer(answers::refusal(refusal, state.settings.retry_after_s))
}

fn latency_ms(state: &mut State) -> u32 {
    let jitter_ms = state.draws.up_to(state.settings.latency_jitter_ms.into()) as u32;
    state.settings.latency_ms.saturating_add(jitter_ms)
}

fn accept_and_answer(carrier: &Carrier, submission: &Submission<'_>) -> Planned {
    let state = &mut *carrier.state();
    let before = state.ledger.len();
    let mut rows = accept(state, submission);
    push::begin(state, before);
    // Nobody should match answers by position.
    state.draws.shuffle(&mut rows);
    let Some((setting, fault)) = state.draws.pick(&state.settings.faults_after()) else {
        return Planned::Answer(rows_as_json(&rows));
    };
    state.tally.fault(setting);
    Planned::Answer(match fault {
        FaultAfter::Hang => return Planned::Hang(state.settings.hang_ms),
        FaultAfter::Reset => answers::hang_up(HangUp::Reset),
        FaultAfter::Unavailable => {
            answers::text(StatusCode::SERVICE_UNAVAILABLE, "503 Service Unavailable")
        }
        FaultAfter::EmptyObject => json("{}"),
        FaultAfter::EmptyArray => json("[]"),
        FaultAfter::Html => answers::web_page(),
        FaultAfter::Partial => {
            leave_some_out(state, &mut rows, submission.numbers.len());
            json(serde_json::to_string(&rows).unwrap_or_default())
        }
    })
}

/// Writes the messages into the ledger and gives the full answer's rows.
fn accept<'a>(state: &mut State, submission: &Submission<'a>) -> Vec<Row<'a>> {
    let now_ms = now_ms();
    let before = state.ledger.len();
    let texts: Vec<u32> = submission
        .parts
        .iter()
        .map(|part| state.ledger.intern_text(part))
        .collect();
    let is_long = texts.len() > 1;
    let mut rows = Vec::with_capacity(submission.numbers.len() * texts.len());
    let batch = state
        .ledger
        .open_batch(now_ms, submission.sender, submission.own_id);
    for (place, &(dnis, number)) in submission.numbers.iter().enumerate() {
        let is_repeated = submission.numbers[..place]
            .iter()
            .any(|(_, earlier)| *earlier == number);
        let attempt = if is_repeated || state.settings.undeliv_first_attempts == 0 {
            0
        } else {
            state.ledger.count_attempt(number)
        };
        for (part, &text) in texts.iter().enumerate() {
            let segment = if is_long { part as u8 + 1 } else { 0 };
            let message_id = if is_repeated {
                state.ledger.record_duplicate()
            } else {
                let (fate, delay_ms) = (fate(state, dnis, attempt), delay_ms(state));
                state.ledger.record(Entry {
                    batch,
                    number,
                    delay_ms,
                    text,
                    segment,
                    fate,
                })
            };
            rows.push(Row {
                dnis,
                message_id,
                segment_num: is_long.then_some(segment),
                place,
            });
        }
    }
    let messages = state.ledger.len() - before;
    state
        .tally
        .accepted(now_ms, messages, rows.len() as u64 - messages);
    rows
}

/// How a message will end. The settings that foretell it come before the draw.
fn fate(state: &mut State, dnis: &str, attempt: u32) -> Fate {
    let settings = &state.settings;
    if begins_with_any(dnis, &settings.undeliv_prefixes) {
        return Fate::Undeliv;
    }
    if settings.undeliv_first_attempts > 0 {
        return if attempt <= settings.undeliv_first_attempts {
            Fate::Undeliv
        } else {
            Fate::Delivrd
        };
    }
    state
        .draws
        .pick(&settings.fates())
        .map_or(Fate::Delivrd, |(_, fate)| fate)
}

fn delay_ms(state: &mut State) -> u32 {
    let (min, max) = (
        state.settings.delivery_delay_ms_min,
        state.settings.delivery_delay_ms_max,
    );
    min + state.draws.up_to((max - min).into()) as u32
}

fn begins_with_any(number: &str, prefixes: &[String]) -> bool {
    let number = number.trim_start_matches('+');
    prefixes
        .iter()
        .any(|prefix| number.starts_with(prefix.trim_start_matches('+')))
}

/// Takes at least one number out of the answer, and leaves at least one in if there are several.
fn leave_some_out(state: &mut State, rows: &mut Vec<Row<'_>>, numbers: usize) {
    let mut places: Vec<usize> = (0..numbers).collect();
    state.draws.shuffle(&mut places);
    let missing = 1 + state.draws.up_to(numbers.saturating_sub(2) as u64) as usize;
    rows.retain(|row| !places[..missing].contains(&row.place));
}

fn rows_as_json(rows: &[Row<'_>]) -> Response {
    match rows {
        [row] => json(serde_json::json!({ "message_id": row.message_id }).to_string()),
        rows => json(serde_json::to_string(rows).unwrap_or_default()),
    }
}

fn json(body: impl Into<axum::body::Body>) -> Response {
    answers::answer(StatusCode::OK, "application/json", body)
}
