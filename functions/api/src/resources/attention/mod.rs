//! `/v1/attention`: everything that needs an operator, because it does not progress by itself,
//! listed by kind. Each entry has the calls that resolve it.

pub mod batches;
pub mod dead_letter_queue;
pub mod dead_letters;
pub mod entry;
pub mod list;
pub mod overview;
pub mod redrive;
pub mod routes;
pub mod schedules;
pub mod store;

use uuid::Uuid;

use crate::resources::attention::store::{AttentionTotals, ListPosition};

/// A kind of entry that rows show. Dead letters are a further kind, in the queues.
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
    /// Batches whose due time passed long ago, although the sweep should have enqueued them.
    Overdue,
    /// Schedules that were not dispatched.
    OverdueSchedules,
    /// Schedules that the system has paused.
    Paused,
}

impl Kind {
    /// Every kind, in the order of urgency: first those in which recipients lose their message.
    pub const ALL: [Self; 7] = [
        Self::MissedSchedules,
        Self::MissedBatches,
        Self::ParkedBatches,
        Self::Uncertain,
        Self::Overdue,
        Self::OverdueSchedules,
        Self::Paused,
    ];

    /// Returns the value in the API.
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

    /// Returns the number of entries of this kind.
    pub const fn count(self, totals: &AttentionTotals) -> i64 {
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

/// Formats a cursor: the end of a page, in the order of its list.
pub fn write_cursor(position: ListPosition) -> String {
    format!(
        "t{:x}-{}-{:x}",
        position.key,
        position.schedule_id.simple(),
        position.batch_no
    )
}

/// Parses a cursor that [`write_cursor`] has formatted.
pub fn read_cursor(cursor: &str) -> Option<ListPosition> {
    let mut parts = cursor.strip_prefix('t')?.splitn(3, '-');
    let key = i64::from_str_radix(parts.next()?, 16).ok()?;
    let schedule_id = Uuid::try_parse(parts.next()?).ok()?;
    let batch_no = u32::from_str_radix(parts.next()?, 16).ok()?;
    // A key outside of this range is in no list, and would be no valid time for the database.
    (0..=253_402_300_799_999)
        .contains(&key)
        .then_some(ListPosition {
            key,
            schedule_id,
            batch_no,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_parses_as_it_was_formatted() {
        for position in [
            ListPosition::START,
            ListPosition {
                key: 1_900_000_000_123,
                schedule_id: Uuid::now_v7(),
                batch_no: u32::MAX,
            },
        ] {
            assert_eq!(read_cursor(&write_cursor(position)), Some(position));
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
