//! Batches that need an operator, as entries.

use chrono::{DateTime, Utc};
use serde_json::json;
use shared::{message::status::Status, schedule::status::ScheduleStatus};
use sqlx::MySqlConnection;

use crate::resources::{
    attention::{
        Kind,
        entry::{Action, AttentionEntry},
        store::ListPosition,
    },
    schedules::store::batches::{ShownBatch, count_uncertain, load_batches},
};

/// Returns the batches at these positions of a list.
pub async fn entries(
    connection: &mut MySqlConnection,
    kind: Kind,
    positions: &[ListPosition],
) -> sqlx::Result<Vec<AttentionEntry>> {
    let ids: Vec<_> = positions
        .iter()
        .map(|position| (position.schedule_id, position.batch_no))
        .collect();
    let mut entries = Vec::with_capacity(ids.len());
    for batch in load_batches(connection, &ids).await? {
        let (recipients, since) = match kind {
            Kind::Uncertain => {
                let seqs = batch.first_seq..=batch.last_seq;
                let uncertain = count_uncertain(connection, batch.schedule_id, seqs).await?;
                (uncertain.count, uncertain.since)
            }
            Kind::MissedBatches => (batch.counts()[&Status::Pending], batch.missed_at),
            Kind::ParkedBatches => (batch.open(), batch.claimed_until.or(batch.sweep_at)),
            _ => (batch.open(), overdue_since(&batch)),
        };
        entries.push(entry(kind, &batch, recipients, since));
    }
    Ok(entries)
}

/// Returns since when a batch is overdue: the earlier of its `sweep_at` and the end of its last
/// lease.
fn overdue_since(batch: &ShownBatch) -> Option<DateTime<Utc>> {
    [batch.sweep_at, batch.claimed_until]
        .into_iter()
        .flatten()
        .min()
}

fn entry(
    kind: Kind,
    batch: &ShownBatch,
    recipients: u64,
    since: Option<DateTime<Utc>>,
) -> AttentionEntry {
    let actions = actions(kind, batch);
    let details = json!({
        "first_seq": batch.first_seq, "last_seq": batch.last_seq, "planned_at": batch.planned_at, "send_at": batch.send_at,
        "check_at": batch.check_at, "sweep_at": batch.sweep_at, "missed_at": batch.missed_at, "claimed_until": batch.claimed_until,
        "crashes": batch.crashes, "tries": batch.tries, "requeues": batch.requeues,
    });
    AttentionEntry {
        schedule_id: batch.schedule_id,
        schedule_status: batch.schedule_status,
        batch_no: Some(batch.batch_no),
        since,
        recipients,
        details,
        actions,
    }
}

fn actions(kind: Kind, batch: &ShownBatch) -> Vec<Action> {
    let id = batch.schedule_id;
    let of_schedule = |name| Action::of_schedule(id, name);
    match (kind, batch.schedule_status) {
        // A held batch waits with the rest of a paused schedule; it can be sent when the pause is
        // over.
        (Kind::MissedBatches, ScheduleStatus::Paused) => {
            vec![of_schedule("resume"), of_schedule("cancel")]
        }
        (Kind::MissedBatches, _) => vec![of_schedule("send-now"), of_schedule("cancel")],
        (Kind::Uncertain, status) => {
            let list = Action::get(
                "list",
                format!("/v1/schedules/{id}/recipients?status=UNCERTAIN"),
            );
            let mut actions = vec![list, Action::resolve(id, "sent")];
            if status != ScheduleStatus::Cancelled {
                actions.push(Action::resolve(id, "resend"));
            }
            actions
        }
        // For an overdue batch the retry requests a sweep.
        _ => vec![Action::post(
            "retry",
            format!("/v1/schedules/{id}/batches/{}/retry", batch.batch_no),
        )],
    }
}
