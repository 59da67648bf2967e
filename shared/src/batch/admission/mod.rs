//! Admission: which batches are enqueued for send, and when.
//!
//! The carrier's capacity decides how long a list takes. So the queue contains only as many batches
//! as the carrier and the workers need to be busy (*slots*). The others wait in `batches.waiting`,
//! and each schedule with such batches has a row in `turns`. An admission chooses the next ones,
//! after a cut, at the end of a pass, and at each sweep.
//!
//! An admission decides when a batch is enqueued, and nothing else: a claim does not read `waiting`.
//! If it runs twice, also at the same time, the lock of the carrier's row makes one wait, and each
//! batch is admitted once.

mod decide;
mod slots;
mod store;
mod turn;
pub mod turns;

use std::sync::Mutex;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::MySqlConnection;

pub use self::{
    decide::{Admitted, Decision},
    slots::{Load, SECONDS_OF_LIMIT, Slots},
    turn::{Class, DUE_SOON, RATE_AHEAD},
};
use self::{
    decide::{Ahead, Situation, decide},
    slots::SlotInput,
    store::CarrierColumns,
    turn::Turn,
};
use crate::{
    carrier::capacity::{Capacity, Limit, LimitDefaults, LimitKind},
    platform::{
        backoff::{Backoff, before_due},
        config::Env,
        db::{Db, retry_lock_conflicts, transaction::transaction},
        fault::{self, Point},
        queue::{BatchMessage, Outgoing, SharedQueue, within_reach},
        run_time,
    },
    schedule::priority::Priority,
};

/// Batches enqueued between two marks: eight `SendMessageBatch` calls of ten.
const WAVE: usize = 80;
/// Most turns of one admission that begin later: for each, the load at its time is counted.
const MOST_AHEAD: usize = 8;
/// Batches of a schedule with a rate that are read at least: those of [`RATE_AHEAD`].
const RATE_BATCHES: u32 = 8;
/// What is known about the limit is read again after this time.
const LIMIT_KNOWN_FOR: TimeDelta = TimeDelta::seconds(2);

/// `sweep_at` of a batch that waits and has nothing to check: the sweep does not look at it.
pub fn never() -> DateTime<Utc> {
    DateTime::from_timestamp(253_370_764_800, 0).unwrap_or(DateTime::<Utc>::MAX_UTC) // 9999-01-01
}

/// Returns `sweep_at` of a batch that is to be enqueued at `now`: before its due time, by which the
/// sweep recognises that it was not enqueued. If it is due soon, the sweep may enqueue it at once.
pub(crate) fn before_enqueued(due: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
    if within_reach(due, now) {
        now.min(due) - TimeDelta::milliseconds(1)
    } else {
        before_due(due)
    }
}

/// The limits of a deployment.
#[derive(Clone, Debug)]
pub struct AdmissionSettings {
    /// Batches that are sent simultaneously: `SEND_CONCURRENCY`.
    pub concurrency: u32,
    /// Most recipients of a batch: `BATCH_SIZE`.
    pub batch_size: u32,
    /// The deployment's limits of the carrier.
    pub limit: LimitDefaults,
    /// The delays of the sweep.
    pub backoff: Backoff,
}

impl AdmissionSettings {
    /// Reads `SEND_CONCURRENCY`, `BATCH_SIZE`, the carrier's limits and the variables of
    /// [`Backoff`].
    pub fn from_env(env: &mut Env) -> Self {
        Self {
            concurrency: env.number("SEND_CONCURRENCY", 1..=1000, Some(20)),
            batch_size: env.number("BATCH_SIZE", 1..=10_000, Some(2_000)),
            limit: LimitDefaults::from_env(env, LimitKind::Submit),
            backoff: Backoff::from_env(env),
        }
    }
}

/// Admits batches.
pub struct Admission {
    db: Db,
    queue: SharedQueue,
    capacity: Capacity,
    settings: AdmissionSettings,
    /// What was read about the limit, and when.
    known: Mutex<Option<(DateTime<Utc>, Limit)>>,
}

impl Admission {
    /// Returns the admission to this send queue.
    pub fn new(db: Db, queue: SharedQueue, settings: AdmissionSettings) -> Self {
        Self {
            capacity: Capacity::new(db.clone(), LimitKind::Submit, settings.limit),
            db,
            queue,
            settings,
            known: Mutex::default(),
        }
    }

    /// Returns the limits of the deployment.
    pub const fn settings(&self) -> &AdmissionSettings {
        &self.settings
    }

