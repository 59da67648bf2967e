//! Status updates by range.

use chrono::{DateTime, Utc};

use super::{Packed, is_dense, span};
use crate::{
    batch::{SeqRange, claim::Claim, rows::StatusUpdate},
    message::status::Status,
    platform::db::Db,
};

/// How many different updates the statement has room for.
const MOST: usize = 4;
/// The width of `recipients.carrier_status`.
const WORD: usize = 32;

/// Status updates that one statement by range can write: few different ones, each for many rows.
pub struct StatusesInPlace<'a> {
    range: SeqRange,
    attempt: u32,
    /// The number of each row's update, from 1, as a digit.
    numbers: Packed,
    /// The different updates: the status and the carrier's word for it.
    different: Vec<(Status, &'a str)>,
}

impl<'a> StatusesInPlace<'a> {
    /// Returns the statement's values for these updates, if it can write them.
    pub fn of(updates: &'a [StatusUpdate]) -> Option<Self> {
        let range = span(updates.iter().map(|update| update.seq))?;
        if !is_dense(range, updates.len()) {
            return None;
        }
        let attempt = updates[0].attempt;
        let mut numbers = Packed::new(range, 1);
        let mut different: Vec<(Status, &str)> = Vec::new();
        for update in updates {
            // "Never arrived" needs more conditions, and an id more values.
            let is_simple = update.status != Status::Pending
                && update.message_id.is_none()
                && update.attempt == attempt;
            let word = update.carrier_status.as_deref()?;
            let is_simple = is_simple && word.len() <= WORD && word.is_ascii();
            let wanted = (update.status, word);
            let found = different.iter().position(|known| *known == wanted);
            if !is_simple || found.is_none() && different.len() == MOST {
                return None;
            }
            let number = found.unwrap_or_else(|| {
                different.push(wanted);
                different.len() - 1
            });
            numbers.set(update.seq, &[b'1' + number as u8]);
        }
        Some(Self {
            range,
            attempt,
            numbers,
            different,
        })
    }

    /// Writes the updates as [`record_status_updates`](crate::batch::rows::record_status_updates)
    /// would, at a fraction of its cost. It writes nothing if the claim is lost.
    ///
    /// Returns the number of matched rows.
    pub async fn write(&self, db: &Db, claim: &Claim, now: DateTime<Utc>) -> sqlx::Result<u64> {
        let update = |at: usize| self.different.get(at);
        let word = |at| update(at).map(|(_, word)| *word);
        let status = |at| update(at).map(|(status, _)| status.as_str());
        let final_at = |at| {
            update(at)
                .filter(|(status, _)| status.is_final())
                .map(|_| now)
        };
        let done = sqlx::query!(
            "UPDATE recipients
             SET carrier_status = ELT(SUBSTRING(?, seq - ? + 1, 1), ?, ?, ?, ?), error = NULL,
               final_at = ELT(SUBSTRING(?, seq - ? + 1, 1), ?, ?, ?, ?), status = ELT(SUBSTRING(?, seq - ? + 1, 1), ?, ?, ?, ?)
             WHERE schedule_id = ? AND seq BETWEEN ? AND ? AND attempt = ? AND status IN ('ACCEPTD', 'ENROUTE', 'UNCERTAIN')
               AND SUBSTRING(?, seq - ? + 1, 1) > ' '
               AND EXISTS (SELECT 1 FROM batches b WHERE b.schedule_id = ? AND b.batch_no = ? AND b.claim_token = ?)",
            self.numbers.bytes,
            self.range.first,
            word(0),
            word(1),
            word(2),
            word(3),
            self.numbers.bytes,
            self.range.first,
            final_at(0),
            final_at(1),
            final_at(2),
            final_at(3),
            self.numbers.bytes,
            self.range.first,
            status(0),
            status(1),
            status(2),
            status(3),
            claim.batch.schedule_id,
            self.range.first,
            self.range.last,
            self.attempt,
            self.numbers.bytes,
            self.range.first,
            claim.batch.schedule_id,
            claim.batch.batch_no,
            claim.token
        );
        Ok(done.execute(db).await?.rows_affected())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(seq: u32, status: Status) -> StatusUpdate {
        StatusUpdate {
            seq,
            attempt: 1,
            status,
            carrier_status: Some(status.as_str().to_owned()),
            message_id: None,
            is_final: u8::from(status.is_final()),
        }
    }

    #[test]
    fn updates_are_written_by_range_if_few_of_them_differ() {
        use Status::{Acceptd, Delivrd, Enroute, Pending, Rejectd, Undeliv};
        let updates = [update(3, Delivrd), update(7, Undeliv), update(5, Delivrd)];
        let written = StatusesInPlace::of(&updates).unwrap();
        assert_eq!((written.range.first, written.range.last), (3, 7));
        assert_eq!(written.numbers.bytes, b"1 1 2");
        assert_eq!(written.different.len(), 2);

        let statuses = [Delivrd, Undeliv, Rejectd, Enroute, Acceptd];
        let five: Vec<_> = (1..)
            .zip(statuses)
            .map(|(seq, status)| update(seq, status))
            .collect();
        assert!(StatusesInPlace::of(&five[..4]).is_some());
        assert!(StatusesInPlace::of(&five).is_none());
        assert!(StatusesInPlace::of(&[]).is_none());
        assert!(StatusesInPlace::of(&[update(1, Pending)]).is_none());
        assert!(StatusesInPlace::of(&[update(1, Delivrd), update(100, Delivrd)]).is_none());
        let found = StatusUpdate {
            message_id: Some("own".to_owned()),
            ..update(2, Delivrd)
        };
        assert!(StatusesInPlace::of(&[update(1, Delivrd), found]).is_none());
        let resent = StatusUpdate {
            attempt: 2,
            ..update(2, Delivrd)
        };
        assert!(StatusesInPlace::of(&[update(1, Delivrd), resent]).is_none());
    }
}
