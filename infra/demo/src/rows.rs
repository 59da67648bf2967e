//! The database's part of the evidence: a schedule's rows, and other schedules' messages to the
//! same numbers. The statements are separate from the functions' code, so that an error in that
//! code can't hide itself from the proof.

use anyhow::Context;
use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use shared::message::status::Status;
use sqlx::{MySqlPool, Row as _, mysql::MySqlRow};
use uuid::Uuid;

use crate::evidence::{Case, Entry, MessageId, OtherSchedules, Row, phone};

/// The columns of a schedule's own row that the proof and the summary use.
#[derive(Clone, Debug)]
pub struct ScheduleRow {
    /// The text.
    pub message: String,
    /// `schedules.status`
    pub status: String,
    /// When the messages were due.
    pub run_at: DateTime<Utc>,
    /// How it was dispatched: eventbridge, queue or sweep.
    pub dispatched_by: Option<String>,
    /// Entries that were left out because the list has their number already.
    pub duplicates: u64,
    pub(crate) parts: u16,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) on_uncertain: String,
}

/// Reads the schedule's own row.
pub async fn schedule(pool: &MySqlPool, id: Uuid) -> anyhow::Result<ScheduleRow> {
    let row = sqlx::query(
        "SELECT message, status, run_at, dispatched_by, duplicate_count, parts, created_at, on_uncertain FROM schedules WHERE id = ?",
    )
    .bind(id)
    .fetch_optional(pool)
    .await?
    .with_context(|| format!("the database has no schedule {id}"))?;
    Ok(ScheduleRow {
        message: row.try_get("message")?,
        status: row.try_get("status")?,
        run_at: row.try_get("run_at")?,
        dispatched_by: row.try_get("dispatched_by")?,
        duplicates: u64::from(row.try_get::<u32, _>("duplicate_count")?),
        parts: row.try_get("parts")?,
        created_at: row.try_get("created_at")?,
        on_uncertain: row.try_get("on_uncertain")?,
    })
}

/// Reads all rows of the schedule.
pub async fn case(pool: &MySqlPool, id: Uuid, schedule: &ScheduleRow) -> anyhow::Result<Case> {
    // A message that the end of its schedule has closed was not sent, unlike one that the carrier
    // reports as EXPIRED.
    let recipients = "SELECT seq, phone, attempt, resends, FALSE AS earlier,
           IF(status = 'EXPIRED' AND error <=> 'send-until', 'CANCELLED', status) AS status, message_id, sent_at, final_at
         FROM recipients WHERE schedule_id = ? ORDER BY seq";
    let attempts = "SELECT a.seq, r.phone, a.attempt, CAST(0 AS UNSIGNED) AS resends, TRUE AS earlier, a.status, a.message_id,
           a.sent_at, a.final_at
         FROM attempts a LEFT JOIN recipients r ON r.schedule_id = a.schedule_id AND r.seq = a.seq WHERE a.schedule_id = ?";
    let mut rows = Vec::new();
    for statement in [recipients, attempts] {
        let mut found = sqlx::query(statement).bind(id).fetch(pool);
        while let Some(row) = found.try_next().await? {
            rows.push(read(&row)?);
        }
    }
    rows.sort_by_key(|row: &Row| (row.seq, !row.earlier, row.attempt));
    Ok(Case {
        rows,
        run_at_ms: schedule.run_at.timestamp_millis(),
        created_ms: schedule.created_at.timestamp_millis(),
        resends_uncertain: schedule.on_uncertain == "resend",
        parts: schedule.parts.into(),
        characters: schedule.message.chars().count() as u32,
    })
}

fn read(row: &MySqlRow) -> anyhow::Result<Row> {
    let seq = row.try_get("seq")?;
    let number: Option<&str> = row.try_get("phone")?;
    let status: &str = row.try_get("status")?;
    let time = |column| {
        row.try_get::<Option<DateTime<Utc>>, _>(column)
            .map(|time| time.map(|time| time.timestamp_millis()))
    };
    Ok(Row {
        seq,
        phone: number.and_then(phone).unwrap_or_default(),
        attempt: row.try_get("attempt")?,
        earlier: row.try_get("earlier")?,
        status: Status::parse(status)
            .with_context(|| format!("recipient {seq} has the status `{status}`"))?,
        resends: row.try_get("resends")?,
        ids: MessageId::list(row.try_get("message_id")?),
        sent_ms: time("sent_at")?,
        final_ms: time("final_at")?,
    })
}

/// The maximum count of numbers in one statement.
const NUMBERS_PER_STATEMENT: usize = 500;

