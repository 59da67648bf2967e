//! A queue with SQS's manners on the run's clock: delays, at least once, a visibility time-out, dead letters; and with what SQS may do
//! besides: refuse entries, deliver twice, late, or (a queue that was purged) never.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use shared::platform::{
    db::Clock,
    queue::{Outgoing, Queue},
};

use super::{dice::Dice, plan::Deliveries};

/// As in the template: six times the function's.
const VISIBILITY: TimeDelta = TimeDelta::seconds(360);
/// As in the template: `maxReceiveCount`.
const MAX_RECEIVES: u32 = 5;
/// From a message's being visible to its handler's first statement. Messages come 0.8 s to 1.8 s early, and send waits the rest in real
/// time: so here nearly all come just in time.
const TRANSIT_MS: std::ops::RangeInclusive<u64> = 1_650..=3_000;

/// See the module.
pub struct LabQueue {
    clock: Clock,
    dice: Dice,
    faults: Deliveries,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    messages: Vec<Message>,
    dead: u32,
    next_id: u64,
}

/// A message that is received.
#[derive(Clone)]
pub struct Message {
    /// To acknowledge it.
    pub id: u64,
    /// JSON.
    pub body: String,
    visible_at: DateTime<Utc>,
    receives: u32,
}

impl LabQueue {
    /// An empty one.
    pub fn new(clock: Clock, dice: Dice, faults: Deliveries) -> Arc<Self> {
        Arc::new(Self {
            clock,
            dice,
            faults,
            state: Mutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the next message can be received.
    pub fn next_at(&self) -> Option<DateTime<Utc>> {
        self.state()
            .messages
            .iter()
            .map(|message| message.visible_at)
            .min()
    }

    /// One that is visible, which then is not for some time.
    pub fn receive(&self, now: DateTime<Utc>) -> Option<Message> {
        let mut state = self.state();
        let before = state.messages.len();
        state
            .messages
            .retain(|message| message.visible_at > now || message.receives < MAX_RECEIVES);
        state.dead += (before - state.messages.len()) as u32;
        let visible = state
            .messages
            .iter_mut()
            .filter(|message| message.visible_at <= now);
        let message = visible.min_by_key(|message| message.visible_at)?;
        message.visible_at = now + VISIBILITY;
        message.receives += 1;
        Some(message.clone())
    }

    /// It was handled.
    pub fn acknowledge(&self, id: u64) {
        self.state().messages.retain(|message| message.id != id);
    }

    /// Everything in it is gone.
    pub fn purge(&self) {
        self.state().messages.clear();
    }

    /// How many messages nobody could handle.
    pub fn dead_letters(&self) -> u32 {
        self.state().dead
    }

    fn take(&self, message: &Outgoing) {
        let transit = || self.dice.delta(TRANSIT_MS);
        let late = if self.dice.chance(self.faults.late) {
            self.dice.delta(0..=1_200_000)
        } else {
            TimeDelta::zero()
        };
        let visible_at =
            self.clock.now() + TimeDelta::seconds(message.delay_s.into()) + transit() + late;
        let copies = if self.dice.chance(self.faults.copied) {
            self.dice.number(2..=3)
        } else {
            1
        };
        for copy in 0..copies {
            let later = copy > 0 && !self.faults.copies_at_once;
            let visible_at = if later {
                visible_at + self.dice.delta(0..=1_800_000)
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
            if message.delay_s > 900 || self.dice.chance(self.faults.refused) {
                refused.push(place);
            } else if !self.dice.chance(self.faults.lost) {
                self.take(message);
            }
        }
        refused
    }

    async fn backlog(&self) -> anyhow::Result<u64> {
        let now = self.clock.now();
        let waits = |message: &&Message| message.receives == 0 || message.visible_at <= now;
        Ok(self.state().messages.iter().filter(waits).count() as u64)
    }
}
