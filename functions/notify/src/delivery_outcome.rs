//! The outcome of a delivery, from the answer to its request. Pure, except for the jitter of the
//! waits.

use std::time::Duration;

use shared::platform::backoff::before_delivery;

use crate::post::Answer;

/// The outcome of one try, as it is recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryOutcome {
    /// The receiver has accepted the event.
    pub delivered: bool,
    /// The receiver wants no more events.
    pub gone: bool,
    /// The status of the answer.
    pub http_status: Option<u16>,
    /// Why there was no answer.
    pub error: Option<&'static str>,
    /// The wait before the next try; `None`: there is none.
    pub retry_after: Option<Duration>,
}

impl DeliveryOutcome {
    /// Returns the outcome of the n-th try, counted from 1. Only 2xx means "delivered", and only
    /// 410 means "gone".
    pub fn of(answer: Answer, tries: u32) -> Self {
        match answer {
            Answer::Status {
                code: code @ 200..=299,
                ..
            } => Self {
                delivered: true,
                http_status: Some(code),
                ..Self::default()
            },
            Answer::Status { code: 410, .. } => Self {
                gone: true,
                http_status: Some(410),
                ..Self::default()
            },
            Answer::Status { code, retry_after } => {
                let retry_after = retry_after.filter(|_| matches!(code, 429 | 503));
                Self {
                    http_status: Some(code),
                    retry_after: before_delivery(tries, retry_after),
                    ..Self::default()
                }
            }
            Answer::None(error) => Self {
                error: Some(error),
                retry_after: before_delivery(tries, None),
                ..Self::default()
            },
            Answer::Disabled => Self {
                error: Some("webhook disabled"),
                ..Self::default()
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Option<Duration> = Some(Duration::from_secs(60));

    fn status(code: u16, retry_after: Option<Duration>) -> Answer {
        Answer::Status { code, retry_after }
    }

    fn check(answer: Answer, tries: u32, delivered: bool, gone: bool) -> Option<Duration> {
        let outcome = DeliveryOutcome::of(answer, tries);
        assert_eq!(
            (outcome.delivered, outcome.gone),
            (delivered, gone),
            "{answer:?}"
        );
        assert_eq!(
            outcome.http_status.is_none(),
            outcome.error.is_some(),
            "{answer:?}"
        );
        outcome.retry_after
    }

    #[test]
    fn a_2xx_delivers_and_a_410_ends_the_deliveries() {
        assert_eq!(check(status(200, None), 1, true, false), None);
        assert_eq!(check(status(204, MINUTE), 9, true, false), None);
        assert_eq!(check(status(410, None), 1, false, true), None);
        assert_eq!(check(Answer::Disabled, 1, false, false), None);
    }

    #[test]
    fn other_answers_are_retried_until_the_tenth_try() {
        // Answer, tries, the shortest wait in seconds. A wait is up to a quarter longer.
        let table = [
            (status(301, None), 1, Some(5)),
            (status(400, MINUTE), 1, Some(5)),
            (status(429, MINUTE), 1, Some(60)),
            (status(503, MINUTE), 2, Some(300)),
            (status(500, MINUTE), 3, Some(1800)),
            (status(500, None), 10, None),
            (Answer::None("timed out"), 9, Some(86_400)),
            (Answer::None("timed out"), 10, None),
        ];
        for (answer, tries, shortest_s) in table {
            let shortest = shortest_s.map(Duration::from_secs);
            let retry_after = check(answer, tries, false, false);
            assert_eq!(retry_after.is_some(), shortest.is_some(), "{answer:?}");
            assert!(
                retry_after >= shortest && retry_after <= shortest.map(|shortest| shortest * 5 / 4),
                "{answer:?}: {retry_after:?}"
            );
        }
    }
}
