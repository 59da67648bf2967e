//! The status map, and the answer to a status query. The content type is ignored (`text/html` is
//! normal), and so is `delivery_time`, which has several formats or is empty.

use serde_json::Value;

use crate::{
    carrier::{StatusAnswer, StatusError, http::Reply},
    message::status::Status,
};

/// The width of `recipients.carrier_status`.
const MAX_RAW: usize = 32;

/// The status map: the message states of SMPP 3.4 (section 5.2.28), exactly as the protocol spells
/// them.
const STATUS_MAP: [(&str, Status); 8] = [
    ("ENROUTE", Status::Enroute),
    ("ACCEPTD", Status::Acceptd),
    ("DELIVRD", Status::Delivrd),
    ("UNDELIV", Status::Undeliv),
    ("EXPIRED", Status::Expired),
    ("DELETED", Status::Deleted),
    ("REJECTD", Status::Rejectd),
    ("UNKNOWN", Status::Unknown),
];

/// Reads the status of one part.
pub(super) fn read(reply: &Reply, hidden: &[&str]) -> Result<StatusAnswer, StatusError> {
    match reply.code() {
        200..=299 => status(&reply.body).ok_or_else(|| StatusError::Failed {
            reason: "answer has no status".into(),
        }),
        // No document shows this answer, so it has to be confirmed with each carrier. Any other 404
        // may come from a wrong path or a proxy, and a message that was sent would then count as
        // never arrived.
        404 if reply.body.to_lowercase().contains("message not found") => {
            Ok(StatusAnswer::NotFound)
        }
        429 => Err(StatusError::Busy {
            reason: reply.reason(hidden),
            retry_after: reply.retry_after,
        }),
        401 | 403 => Err(StatusError::AccountRefused {
            reason: reply.reason(hidden),
        }),
        _ => Err(StatusError::Failed {
            reason: reply.reason(hidden),
        }),
    }
}

fn status(body: &str) -> Option<StatusAnswer> {
    let value: Value = serde_json::from_str(body.trim_start_matches('\u{feff}')).ok()?;
    let word = match &value {
        Value::Array(elements) if elements.len() == 1 => {
            elements.first()?.get("status")?.as_str()?
        }
        value => value.get("status")?.as_str()?,
    };
    let (status, raw) = read_status(word)?;
    Some(StatusAnswer::Status { status, raw })
}

