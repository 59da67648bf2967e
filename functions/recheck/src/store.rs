//! The statements that only recheck executes.

use shared::platform::{db::Db, queue::BatchMessage};
use uuid::Uuid;

use crate::figures::Ended;

/// How many status queries are to be shared out. Estimates: the recipients of a schedule are all
/// counted, although some are final.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct OpenQueries {
    /// Of the schedule.
    pub own: f64,
    /// Of all schedules, of each at most as many as of this one.
    pub shared: f64,
}

/// Reads how many status queries the schedule and the others need. `open_share`: the open share of
/// its recipients.
pub async fn read_open_queries(
    db: &Db,
    schedule_id: Uuid,
    open_share: f64,
) -> sqlx::Result<OpenQueries> {
    let found = sqlx::query!(
        r#"SELECT s.recipient_count * s.parts * ? AS "own!: f64",
             (SELECT SUM(LEAST(o.recipient_count * o.parts, s.recipient_count * s.parts * ?)) FROM schedules o
              WHERE o.status IN ('running', 'paused')) AS "shared: f64"
           FROM schedules s WHERE s.id = ?"#,
        open_share,
        open_share,
        schedule_id
    );
    let found = found.fetch_optional(db).await?;
    Ok(found
        .map(|found| OpenQueries {
            own: found.own,
            shared: found.shared.unwrap_or(0.0).max(found.own),
        })
        .unwrap_or_default())
}

/// Reads how many messages of a batch have ended, and how many of the at most `history` batches
/// before it.
pub async fn read_ended(
    db: &Db,
    batch: BatchMessage,
    history: u32,
) -> sqlx::Result<(Ended, Ended)> {
    let BatchMessage {
        schedule_id,
        batch_no,
    } = batch;
    let row = sqlx::query!(
        r#"SELECT CAST(COALESCE(SUM(IF(batch_no = ?, delivrd, 0)), 0) AS UNSIGNED) AS "delivered!: u64",
             CAST(COALESCE(SUM(IF(batch_no = ?, delivrd + undeliv + expired + deleted + rejectd + unknown, 0)), 0) AS UNSIGNED) AS "ended!: u64",
             CAST(COALESCE(SUM(IF(batch_no < ?, delivrd, 0)), 0) AS UNSIGNED) AS "delivered_before!: u64",
             CAST(COALESCE(SUM(IF(batch_no < ?, delivrd + undeliv + expired + deleted + rejectd + unknown, 0)), 0) AS UNSIGNED) AS "ended_before!: u64"
           FROM batches WHERE schedule_id = ? AND batch_no BETWEEN ? AND ?"#,
        batch_no,
        batch_no,
        batch_no,
        batch_no,
        schedule_id,
        batch_no.saturating_sub(history),
        batch_no
    );
    let row = row.fetch_one(db).await?;
    let own = Ended {
        delivered: row.delivered,
        all: row.ended,
    };
    let before = Ended {
        delivered: row.delivered_before,
        all: row.ended_before,
    };
    Ok((own, before))
}
