//! Retention of personal data: erases numbers, texts, variables and references of schedules that are
//! over since some days ([`shared::schedule::erasure`]).
//!
//! It runs at the end of a sweep, for a few seconds, in transactions of [`STEP`] recipients, and rests
//! between them. Each writes in `schedules.erased_to_seq` how far it has come. So a sweep that is killed loses one step,
//! and two at the same time erase nothing twice. The text is erased last: if a late receipt makes a
//! schedule run again meanwhile, what it still has to do finds its text, and the erasure waits until
//! the schedule is over again.

use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use shared::{
    events::{keys::SharedKeys, secret::WebhookKeys},
    platform::{
        config::{Env, KeySource},
        db::{Db, transaction::transaction},
        fault::{self, Point},
        queue::BatchMessage,
    },
    schedule::erasure::{
        ErasedRecipient, ErasedValues, erase_recipients, erase_texts, lock_erasable,
    },
};
use sqlx::MySqlConnection;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::Dispatcher;

/// Recipients per transaction.
pub const STEP: u32 = 1000;
/// How long a sweep erases. Nothing waits for it, but the sweep has other things to look at.
const ERASE_FOR: Duration = Duration::from_secs(10);
/// Times the length of a step for which the erasure rests after it, so that what is sent at the same
/// time keeps most of the database.
const REST: u32 = 3;
/// Schedules that are looked up at a time.
const SCHEDULES: u32 = 20;
/// The longest retention: ten years.
const MOST_DAYS: u32 = 3650;

/// How long personal data is kept.
#[derive(Clone)]
pub struct PersonalData {
    /// The days after the end of a schedule; 0: for ever.
    pub retain_days: u32,
    /// [`STEP`], except in tests of short lists.
    pub step: u32,
    /// The keys of the hashes.
    pub keys: SharedKeys,
}

/// The configuration of [`PersonalData`].
pub struct PersonalDataConfig {
    retain_days: u32,
    keys: KeySource,
}

impl PersonalDataConfig {
    /// Reads `RETAIN_PERSONAL_DATA_DAYS`, and the keys.
    pub fn read(env: &mut Env) -> Self {
        Self {
            retain_days: env.number("RETAIN_PERSONAL_DATA_DAYS", 0..=MOST_DAYS, Some(0)),
            keys: shared::events::keys::key_source(env),
        }
    }

    /// Reads the keys.
    pub async fn open(self) -> anyhow::Result<PersonalData> {
        Ok(PersonalData {
            retain_days: self.retain_days,
            step: STEP,
            keys: SharedKeys::open(self.keys).await?,
        })
    }
}

/// What a sweep has erased.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Schedules of which nothing is left to erase.
    pub schedules: u64,
    /// What was erased of their recipients.
    pub values: ErasedValues,
}

/// What a step works with.
#[derive(Clone, Copy)]
struct NextStep<'a> {
    keys: &'a WebhookKeys,
    /// Most recipients of it.
    limit: u32,
    now: DateTime<Utc>,
}

/// The effect of a step.
enum Step {
    /// Recipients were erased, and there may be more.
    Erased(ErasedValues),
    /// The last of them were erased before, and now the text.
    Complete,
}

impl Dispatcher {
    /// Erases what has been kept for long enough, until nothing is left or the time is up.
    pub async fn erase_personal_data(&self, has_time: impl Fn() -> bool) -> anyhow::Result<Erased> {
        let mut erased = Erased::default();
        let days = self.personal_data.retain_days;
        if days == 0 {
            return Ok(erased);
        }
        let started = Instant::now();
        let has_time = || started.elapsed() < ERASE_FOR && has_time();
        let before = self.db.now() - TimeDelta::days(days.into());
        let schedules = schedules_to_erase(&self.db, before, SCHEDULES)
            .await
            .context("looking for personal data to erase")?;
        for id in schedules {
            while has_time() {
                let step = Instant::now();
                match self.erase_step(id).await.context("erasing personal data")? {
                    Some(Step::Erased(values)) => {
                        erased.values.add(values);
                        fault::reach(Point::Erased, of_schedule(id)).await;
                    }
                    Some(Step::Complete) => {
                        erased.schedules += 1;
                        break;
                    }
                    None => break,
                }
                if has_time() {
                    sleep(REST * step.elapsed()).await;
                }
            }
        }
        if erased != Erased::default() {
            tracing::info!(?erased, "personal data erased");
        }
        Ok(erased)
    }

