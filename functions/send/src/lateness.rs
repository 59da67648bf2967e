//! How late a batch is: the time for which an outage has delayed it. Waiting for the carrier's
//! capacity, or for other schedules, is not lateness. Pure.
//!
//! An outage is a minute or more in which the carrier accepted nothing: the carrier, the functions
//! or the database were down. The row of the carrier contains the last acceptance and the last
//! outage.

use chrono::{DateTime, TimeDelta, Utc};
use shared::batch::claim::ClaimedBatch;

/// A shorter time without an acceptance is not an outage: a few small schedules may leave gaps.
pub const OUTAGE: TimeDelta = TimeDelta::seconds(60);

/// Returns for how long outages have delayed a batch that is not sent yet.
///
/// Before the first acceptance after an outage, the outage is still open; afterwards it is recorded.
pub fn lateness(batch: &ClaimedBatch, now: DateTime<Utc>) -> TimeDelta {
    let planned_at = batch.planned_at;
    let open = match batch.progress_at {
        Some(progress_at) if progress_at + OUTAGE > now => TimeDelta::zero(),
        Some(progress_at) => now - planned_at.max(progress_at),
        None => now - planned_at,
    };
    let recorded = match (batch.outage_from, batch.outage_until) {
        (Some(from), Some(until)) => until.min(now) - planned_at.max(from),
        _ => TimeDelta::zero(),
    };
    open.max(TimeDelta::zero()) + recorded.max(TimeDelta::zero())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::batch;

    /// Seconds from a common start; the batch is planned at 100.
    struct Case {
        progress: Option<i64>,
        outage: Option<(i64, i64)>,
        now: i64,
        late: i64,
    }

    const fn case(progress: Option<i64>, outage: Option<(i64, i64)>, now: i64, late: i64) -> Case {
        Case {
            progress,
            outage,
            now,
            late,
        }
    }

    #[test]
    fn only_outages_make_a_batch_late() {
        let start = Utc::now();
        let at = |s| start + TimeDelta::seconds(s);
        for Case {
            progress,
            outage,
            now,
            late,
        } in [
            // Nothing was ever accepted.
            case(None, None, 90, 0),
            case(None, None, 500, 400),
            // A backlog: the carrier accepts all the time.
            case(Some(9_999), None, 10_000, 0),
            // An open outage, which began before or after the planned time.
            case(Some(0), None, 400, 300),
            case(Some(300), None, 400, 100),
            case(Some(341), None, 400, 0),
            // An outage that is over.
            case(Some(8_000), Some((50, 700)), 8_010, 600),
            case(Some(8_000), Some((200, 700)), 8_010, 500),
            case(Some(8_000), Some((10, 90)), 8_010, 0),
            // One that is over, and another one that is open.
            case(Some(800), Some((200, 700)), 1_000, 700),
        ] {
            let mut batch = batch(at(100));
            batch.progress_at = progress.map(at);
            batch.outage_from = outage.map(|(from, _)| at(from));
            batch.outage_until = outage.map(|(_, until)| at(until));
            let found = lateness(&batch, at(now)).num_seconds();
            assert_eq!(found, late, "{progress:?} {outage:?} {now}");
        }
    }
}