/// Reads other schedules' messages to the numbers of these acceptances. The ledger has been read
/// before, so each acceptance of another schedule is at least marked in that schedule's rows.
pub async fn other_schedules(
    pool: &MySqlPool,
    id: Uuid,
    message: &str,
    entries: &[&Entry],
) -> anyhow::Result<OtherSchedules> {
    let mut phones: Vec<_> = entries.iter().map(|entry| entry.phone).collect();
    phones.sort_unstable();
    phones.dedup();
    let mut others = OtherSchedules::default();
    for phones in phones.chunks(NUMBERS_PER_STATEMENT) {
        let marks = vec!["?"; phones.len()].join(",");
        let statement = format!(
            "SELECT r.phone, r.message_id, r.status, s.parts, s.message = ? AS same FROM recipients r
               JOIN schedules s ON s.id = r.schedule_id WHERE r.phone IN ({marks}) AND r.schedule_id <> ?
             UNION ALL
             SELECT r.phone, a.message_id, a.status, s.parts, s.message = ? AS same FROM recipients r
               JOIN attempts a ON a.schedule_id = r.schedule_id AND a.seq = r.seq
               JOIN schedules s ON s.id = r.schedule_id WHERE r.phone IN ({marks}) AND r.schedule_id <> ?"
        );
        let mut query = sqlx::query(&statement);
        for _ in 0..2 {
            query = query.bind(message);
            query = phones
                .iter()
                .fold(query, |query, phone| query.bind(format!("+{phone}")))
                .bind(id);
        }
        for row in query.fetch_all(pool).await? {
            add(&row, &mut others)?;
        }
    }
    Ok(others)
}

fn add(row: &MySqlRow, others: &mut OtherSchedules) -> sqlx::Result<()> {
    let Some(phone) = phone(row.try_get("phone")?) else {
        return Ok(());
    };
    let ids = MessageId::list(row.try_get("message_id")?);
    let (status, parts): (&str, u16) = (row.try_get("status")?, row.try_get("parts")?);
    if row.try_get("same")? && matches!(status, "SENDING" | "UNCERTAIN") {
        *others.open.entry(phone).or_default() += u32::from(parts).saturating_sub(ids.len() as u32);
    }
    others.ids.extend(ids.into_iter().map(|id| (phone, id)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Text;

    async fn insert_schedule(pool: &MySqlPool, id: Uuid) {
        let insert = "INSERT INTO schedules (id, status, message, parts, run_at, run_at_offset, max_lateness_s, max_resends,
            resend_within_s, on_uncertain, batch_count, dispatched_by, dispatched_at, finished_at, created_at)
          VALUES (?, 'finished', 'Hi', 1, '2026-01-01 00:00:00', '+00:00', 60, 2, 60, 'hold', 1, 'queue', '2026-01-01', '2026-01-02',
            '2025-12-31 23:59:00')";
        sqlx::query(insert).bind(id).execute(pool).await.unwrap();
        let insert =
            "INSERT INTO recipients (schedule_id, seq, phone, input, status, attempt, resends, id_start, sent_at, final_at)
          VALUES (?, 1, '+60111', NULL, 'DELIVRD', 3, 1, 'c,d', '2026-01-01 00:00:04.5', '2026-01-01 00:00:05'),
                 (?, 2, '+60112', NULL, 'UNCERTAIN', 1, 0, NULL, '2026-01-01 00:00:00.01', NULL),
                 (?, 4, NULL, 'nonsense', 'INVALID', 0, 0, NULL, NULL, '2025-12-31 23:59:00')";
        sqlx::query(insert)
            .bind(id)
            .bind(id)
            .bind(id)
            .execute(pool)
            .await
            .unwrap();
        let insert = "INSERT INTO attempts (schedule_id, seq, attempt, status, message_id, sent_at, final_at)
          VALUES (?, 1, 1, 'UNDELIV', 'a', '2026-01-01 00:00:00.01', '2026-01-01 00:00:02')";
        sqlx::query(insert).bind(id).execute(pool).await.unwrap();
    }

    #[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
    async fn rows_are_read_in_order_of_seq_and_attempt(pool: MySqlPool) {
        let id = Uuid::new_v4();
        insert_schedule(&pool, id).await;
        let row = schedule(&pool, id).await.unwrap();
        assert_eq!(
            (row.dispatched_by.as_deref(), row.status.as_str()),
            (Some("queue"), "finished")
        );
        let case = case(&pool, id, &row).await.unwrap();
        let order: Vec<_> = case
            .rows
            .iter()
            .map(|row| (row.seq, row.attempt, row.earlier, row.ids.len()))
            .collect();
        assert_eq!(
            order,
            [
                (1, 1, true, 1),
                (1, 3, false, 2),
                (2, 1, false, 0),
                (4, 0, false, 0)
            ]
        );
        assert_eq!(
            (case.rows[1].resends, case.rows[1].sent_ms),
            (1, Some(case.run_at_ms + 4500))
        );
        assert_eq!(case.phones(), [(60111, 0), (60112, 2)].into());
        assert!(schedule(&pool, Uuid::new_v4()).await.is_err());
    }

    #[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
    async fn other_schedules_messages_to_a_number_are_found(pool: MySqlPool) {
        let (ours, theirs) = (Uuid::new_v4(), Uuid::new_v4());
        insert_schedule(&pool, ours).await;
        insert_schedule(&pool, theirs).await;
        let entry = |phone| Entry {
            phone,
            id: MessageId::new("x"),
            at_ms: None,
            text: Text::Unknown,
        };
        let entries = [entry(60111), entry(60112), entry(60999)];
        let found = other_schedules(&pool, ours, "Hi", &entries.each_ref())
            .await
            .unwrap();
        let expected = ["a", "c", "d"].map(|id| (60111, MessageId::new(id)));
        assert_eq!(found.ids, expected.into());
        assert_eq!(found.open, [(60112, 1)].into());
        let found = other_schedules(&pool, ours, "Other", &entries.each_ref())
            .await
            .unwrap();
        assert!(found.open.is_empty(), "another text explains nothing");
    }
}
