//! The moves that each state of a schedule allows, and the errors if it does not.

use chrono::{DateTime, Utc};
use serde_json::json;
use shared::{events::EventType, schedule::status::ScheduleStatus};

use crate::{
    http::{
        error::{ApiError, Conflict},
        problems::{self, ProblemType},
    },
    openapi::ProblemMembers,
    resources::schedules::store::LockedSchedule,
};

/// A move that a caller requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// draft → scheduled
    Activate,
    /// scheduled, running → paused
    Pause,
    /// paused → scheduled, running
    Resume {
        /// A start that has passed during the pause becomes now.
        now: bool,
    },
    /// any state that is not final → cancelled
    Cancel,
    /// missed → scheduled, running; also the missed batches of a running schedule
    SendNow,
}

impl Move {
    /// Returns the action in the audit log.
    pub const fn action(self) -> &'static str {
        match self {
            Self::Activate => "schedule.activate",
            Self::Pause => "schedule.pause",
            Self::Resume { .. } => "schedule.resume",
            Self::Cancel => "schedule.cancel",
            Self::SendNow => "schedule.send-now",
        }
    }

    /// Returns whether a schedule in this state needs no such move: the call was repeated.
    pub const fn is_done(self, status: ScheduleStatus) -> bool {
        matches!(
            (self, status),
            (Self::Pause, ScheduleStatus::Paused) | (Self::Cancel, ScheduleStatus::Cancelled)
        )
    }

    /// Returns whether a schedule that has not been cut waits for its time after the move.
    pub const fn begins(self) -> bool {
        matches!(self, Self::Activate | Self::Resume { .. } | Self::SendNow)
    }

    /// Returns the event for webhooks. The other moves have none: their event is recorded when the
    /// schedule is cut.
    pub const fn event(self) -> Option<EventType> {
        match self {
            Self::Pause => Some(EventType::SchedulePaused),
            Self::Resume { .. } => Some(EventType::ScheduleResumed),
            Self::Cancel => Some(EventType::ScheduleCancelled),
            Self::Activate | Self::SendNow => None,
        }
    }
}

/// Returns an error if the state does not allow the move. Whether anything was missed at all is
/// checked when it is released.
pub fn allow(schedule: &LockedSchedule, step: Move, now: DateTime<Utc>) -> Result<(), ApiError> {
    use ScheduleStatus::{AwaitingApproval, Draft, Finished, Missed, Paused, Running, Scheduled};
    let status = schedule.status;
    let (allowed, expected) = match step {
        Move::Activate => (status == Draft, "a draft"),
        Move::Pause => (
            matches!(status, Scheduled | Running),
            "a schedule that is scheduled or running",
        ),
        Move::Resume { .. } => (status == Paused, "a schedule that is paused"),
        Move::Cancel => (
            matches!(
                status,
                Draft | AwaitingApproval | Scheduled | Running | Paused | Missed
            ),
            "a schedule that is draft, awaiting-approval, scheduled, running, paused or missed",
        ),
        Move::SendNow => (
            matches!(status, Missed | Running | Finished),
            "a schedule that is missed, or missed in part",
        ),
    };
    if !allowed {
        return Err(conflict(
            &problems::WRONG_STATE,
            schedule,
            format!("expected {expected}; this one is {}", status.as_str()),
        ));
    }
    if step == Move::Activate && schedule.recipient_count == 0 {
        return Err(conflict(
            &problems::NO_RECIPIENTS,
            schedule,
            "expected a draft with recipients; append some first".to_owned(),
        ));
    }
    if step == Move::Activate && schedule.run_at <= now {
        return Err(conflict(
            &problems::RUN_AT_PAST,
            schedule,
            "expected a run_at in the future; it has passed meanwhile".to_owned(),
        ));
    }
    let has_passed = schedule.batch_count.is_none() && schedule.start().at() <= now;
    if step == (Move::Resume { now: false }) && has_passed {
        return Err(conflict(
            &problems::RUN_AT_PAST,
            schedule,
            "its start has passed during the pause: resume it with {\"now\": true}, or set a new run_at first"
                .to_owned(),
        ));
    }
    Ok(())
}

/// Returns 409 for a call that is possible only before a schedule begins. `expected` begins the
/// detail.
pub fn begun(schedule: &LockedSchedule, expected: &str) -> ApiError {
    let detail = format!(
        "{expected}; this one is {}. A schedule begins some time ahead of its run_at, or of the opening of its window",
        schedule.status.as_str()
    );
    conflict(&problems::SCHEDULE_BEGUN, schedule, detail)
}

/// Returns 409 with the state, and the calls that are possible in it.
pub fn conflict(
    problem: &'static ProblemType,
    schedule: &LockedSchedule,
    detail: String,
) -> ApiError {
    ApiError::Conflict(Conflict {
        problem,
        detail,
        status: schedule.status,
        possible: possible(schedule),
    })
}

/// Every call that [`conflict`] may name.
pub const STEPS: [&str; 13] = [
    "append",
    "patch",
    "patch-rate",
    "patch-priority",
    "patch-end",
    "activate",
    "pause",
    "resume",
    "cancel",
    "send-now",
    "resend",
    "approve",
    "reject",
];

/// The members that each problem of a schedule's state adds to the problem document.
pub const PROBLEM_MEMBERS: ProblemMembers = ProblemMembers {
    problems: &[
        "wrong-state",
        "schedule-begun",
        "nothing-missed",
        "no-recipients",
        "run-at-past",
        "send-until-past",
    ],
    properties: |generator| {
        json!({
            "schedule_status": generator.subschema_for::<ScheduleStatus>(),
            "possible": {"type": "array", "items": {"title": "Step", "type": "string", "enum": STEPS}, "description": "The calls that are possible now."},
        })
    },
    required: &["schedule_status", "possible"],
};

/// Returns the calls that are possible in the lifecycle of a schedule. Whether `send-now` is
/// possible while it runs depends on its batches, so it is not listed there.
fn possible(schedule: &LockedSchedule) -> &'static [&'static str] {
    match (schedule.status, schedule.batch_count) {
        (ScheduleStatus::Draft, _) => &["append", "patch", "activate", "cancel"],
        (ScheduleStatus::AwaitingApproval, _) => {
            &["append", "patch", "approve", "reject", "cancel"]
        }
        (ScheduleStatus::Scheduled, _) => &["append", "patch", "pause", "cancel"],
        (ScheduleStatus::Running, _) => &[
            "patch-rate",
            "patch-priority",
            "patch-end",
            "pause",
            "cancel",
        ],
        (ScheduleStatus::Paused, None) => &["patch", "resume", "cancel"],
        (ScheduleStatus::Paused, Some(_)) => &[
            "patch-rate",
            "patch-priority",
            "patch-end",
            "resume",
            "cancel",
        ],
        (ScheduleStatus::Missed, _) => &["send-now", "cancel"],
        (ScheduleStatus::Finished, _) => &["resend"],
        (ScheduleStatus::Cancelled, _) => &[],
    }
}
