//! How long the messages of a finished schedule took. The sweep computes it
//! (`functions/dispatch/src/summary`).

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use shared::schedule::{row::Schedule, status::ScheduleStatus};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::resources::schedules::store::summaries::{SummaryRow, summaries_of};

/// How long the messages of a finished schedule took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct ScheduleSummary {
    /// When it was computed.
    pub computed_at: DateTime<Utc>,
    /// From the planned time of a message to the begin of its first request to the carrier.
    pub due_to_sent_ms: DurationSummary,
    /// From the begin of the last request to the carrier to the final state that it has reported.
    pub sent_to_final_ms: DurationSummary,
}

/// Percentiles of durations in milliseconds. Null if there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct DurationSummary {
    /// The median, within 5 % and rounded.
    pub p50: Option<u64>,
    /// What 99 % do not exceed, within 5 % and rounded.
    pub p99: Option<u64>,
    /// The longest, exactly.
    pub max: Option<u64>,
    /// How many messages were measured.
    pub count: u32,
}

impl From<SummaryRow> for ScheduleSummary {
    fn from(row: SummaryRow) -> Self {
        Self {
            computed_at: row.done_at,
            due_to_sent_ms: DurationSummary {
                p50: row.due_to_sent_p50_ms,
                p99: row.due_to_sent_p99_ms,
                max: row.due_to_sent_max_ms,
                count: row.due_to_sent_count,
            },
            sent_to_final_ms: DurationSummary {
                p50: row.sent_to_final_p50_ms,
                p99: row.sent_to_final_p99_ms,
                max: row.sent_to_final_max_ms,
                count: row.sent_to_final_count,
            },
        }
    }
}

/// Returns the summaries of those of these schedules that are finished, as far as they are computed.
/// Executes one statement, or none if no schedule is finished.
///
/// A summary of an earlier finish is not returned: of a schedule that runs again, or that the release
/// before, which does not know summaries, has finished again during a deployment.
pub async fn summaries(
    connection: &mut MySqlConnection,
    rows: impl Iterator<Item = &Schedule>,
) -> sqlx::Result<HashMap<Uuid, ScheduleSummary>> {
    let finished = rows.filter(|row| row.status == ScheduleStatus::Finished);
    let finished: HashMap<_, _> = finished.map(|row| (row.id, row.finished_at)).collect();
    if finished.is_empty() {
        return Ok(HashMap::new());
    }
    let ids: Vec<_> = finished.keys().copied().collect();
    let found = summaries_of(connection, &ids).await?;
    Ok(found
        .into_iter()
        .filter(|row| finished.get(&row.schedule_id) == Some(&Some(row.requested_at)))
        .map(|row| (row.schedule_id, row.into()))
        .collect())
}
