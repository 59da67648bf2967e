//! What each state of a schedule allows, and how it is told that it does not.

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

/// A move that somebody asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// draft → scheduled
    Activate,
    /// scheduled, running → paused
    Pause,
    /// paused → scheduled, running
    Resume,
    /// anything that has not ended → cancelled
    Cancel,
    /// missed → scheduled, running; and what of a running one was missed
    SendNow,
}

impl Move {
    /// In the audit log.
    pub const fn action(self) -> &'static str {
        match self {
            Self::Activate => "schedule.activate",
            Self::Pause => "schedule.pause",
            Self::Resume => "schedule.resume",
            Self::Cancel => "schedule.cancel",
            Self::SendNow => "schedule.send-now",
        }
    }

    /// What webhooks are told of it; the others' beginning is told when they are cut.
    pub const fn event(self) -> Option<EventType> {
        match self {
            Self::Pause => Some(EventType::SchedulePaused),
            Self::Resume => Some(EventType::ScheduleResumed),
            Self::Cancel => Some(EventType::ScheduleCancelled),
            Self::Activate | Self::SendNow => None,
        }
    }
}

/// Whether the state allows the move. That something was missed at all is seen by who releases it.
pub fn allow(schedule: &LockedSchedule, step: Move, now: DateTime<Utc>) -> Result<(), ApiError> {
    use ScheduleStatus::{Draft, Finished, Missed, Paused, Running, Scheduled};
    let status = schedule.status;
    let (allowed, expected) = match step {
        Move::Activate => (status == Draft, "a draft"),
        Move::Pause => (
            matches!(status, Scheduled | Running),
            "a schedule that is scheduled or running",
        ),
        Move::Resume => (status == Paused, "a schedule that is paused"),
        Move::Cancel => (
            matches!(status, Draft | Scheduled | Running | Paused | Missed),
            "a schedule that is draft, scheduled, running, paused or missed",
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
            "expected a run_at to come; it has passed meanwhile".to_owned(),
        ));
    }
    Ok(())
}

/// 409 for what can only be done before a schedule begins: it is too late for `what`.
pub fn begun(schedule: &LockedSchedule, what: &str) -> ApiError {
    let detail = format!(
        "{what}; this one is {}. A schedule begins some time ahead of its run_at",
        schedule.status.as_str()
    );
    conflict(&problems::SCHEDULE_BEGUN, schedule, detail)
}

/// 409 with the state, and the calls that are possible in it.
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
pub const STEPS: [&str; 8] = [
    "append",
    "patch",
    "patch-rate",
    "activate",
    "pause",
    "resume",
    "cancel",
    "send-now",
];

/// The members that each problem of a schedule's state adds to the problem document.
pub const PROBLEM_MEMBERS: ProblemMembers = ProblemMembers {
    problems: &[
        "wrong-state",
        "schedule-begun",
        "nothing-missed",
        "no-recipients",
        "run-at-past",
    ],
    properties: |generator| {
        json!({
            "schedule_status": generator.subschema_for::<ScheduleStatus>(),
            "possible": {"type": "array", "items": {"enum": STEPS}, "description": "The calls that are possible now."},
        })
    },
    required: &["schedule_status", "possible"],
};

/// What a person may do to the life of a schedule. `send-now` while it runs depends on its batches, so it is not named there.
fn possible(schedule: &LockedSchedule) -> &'static [&'static str] {
    match (schedule.status, schedule.batch_count) {
        (ScheduleStatus::Draft, _) => &["append", "patch", "activate", "cancel"],
        (ScheduleStatus::Scheduled, _) => &["append", "patch", "pause", "cancel"],
        (ScheduleStatus::Running, _) => &["patch-rate", "pause", "cancel"],
        (ScheduleStatus::Paused, None) => &["patch", "resume", "cancel"],
        (ScheduleStatus::Paused, Some(_)) => &["patch-rate", "resume", "cancel"],
        (ScheduleStatus::Missed, _) => &["send-now", "cancel"],
        (ScheduleStatus::Finished | ScheduleStatus::Cancelled, _) => &[],
    }
}
