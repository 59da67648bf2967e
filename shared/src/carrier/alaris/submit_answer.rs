//! The answer to a request to send, in the many shapes that occur: an object for one number; an array
//! for several, matched by `dnis`, never by position; one element per part of a long text; an empty,
//! partial or unreadable body; an error as text.
//!
//! An answer that is neither a clear acceptance nor a clear refusal is [`SendError::Lost`].

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::refusal::refusal;
use crate::carrier::{SendError, http::Reply};

/// The width of `recipients.message_id`.
const MAX_IDS: usize = 512;
const MAX_ID: usize = 128;

/// Reads the ids of each number, in the order of `numbers`. No error contains a text of `hidden`.
pub(super) fn read(
    reply: &Reply,
    numbers: &[&str],
    hidden: &[&str],
) -> Result<Vec<Option<String>>, SendError> {
    let reason = reply.reason(hidden);
    match reply.code() {
        200..=299 => ids(&reply.body, numbers).map_err(|reason| SendError::Lost {
            reason: reason.into(),
        }),
        429 => Err(SendError::Busy {
            reason,
            retry_after: reply.retry_after,
        }),
        // 408: the server gave up waiting for the rest of a request that it had begun to read.
        408 => Err(SendError::Lost { reason }),
        code @ 400..=499 => Err(refusal(code, reason)),
        _ => Err(SendError::Lost { reason }),
    }
}

fn ids(body: &str, numbers: &[&str]) -> Result<Vec<Option<String>>, &'static str> {
    let elements = match serde_json::from_str(body.trim_start_matches('\u{feff}')) {
        Ok(Value::Array(elements)) => elements,
        Ok(object @ Value::Object(_)) => vec![object],
        Ok(_) | Err(_) => return Err("answer is not the expected JSON"),
    };
    let mut by_number: HashMap<String, Vec<&Map<String, Value>>> = HashMap::new();
    for element in elements.iter().filter_map(Value::as_object) {
        let dnis = element
            .get("dnis")
            .and_then(text_of)
            .map(|dnis| digits(&dnis).collect())
            .filter(|dnis: &String| !dnis.is_empty());
        let alone = numbers.first().filter(|_| numbers.len() == 1);
        if let Some(number) = dnis.or_else(|| alone.map(|number| digits(number).collect())) {
            by_number.entry(number).or_default().push(element);
        }
    }
    let of = |number: &&str| {
        by_number
            .get(&digits(number).collect::<String>())
            .and_then(|elements| joined_ids(elements))
    };
    let ids: Vec<_> = numbers.iter().map(of).collect();
    if ids.iter().all(Option::is_none) {
        Err("answer names none of the numbers")
    } else {
        Ok(ids)
    }
}

/// Joins the ids of one number in the order of the parts. Returns `None` if the status of one of them
/// could not be asked for later.
fn joined_ids(elements: &[&Map<String, Value>]) -> Option<String> {
    let parts = elements
        .iter()
        .map(|element| Some((segment(element), id(element)?)));
    let mut parts: Vec<(u64, String)> = parts.collect::<Option<_>>()?;
    parts.sort_by_key(|(segment, _)| *segment);
    let mut ids: Vec<String> = Vec::new();
    for (_, id) in parts {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    let ids = ids.join(",");
    (!ids.is_empty() && ids.len() <= MAX_IDS).then_some(ids)
}

fn id(element: &Map<String, Value>) -> Option<String> {
    let id = element.get("message_id").and_then(text_of)?;
    let fits = (1..=MAX_ID).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b',');
    fits.then_some(id)
}

/// Returns the number of the part. Elements without one keep their order, because the sort is stable.
fn segment(element: &Map<String, Value>) -> u64 {
    element
        .get("segment_num")
        .and_then(text_of)
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or_default()
}

/// Reads a string, or a whole number as a string.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => number.as_u64().map(|number| number.to_string()),
        _ => None,
    }
}

