//! A queue that behaves like SQS on the run's clock: delays, delivery at least once, a visibility
//! time-out, dead letters. With the plan's faults it refuses entries, delivers twice or late, or
//! loses messages, as a purged queue does.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use shared::platform::{
    db::Clock,
    queue::{Outgoing, Queue},
};

use super::{plan::QueueFaults, rng::SharedRng};

/// As in the template: six times the function's time-out.
const VISIBILITY: TimeDelta = TimeDelta::seconds(360);
/// As in the template: `maxReceiveCount`.
const MAX_RECEIVES: u32 = 5;
/// Time from the moment at which a message is visible to the first statement of its handler.
/// Messages arrive 0.8 s to 1.8 s early, and send waits for the rest in real time. With this
/// transit time nearly all arrive just in time.
const TRANSIT_MS: std::ops::RangeInclusive<u64> = 1_650..=3_000;

/// A queue of a run.
pub struct LabQueue {
    clock: Clock,
    rng: SharedRng,
    faults: QueueFaults,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    messages: Vec<Message>,
    dead_letters: u32,
    next_id: u64,
}

/// A message.
#[derive(Clone)]
pub struct Message {
    /// Identifies it when it is acknowledged.
    pub id: u64,
    /// The body, JSON.
    pub body: String,
    visible_at: DateTime<Utc>,
    /// Since when it waits.
    since: DateTime<Utc>,
    receives: u32,
}

impl LabQueue {
    /// Starts empty.
    pub fn new(clock: Clock, rng: SharedRng, faults: QueueFaults) -> Arc<Self> {
        Arc::new(Self {
            clock,
            rng,
            faults,
            state: Mutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when the next message can be received.
    pub fn next_at(&self) -> Option<DateTime<Utc>> {
        self.state()
            .messages
            .iter()
            .map(|message| message.visible_at)
            .min()
    }

    /// Receives a visible message, which is invisible for the visibility time-out from then on. A
    /// message that was received too often becomes a dead letter.
    pub fn receive(&self, now: DateTime<Utc>) -> Option<Message> {
        let mut state = self.state();
        let before = state.messages.len();
        state
            .messages
            .retain(|message| message.visible_at > now || message.receives < MAX_RECEIVES);
        state.dead_letters += (before - state.messages.len()) as u32;
        let visible = state
            .messages
            .iter_mut()
            .filter(|message| message.visible_at <= now);
        let message = visible.min_by_key(|message| message.visible_at)?;
        message.visible_at = now + VISIBILITY;
        message.receives += 1;
        Some(message.clone())
    }

    /// Deletes a message that was handled.
    pub fn acknowledge(&self, id: u64) {
        self.state().messages.retain(|message| message.id != id);
    }

    /// Deletes all messages.
    pub fn purge(&self) {
        self.state().messages.clear();
    }

    /// Returns how many messages became dead letters.
    pub fn dead_letters(&self) -> u32 {
        self.state().dead_letters
    }

    /// Returns since when the oldest message waits, or is in flight.
    pub fn oldest_since(&self) -> Option<DateTime<Utc>> {
        let state = self.state();
        state.messages.iter().map(|message| message.since).min()
    }

    fn accept(&self, message: &Outgoing) {
        let transit = || self.rng.delta(TRANSIT_MS);
        let late = if self.rng.chance(self.faults.late) {
            self.rng.delta(0..=1_200_000)
        } else {
            TimeDelta::zero()
        };
        let visible_at =
            self.clock.now() + TimeDelta::seconds(message.delay_s.into()) + transit() + late;
        let copies = if self.rng.chance(self.faults.copied) {
            self.rng.number(2..=3)
        } else {
            1
        };
        for copy in 0..copies {
            let later = copy > 0 && !self.faults.copies_at_once;
            let visible_at = if later {
                visible_at + self.rng.delta(0..=1_800_000)
            } else {
                visible_at
            };
            let mut state = self.state();
            state.next_id += 1;
            let id = state.next_id;
            state.messages.push(Message {
                id,
                body: message.body.clone(),
                visible_at,
                since: visible_at,
                receives: 0,
            });
        }
    }
}

#[async_trait]
impl Queue for LabQueue {
    async fn send(&self, messages: &[Outgoing]) -> Vec<usize> {
        let mut refused = Vec::new();
        for (place, message) in messages.iter().enumerate() {
            if message.delay_s > 900 || self.rng.chance(self.faults.refused) {
                refused.push(place);
            } else if !self.rng.chance(self.faults.lost) {
                self.accept(message);
            }
        }
        refused
    }

    async fn backlog(&self) -> anyhow::Result<u64> {
        let now = self.clock.now();
        let waits = |message: &&Message| message.receives == 0 || message.visible_at <= now;
        Ok(self.state().messages.iter().filter(waits).count() as u64)
    }

    async fn visible_messages(&self) -> anyhow::Result<u64> {
        let now = self.clock.now();
        let is_visible = |message: &&Message| message.visible_at <= now;
        Ok(self.state().messages.iter().filter(is_visible).count() as u64)
    }
}
