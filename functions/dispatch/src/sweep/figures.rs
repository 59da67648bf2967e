//! The metrics that the sweep reads once per minute: what is due, what is stuck, and the database's
//! connections.

use chrono::TimeDelta;
use shared::platform::{
    db::describe::describe_one,
    metrics::{self, Measure},
};

use super::store::{self, Due};
use crate::Dispatcher;

/// A schedule that is due for longer, and not cut, is stuck: several sweeps have tried to cut it.
const UNCUT: TimeDelta = TimeDelta::minutes(5);
/// A batch is stuck that no sweep has moved for this long.
const UNSWEPT: TimeDelta = TimeDelta::minutes(10);

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
}

fn record_due(due: &Due, now: chrono::DateTime<chrono::Utc>) {
    let age = due
        .oldest_at
        .map_or(0.0, |at| (now - at).as_seconds_f64().max(0.0));
    metrics::record(Measure::OldestDueBatch, age);
    metrics::record(Measure::CapacityWanted, due.parts as f64);
    metrics::record(Measure::SchedulesStuck, due.stuck as f64);
    metrics::record(Measure::UncertainRecipients, due.uncertain as f64);
}
