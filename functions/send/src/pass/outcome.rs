//! The meaning of a carrier's answer for the recipients of its request. Pure.

use std::time::Duration;

use shared::{
    batch::rows::{BatchRow, FlushRow, Step},
    carrier::SendError,
    message::status::Status,
};

/// Passes with a refused request (4xx text) after which its recipients end REJECTD.
const MAX_REFUSALS: u32 = 8;

/// Returns how many numbers a request carries after `refusals` refusals: a hundred, ten, one.
pub const fn request_size(refusals: u32, max_numbers: usize) -> usize {
    let size = match refusals {
        0 => max_numbers,
        1 => 10,
        _ => 1,
    };
    if size < max_numbers {
        size
    } else {
        max_numbers
    }
}

/// An answer, as [`shared::carrier::Carrier::submit`] returns it.
pub type Answer = Result<Vec<Option<String>>, SendError>;

/// The next step of a pass after an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextStep {
    /// Continues: the carrier accepts messages.
    Continue,
    /// Continues with single numbers: the answer was lost, and the carrier may have accepted them.
    ContinueCarefully,
    /// Waits, and retries the same recipients: the carrier accepted none of them, and will later.
    /// Holds the wait that the carrier asked for.
    Retry(Option<Duration>),
    /// Leaves the same recipients to a later pass with smaller requests: the carrier refused this
    /// request.
    ReduceRequests,
    /// Pauses the schedule for this reason: the carrier refuses our credentials, so every other
    /// request would fail too.
    PauseSchedule(String),
}

/// Returns the rows to record for one request, and the next step of the pass.
///
/// `refusals` counts the earlier passes over the batch in which a request was refused.
pub fn rows_to_record(
    rows: &[&BatchRow],
    answer: Answer,
    refusals: u32,
) -> (Vec<FlushRow>, NextStep) {
    let all = |status: Status, error: &str| {
        rows.iter()
            .map(|row| answered(row, status, None, Some(error)))
            .collect()
    };
    match answer {
        Ok(ids) => (
            rows.iter()
                .zip(ids)
                .map(|(row, id)| answered_with_id(row, id))
                .collect(),
            NextStep::Continue,
        ),
        Err(SendError::NotAccepted {
            reason,
            retry_after,
        }) => (all(Status::Pending, &reason), NextStep::Retry(retry_after)),
        Err(SendError::Refused { reason }) => {
            let status = if refusals + 1 >= MAX_REFUSALS {
                Status::Rejectd
            } else {
                Status::Pending
            };
            (all(status, &reason), NextStep::ReduceRequests)
        }
        Err(SendError::Unauthorized { reason }) => (
            all(Status::Pending, &reason),
            NextStep::PauseSchedule(reason),
        ),
        Err(SendError::Lost { reason }) => {
            (all(Status::Uncertain, &reason), NextStep::ContinueCarefully)
        }
    }
}

fn answered_with_id(row: &BatchRow, id: Option<String>) -> FlushRow {
    match id {
        Some(id) => answered(row, Status::Acceptd, Some(id), None),
        None => answered(
            row,
            Status::Uncertain,
            None,
            Some("the carrier's answer leaves this number out"),
        ),
    }
}

fn answered(
    row: &BatchRow,
    status: Status,
    message_id: Option<String>,
    error: Option<&str>,
) -> FlushRow {
    let error = error.map(|error| error.chars().take(64).collect());
    let is_final = u8::from(status.is_final());
    FlushRow {
        seq: row.seq,
        attempt: row.attempt,
        step: Step::Answer,
        resend: 0,
        status,
        message_id,
        error,
        is_final,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_get_smaller_with_each_refusal() {
        for (refusals, max, size) in [
            (0, 100, 100),
            (1, 100, 10),
            (2, 100, 1),
            (7, 100, 1),
            (0, 1, 1),
            (1, 1, 1),
        ] {
            assert_eq!(request_size(refusals, max), size);
        }
    }

    fn row(seq: u32) -> BatchRow {
        BatchRow {
            seq,
            phone: "+60123456789".to_owned(),
            status: Status::Sending,
            attempt: 4,
            resends: 0,
            message_id: None,
            carrier_status: None,
            sent_at: None,
            final_at: None,
        }
    }

    /// Checks the statuses that two recipients get from an answer, and the next step.
    fn check(answer: Answer, refusals: u32, expected: [Status; 2], expected_step: NextStep) {
        let shown = format!("{answer:?}");
        let (rows, step) = rows_to_record(&[&row(1), &row(2)], answer, refusals);
        let statuses: Vec<_> = rows.iter().map(|row| row.status).collect();
        assert_eq!(
            (statuses.as_slice(), step),
            (&expected[..], expected_step),
            "{shown}"
        );
        assert!(
            rows.iter()
                .all(|row| row.attempt == 4 && row.step == Step::Answer)
        );
    }

    fn reason() -> String {
        "why".to_owned()
    }

    #[test]
    fn an_accepted_number_needs_an_id() {
        let id = || Some("a".to_owned());
        let accepted = [Status::Acceptd; 2];
        check(Ok(vec![id(), id()]), 0, accepted, NextStep::Continue);
        let second = [Status::Uncertain, Status::Acceptd];
        check(Ok(vec![None, id()]), 0, second, NextStep::Continue);
    }

    #[test]
    fn only_a_lost_answer_leaves_recipients_uncertain() {
        let (pending, wait) = ([Status::Pending; 2], Some(Duration::from_secs(3)));
        let lost = Err(SendError::Lost { reason: reason() });
        let careful = NextStep::ContinueCarefully;
        check(lost, 0, [Status::Uncertain; 2], careful);
        let not_accepted = Err(SendError::NotAccepted {
            reason: reason(),
            retry_after: wait,
        });
        check(not_accepted, 7, pending, NextStep::Retry(wait));
        let unauthorized = Err(SendError::Unauthorized { reason: reason() });
        check(unauthorized, 0, pending, NextStep::PauseSchedule(reason()));
    }

    #[test]
    fn the_eighth_refusal_rejects_the_recipients() {
        let refused = || Err(SendError::Refused { reason: reason() });
        check(refused(), 6, [Status::Pending; 2], NextStep::ReduceRequests);
        check(refused(), 7, [Status::Rejectd; 2], NextStep::ReduceRequests);
    }
}
