//! The metrics that the sweep reads once per minute: what is due, what is stuck, which canaries have
//! failed, who sends unusually fast, and the database's connections.

use chrono::{DateTime, TimeDelta, Utc};
use shared::platform::{
    db::describe::describe_one,
    metrics::{self, Measure},
};

use super::{
    store::{self, Due},
    velocity::check_velocities,
};
use crate::Dispatcher;

/// A schedule that is due for longer, and not cut, is stuck: several sweeps have tried to cut it.
const UNCUT: TimeDelta = TimeDelta::minutes(5);
/// A batch is stuck that no sweep has moved for this long.
const UNSWEPT: TimeDelta = TimeDelta::minutes(10);
/// How long a canary that has failed is in the figures. The process that has decided may be killed
/// before it emits anything, and so may some of the sweeps.
pub const CANARY_SHOWN: TimeDelta = TimeDelta::minutes(10);

impl Dispatcher {
    /// Records the figures. An error is no reason to repeat the sweep.
    pub(super) async fn record_figures(&self) {
        let now = self.db.now();
        match store::read_due(&self.db, now, now - UNCUT, now - UNSWEPT).await {
            Ok(due) => record_due(&due, now),
            Err(error) => {
                tracing::warn!(
                    error = describe_one(&error),
                    "the figures could not be read"
                );
            }
        }
        self.record_canaries(now).await;
        self.record_velocity(now).await;
        match store::connections_used(&self.db).await {
            Ok(percent) => metrics::record(Measure::DatabaseConnections, percent),
            Err(error) => {
                tracing::warn!(
                    error = describe_one(&error),
                    "the connections could not be counted"
                );
            }
        }
        match self.admission.limit().await {
            Ok(limit) => {
                if let Some(per_second) = limit.per_second() {
                    metrics::record(Measure::CapacityLimit, per_second);
                }
            }
            Err(error) => {
                tracing::warn!(error = describe_one(&error), "the limit could not be read");
            }
        }
    }

    async fn record_canaries(&self, now: DateTime<Utc>) {
        match store::failed_canaries(&self.db, now - CANARY_SHOWN).await {
            Ok(failed) => metrics::record(Measure::CanariesFailed, failed.len() as f64),
            Err(error) => {
                tracing::warn!(
                    error = describe_one(&error),
                    "the canaries could not be read"
                );
            }
        }
    }

    async fn record_velocity(&self, now: DateTime<Utc>) {
        let rule = self.settings.velocity;
        if rule.is_off() {
            return;
        }
        match check_velocities(&self.db, rule, now).await {
            Ok(callers) => {
                metrics::record(Measure::VelocityExceeded, callers as f64);
                if callers > 0 {
                    tracing::warn!(callers, "callers send unusually fast");
                }
            }
            Err(error) => {
                tracing::warn!(
                    error = describe_one(&error),
                    "the velocities could not be read"
                );
            }
        }
    }
}

fn record_due(due: &Due, now: DateTime<Utc>) {
    let age = due
        .oldest_at
        .map_or(0.0, |at| (now - at).as_seconds_f64().max(0.0));
    metrics::record(Measure::OldestDueBatch, age);
    metrics::record(Measure::CapacityWanted, due.parts as f64);
    metrics::record(Measure::SchedulesStuck, due.stuck as f64);
    metrics::record(Measure::UncertainRecipients, due.uncertain as f64);
}
