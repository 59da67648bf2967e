//! Schedules that need an operator, as entries.

use chrono::TimeDelta;
use serde_json::json;
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::resources::attention::{
    Kind,
    entry::{Action, AttentionEntry},
    store::{AttentionSchedule, load_attention_schedules},
};

/// Returns these schedules as entries.
pub async fn entries(
    connection: &mut MySqlConnection,
    kind: Kind,
    ids: &[Uuid],
) -> sqlx::Result<Vec<AttentionEntry>> {
    let schedules = load_attention_schedules(connection, ids).await?;
    Ok(schedules
        .iter()
        .map(|schedule| entry(kind, schedule))
        .collect())
}

fn entry(kind: Kind, schedule: &AttentionSchedule) -> AttentionEntry {
    let too_late = schedule.run_at + TimeDelta::seconds(schedule.max_lateness_s.into());
    let (since, names): (_, &[&str]) = match kind {
        Kind::MissedSchedules => (
            Some(schedule.held_since.unwrap_or(too_late)),
            &["send-now", "cancel"],
        ),
        Kind::Paused => (schedule.paused_at, &["resume", "cancel"]),
        // Any retry requests a sweep, which cuts the schedule.
        _ => (Some(schedule.run_at), &["retry", "cancel"]),
    };
    let cut = schedule.batch_count.is_some();
    AttentionEntry {
        schedule_id: schedule.id,
        schedule_status: schedule.status,
        batch_no: None,
        since,
        recipients: if cut {
            schedule.pending
        } else {
            schedule.recipient_count.into()
        },
        details: json!({"run_at": schedule.run_at, "cut": cut, "reason": schedule.pause_reason}),
        actions: names
            .iter()
            .map(|name| Action::of_schedule(schedule.id, name))
            .collect(),
    }
}
