//! What an answer means for a delivery. Pure, but for the jitter of the waits.

use std::time::Duration;

use shared::platform::backoff::{MAX_RETRY_AFTER, jitter};

use crate::post::Answer;

/// How often a delivery is posted, and how often it is claimed if each claim ends in a crash.
pub const DELIVERY_TRIES: u32 = 10;
/// The delay after the n-th attempt (from 1) that failed: first short, for a restart of the
/// receiver; then over three days, for a weekend. It is the schedule that Standard Webhooks
/// recommends.
const DELIVERY_WAITS_S: [u64; DELIVERY_TRIES as usize - 1] =
    [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400];

/// Returns the delay before a delivery is posted again that has failed `tries` times, or `None` if
/// it is not. A delay that the receiver asks for (`Retry-After`) is kept, up to an hour.
fn before_delivery(tries: u32, retry_after: Option<Duration>) -> Option<Duration> {
    let wait = DELIVERY_WAITS_S
        .get(tries.max(1) as usize - 1)
        .copied()
        .map(Duration::from_secs)?;
    Some(jitter(
        wait.max(retry_after.unwrap_or_default().min(MAX_RETRY_AFTER)),
    ))
}

/// What is to be written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusUpdate {
    /// The receiver has it.
    pub delivered: bool,
    /// The receiver wants nothing any more.
    pub gone: bool,
    /// What was answered.
    pub http_status: Option<u16>,
    /// A word for why there was no answer.
    pub error: Option<&'static str>,
    /// Before it is tried again; `None`: it is not.
    pub again_after: Option<Duration>,
}

/// Of the answer to the n-th try (from 1). Only 2xx is taken for a receipt, and only 410 for "no more".
pub fn judge(answer: Answer, tries: u32) -> StatusUpdate {
    let failed = StatusUpdate {
        delivered: false,
        gone: false,
        http_status: None,
        error: None,
        again_after: None,
    };
    match answer {
        Answer::Status(code @ 200..=299, _) => StatusUpdate {
            delivered: true,
            http_status: Some(code),
            ..failed
        },
        Answer::Status(410, _) => StatusUpdate {
            gone: true,
            http_status: Some(410),
            ..failed
        },
        Answer::Status(code, retry_after) => {
            let retry_after = retry_after.filter(|_| matches!(code, 429 | 503));
            StatusUpdate {
                http_status: Some(code),
                again_after: before_delivery(tries, retry_after),
                ..failed
            }
        }
        Answer::None(error) => StatusUpdate {
            error: Some(error),
            again_after: before_delivery(tries, None),
            ..failed
        },
        Answer::Disabled => StatusUpdate {
            error: Some("webhook disabled"),
            ..failed
        },
    }
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

    #[test]
    fn what_each_answer_means() {
        let minute = Some(Duration::from_secs(60));
        // Answer, tries; delivered, gone, least wait in seconds.
        let table = [
            (Answer::Status(200, None), 1, (true, false, None)),
            (Answer::Status(204, minute), 9, (true, false, None)),
            (Answer::Status(301, None), 1, (false, false, Some(5))),
            (Answer::Status(400, minute), 1, (false, false, Some(5))),
            (Answer::Status(410, None), 1, (false, true, None)),
            (Answer::Status(429, minute), 1, (false, false, Some(60))),
            (Answer::Status(503, minute), 2, (false, false, Some(300))),
            (Answer::Status(500, minute), 3, (false, false, Some(1800))),
            (Answer::Status(500, None), 10, (false, false, None)),
            (Answer::None("timed out"), 9, (false, false, Some(86_400))),
            (Answer::None("timed out"), 10, (false, false, None)),
            (Answer::Disabled, 1, (false, false, None)),
        ];
        for (answer, tries, expected) in table {
            let verdict = judge(answer, tries);
            let least = expected.2.map(Duration::from_secs);
            assert_eq!(
                (
                    verdict.delivered,
                    verdict.gone,
                    verdict.again_after.is_some()
                ),
                (expected.0, expected.1, least.is_some())
            );
            assert!(
                verdict.again_after >= least
                    && verdict.again_after <= least.map(|least| least * 5 / 4),
                "{answer:?}"
            );
            assert_eq!(
                verdict.http_status.is_none(),
                verdict.error.is_some(),
                "{answer:?}"
            );
        }
    }
}
