//! The status of a message of several parts: delivered if all parts are delivered, failed if one
//! has failed.

use super::{StatusAnswer, StatusError};
use crate::message::status::Status;

/// Joins the answers for the parts, given in their order, into the answer for the message.
pub(super) fn join(
    parts: Vec<Result<StatusAnswer, StatusError>>,
) -> Result<StatusAnswer, StatusError> {
    // A failure is final, even if the query for another part fails.
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
    answers.retain(|answer| *answer != StatusAnswer::NotFound);
    if answers.is_empty() {
        return Ok(StatusAnswer::NotFound);
    }
    if answers.len() < asked {
        // The carrier has a part of the message, so the message did arrive.
        return Ok(StatusAnswer::Status {
            status: Status::Enroute,
            raw: "partly not found".into(),
        });
    }
    let unknown = answers
        .iter()
        .position(|answer| has(answer, &[Status::Unknown]));
    Ok(answers.swap_remove(unknown.unwrap_or_default()))
}

fn has(answer: &StatusAnswer, any: &[Status]) -> bool {
    matches!(answer, StatusAnswer::Status { status, .. } if any.contains(status))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(word: &str) -> Result<StatusAnswer, StatusError> {
        match word {
            "error" => Err(StatusError::Failed {
                reason: word.into(),
            }),
            "none" => Ok(StatusAnswer::NotFound),
            word => Ok(StatusAnswer::Status {
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
            let expected = StatusAnswer::Status {
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