    async fn erase_step(&self, id: Uuid) -> sqlx::Result<Option<Step>> {
        let keys = self.personal_data.keys.current();
        let (keys, now, limit) = (&*keys, self.db.now(), self.personal_data.step);
        transaction(&self.db, |connection| {
            Box::pin(async move { step(connection, id, NextStep { keys, limit, now }).await })
        })
        .await
    }
}

const fn of_schedule(schedule_id: Uuid) -> BatchMessage {
    BatchMessage {
        schedule_id,
        batch_no: 0,
    }
}

/// Erases the next recipients of a schedule, or its text. Returns `None` if the schedule is not over
/// any more, or another sweep has completed it.
async fn step(
    connection: &mut MySqlConnection,
    id: Uuid,
    next: NextStep<'_>,
) -> sqlx::Result<Option<Step>> {
    let schedule = lock_erasable(connection, id).await?;
    let Some(schedule) = schedule
        .filter(|schedule| schedule.is_over() && schedule.personal_data_erased_at.is_none())
    else {
        return Ok(None);
    };
    let after = schedule.erased_to_seq.unwrap_or_default();
    let recipients = recipients_after(connection, id, after, next).await?;
    let Some((last, _)) = recipients.last() else {
        erase_texts(connection, id, next.now).await?;
        return Ok(Some(Step::Complete));
    };
    let values = erase_recipients(connection, id, &recipients).await?;
    write_progress(connection, id, *last).await?;
    Ok(Some(Step::Erased(values)))
}

/// Returns schedules that were over before this time, those planned first first. One that was
/// cancelled has no time of its end: it is over when it was planned for.
async fn schedules_to_erase(db: &Db, before: DateTime<Utc>, limit: u32) -> sqlx::Result<Vec<Uuid>> {
    let found = sqlx::query_scalar!(
        r#"SELECT s.id AS "id: Uuid" FROM schedules s FORCE INDEX (to_erase)
           WHERE s.personal_data_erased_at IS NULL AND s.run_at < ?
             AND (s.status = 'cancelled' OR (s.status = 'finished' AND s.finished_at < ?)) AND s.created_at < ?
             AND NOT EXISTS (SELECT 1 FROM batches b WHERE b.schedule_id = s.id AND b.sweep_at IS NOT NULL)
             AND NOT EXISTS (SELECT 1 FROM batches u FORCE INDEX (with_uncertain) WHERE u.schedule_id = s.id AND u.uncertain > 0)
           ORDER BY s.run_at LIMIT ?"#,
        before,
        before,
        before,
        limit
    );
    found.fetch_all(db).await
}

/// Returns the next recipients of a list, with the hashes of their numbers.
async fn recipients_after(
    connection: &mut MySqlConnection,
    id: Uuid,
    after: u32,
    next: NextStep<'_>,
) -> sqlx::Result<Vec<ErasedRecipient>> {
    let rows = sqlx::query!(
        "SELECT seq, phone FROM recipients WHERE schedule_id = ? AND seq > ? ORDER BY seq LIMIT ?",
        id,
        after,
        next.limit
    );
    let hash = |phone: String| {
        // One that was erased alone keeps its hash.
        let is_number = phone.starts_with('+');
        if is_number {
            next.keys.person_hash(&phone)
        } else {
            phone
        }
    };
    let rows = rows.fetch_all(connection).await?.into_iter();
    Ok(rows.map(|row| (row.seq, row.phone.map(hash))).collect())
}

async fn write_progress(connection: &mut MySqlConnection, id: Uuid, seq: u32) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE schedules SET erased_to_seq = ? WHERE id = ?",
        seq,
        id
    );
    done.execute(connection).await.map(drop)
}