/// Maps a status of the carrier to a delivery state, and returns it also as it is stored: printable
/// ASCII, at most 32 characters. Returns `None` if it is empty.
pub fn read_status(word: &str) -> Option<(Status, String)> {
    if word.is_empty() {
        return None;
    }
    // A status that is not in the map (`IM_EXPD`, lower case, trailing blanks) may mean anything,
    // so the message stays open.
    let status = STATUS_MAP
        .into_iter()
        .find(|(known, _)| *known == word)
        .map_or(Status::Enroute, |(_, status)| status);
    let raw = word
        .chars()
        .map(|c| if matches!(c, ' '..='~') { c } else { '?' })
        .take(MAX_RAW)
        .collect();
    Some((status, raw))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_status_is_mapped_and_stored_as_received() {
        use Status::{Acceptd, Deleted, Delivrd, Enroute, Expired, Rejectd, Undeliv, Unknown};
        let long = format!(r#"{{"status":"{}"}}"#, "X".repeat(40));
        #[rustfmt::skip]
        let table = [
            (r#"{"status":"ENROUTE","delivery_time":""}"#, Enroute, "ENROUTE"),
            (r#"{"status":"ACCEPTD"}"#, Acceptd, "ACCEPTD"),
            (r#"{"status":"DELIVRD","delivery_time":"1807161404","mccmnc":"50212","error_code":0}"#, Delivrd, "DELIVRD"),
            (r#"{"status":"DELIVRD","delivery_time":"20210922093309"}"#, Delivrd, "DELIVRD"),
            (r#"{"status":"UNDELIV","error_code":"5"}"#, Undeliv, "UNDELIV"),
            (r#"{"status":"EXPIRED"}"#, Expired, "EXPIRED"),
            (r#"{"status":"DELETED"}"#, Deleted, "DELETED"),
            (r#"{"status":"REJECTD"}"#, Rejectd, "REJECTD"),
            (r#"{"status":"UNKNOWN"}"#, Unknown, "UNKNOWN"),
            ("\u{feff}\r\n[{\"status\":\"DELIVRD\"}]", Delivrd, "DELIVRD"),
            // Stored, and not final
            (r#"{"status":"IM_EXPD"}"#, Enroute, "IM_EXPD"),
            (r#"{"status":"delivrd"}"#, Enroute, "delivrd"),
            (r#"{"status":"DELIVRD "}"#, Enroute, "DELIVRD "),
            (r#"{"status":"PENDING"}"#, Enroute, "PENDING"), // one of our own states, not one of the carrier's
            (r#"{"status":"zugestellt ✓\u0000"}"#, Enroute, "zugestellt ??"),
            (long.as_str(), Enroute, "XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX"),
        ];
        for (body, status, raw) in table {
            let answer = read(
                &Reply {
                    http: 200,
                    retry_after: None,
                    body: body.into(),
                },
                &[],
            );
            assert_eq!(
                answer,
                Ok(StatusAnswer::Status {
                    status,
                    raw: raw.into()
                }),
                "{body}"
            );
        }
    }

    #[test]
    fn only_an_explicit_not_found_is_not_found() {
        let retry_after = Some(std::time::Duration::from_secs(9));
        let failed = |reason: &str| {
            Err(StatusError::Failed {
                reason: reason.into(),
            })
        };
        let account = |reason: &str| {
            Err(StatusError::AccountRefused {
                reason: reason.into(),
            })
        };
        let busy = |reason: &str| {
            Err(StatusError::Busy {
                reason: reason.into(),
                retry_after,
            })
        };
        #[rustfmt::skip]
        let table = [
            (404, "404 message not found", Ok(StatusAnswer::NotFound)),
            (200, "404 Message not found", Ok(StatusAnswer::NotFound)),
            (404, r#"{"error":"message not found"}"#, Ok(StatusAnswer::NotFound)),
            (404, "404 Not Found", failed("404 Not Found")),
            (404, "<html>no such page</html>", failed("HTTP 404")),
            (200, "message not found", failed("answer has no status")),
            (400, "400 message not found", failed("400 message not found")),
            (500, "404 message not found", failed("500 message not found")),
            (401, "401 not authorized", account("401 not authorized")),
            (200, "403 forbidden", account("403 forbidden")),
            (429, "", busy("HTTP 429")),
            (200, "429 slow down", busy("429 slow down")),
            (503, r#"{"status":"DELIVRD"}"#, failed("HTTP 503")),
            (302, r#"{"status":"DELIVRD"}"#, failed("HTTP 302")),
            (200, "{}", failed("answer has no status")), (200, "[]", failed("answer has no status")), (200, "", failed("answer has no status")),
            (200, r#"{"status":""}"#, failed("answer has no status")), (200, r#"{"status":null}"#, failed("answer has no status")),
            (200, r#"{"status":3}"#, failed("answer has no status")), (200, "DELIVRD", failed("answer has no status")),
            (200, r#"[{"status":"DELIVRD"},{"status":"UNDELIV"}]"#, failed("answer has no status")),
        ];
        for (http, body, expected) in table {
            assert_eq!(
                read(
                    &Reply {
                        http,
                        retry_after,
                        body: body.into()
                    },
                    &[]
                ),
                expected,
                "{http} {body}"
            );
        }
    }

    proptest! {
        /// For any answer: only a status that the protocol calls final, word for word, is final.
        #[test]
        fn any_answer_is_a_status_or_none(http in 100_u16..600, body in "(\\[?\\{\"status\":\"[A-Z]{0,8}\\PC{0,9}\"\\}\\]?|[\\[{}\":,]|status|DELIVRD|\\PC){0,20}") {
            let reply = Reply { http, retry_after: None, body: body.clone() };
            if let Ok(StatusAnswer::Status { status, raw }) = read(&reply, &[]) {
                prop_assert!((1..=MAX_RAW).contains(&raw.len()) && raw.is_ascii());
                prop_assert!(!status.is_final() || body.contains(status.as_str()), "{}", body);
            }
        }
    }
}
