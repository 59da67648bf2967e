//! One status for a message of several parts: delivered when all parts are, failed when one is.

use crate::carrier::{Answer, StatusError};
use crate::message::status::Status;

/// Joins the answers for the parts, in their order.
pub(super) fn join(parts: Vec<Result<Answer, StatusError>>) -> Result<Answer, StatusError> {
    // What has failed has failed, even while another part cannot be asked.
    if let Some(failure) = parts.iter().flatten().find(|answer| {
        has(
            answer,
            &[
                Status::Undeliv,
                Status::Expired,
                Status::Deleted,
                Status::Rejectd,
            ],
        )
    }) {
        return Ok(failure.clone());
    }
    let mut answers = parts.into_iter().collect::<Result<Vec<_>, _>>()?;
    if let Some(open) = answers
        .iter()
        .find(|answer| has(answer, &[Status::Enroute, Status::Acceptd]))
    {
        return Ok(open.clone());
    }
    let asked = answers.len();
    answers.retain(|answer| *answer != Answer::NotFound);
    if answers.is_empty() {
        return Ok(Answer::NotFound);
    }
    if answers.len() < asked {
        // Part of the message is at the carrier, so it cannot be said to have never arrived.
        return Ok(Answer::Status {
            status: Status::Enroute,
            raw: "partly not found".into(),
        });
    }
    let unknown = answers
        .iter()
        .position(|answer| has(answer, &[Status::Unknown]));
    Ok(answers.swap_remove(unknown.unwrap_or_default()))
}

fn has(answer: &Answer, any: &[Status]) -> bool {
    matches!(answer, Answer::Status { status, .. } if any.contains(status))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(word: &str) -> Result<Answer, StatusError> {
        match word {
            "error" => Err(StatusError::Failed {
                reason: word.into(),
            }),
            "none" => Ok(Answer::NotFound),
            word => Ok(Answer::Status {
                status: Status::parse(word).unwrap_or(Status::Enroute),
                raw: word.into(),
            }),
        }
    }

    #[test]
    fn the_parts_decide_together() {
        #[rustfmt::skip]
        let table = [
            ("DELIVRD", "DELIVRD"), ("UNKNOWN", "UNKNOWN"), ("ACCEPTD", "ACCEPTD"), ("none", "none"), ("error", "error"), ("IM_EXPD", "IM_EXPD"),
            ("DELIVRD DELIVRD DELIVRD", "DELIVRD"),
            ("DELIVRD UNDELIV DELIVRD", "UNDELIV"), ("ENROUTE EXPIRED", "EXPIRED"), ("none DELETED", "DELETED"), ("REJECTD UNKNOWN", "REJECTD"),
            ("error UNDELIV", "UNDELIV"),
            ("DELIVRD ENROUTE", "ENROUTE"), ("ACCEPTD DELIVRD", "ACCEPTD"), ("UNKNOWN ENROUTE", "ENROUTE"), ("DELIVRD IM_EXPD", "IM_EXPD"),
            ("DELIVRD UNKNOWN", "UNKNOWN"), ("UNKNOWN UNKNOWN", "UNKNOWN"),
            ("none none", "none"),
            ("none ACCEPTD", "ACCEPTD"),
            ("DELIVRD error", "error"), ("none error", "error"), ("ENROUTE error", "error"),
        ];
        for (parts, joined) in table {
            assert_eq!(
                join(parts.split(' ').map(part).collect()),
                part(joined),
                "{parts}"
            );
        }
        for mixed in ["none DELIVRD", "UNKNOWN none", "DELIVRD none UNKNOWN"] {
            let expected = Answer::Status {
                status: Status::Enroute,
                raw: "partly not found".into(),
            };
            assert_eq!(
                join(mixed.split(' ').map(part).collect()),
                Ok(expected),
                "{mixed}"
            );
        }
    }
}
