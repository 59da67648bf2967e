//! The state of a run's schedules in the database.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::Row;
use uuid::Uuid;

use super::world::World;

/// The state of a run's schedules, and when the next event is due at a webhook.
#[derive(Debug)]
pub struct State {
    schedules: Vec<ScheduleState>,
    deliveries_due: Option<DateTime<Utc>>,
}

/// The state of one schedule.
#[derive(Debug)]
struct ScheduleState {
    status: String,
    is_cut: bool,
    /// Batches with work left.
    open: i64,
    /// Open batches that are parked.
    parked: i64,
    /// When the sweep would next find work.
    sweep_due: Option<DateTime<Utc>>,
    batches: String,
}

impl State {
    /// Reads the state of these schedules, and of those that send again.
    pub async fn read(world: &World, schedules: &[Uuid]) -> sqlx::Result<Self> {
        let mut states = Vec::new();
        for id in schedules.iter().copied().chain(world.resends.ids()) {
            states.push(ScheduleState::read(world, id).await?);
        }
        let deliveries_due = "SELECT MIN(due_at) FROM webhook_deliveries";
        let deliveries_due = sqlx::query_scalar(deliveries_due).fetch_one(&world.pool);
        Ok(Self {
            schedules: states,
            deliveries_due: deliveries_due.await?,
        })
    }

    /// Returns whether nothing more will happen without an operator.
    pub fn is_at_rest(&self) -> bool {
        self.deliveries_due.is_none() && self.schedules.iter().all(ScheduleState::is_at_rest)
    }

    /// Returns when the sweep would next find work.
    pub fn sweep_due(&self) -> Option<DateTime<Utc>> {
        let open = self.schedules.iter().filter(|state| !state.is_at_rest());
        open.filter_map(|state| state.sweep_due)
            .chain(self.deliveries_due)
            .min()
    }

    /// Describes the state for a problem report.
    pub fn describe(&self) -> String {
        let states: Vec<_> = self.schedules.iter().map(ScheduleState::describe).collect();
        states.join(" | ")
    }
}

impl ScheduleState {
    async fn read(world: &World, id: Uuid) -> sqlx::Result<Self> {
        // A batch that waits for its turn has a `sweep_at` that is never reached: its schedule's
        // turn is due instead.
        let sql = "SELECT s.status, s.batch_count IS NOT NULL AS is_cut, COALESCE(s.opens_at, s.run_at) AS starts_at,
              COUNT(b.batch_no) AS open,
              CAST(COALESCE(SUM(b.crashes >= 3), 0) AS SIGNED) AS parked,
              MIN(NULLIF(b.sweep_at, '9999-01-01')) AS sweep_at,
              (SELECT t.ready_at FROM turns t WHERE t.schedule_id = s.id) AS turn_at,
              GROUP_CONCAT(CONCAT_WS(' ', 'batch', b.batch_no, 'waiting', b.waiting, 'send', b.send_at,
                'check', b.check_at, 'sweep', b.sweep_at, 'lease', b.claimed_until, 'crashes', b.crashes,
                'tries', b.tries, 'requeues', b.requeues) SEPARATOR '; ') AS batches
            FROM schedules s
            LEFT JOIN batches b ON b.schedule_id = s.id AND b.sweep_at IS NOT NULL
            WHERE s.id = ? GROUP BY s.id, s.status, s.batch_count, s.run_at, s.opens_at";
        let row = sqlx::query(sql).bind(id).fetch_one(&world.pool).await?;
        let (status, is_cut): (String, bool) = (row.try_get("status")?, row.try_get("is_cut")?);
        let starts_at: DateTime<Utc> = row.try_get("starts_at")?;
        let sweep_at: Option<DateTime<Utc>> = row.try_get("sweep_at")?;
        let turn_at: Option<DateTime<Utc>> = row.try_get("turn_at")?;
        let sweep_at = sweep_at.into_iter().chain(turn_at).min();
        let sweep_due = match status.as_str() {
            "scheduled" => Some(starts_at - TimeDelta::seconds(70)),
            "running" | "cancelled" => Some(sweep_at.unwrap_or_else(|| world.clock.now())),
            _ => sweep_at,
        };
        let batches: Option<String> = row.try_get("batches")?;
        let batches = format!("{} {}", world.clock.now(), batches.unwrap_or_default());
        Ok(Self {
            status,
            is_cut,
            open: row.try_get("open")?,
            parked: row.try_get("parked")?,
            sweep_due,
            batches,
        })
    }

    fn is_at_rest(&self) -> bool {
        let ended = match self.status.as_str() {
            "finished" | "missed" => true,
            "cancelled" => self.is_cut,
            _ => self.is_cut && self.open > 0,
        };
        ended && self.open == self.parked
    }

    fn describe(&self) -> String {
        format!(
            "{}, cut: {}, {} batches open: {}",
            self.status, self.is_cut, self.open, self.batches
        )
    }
}
