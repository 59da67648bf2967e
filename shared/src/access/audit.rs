//! The audit log: which caller changed which resource. A row is inserted in the transaction of the
//! change, so each change has its row. The database user of the functions can neither change nor
//! delete a row.
//!
//! So nothing of a recipient may get in, because it could not be erased: a text becomes its hash, and
//! a number in a reason is removed ([`without_personal_data`]). A person is named by a keyed hash.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::MySqlConnection;
use uuid::{NoContext, Timestamp, Uuid};

use crate::platform::secret::{hash_token, to_hex};

/// A row of `audit_log`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct AuditEntry {
    pub id: Uuid,
    pub actor: String,
    pub actor_name: String,
    pub address: String,
    pub request_id: String,
    pub action: String,
    pub resource: String,
    pub state_before: Option<String>,
    pub state_after: Option<String>,
}

/// Returns an id for a row of that time; ids sort by time.
pub fn new_id(now: DateTime<Utc>) -> Uuid {
    Uuid::new_v7(Timestamp::from_unix(
        NoContext,
        now.timestamp() as u64,
        now.timestamp_subsec_nanos(),
    ))
}

/// Inserts a row.
pub async fn insert_entry(
    connection: &mut MySqlConnection,
    entry: &AuditEntry,
) -> sqlx::Result<()> {
    let [before, after] = [&entry.state_before, &entry.state_after]
        .map(|state| state.as_deref().map(without_personal_data));
    let done = sqlx::query!(
        "INSERT INTO audit_log (id, actor, actor_name, address, request_id, action, resource, state_before, state_after)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        entry.id,
        entry.actor,
        entry.actor_name,
        entry.address,
        entry.request_id,
        entry.action,
        entry.resource,
        before.as_deref(),
        after.as_deref()
    );
    done.execute(connection).await.map(drop)
}

/// The beginning of what replaces a text.
const HASHED: &str = "sha256:";
/// The fewest digits that are taken for a number.
const LEAST_DIGITS: usize = 7;

/// Returns a state without texts and numbers: each `message` is replaced by its SHA-256, and in each
/// `reason` a number by an ellipsis. A state that has neither is returned as it is.
pub fn without_personal_data(state: &str) -> Cow<'_, str> {
    if !state.contains("\"message\"") && !state.contains("\"reason\"") {
        return Cow::Borrowed(state);
    }
    let Ok(mut value) = serde_json::from_str::<Value>(state) else {
        return Cow::Borrowed("{}");
    };
    clean(&mut value);
    Cow::Owned(value.to_string())
}

fn clean(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match (name.as_str(), member) {
                    ("message", Value::String(text)) if !text.starts_with(HASHED) => {
                        let hash = hash_token(text);
                        *text = format!("{HASHED}{}", to_hex(&hash));
                    }
                    ("reason", Value::String(text)) => *text = without_numbers(text),
                    (_, member) => clean(member),
                }
            }
        }
        Value::Array(members) => members.iter_mut().for_each(clean),
        _ => {}
    }
}

/// Replaces what may be a phone number: seven digits or more, perhaps with a plus sign, and with
/// spaces, points, hyphens, slashes or brackets between them.
pub fn without_numbers(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    let mut run = String::new();
    for letter in text.chars().chain([char::MAX]) {
        let is_part = letter.is_ascii_digit()
            || letter == '+'
            || (!run.is_empty() && " .-/()".contains(letter));
        if is_part {
            run.push(letter);
            continue;
        }
        let digits = run.bytes().filter(u8::is_ascii_digit).count();
        if digits < LEAST_DIGITS {
            cleaned.push_str(&run);
        } else {
            let end = run.trim_end_matches(|last: char| !last.is_ascii_digit());
            cleaned.push('…');
            cleaned.push_str(&run[end.len()..]);
        }
        run.clear();
        if letter != char::MAX {
            cleaned.push(letter);
        }
    }
    cleaned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_in_a_reason_is_removed_and_the_rest_stays() {
        for (given, expected) in [
            ("asked by mail", "asked by mail"),
            ("+60 12-345 6789 asked for it", "… asked for it"),
            ("call from (012) 345.6789.", "call from (…."),
            ("INC-4711 of 2026", "INC-4711 of 2026"),
            ("wrong: 60123456789", "wrong: …"),
            ("", ""),
        ] {
            assert_eq!(without_numbers(given), expected, "{given}");
        }
    }

    #[test]
    fn a_text_becomes_its_hash_once() {
        let state = r#"{"name":"x","message":"Dear Ana","list":[{"reason":"+60123456789"}]}"#;
        let cleaned = without_personal_data(state).into_owned();
        assert!(
            !cleaned.contains("Ana") && !cleaned.contains("6012"),
            "{cleaned}"
        );
        assert!(cleaned.contains(r#""message":"sha256:"#), "{cleaned}");
        assert_eq!(without_personal_data(&cleaned), cleaned, "it is stable");
        let other = r#"{"status":"paused"}"#;
        assert_eq!(without_personal_data(other), other);
    }
}
