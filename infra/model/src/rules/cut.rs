//! The cut: what happens to a due schedule. It is read and written under the lock of its row.

use crate::rows::{Schedule, ScheduleStatus};

/// The current time relative to the start of a schedule: `run_at`, or the opening of its window if
/// that is closed at `run_at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Timing {
    /// The time until `run_at` is longer than the lead time.
    Early,
    /// It is not, but the time until the window opens is.
    Waiting,
    /// Due.
    Due,
    /// Later than the maximum lateness after the start.
    TooLate,
}

/// `opens_at`, as the sweep distinguishes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Opening {
    /// NULL, or it has passed: `run_at` alone decides.
    Passed,
    /// Ahead.
    Ahead,
}

/// The decision about a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing: it is not due, its version differs, or it has already been cut.
    Nothing,
    /// The schedule becomes `missed` and waits for an operator.
    Missed,
    /// The schedule is cut and gets this status.
    Cut(ScheduleStatus),
}

/// Models `Dispatcher::decide`.
pub fn decide(schedule: &Schedule, same_version: bool, timing: Timing) -> Decision {
    match (schedule.status, timing) {
        _ if schedule.cut || !same_version => Decision::Nothing,
        (ScheduleStatus::Scheduled, Timing::Due) => Decision::Cut(ScheduleStatus::Running),
        (ScheduleStatus::Scheduled, Timing::TooLate) => Decision::Missed,
        (ScheduleStatus::Cancelled, _) => Decision::Cut(ScheduleStatus::Cancelled),
        _ => Decision::Nothing,
    }
}

/// Checks that [`mark_cut`] matches.
pub fn may_mark_cut(schedule: &Schedule, same_version: bool) -> bool {
    same_version
        && !schedule.cut
        && matches!(
            schedule.status,
            ScheduleStatus::Scheduled | ScheduleStatus::Cancelled
        )
}

/// Models `mark_cut`. Returns `true` if it matched.
pub fn mark_cut(schedule: &mut Schedule, same_version: bool, status: ScheduleStatus) -> bool {
    let may = may_mark_cut(schedule, same_version);
    if may {
        *schedule = Schedule {
            status,
            cut: true,
            ..*schedule
        };
    }
    may
}

/// Models `mark_missed`. Returns `true` if it matched.
pub fn mark_missed(schedule: &mut Schedule, same_version: bool) -> bool {
    let may = same_version && !schedule.cut && schedule.status == ScheduleStatus::Scheduled;
    if may {
        schedule.status = ScheduleStatus::Missed;
    }
    may
}

/// Checks that the time, the window and the text of the schedule can be changed (`change_schedule`).
pub fn is_changeable(schedule: &Schedule) -> bool {
    !schedule.cut
        && matches!(
            schedule.status,
            ScheduleStatus::Draft | ScheduleStatus::Scheduled | ScheduleStatus::Paused
        )
}

/// Models `send_uncut_now`. Returns `true` if it matched.
pub fn send_uncut_now(schedule: &mut Schedule) -> bool {
    let may = !schedule.cut && schedule.status == ScheduleStatus::Missed;
    if may {
        schedule.status = ScheduleStatus::Scheduled;
    }
    may
}

/// Checks that recipients may be appended.
pub fn is_open(schedule: &Schedule) -> bool {
    matches!(
        schedule.status,
        ScheduleStatus::Draft | ScheduleStatus::Scheduled
    )
}

/// Models `schedules_to_cut`: checks that the sweep enqueues the schedule for the cut. `reached`:
/// `run_at` is due.
pub fn sweep_enqueues_cut(schedule: &Schedule, reached: bool, opening: Opening) -> bool {
    let due = schedule.status == ScheduleStatus::Scheduled && reached && opening == Opening::Passed;
    !schedule.cut && (due || schedule.status == ScheduleStatus::Cancelled)
}