/// Returns the digits of a number. An answer may repeat a number with or without a plus sign or
/// spaces.
pub(super) fn digits(number: &str) -> impl Iterator<Item = char> {
    number.chars().filter(char::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ONE: [&str; 1] = ["+60123456789"];
    const THREE: [&str; 3] = ["+60123456789", "+60123456780", "+60123456781"];

    fn read_200(body: &str, numbers: &[&str]) -> Result<Vec<Option<String>>, SendError> {
        read(
            &Reply {
                http: 200,
                retry_after: None,
                body: body.into(),
            },
            numbers,
            &[],
        )
    }

    /// Numbers, answer, ids (`-`: the number is not named).
    type SubmitAnswer<'a> = (&'a [&'a str], &'a str, &'a [&'a str]);

    #[rustfmt::skip]
    const ANSWERS_WITH_IDS: &[SubmitAnswer<'static>] = &[
        (&ONE, r#"{"message_id":"alss-a1b2c3d4-e5f67890"}"#, &["alss-a1b2c3d4-e5f67890"]),
        (&ONE, "\u{feff} {\"message_id\":\"a\"}\r\n", &["a"]),
        (&ONE, r#"{"message_id":"a","dnis":"60123456789","extra":{"x":[1]}}"#, &["a"]),
        (&ONE, r#"{"message_id":"a","dnis":null}"#, &["a"]),
        (&ONE, r#"{"message_id":"a","dnis":""}"#, &["a"]),
        (&ONE, r#"[{"message_id":"a"}]"#, &["a"]),
        (&ONE, r#"[{"dnis":"60123456789","message_id":"a"}]"#, &["a"]),
        (&ONE, r#"[{"dnis":60123456789,"message_id":17}]"#, &["17"]),
        (&ONE, r#"[{"dnis":"60123456780","message_id":"b"},{"dnis":"60123456789","message_id":"a"}]"#, &["a"]),
        // A long text: one element per part, in any order; the segment is a number, a text or missing
        (&ONE, r#"[{"dnis":"60123456789","segment_num":2,"message_id":"b"},{"dnis":"60123456789","segment_num":1,"message_id":"a"},{"dnis":"60123456789","segment_num":10,"message_id":"c"}]"#, &["a,b,c"]),
        (&ONE, r#"[{"segment_num":"2","message_id":"b"},{"segment_num":"1","message_id":"a"}]"#, &["a,b"]),
        (&ONE, r#"[{"dnis":"60123456789","message_id":"z"},{"dnis":"60123456789","message_id":"y"}]"#, &["z,y"]),
        (&ONE, r#"[{"dnis":"60123456789","message_id":"a"},{"dnis":"60123456789","message_id":"a"}]"#, &["a"]),
        // Several numbers: in any order and notation, some missing
        (&THREE, r#"[{"dnis":"+60 12-345 6781","message_id":"c"},{"dnis":"60123456789","message_id":"a"},{"dnis":60123456780,"message_id":"b"}]"#, &["a", "b", "c"]),
        (&THREE, r#"[{"dnis":"60123456780","message_id":"b"}]"#, &["-", "b", "-"]),
        (&THREE, r#"{"dnis":"60123456780","message_id":"b"}"#, &["-", "b", "-"]),
        (&THREE, r#"[{"dnis":"60123456781","segment_num":2,"message_id":"c2"},{"dnis":"60123456780","segment_num":1,"message_id":"b1"},{"dnis":"60123456781","segment_num":1,"message_id":"c1"},{"dnis":"60123456780","segment_num":2,"message_id":"b2"}]"#, &["-", "b1,b2", "c1,c2"]),
        (&THREE, r#"["a",null,{"message_id":"x"},{"dnis":"60123456780","message_id":"b"},{"dnis":"99","message_id":"y"}]"#, &["-", "b", "-"]),
        // Ids that cannot be used in a status query
        (&THREE, r#"[{"dnis":"60123456789","message_id":""},{"dnis":"60123456780","message_id":"b"},{"dnis":"60123456781","message_id":null}]"#, &["-", "b", "-"]),
        (&THREE, r#"[{"dnis":"60123456789","message_id":"a,b"},{"dnis":"60123456780","message_id":"é"},{"dnis":"60123456781","message_id":"c d"}]"#, &[]),
        (&THREE, r#"[{"dnis":"60123456789"},{"dnis":"60123456780","message_id":{}},{"dnis":"60123456781","message_id":1.5}]"#, &[]),
        (&ONE, r#"[{"segment_num":1,"message_id":"a"},{"segment_num":2,"message_id":""}]"#, &[]),
        // No id: the request may or may not be accepted
        (&ONE, "{}", &[]), (&ONE, "[]", &[]), (&THREE, "[]", &[]), (&ONE, "[{}]", &[]), (&ONE, "[[]]", &[]), (&ONE, "null", &[]),
        (&ONE, "", &[]), (&ONE, "OK", &[]), (&ONE, "\"a\"", &[]), (&ONE, "12", &[]), (&ONE, r#"{"message_id":"#, &[]),
        (&ONE, "<html><body>Bad gateway</body></html>", &[]), (&ONE, r#"{"message_id":"a","dnis":"60123456780"}"#, &[]),
        (&THREE, r#"{"message_id":"a"}"#, &[]),                                             // of which number?
        (&THREE, r#"[{"message_id":"a"},{"message_id":"b"},{"message_id":"c"}]"#, &[]),     // never by position
    ];

    #[test]
    fn ids_are_found_by_number_in_every_shape_of_answer() {
        let long = format!(r#"{{"message_id":"{}"}}"#, "x".repeat(129));
        let many = format!(
            "[{}]",
            (0..5)
                .map(|n| format!(r#"{{"message_id":"{n}{}"}}"#, "x".repeat(120)))
                .collect::<Vec<_>>()
                .join(",")
        );
        let too_long: [SubmitAnswer; 2] = [(&ONE, &long, &[]), (&ONE, &many, &[])];
        for (numbers, body, expected) in ANSWERS_WITH_IDS.iter().chain(&too_long) {
            let expected: Vec<_> = expected
                .iter()
                .map(|ids| (*ids != "-").then(|| (*ids).to_owned()))
                .collect();
            match read_200(body, numbers) {
                Ok(ids) => assert_eq!(ids, expected, "{body}"),
                Err(SendError::Lost { .. }) => assert!(expected.is_empty(), "{body}"),
                Err(other) => panic!("{body}: {other:?}"),
            }
        }
    }

    const PAUSE: Option<std::time::Duration> = Some(std::time::Duration::from_secs(7));

    /// HTTP status, body, error.
    #[rustfmt::skip]
    fn errors() -> Vec<(u16, &'static str, SendError)> {
        let busy = |reason: &str| SendError::Busy {
            reason: reason.into(),
            retry_after: PAUSE,
        };
        let refused = |reason: &str| SendError::Refused {
            reason: reason.into(),
        };
        let account_refused = |reason: &str| SendError::AccountRefused {
            reason: reason.into(),
        };
        let lost = |reason: &str| SendError::Lost {
            reason: reason.into(),
        };
        vec![
            (200, "400 NO ROUTES", refused("400 NO ROUTES")),
            (400, "400 NO ROUTES", refused("400 NO ROUTES")),
            (200, "400 Service type is invalid", refused("400 Service type is invalid")),
            (400, "400 Bad Request (Destination number is too long)", refused("400 Bad Request (Destination number is too long)")),
            (200, "401 not authorized (check login and password)", account_refused("401 not authorized (check login and password)")),
            (401, "", account_refused("HTTP 401")),
            (402, "", account_refused("HTTP 402")), (200, "402 Not enough credit", account_refused("402 Not enough credit")),
            (403, "Forbidden", account_refused("HTTP 403")),
            (404, "<html>", refused("HTTP 404")),
            (413, "", refused("HTTP 413")),
            (408, "", lost("HTTP 408")),
            (200, "408 timeout", lost("408 timeout")),
            (429, "", busy("HTTP 429")),
            (200, "429 too many requests", busy("429 too many requests")),
            (200, "508 loop detected", lost("508 loop detected")),
            (508, "508 loop detected", lost("508 loop detected")),
            (500, "", lost("HTTP 500")), (502, "<html>", lost("HTTP 502")), (503, r#"{"message_id":"a"}"#, lost("HTTP 503")),
            (504, "400 NO ROUTES", lost("504 NO ROUTES")),
            (301, "", lost("HTTP 301")), (302, r#"{"message_id":"a"}"#, lost("HTTP 302")), (304, "", lost("HTTP 304")),
            (204, "", lost("answer is not the expected JSON")),
        ]
    }

    #[test]
    fn an_error_states_whether_the_request_was_certainly_not_accepted() {
        for (http, body, expected) in errors() {
            let error = read(
                &Reply {
                    http,
                    retry_after: PAUSE,
                    body: body.into(),
                },
                &ONE,
                &[],
            )
            .unwrap_err();
            assert_eq!(
                error.certainly_not_accepted(),
                !matches!(error, SendError::Lost { .. })
            );
            assert_eq!(error, expected, "{http} {body}");
        }
    }

    proptest! {
        /// For any answer, each number has an id that fits its column, or none; and an answer with
        /// status 200 that names no number is not an acceptance.
        #[test]
        fn each_answer_is_an_acceptance_a_refusal_or_uncertain(http in 100_u16..600, body in ANSWERS) {
            let reply = Reply { http, retry_after: None, body };
            match read(&reply, &["+60123456789", "+6581234567"], &["secret"]) {
                Ok(ids) => {
                    prop_assert!(ids.len() == 2 && ids.iter().any(Option::is_some));
                    prop_assert!(ids.iter().flatten().all(|id| !id.is_empty() && id.len() <= MAX_IDS && id.is_ascii()));
                }
                Err(error) => {
                    let text = format!("{error:?}");
                    prop_assert!(!text.contains("secret"), "{}", text);
                }
            }
        }
    }

    const ANSWERS: &str = "([\\[\\]{},:\"]|\"dnis\":|\"message_id\":|\"60123456789\"|6581234567|\"a-1\"|\"part_num\"|null|true|secret|200 |400 NO ROUTES|\\PC){0,30}\
        |\\[\\{\"dnis\":\"60123456789\",\"message_id\":\"\\PC{0,200}\"\\}\\]";
}
