//! When the next request of a pass may start: by the schedule's rate, and by the carrier's limit,
//! which all environments share.
//!
//! Both are kept in the database. While no limit is known, and for a schedule without a rate,
//! nothing is asked.

use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use shared::{
    batch::claim::{Claim, ClaimedBatch},
    carrier::capacity::{Ask, Capacity, Grant, HORIZON, Limit, LimitDefaults, LimitKind},
    platform::db::{Db, retry_lock_conflicts},
    schedule::priority::Priority,
};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    Sender,
    store::{self, SlotTimes},
};

/// A longer wait goes through the queue, where it costs nothing.
pub const WAIT_IN_PLACE: Duration = Duration::from_secs(5);
/// Consecutive answers 429 after which a pass stops: the carrier takes nothing at any rate.
const MOST_BUSY: u32 = 8;
/// A limit that was read this long ago is read again, because a learned limit grows.
const LIMIT_AGE: Duration = Duration::from_secs(1);
/// A slot of the rate is kept this long if the carrier's limit grants no slot. Used later, it would
/// coincide with slots of other batches.
const RATE_SLOT_AGE: TimeDelta = TimeDelta::seconds(1);

/// The next request of a pass.
#[derive(Clone, Copy, Debug)]
pub struct NextRequest {
    /// The messages that it may carry.
    pub messages: u32,
    /// The messages of a full request.
    pub full: u32,
    /// The parts of each message.
    pub parts: u32,
    /// The pass has more requests.
    pub has_more: bool,
}

/// How a request may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// When; `None`: at once.
    pub at: Option<DateTime<Utc>>,
    /// The messages that it may carry.
    pub messages: u32,
}

/// When a request may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// The request may start.
    At(Start),
    /// Not yet: ask again at this time.
    AskAgainAt(DateTime<Utc>),
}

/// A slot of the rate that no request has used yet.
#[derive(Clone, Copy)]
struct RateSlot {
    start: DateTime<Utc>,
    messages: u32,
}

/// The rate and the limit of a pass.
pub struct Turn<'a> {
    db: &'a Db,
    schedule_id: Uuid,
    capacity: Capacity,
    is_high: bool,
    /// The next request is the first one of a normal schedule.
    is_first: bool,
    rate: Option<u32>,
    rate_slot: Option<RateSlot>,
    /// `None`: no limit is known, and nothing is asked.
    limit: Option<Limit>,
    limit_read_at: Instant,
    response: Option<Duration>,
    waiting_since: Option<Instant>,
    /// Nothing is asked before: the times at which workers ask again are spread, so that all of them
    /// get slots.
    ask_again_at: Option<DateTime<Utc>>,
    busy_in_a_row: u32,
}

impl<'a> Turn<'a> {
    /// Returns the rate and the limit of a batch.
    pub async fn new(
        sender: &'a Sender,
        claim: &Claim,
        batch: &ClaimedBatch,
    ) -> anyhow::Result<Self> {
        let (db, deployed) = (&sender.worker.db, sender.settings.limit);
        let mut turn = Self {
            db,
            schedule_id: claim.batch.schedule_id,
            capacity: Capacity::new(db.clone(), LimitKind::Submit, deployed),
            is_high: batch.priority == Priority::High,
            is_first: batch.priority == Priority::Normal && claim.batch.batch_no == 1,
            rate: batch.rate,
            rate_slot: None,
            limit: None,
            limit_read_at: Instant::now(),
            response: None,
            waiting_since: None,
            ask_again_at: None,
            busy_in_a_row: 0,
        };
        if batch.limit_known || turn.capacity.defaults() != LimitDefaults::default() {
            turn.read_limit().await?;
        }
        Ok(turn)
    }

    /// Returns whether requests wait for slots, so that the next slot is asked for as early as
    /// possible.
    pub const fn is_paced(&self) -> bool {
        self.limit.is_some() || self.rate.is_some()
    }

    /// Returns the most messages of `parts` parts that a request carries, of at most `max`.
    pub fn request_size(&self, max: usize, parts: u16) -> usize {
        let parts = u32::from(parts.max(1));
        let by_limit = self.limit.map_or(max, |limit| {
            (limit.request_units(max as u32 * parts, parts) / parts) as usize
        });
        // A second's messages of the rate: then never more than two seconds' in any second.
        self.rate
            .map_or(by_limit, |rate| by_limit.min(rate.max(1) as usize))
    }

