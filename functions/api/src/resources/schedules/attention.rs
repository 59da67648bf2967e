//! What of a schedule needs an operator: the kinds of `/v1/attention` that list it.
//!
//! [`kinds_of`] decides by the rows of one schedule as the lists of `/v1/attention` do by indexes
//! of all (`functions/api/tests/handlers/attention.rs` compares the two).

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use shared::schedule::{row::Schedule, status::ScheduleStatus};

use crate::resources::schedules::store::progress::BatchSums;

/// The sweep runs every minute. A row that it should have enqueued this long ago is reported as
/// overdue.
pub const OVERDUE: TimeDelta = TimeDelta::minutes(10);

/// A kind of entry that rows show. Dead letters are a further kind, in the queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "ScheduleAttentionKind")]
pub enum Kind {
    /// Schedules that were found too late, in whole or in part.
    Missed,
    /// Schedules with batches that were claimed three times without a release.
    Parked,
    /// Schedules with UNCERTAIN recipients.
    Uncertain,
    /// Schedules with batches whose due time passed long ago, although the sweep should have
    /// enqueued them.
    Overdue,
    /// Schedules that were not dispatched.
    NotBegun,
    /// Schedules that wait for the approval of a second person.
    AwaitingApproval,
    /// Schedules that the system has paused, or a person, past their time.
    Paused,
    /// Drafts that nobody has activated in time.
    Drafts,
}

impl Kind {
    /// Every kind, in the order of urgency: first those in which recipients lose their message.
    pub const ALL: [Self; 8] = [
        Self::Missed,
        Self::Parked,
        Self::Uncertain,
        Self::Overdue,
        Self::NotBegun,
        Self::AwaitingApproval,
        Self::Paused,
        Self::Drafts,
    ];

    /// Returns the value in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missed => "missed",
            Self::Parked => "parked",
            Self::Uncertain => "uncertain",
            Self::Overdue => "overdue",
            Self::NotBegun => "not-begun",
            Self::AwaitingApproval => "awaiting-approval",
            Self::Paused => "paused",
            Self::Drafts => "drafts",
        }
    }
}

/// Returns the kinds that list the schedule, in the order of urgency.
pub fn kinds_of(row: &Schedule, sums: &BatchSums, now: DateTime<Utc>) -> Vec<Kind> {
    use ScheduleStatus::{AwaitingApproval, Draft, Missed, Paused, Scheduled};
    let is_uncut = row.batch_count.is_none();
    let starts_at = row.opens_at.unwrap_or(row.run_at);
    let applies = |kind: &Kind| match kind {
        Kind::Missed => (row.status == Missed && is_uncut) || sums.missed > 0,
        Kind::Parked => sums.parked > 0,
        Kind::Uncertain => sums.with_uncertain > 0,
        Kind::Overdue => sums.overdue > 0 || (sums.abandoned > 0 && row.status != Paused),
        Kind::NotBegun => row.status == Scheduled && starts_at < now - OVERDUE,
        Kind::AwaitingApproval => row.status == AwaitingApproval,
        Kind::Paused => row.status == Paused && (row.pause_reason.is_some() || starts_at < now),
        Kind::Drafts => row.status == Draft && row.run_at < now,
    };
    Kind::ALL.into_iter().filter(applies).collect()
}
