//! Where a page of messages ends.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::resources::{
    messages::store::{Candidate, MessageFilter},
    recipients::names::RecipientKey,
};

/// No schedule is planned for later than a year ahead.
const MOST_AHEAD: TimeDelta = TimeDelta::days(366);

/// The end of a page: a place in the list of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The planned time of the schedule, if messages of all schedules are listed.
    pub run_at: DateTime<Utc>,
    /// The schedule.
    pub id: Uuid,
    /// The place in its list.
    pub seq: u32,
}

impl Cursor {
    /// Reads a cursor as [`Cursor::write`] writes it.
    pub fn read(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix('m')?.split('-');
        let (run_at, id, seq) = (parts.next()?, parts.next()?, parts.next()?);
        let run_at = DateTime::from_timestamp_millis(i64::from_str_radix(run_at, 16).ok()?)?;
        let cursor = Self {
            run_at,
            id: Uuid::try_parse(id).ok()?,
            seq: u32::from_str_radix(seq, 16).ok()?,
        };
        // The database has no year of five digits.
        let is_valid =
            parts.next().is_none() && (1970..9999).contains(&chrono::Datelike::year(&run_at));
        is_valid.then_some(cursor)
    }

    /// Returns the cursor as text.
    pub fn write(self) -> String {
        format!(
            "m{:x}-{}-{:x}",
            self.run_at.timestamp_millis(),
            self.id.simple(),
            self.seq
        )
    }

    /// Returns the place in the list of a schedule, among all schedules.
    pub const fn after(schedule: &Candidate, seq: u32) -> Self {
        Self {
            run_at: schedule.run_at,
            id: schedule.id,
            seq,
        }
    }

    /// Returns the place in the list of a schedule, if no other schedule is listed or their order is
    /// that of their ids.
    pub const fn in_schedule(id: Uuid, seq: u32) -> Self {
        Self {
            run_at: DateTime::UNIX_EPOCH,
            id,
            seq,
        }
    }

    /// Returns the place itself; without a cursor, the one before all in descending order.
    pub fn key(cursor: Option<Self>) -> RecipientKey {
        cursor.map_or(
            RecipientKey {
                schedule_id: Uuid::max(),
                seq: u32::MAX,
            },
            |cursor| RecipientKey {
                schedule_id: cursor.id,
                seq: cursor.seq,
            },
        )
    }

    /// Returns after which place of a schedule's list a page begins: 0 without a cursor of it.
    pub fn seq_in(cursor: Option<Self>, id: Uuid) -> u32 {
        let cursor = cursor.filter(|cursor| cursor.id == id);
        cursor.map_or(0, |cursor| cursor.seq)
    }

    /// Returns where a page of all schedules begins. Without a cursor it begins with the latest
    /// schedule: one that is planned for later has sent nothing yet. That includes a schedule that
    /// begins a few seconds ahead of its time, because none of it is sent before that time. But its
    /// recipients may have been cancelled, so a poll for changes begins with the latest of all.
    pub fn begin(cursor: Option<Self>, filter: MessageFilter, now: DateTime<Utc>) -> Self {
        let latest = if filter.changed_since.is_some() {
            now + MOST_AHEAD
        } else {
            now
        };
        cursor.unwrap_or(Self {
            run_at: filter.to.map_or(latest, |to| to.min(now)),
            id: Uuid::max(),
            seq: 0,
        })
    }

    /// Returns the schedule with which the page begins.
    pub const fn candidate(self) -> Candidate {
        Candidate {
            id: self.id,
            run_at: self.run_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_parses_as_it_was_formatted(ms in 0_i64..4_102_444_800_000, id: u128, seq: u32) {
            let cursor = Cursor { run_at: DateTime::from_timestamp_millis(ms).unwrap(), id: Uuid::from_u128(id), seq };
            prop_assert_eq!(Cursor::read(&cursor.write()), Some(cursor));
        }

        #[test]
        fn any_text_parses_as_a_cursor_or_is_refused(text in "m?[0-9a-fg-]{0,60}") {
            if let Some(cursor) = Cursor::read(&text) {
                prop_assert_eq!(Cursor::read(&cursor.write()), Some(cursor));
            }
        }
    }
}