    /// Asks when a request may start.
    pub async fn ask(&mut self, request: &NextRequest) -> anyhow::Result<Slot> {
        let now = self.db.now();
        if let Some(at) = self.ask_again_at.filter(|at| *at > now) {
            return Ok(Slot::AskAgainAt(at));
        }
        let slot = self.ask_both(request).await?;
        match slot {
            Slot::At(_) => {
                self.is_first = false;
                (self.rate_slot, self.waiting_since, self.ask_again_at) = (None, None, None);
            }
            Slot::AskAgainAt(at) => {
                self.waiting_since.get_or_insert_with(Instant::now);
                self.ask_again_at = Some(at);
            }
        }
        Ok(slot)
    }

    async fn ask_both(&mut self, request: &NextRequest) -> anyhow::Result<Slot> {
        let by_rate = match self.ask_rate(request.messages).await? {
            Slot::At(start) => start,
            later @ Slot::AskAgainAt(_) => return Ok(later),
        };
        if self.limit.is_none() {
            return Ok(Slot::At(by_rate));
        }
        let units = request.messages * request.parts;
        let ask = Ask {
            units,
            // A slot of the rate is for all of the messages.
            least_units: self.rate.map_or(request.parts, |_| units),
            slot_units: request.full * request.parts,
            requests: 1,
            // A schedule that begins does not wait for the requests of those that continue.
            is_high: self.is_high || self.is_first,
            has_more: request.has_more && self.rate.is_none() && !self.is_first,
            response: self.response.take(),
        };
        let granted = self.capacity.ask(&ask).await;
        Ok(
            match granted.context("asking for the carrier's capacity")? {
                Grant::At(granted) => Slot::At(Start {
                    at: by_rate.at.max(Some(granted.start)),
                    messages: granted.units / request.parts.max(1),
                }),
                Grant::AskAgainAt(at) => Slot::AskAgainAt(at),
            },
        )
    }

    /// Takes the next slot of the rate, and keeps it until the limit grants one too.
    async fn ask_rate(&mut self, messages: u32) -> anyhow::Result<Slot> {
        let at_once = Slot::At(Start { at: None, messages });
        let starts = |at| {
            Slot::At(Start {
                at: Some(at),
                messages,
            })
        };
        if self.rate.is_none() {
            return Ok(at_once);
        }
        let now = self.db.now();
        let kept = self
            .rate_slot
            .filter(|slot| slot.messages >= messages && slot.start + RATE_SLOT_AGE > now);
        if let Some(slot) = kept {
            return Ok(starts(slot.start));
        }
        let times = SlotTimes {
            now,
            until: now + HORIZON,
        };
        let taken = retry_lock_conflicts(|| {
            store::take_rate_slot(self.db, self.schedule_id, messages, times)
        });
        let taken = taken.await.context("taking a slot of the rate")?;
        if let Some(start) = taken {
            self.rate_slot = Some(RateSlot { start, messages });
            return Ok(starts(start));
        }
        let free_at = store::rate_free_at(self.db, self.schedule_id)
            .await
            .context("reading the rate")?;
        let Some(free_at) = free_at else {
            // The rate was removed during the pass.
            self.rate = None;
            return Ok(at_once);
        };
        Ok(Slot::AskAgainAt((free_at - HORIZON).max(now)))
    }

    /// Returns whether the pass has waited for its turn for longer than [`WAIT_IN_PLACE`].
    pub fn has_waited_long(&self) -> bool {
        self.waiting_since
            .is_some_and(|since| since.elapsed() > WAIT_IN_PLACE)
    }

    /// Notes an answer other than 429, and how long it took.
    pub const fn on_answer(&mut self, response: Duration) {
        self.busy_in_a_row = 0;
        self.response = Some(response);
    }

    /// Records a 429 to a request that started at `started_at`; from now on the pass asks for each
    /// request. Returns whether the carrier takes anything.
    pub async fn on_busy(
        &mut self,
        started_at: DateTime<Utc>,
        retry_after: Option<Duration>,
    ) -> anyhow::Result<bool> {
        self.busy_in_a_row += 1;
        self.ask_again_at = None;
        self.capacity
            .record_refusal(started_at, retry_after)
            .await
            .context("recording a 429")?;
        self.read_limit().await?;
        Ok(self.busy_in_a_row < MOST_BUSY)
    }

    /// Reads the limit again if it was read some time ago.
    pub async fn refresh_limit(&mut self) -> anyhow::Result<()> {
        if self.limit.is_some() && self.limit_read_at.elapsed() > LIMIT_AGE {
            self.read_limit().await?;
        }
        Ok(())
    }

    async fn read_limit(&mut self) -> anyhow::Result<()> {
        let limit = self.capacity.read().await;
        self.limit = Some(limit.context("reading the carrier's limit")?);
        self.limit_read_at = Instant::now();
        Ok(())
    }
}
