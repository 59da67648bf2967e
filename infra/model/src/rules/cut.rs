//! The cut: what becomes of a schedule that is due, read and written under the lock of its row.

use crate::database::{Life, Schedule};

/// What a cut knows of the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hour {
    /// Its time is further away than the lead.
    Early,
    /// Due.
    Due,
    /// Later than the maximum lateness.
    TooLate,
}

/// What is to become of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Not its time, another version, or cut already.
    Nothing,
    /// It waits for a person.
    Missed,
    /// It is cut, and has this status then.
    Cut(Life),
}

/// `Dispatcher::decide`
pub fn decide(schedule: &Schedule, same_version: bool, hour: Hour) -> Decision {
    match (schedule.status, hour) {
        _ if schedule.cut || !same_version => Decision::Nothing,
        (Life::Scheduled, Hour::Due) => Decision::Cut(Life::Running),
        (Life::Scheduled, Hour::TooLate) => Decision::Missed,
        (Life::Cancelled, _) => Decision::Cut(Life::Cancelled),
        _ => Decision::Nothing,
    }
}

/// Whether [`mark_cut`] matches.
pub fn may_mark_cut(schedule: &Schedule, same_version: bool) -> bool {
    same_version && !schedule.cut && matches!(schedule.status, Life::Scheduled | Life::Cancelled)
}

/// `mark_cut`
pub fn mark_cut(schedule: &mut Schedule, same_version: bool, status: Life) -> bool {
    let may = may_mark_cut(schedule, same_version);
    if may {
        *schedule = Schedule { status, cut: true };
    }
    may
}

/// `mark_missed`
pub fn mark_missed(schedule: &mut Schedule, same_version: bool) -> bool {
    let may = same_version && !schedule.cut && schedule.status == Life::Scheduled;
    if may {
        schedule.status = Life::Missed;
    }
    may
}

/// `change_time`: whether it matches.
pub fn is_changeable(schedule: &Schedule) -> bool {
    !schedule.cut
        && matches!(
            schedule.status,
            Life::Draft | Life::Scheduled | Life::Paused
        )
}

/// `send_uncut_now`
pub fn send_uncut_now(schedule: &mut Schedule) -> bool {
    let may = !schedule.cut && schedule.status == Life::Missed;
    if may {
        schedule.status = Life::Scheduled;
    }
    may
}

/// Whether recipients may be appended.
pub fn is_open(schedule: &Schedule) -> bool {
    matches!(schedule.status, Life::Draft | Life::Scheduled)
}

/// Whether the sweep hands the schedule to the cut.
pub fn wants_cut(schedule: &Schedule, hour: Hour) -> bool {
    let due = schedule.status == Life::Scheduled && hour != Hour::Early;
    !schedule.cut && (due || schedule.status == Life::Cancelled)
}
