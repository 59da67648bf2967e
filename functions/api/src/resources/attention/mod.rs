//! What needs a person: everything that does not go on by itself, listed by kind, each entry with what can be done about it.

pub mod batches;
pub mod dead_letter_queue;
pub mod dead_letters;
pub mod entry;
pub mod list;
pub mod overview;
pub mod routes;
pub mod schedules;
pub mod store;

use uuid::Uuid;

use crate::resources::attention::store::{Place, Totals};

/// A kind of trouble that rows tell of; dead letters are the queues'.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Schedules found too late, in whole or in part.
    MissedSchedules,
    /// Batches found too late.
    MissedBatches,
    /// Batches claimed three times without a release.
    ParkedBatches,
    /// Batches with UNCERTAIN recipients.
    Uncertain,
    /// Batches that nothing comes for.
    Overdue,
    /// Schedules that nobody has dispatched.
    OverdueSchedules,
    /// Schedules that the system has paused.
    Paused,
}

impl Kind {
    /// Every kind, what costs recipients their message first.
    pub const ALL: [Self; 7] = [
        Self::MissedSchedules,
        Self::MissedBatches,
        Self::ParkedBatches,
        Self::Uncertain,
        Self::Overdue,
        Self::OverdueSchedules,
        Self::Paused,
    ];

    /// The word in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MissedSchedules => "missed-schedules",
            Self::MissedBatches => "missed-batches",
            Self::ParkedBatches => "parked-batches",
            Self::Uncertain => "uncertain",
            Self::Overdue => "overdue",
            Self::OverdueSchedules => "overdue-schedules",
            Self::Paused => "paused",
        }
    }

    /// How many there are of this kind.
    pub const fn count(self, totals: &Totals) -> i64 {
        match self {
            Self::MissedSchedules => totals.missed_schedules,
            Self::MissedBatches => totals.missed_batches,
            Self::ParkedBatches => totals.parked_batches,
            Self::Uncertain => totals.uncertain,
            Self::Overdue => totals.overdue,
            Self::OverdueSchedules => totals.overdue_schedules,
            Self::Paused => totals.paused,
        }
    }
}

/// A cursor: where a page ended, in the order of its list.
pub fn write_cursor(place: Place) -> String {
    format!(
        "t{:x}-{}-{:x}",
        place.key,
        place.schedule_id.simple(),
        place.batch_no
    )
}

/// What [`write_cursor`] has written.
pub fn read_cursor(cursor: &str) -> Option<Place> {
    let mut parts = cursor.strip_prefix('t')?.splitn(3, '-');
    let key = i64::from_str_radix(parts.next()?, 16).ok()?;
    let schedule_id = Uuid::try_parse(parts.next()?).ok()?;
    let batch_no = u32::from_str_radix(parts.next()?, 16).ok()?;
    // What no list holds would be no time to the database.
    (0..=253_402_300_799_999).contains(&key).then_some(Place {
        key,
        schedule_id,
        batch_no,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        for place in [
            Place::START,
            Place {
                key: 1_900_000_000_123,
                schedule_id: Uuid::now_v7(),
                batch_no: u32::MAX,
            },
        ] {
            assert_eq!(read_cursor(&write_cursor(place)), Some(place));
        }
        for cursor in [
            "",
            "t",
            "t-1-0-0",
            "t1",
            "t1-x-1",
            "s0",
            "tffffffffffffff-0190a0b0c0d07000800000000000000f-1",
            "t1-0190-1",
        ] {
            assert_eq!(read_cursor(cursor), None, "{cursor}");
        }
    }
}
