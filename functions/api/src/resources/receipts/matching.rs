//! Finds the message of each receipt: by number and id, the newest schedule first, among the current
//! attempts, then among earlier ones.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use shared::{
    carrier::{OwnId, receipt::Receipt},
    message::status::Status,
    platform::db::Db,
};

use super::store::{MatchedAttempt, ReceiptKey, find_attempts, find_messages};

/// For this long after its request, an answer may not be recorded yet: the carrier is asked to
/// repeat a receipt for such a number. Later, an unknown id belongs to no message of this system. A
/// lease and its margin end well before.
const RECEIPT_EARLY: TimeDelta = TimeDelta::minutes(15);

/// The attempt that a receipt belongs to, if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// The current attempt of a message.
    Message(MatchedAttempt),
    /// An earlier attempt of a message.
    Attempt(MatchedAttempt),
    /// Possibly a message whose answer, and with it the id, is not recorded yet.
    TooEarly,
    /// No message of this system.
    NoMessage,
}

/// Returns what each receipt belongs to, in their order.
pub async fn match_receipts(
    db: &Db,
    receipts: &[Receipt],
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Match>> {
    let keys: Vec<_> = (0..)
        .zip(receipts)
        .map(|(place, receipt)| ReceiptKey::new(place, &receipt.phone, &receipt.message_id))
        .collect();
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let messages = by_place(find_messages(db, &keys, now - RECEIPT_EARLY).await?);
    let mut matches: Vec<_> = (0..)
        .zip(receipts)
        .map(|(place, receipt)| among(messages.get(&place), receipt))
        .collect();
    let unmatched: Vec<_> = keys
        .into_iter()
        .zip(&matches)
        .filter(|(_, matches)| !matches!(matches, Match::Message(_)))
        .collect();
    let unmatched: Vec<_> = unmatched.into_iter().map(|(keys, _)| keys).collect();
    if unmatched.is_empty() {
        return Ok(matches);
    }
    for (place, attempts) in by_place(find_attempts(db, &unmatched).await?) {
        let at = place as usize;
        if let Some(found) = newest(&attempts, &receipts[at]) {
            matches[at] = Match::Attempt(found.clone());
        }
    }
    Ok(matches)
}

fn by_place(found: Vec<MatchedAttempt>) -> HashMap<u32, Vec<MatchedAttempt>> {
    let mut places: HashMap<u32, Vec<MatchedAttempt>> = HashMap::new();
    for found in found {
        places.entry(found.place).or_default().push(found);
    }
    places
}

fn among(found: Option<&Vec<MatchedAttempt>>, receipt: &Receipt) -> Match {
    let found = found.map(Vec::as_slice).unwrap_or_default();
    match newest(found, receipt) {
        // The row belongs to the owner of the claim: its answer is on the way.
        Some(MatchedAttempt {
            status: Status::Sending,
            ..
        }) => Match::TooEarly,
        // The id belongs to an attempt that was not accepted, or that was cancelled or suppressed.
        Some(MatchedAttempt {
            status: Status::Pending | Status::Cancelled | Status::Suppressed,
            ..
        }) => Match::NoMessage,
        Some(found) => Match::Message(found.clone()),
        // A message without an id may be the one that the receipt belongs to.
        None if found.iter().any(|found| found.message_id.is_none()) => Match::TooEarly,
        None => Match::NoMessage,
    }
}

/// Returns the newest match: ids of schedules rise with time. The id is compared again, because the
/// database ignores case and carriers do not.
fn newest<'a>(found: &'a [MatchedAttempt], receipt: &Receipt) -> Option<&'a MatchedAttempt> {
    let own = OwnId::read(&receipt.message_id);
    let is_own = |found: &MatchedAttempt| {
        own.is_some_and(|own| {
            (own.schedule_id, own.seq, own.attempt) == (found.schedule_id, found.seq, found.attempt)
        })
    };
    let is_named = |found: &MatchedAttempt| {
        found
            .message_id
            .as_deref()
            .is_some_and(|ids| ids.split(',').any(|id| id == receipt.message_id))
    };
    found
        .iter()
        .filter(|found| is_own(found) || is_named(found))
        .max_by_key(|found| (found.schedule_id, found.attempt))
}
