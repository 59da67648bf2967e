//! Records the messages of an accepted request in the ledger, with their outcomes.

use serde::Serialize;

use crate::carrier::State;
use crate::clock::now_ms;
use crate::ledger::Entry;
use crate::message::Outcome;
use crate::number::{self, Number};
use crate::submission::Submission;

/// A row of the response: one part of the text to one of the request's numbers.
#[derive(Serialize)]
pub(crate) struct ResponseRow<'a> {
    pub(crate) dnis: &'a str,
    pub(crate) message_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) segment_num: Option<u8>,
    // The position of the number in the request.
    #[serde(skip)]
    pub(crate) number_index: usize,
}

/// The data that all messages of the request share.
struct SharedParts {
    batch: u32,
    /// The ledger's numbers of the texts, one per part.
    texts: Vec<u32>,
}

/// Records the messages and returns the rows of the complete response, in the order of the request.
pub(crate) fn record<'a>(state: &mut State, submission: &Submission<'a>) -> Vec<ResponseRow<'a>> {
    let now_ms = now_ms();
    let before = state.ledger.len();
    let texts = submission.parts.iter();
    let shared = SharedParts {
        texts: texts.map(|part| state.ledger.intern_text(part)).collect(),
        batch: state
            .ledger
            .open_batch(now_ms, submission.sender, submission.own_id),
    };
    let mut rows = Vec::with_capacity(submission.numbers.len() * shared.texts.len());
    for (number_index, &(dnis, number)) in submission.numbers.iter().enumerate() {
        let is_repeated = submission.numbers[..number_index]
            .iter()
            .any(|(_, earlier)| *earlier == number);
        let message_ids = if is_repeated {
            let duplicate = |_: &u32| state.ledger.record_duplicate();
            shared.texts.iter().map(duplicate).collect()
        } else {
            record_number(state, &shared, dnis, number)
        };
        let is_long = shared.texts.len() > 1;
        let row = |(part, message_id): (usize, String)| ResponseRow {
            dnis,
            message_id,
            segment_num: is_long.then_some(part as u8 + 1),
            number_index,
        };
        rows.extend(message_ids.into_iter().enumerate().map(row));
    }
    let messages = state.ledger.len() - before;
    let duplicates = rows.len() as u64 - messages;
    state.counters.accepted(now_ms, messages, duplicates);
    rows
}

/// Records the parts to one number and returns their ids.
fn record_number(
    state: &mut State,
    shared: &SharedParts,
    dnis: &str,
    number: Number,
) -> Vec<String> {
    let attempt = if state.settings.undeliv_first_attempts == 0 {
        0
    } else {
        state.ledger.count_attempt(number)
    };
    let is_long = shared.texts.len() > 1;
    let record_part = |(part, &text): (usize, &u32)| {
        let (outcome, delay_ms) = (outcome(state, dnis, attempt), delay_ms(state));
        state.ledger.record(Entry {
            batch: shared.batch,
            number,
            delay_ms,
            text,
            segment: if is_long { part as u8 + 1 } else { 0 },
            outcome,
        })
    };
    shared.texts.iter().enumerate().map(record_part).collect()
}

/// Returns how a message ends. The settings that determine it take precedence over the draw.
fn outcome(state: &mut State, dnis: &str, attempt: u32) -> Outcome {
    let settings = &state.settings;
    if number::has_prefix(dnis, &settings.undeliv_prefixes) {
        return Outcome::Undeliv;
    }
    if settings.undeliv_first_attempts > 0 {
        return if attempt <= settings.undeliv_first_attempts {
            Outcome::Undeliv
        } else {
            Outcome::Delivrd
        };
    }
    let outcomes = settings.message_outcomes();
    state
        .random
        .pick(&outcomes)
        .map_or(Outcome::Delivrd, |share| share.result)
}

fn delay_ms(state: &mut State) -> u32 {
    let (min, max) = (
        state.settings.delivery_delay_ms_min,
        state.settings.delivery_delay_ms_max,
    );
    min + state.random.up_to((max - min).into()) as u32
}
