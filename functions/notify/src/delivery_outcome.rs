//! The outcome of a delivery, from the answer to its request. Pure, except for the jitter of the
//! waits.

use std::time::Duration;

use shared::platform::backoff::{MAX_RETRY_AFTER, jitter};

use crate::post::PostResult;

/// How often a delivery is posted, and how often it is claimed if each claim ends in a crash.
pub const DELIVERY_TRIES: u32 = 10;
/// The delay after the n-th try (from 1) that failed: first short, for a restart of the receiver;
/// then over three days, for a weekend. It is the schedule that Standard Webhooks recommends.
const DELIVERY_WAITS_S: [u64; DELIVERY_TRIES as usize - 1] =
    [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400];

/// The outcome of one try, as it is recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryOutcome {
    /// The receiver has accepted the event.
    pub delivered: bool,
    /// The receiver refuses all further events.
    pub gone: bool,
    /// The status of the answer.
    pub http_status: Option<u16>,
    /// Why there was no answer.
    pub error: Option<&'static str>,
    /// The wait before the next try; `None`: there is none.
    pub retry_after: Option<Duration>,
    /// The wait that the receiver requests with a 429 or 503.
    pub requested: Option<Duration>,
}

impl DeliveryOutcome {
    /// Returns the outcome of the n-th try, counted from 1. Only 2xx means "delivered", and only
    /// 410 means "gone".
    pub fn of(answer: PostResult, tries: u32) -> Self {
        match answer {
            PostResult::Status {
                code: code @ 200..=299,
                ..
            } => Self {
                delivered: true,
                http_status: Some(code),
                ..Self::default()
            },
            PostResult::Status { code: 410, .. } => Self {
                gone: true,
                http_status: Some(410),
                ..Self::default()
            },
            PostResult::Status { code, retry_after } => {
                let retry_after = retry_after.filter(|_| matches!(code, 429 | 503));
                Self {
                    http_status: Some(code),
                    retry_after: before_delivery(tries, retry_after),
                    requested: retry_after,
                    ..Self::default()
                }
            }
            PostResult::None(error) => Self {
                error: Some(error),
                retry_after: before_delivery(tries, None),
                ..Self::default()
            },
            PostResult::Disabled => Self {
                error: Some("webhook disabled"),
                ..Self::default()
            },
        }
    }
}

/// Returns the delay before a delivery that has failed `tries` times is posted again, or `None` if
/// there is no further try. A delay that the receiver requests (`Retry-After`) is kept, up to an
/// hour.
fn before_delivery(tries: u32, retry_after: Option<Duration>) -> Option<Duration> {
    let wait = DELIVERY_WAITS_S
        .get(tries.max(1) as usize - 1)
        .copied()
        .map(Duration::from_secs)?;
    Some(jitter(
        wait.max(retry_after.unwrap_or_default().min(MAX_RETRY_AFTER)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WEBHOOK_FAILING;

    fn within(wait: Duration, from_ms: u64) -> bool {
        let (least, most) = (
            Duration::from_millis(from_ms),
            Duration::from_millis(from_ms + from_ms / 4 + 1),
        );
        (least..=most).contains(&wait)
    }

    #[test]
    fn a_delivery_is_retried_for_three_days_and_retry_after_is_kept() {
        let waits: Vec<_> = (1..)
            .map_while(|tries| before_delivery(tries, None))
            .collect();
        assert!(waits.len() == 9 && within(waits[0], 5000) && within(waits[8], 86_400_000));
        assert!(waits.iter().sum::<Duration>() > Duration::from_hours(75));
        assert!(WEBHOOK_FAILING.to_std().unwrap() > waits.iter().sum::<Duration>());
        let asked =
            |tries, seconds| before_delivery(tries, Some(Duration::from_secs(seconds))).unwrap();
        assert!(within(asked(1, 60), 60_000) && within(asked(2, 60), 300_000));
        assert!(within(asked(1, 1_000_000), 3_600_000), "an hour at most");
        assert_eq!(before_delivery(10, Some(Duration::from_secs(1))), None);
    }

    const MINUTE: Option<Duration> = Some(Duration::from_secs(60));

    fn status(code: u16, retry_after: Option<Duration>) -> PostResult {
        PostResult::Status { code, retry_after }
    }

    fn check(answer: PostResult, tries: u32, delivered: bool, gone: bool) -> Option<Duration> {
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
        assert_eq!(check(PostResult::Disabled, 1, false, false), None);
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
            (PostResult::None("timed out"), 9, Some(86_400)),
            (PostResult::None("timed out"), 10, None),
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