    /// Returns how many batches are sent simultaneously, which an operator can reduce.
    pub fn concurrency(&self) -> u32 {
        run_time::values().send_concurrency(self.settings.concurrency)
    }

    /// Returns what is known about the carrier's limit, at most two seconds old.
    pub async fn limit(&self) -> sqlx::Result<Limit> {
        let now = self.db.now();
        let known = self.known.lock().ok().and_then(|known| *known);
        if let Some((read_at, limit)) = known
            && (TimeDelta::zero()..LIMIT_KNOWN_FOR).contains(&(now - read_at))
        {
            return Ok(limit);
        }
        let limit = self.capacity.read().await?;
        if let Ok(mut known) = self.known.lock() {
            *known = Some((now, limit));
        }
        Ok(limit)
    }

    /// Admits what there is room for, if that is worth a transaction. Called at the end of a pass.
    /// `is_open`: the carrier accepted messages and refused none for lack of capacity, so that more
    /// may be admitted at the same time while no limit is known.
    ///
    /// Returns whether nothing is admitted now, so that no other pass follows.
    pub async fn admit_after_pass(&self, is_open: bool) -> sqlx::Result<bool> {
        let now = self.db.now();
        let line = store::read_line(&self.db, now, now + DUE_SOON).await?;
        let is_idle = line.load == Load::default();
        if !line.is_ready {
            return Ok(is_idle);
        }
        let slots = self.slots(line.open_slots).await?;
        let is_worth_while = slots.is_worth_while(&line.load)
            || (line.closing_ready && slots.is_worth_while_to_close(&line.load))
            || (line.high_ready && slots.has_room_for_high(&line.load));
        if !is_worth_while {
            return Ok(is_idle);
        }
        Ok(self.run(is_open).await? == 0 && is_idle)
    }

    /// Admits one batch more than before, while no limit is known: the carrier accepts messages.
    pub async fn open_slot(&self) -> sqlx::Result<()> {
        self.run(true).await.map(drop)
    }

    /// Admits what there is room for: all of it, also if it takes several rounds. Called after a cut
    /// and by the sweep. Returns how many batches were admitted.
    pub async fn admit(&self) -> sqlx::Result<usize> {
        self.run(false).await
    }

    async fn run(&self, is_open: bool) -> sqlx::Result<usize> {
        let limit = self.limit().await?;
        let admitted = transaction(&self.db, |transaction| {
            Box::pin(self.write(transaction, limit, is_open))
        })
        .await?
        .unwrap_or_default();
        self.enqueue(&admitted).await?;
        Ok(admitted.len())
    }

    async fn slots(&self, open_slots: u32) -> sqlx::Result<Slots> {
        let limit = self.limit().await?;
        Ok(self.slots_for(limit, open_slots))
    }

    fn slots_for(&self, limit: Limit, open_slots: u32) -> Slots {
        let concurrency = self.concurrency();
        Slots::new(&SlotInput {
            limit,
            open_slots,
            concurrency,
            is_reduced: concurrency < self.settings.concurrency,
            batch_size: self.settings.batch_size,
        })
    }

    /// Decides and writes, in a transaction. Returns `None` if no turn is ready.
    async fn write(
        &self,
        connection: &mut MySqlConnection,
        limit: Limit,
        is_open: bool,
    ) -> sqlx::Result<Option<Vec<Admitted>>> {
        let mut columns = store::lock_carrier(connection).await?;
        let now = self.db.now();
        let mut turns = store::read_turns(connection, now).await?;
        if columns.is_stopped {
            turns.retain(|turn| turn.class == Class::Closing);
        }
        if turns.is_empty() {
            return Ok(None);
        }
        let mut load = store::read_load(connection, now, now).await?;
        if columns.is_stopped {
            load = load.without_sending();
        }
        if is_open && limit.per_second().is_none() {
            // As many passes have ended as slots are free.
            let most = self.concurrency() + self.concurrency() / 2;
            let slots = self.slots_for(limit, columns.open_slots);
            let open = columns.open_slots + slots.open_and_free(&load).max(1);
            columns.open_slots = open.min(most.max(columns.open_slots));
        }
        let situation = Situation {
            now,
            slots: self.slots_for(limit, columns.open_slots),
            load,
            shares: columns.shares,
        };
        let (turns, ahead) = read_batches(connection, &situation, turns).await?;
        let decision = decide(&situation, turns, ahead);
        columns.shares = decision.shares;
        write_decision(connection, &decision, &columns, now).await?;
        Ok(Some(decision.admitted))
    }

