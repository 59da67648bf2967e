//! Whose a receipt is: by number and id, newest schedule first, among the messages as they are, then among their earlier attempts.

use std::collections::HashMap;

use crate::resources::receipts::store::{Found, Wanted, find_attempts, find_messages};
use chrono::{DateTime, TimeDelta, Utc};
use shared::{carrier::OwnId, message::status::Status, platform::db::Db};

use shared::carrier::receipt::Receipt;

/// For this long after its request, an answer may not be recorded yet: the carrier is asked to
/// repeat a receipt for such a number. Later, an unknown id belongs to no message of ours. A lease
/// and its margin end well before.
const RECEIPT_EARLY: TimeDelta = TimeDelta::minutes(15);

/// Whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// A message's, in its present attempt.
    Message(Found),
    /// Likewise, in an attempt that was followed by another.
    Attempt(Found),
    /// Perhaps one's whose answer is still to be recorded, and its id with it.
    Early,
    /// Nobody's here.
    Nobody,
}

/// Whose each receipt is.
pub async fn find(db: &Db, receipts: &[Receipt], now: DateTime<Utc>) -> sqlx::Result<Vec<Whose>> {
    let wanted: Vec<_> = (0..)
        .zip(receipts)
        .map(|(place, receipt)| Wanted::new(place, &receipt.phone, &receipt.message_id))
        .collect();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let messages = by_place(find_messages(db, &wanted, now - RECEIPT_EARLY).await?);
    let mut whose: Vec<_> = (0..)
        .zip(receipts)
        .map(|(place, receipt)| among(messages.get(&place), receipt))
        .collect();
    let left: Vec<_> = wanted
        .into_iter()
        .zip(&whose)
        .filter(|(_, whose)| !matches!(whose, Whose::Message(_)))
        .collect();
    let left: Vec<_> = left.into_iter().map(|(wanted, _)| wanted).collect();
    if left.is_empty() {
        return Ok(whose);
    }
    for (place, attempts) in by_place(find_attempts(db, &left).await?) {
        let at = place as usize;
        if let Some(found) = newest(&attempts, &receipts[at]) {
            whose[at] = Whose::Attempt(found.clone());
        }
    }
    Ok(whose)
}

fn by_place(found: Vec<Found>) -> HashMap<u32, Vec<Found>> {
    let mut places: HashMap<u32, Vec<Found>> = HashMap::new();
    for found in found {
        places.entry(found.place).or_default().push(found);
    }
    places
}

fn among(found: Option<&Vec<Found>>, receipt: &Receipt) -> Whose {
    let found = found.map(Vec::as_slice).unwrap_or_default();
    match newest(found, receipt) {
        // The claim owner's row: its answer is on the way.
        Some(Found {
            status: Status::Sending,
            ..
        }) => Whose::Early,
        // The id is that of an attempt that came to nothing, or that somebody has put aside.
        Some(Found {
            status: Status::Pending | Status::Cancelled | Status::Suppressed,
            ..
        }) => Whose::Nobody,
        Some(found) => Whose::Message(found.clone()),
        // Without an id of its own, and so perhaps the one that it is about.
        None if found.iter().any(|found| found.message_id.is_none()) => Whose::Early,
        None => Whose::Nobody,
    }
}

/// Ids of schedules rise with the time. The database compares without regard to case, carriers don't.
fn newest<'a>(found: &'a [Found], receipt: &Receipt) -> Option<&'a Found> {
    let own = OwnId::read(&receipt.message_id);
    let is_own = |found: &Found| {
        own.is_some_and(|own| {
            (own.schedule_id, own.seq, own.attempt) == (found.schedule_id, found.seq, found.attempt)
        })
    };
    let is_named = |found: &Found| {
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
