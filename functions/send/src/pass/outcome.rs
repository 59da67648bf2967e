//! The meaning of a carrier's answer for the recipients of its request. Pure.

use std::time::Duration;

use shared::{
    batch::rows::{BatchRow, FlushRow, Step},
    carrier::SendError,
    message::status::Status,
};

/// Returns how many numbers a request carries, until the first acceptance of a pass, after
/// `refusals` passes in a row in which all was refused: a hundred, ten, one.
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
    /// Waits, and retries the same recipients: there was no connection.
    Retry,
    /// Retries the same recipients when the carrier's limit allows it: the carrier answered 429,
    /// and asked for this wait, if any.
    RetryWithinLimit(Option<Duration>),
    /// Retries the same recipients in smaller requests: the carrier refused this one, for this
    /// reason.
    ReduceRequests(String),
    /// Pauses the schedule for this reason: the carrier refuses the account, so every other request
    /// would be refused too.
    PauseSchedule(String),
}

/// Returns the rows to record for one request, and the next step of the pass.
pub fn rows_to_record(rows: &[&BatchRow], answer: Answer) -> (Vec<FlushRow>, NextStep) {
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
        Err(SendError::NotAccepted { reason }) => (all(Status::Pending, &reason), NextStep::Retry),
        Err(SendError::Busy {
            reason,
            retry_after,
        }) => (
            all(Status::Pending, &reason),
            NextStep::RetryWithinLimit(retry_after),
        ),
        Err(SendError::Refused { reason }) => (
            all(Status::Pending, &reason),
            NextStep::ReduceRequests(reason),
        ),
        Err(SendError::AccountRefused { reason }) => (
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

/// Returns a reason as long as `recipients.error` can hold.
pub fn stored_error(reason: &str) -> String {
    reason.chars().take(64).collect()
}

fn answered(
    row: &BatchRow,
    status: Status,
    message_id: Option<String>,
    error: Option<&str>,
) -> FlushRow {
    let error = error.map(stored_error);
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
            suppressed: false,
        }
    }

    /// Checks the statuses that two recipients get from an answer, and the next step.
    fn check(answer: Answer, expected: [Status; 2], expected_step: NextStep) {
        let shown = format!("{answer:?}");
        let (rows, step) = rows_to_record(&[&row(1), &row(2)], answer);
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
        check(Ok(vec![id(), id()]), accepted, NextStep::Continue);
        let second = [Status::Uncertain, Status::Acceptd];
        check(Ok(vec![None, id()]), second, NextStep::Continue);
    }

    #[test]
    fn only_a_lost_answer_leaves_recipients_uncertain() {
        let (pending, wait) = ([Status::Pending; 2], Some(Duration::from_secs(3)));
        let lost = Err(SendError::Lost { reason: reason() });
        let careful = NextStep::ContinueCarefully;
        check(lost, [Status::Uncertain; 2], careful);
        let not_accepted = Err(SendError::NotAccepted { reason: reason() });
        check(not_accepted, pending, NextStep::Retry);
        let busy = Err(SendError::Busy {
            reason: reason(),
            retry_after: wait,
        });
        check(busy, pending, NextStep::RetryWithinLimit(wait));
        let refused = Err(SendError::Refused { reason: reason() });
        check(refused, pending, NextStep::ReduceRequests(reason()));
        let account = Err(SendError::AccountRefused { reason: reason() });
        check(account, pending, NextStep::PauseSchedule(reason()));
    }
}