    /// Enqueues admitted batches, and marks them wave by wave. Batches that the queue refuses stay
    /// due for the sweep.
    async fn enqueue(&self, admitted: &[Admitted]) -> sqlx::Result<()> {
        let now = self.db.now();
        let near: Vec<_> = admitted
            .iter()
            .filter(|batch| within_reach(batch.send_at, now))
            .copied()
            .collect();
        for wave in near.chunks(WAVE) {
            let taken = self.enqueue_wave(wave).await;
            fault::reach_together(Point::Enqueued, wave.iter().map(BatchMessage::from)).await;
            let backoff = &self.settings.backoff;
            retry_lock_conflicts(|| store::mark_enqueued(&self.db, &taken, backoff)).await?;
        }
        Ok(())
    }

    /// Sends one wave, and returns the batches that the queue has taken.
    async fn enqueue_wave(&self, wave: &[Admitted]) -> Vec<Admitted> {
        let now = self.db.now();
        let message = |batch: &Admitted| Outgoing::batch(batch.into(), batch.send_at, now);
        let messages: Vec<_> = wave.iter().map(message).collect();
        let failed = self.queue.send(&messages).await;
        wave.iter()
            .enumerate()
            .filter(|(at, _)| !failed.contains(at))
            .map(|(_, batch)| *batch)
            .collect()
    }
}

impl From<&Admitted> for BatchMessage {
    fn from(batch: &Admitted) -> Self {
        Self {
            schedule_id: batch.schedule_id,
            batch_no: batch.batch_no,
        }
    }
}

/// Reads the batches of those turns from which an admission can choose, and the load at the time of
/// those that begin later.
async fn read_batches(
    connection: &mut MySqlConnection,
    situation: &Situation,
    mut turns: Vec<Turn>,
) -> sqlx::Result<(Vec<Turn>, Vec<Ahead>)> {
    let Situation {
        now, slots, load, ..
    } = *situation;
    turns.sort_by_key(|turn| turn.virtual_parts);
    let mut left = Left {
        closing: slots.free_to_close(&load),
        by_priority: [
            slots.free_for_high(&load),
            slots.free(&load),
            slots.free(&load),
        ],
        first: slots.free_for_first(&load),
    };
    let (mut due, mut ahead) = (Vec::new(), Vec::new());
    for mut turn in turns {
        let is_ahead = turn.is_ahead(now);
        let most = if is_ahead {
            slots.free(&Load::default())
        } else {
            left.take(&turn)
        };
        if most == 0 || (is_ahead && ahead.len() >= MOST_AHEAD) {
            continue;
        }
        let most = if turn.rate.is_some() {
            most.max(RATE_BATCHES)
        } else {
            most
        };
        let mut batches = store::read_waiting(connection, turn.schedule_id, most + 1).await?;
        turn.has_more = batches.len() > most as usize;
        batches.truncate(most as usize);
        turn.batches = batches;
        if is_ahead {
            let load = store::read_load(connection, now, turn.send_time(now)).await?;
            ahead.push(Ahead { turn, load });
        } else {
            due.push(turn);
        }
    }
    Ok((due, ahead))
}

/// How many turns of each kind are still read. The batches of a turn are as many.
struct Left {
    closing: u32,
    by_priority: [u32; 3],
    first: u32,
}

impl Left {
    /// Returns how many batches of a turn are read; 0: none of it can be admitted.
    fn take(&mut self, turn: &Turn) -> u32 {
        let left = match turn.class {
            Class::Closing => &mut self.closing,
            Class::Sending(Priority::Normal)
                if turn.is_new() && self.by_priority[Priority::Normal as usize] == 0 =>
            {
                self.first = self.first.saturating_sub(1);
                return u32::from(self.first > 0);
            }
            Class::Sending(priority) => &mut self.by_priority[priority as usize],
        };
        let most = *left;
        *left = left.saturating_sub(1);
        most
    }
}

async fn write_decision(
    connection: &mut MySqlConnection,
    decision: &Decision,
    columns: &CarrierColumns,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    if !decision.admitted.is_empty() {
        store::admit_batches(connection, &decision.admitted, now).await?;
    }
    if !decision.turns.is_empty() {
        store::write_turns(connection, &decision.turns).await?;
    }
    for schedule_id in &decision.ended {
        turns::end_turn(connection, *schedule_id).await?;
        turns::hold_turn(connection, *schedule_id).await?;
    }
    store::write_carrier(connection, columns).await
}
