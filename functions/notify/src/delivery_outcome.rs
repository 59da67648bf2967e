//! What an answer means for a delivery. Pure, but for the jitter of the waits.

use std::time::Duration;

use shared::platform::backoff::before_delivery;

use crate::post::Answer;

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
