//! What an answer of the carrier means for the recipients of its request. Pure.

use std::time::Duration;

use shared::{
    batch::rows::{BatchRow, FlushRow, Step},
    carrier::SendError,
    message::status::Status,
};

/// Passes with a refused request (4xx text) after which its numbers end REJECTD.
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

/// An answer, as [`shared::carrier::Carrier::submit`] gives it.
pub type Answer = Result<Vec<Option<String>>, SendError>;

/// What an answer means for the rest of the pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sequel {
    /// The carrier takes messages: go on.
    Accepted,
    /// The carrier may have taken them: go on carefully.
    Lost,
    /// It took none, and will later: wait, and try the same recipients again.
    NotAccepted(Option<Duration>),
    /// It refused this request: the same recipients go in smaller requests, in a later pass.
    Refused,
    /// It refuses our credentials: no request will fare better.
    Unauthorized(String),
}

/// The rows to be recorded for one request; `refusals` counts the batch's passes with a refusal before this one.
pub fn record(rows: &[&BatchRow], answer: Answer, refusals: u32) -> (Vec<FlushRow>, Sequel) {
    let all = |status: Status, error: &str| {
        rows.iter()
            .map(|row| answered(row, status, None, Some(error)))
            .collect()
    };
    match answer {
        Ok(ids) => {
            let record = |(row, id): (&&BatchRow, Option<String>)| match id {
                Some(id) => answered(row, Status::Acceptd, Some(id), None),
                None => answered(
                    row,
                    Status::Uncertain,
                    None,
                    Some("the carrier's answer leaves this number out"),
                ),
            };
            (rows.iter().zip(ids).map(record).collect(), Sequel::Accepted)
        }
        Err(SendError::NotAccepted {
            reason,
            retry_after,
        }) => (
            all(Status::Pending, &reason),
            Sequel::NotAccepted(retry_after),
        ),
        Err(SendError::Refused { reason }) => {
            let last = refusals + 1 >= MAX_REFUSALS;
            (
                all(
                    if last {
                        Status::Rejectd
                    } else {
                        Status::Pending
                    },
                    &reason,
                ),
                Sequel::Refused,
            )
        }
        Err(SendError::Unauthorized { reason }) => {
            (all(Status::Pending, &reason), Sequel::Unauthorized(reason))
        }
        Err(SendError::Lost { reason }) => (all(Status::Uncertain, &reason), Sequel::Lost),
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
        let (phone, status, sent_at) = ("+60123456789".to_owned(), Status::Sending, None);
        BatchRow {
            seq,
            phone,
            status,
            attempt: 4,
            resends: 0,
            message_id: None,
            carrier_status: None,
            sent_at,
            final_at: None,
        }
    }

    fn states(answer: Answer, refusals: u32) -> (Vec<Status>, Sequel) {
        let (a, b) = (row(1), row(2));
        let (rows, sequel) = record(&[&a, &b], answer, refusals);
        assert!(
            rows.iter()
                .all(|row| row.attempt == 4 && row.step == Step::Answer)
        );
        (rows.into_iter().map(|row| row.status).collect(), sequel)
    }

    #[test]
    fn only_what_is_certain_is_said_to_be_certain() {
        let reason = || "why".to_owned();
        let wait = Some(Duration::from_secs(3));
        let table = [
            (
                Ok(vec![Some("a".into()), Some("b".into())]),
                0,
                [Status::Acceptd; 2],
                Sequel::Accepted,
            ),
            (
                Ok(vec![None, Some("b".into())]),
                0,
                [Status::Uncertain, Status::Acceptd],
                Sequel::Accepted,
            ),
            (
                Err(SendError::Lost { reason: reason() }),
                0,
                [Status::Uncertain; 2],
                Sequel::Lost,
            ),
            (
                Err(SendError::NotAccepted {
                    reason: reason(),
                    retry_after: wait,
                }),
                7,
                [Status::Pending; 2],
                Sequel::NotAccepted(wait),
            ),
            (
                Err(SendError::Refused { reason: reason() }),
                6,
                [Status::Pending; 2],
                Sequel::Refused,
            ),
            (
                Err(SendError::Refused { reason: reason() }),
                7,
                [Status::Rejectd; 2],
                Sequel::Refused,
            ),
            (
                Err(SendError::Unauthorized { reason: reason() }),
                0,
                [Status::Pending; 2],
                Sequel::Unauthorized(reason()),
            ),
        ];
        for (answer, refusals, expected, sequel) in table {
            let shown = format!("{answer:?}");
            assert_eq!(
                states(answer, refusals),
                (expected.to_vec(), sequel),
                "{shown}"
            );
        }
    }
}
