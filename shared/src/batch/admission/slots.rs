//! How many batches may be admitted at the same time. Pure.

use std::ops::AddAssign;

use crate::{carrier::capacity::Limit, schedule::priority::Priority};

/// A batch that is cut under a limit holds at most this many seconds of it: schedules that share the
/// carrier are never further apart than a batch, and nothing waits longer for a batch in progress.
pub const SECONDS_OF_LIMIT: f64 = 0.5;
/// The least number of message parts for which batches are planned.
const LEAST_BATCH_PARTS: u32 = 10;
/// The least number of slots: one batch in progress, one that follows, and one for the time between
/// a release and the next admission.
const LEAST_SLOTS: u32 = 3;
/// Batches of a schedule that begins later, under a limit.
const BATCHES_AHEAD: u32 = 2;
/// Without a limit, a batch with this many recipients fills a slot: a worker has no more of them in
/// flight at the same time. One with fewer takes as much less of it.
pub const SLOT_RECIPIENTS: u32 = 200;
/// Without a limit, this many batches share a slot at most. Each keeps a worker busy for a while,
/// however small it is.
const BATCHES_PER_SLOT: u32 = 8;
/// Time beyond the carrier's response for which batches are admitted: claim, flushes and release.
const HANDLING_S: f64 = 0.5;

/// What batches need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// How many they are.
    pub batches: u32,
    /// Their message parts.
    pub parts: u64,
    /// Their recipients, at most [`SLOT_RECIPIENTS`] of each batch.
    pub recipients: u64,
}

impl Demand {
    /// Returns what one batch needs that has so many recipients to send to, with so many message
    /// parts each.
    pub fn of_batch(pending: u32, parts_each: u16) -> Self {
        let recipients = pending.max(1);
        Self {
            batches: 1,
            parts: u64::from(recipients) * u64::from(parts_each.max(1)),
            recipients: recipients.min(SLOT_RECIPIENTS).into(),
        }
    }
}

impl AddAssign for Demand {
    fn add_assign(&mut self, other: Self) {
        self.batches += other.batches;
        self.parts += other.parts;
        self.recipients += other.recipients;
    }
}

/// The batches that are admitted and due, by what they need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Batches that are only closed: cancelled, or past the end of their schedule.
    pub closing: u32,
    /// Batches of priority high.
    pub high: Demand,
    /// Batches of any priority that are sent.
    pub all: Demand,
    /// The most message parts that one schedule has of them, for each priority: high, normal, bulk.
    pub largest: [u64; 3],
}

impl Load {
    /// All batches, which workers are busy with or will be soon.
    const fn batches(&self) -> u32 {
        self.closing + self.all.batches
    }

    /// Returns the load without what a set brake keeps from being sent: nobody works on it, so it must
    /// not hold back what is only closed.
    pub(super) fn without_sending(self) -> Self {
        Self {
            closing: self.closing,
            ..Self::default()
        }
    }

    /// Adds batches that are sent.
    pub(super) fn add(&mut self, priority: Priority, demand: Demand) {
        self.all += demand;
        if priority == Priority::High {
            self.high += demand;
        }
    }
}

/// What the slots are computed from.
#[derive(Clone, Copy, Debug)]
pub struct SlotInput {
    /// What is known about the carrier's limit.
    pub limit: Limit,
    /// `carriers.open_slots`
    pub open_slots: u32,
    /// `SEND_CONCURRENCY`, or the number to which an operator has reduced it.
    pub concurrency: u32,
    /// An operator has reduced it: no more batches than that are admitted.
    pub is_reduced: bool,
    /// `BATCH_SIZE`
    pub batch_size: u32,
}

/// How much may be admitted at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slots {
    /// The number of slots, if each batch is full.
    pub full_batches: u32,
    /// Most batches, however small they are.
    most_batches: u32,
    /// What the batches may need together.
    most: Most,
    /// Most batches that are only closed.
    most_closing: u32,
    /// Most batches of all kinds together, if an operator has reduced the concurrency.
    ///
    /// It is at least one, and only what is admitted and due counts: a worker that is busy with it
    /// ends, or its lease does. So there is room again without anybody's help.
    most_of_all: Option<u32>,
}

/// The most that batches may need together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Most {
    /// Message parts: the carrier's limit is known.
    Parts(u64),
    /// [`Demand::recipients`]: it is not.
    Recipients(u64),
}

impl Most {
    /// Returns the part of a demand that is limited, and the most of it.
    const fn compare(self, demand: &Demand) -> (u64, u64) {
        match self {
            Self::Parts(most) => (demand.parts, most),
            Self::Recipients(most) => (demand.recipients, most),
        }
    }
}

impl Slots {
    /// Computes the slots. With a limit: what the carrier takes while a request is answered, and
    /// two batches more, so that it never waits for work; a quarter of the workers stays free for
    /// priority high and for schedules that begin. Small batches share a slot.
    pub fn new(input: &SlotInput) -> Self {
        let most_closing = (input.concurrency + input.concurrency / 2).max(LEAST_SLOTS);
        let most_of_all = input.is_reduced.then_some(input.concurrency.max(1));
        let Some(per_second) = input.limit.per_second() else {
            let open = input.open_slots.clamp(1, most_closing);
            return Self {
                full_batches: open,
                most_batches: open * BATCHES_PER_SLOT,
                most: Most::Recipients(u64::from(open) * u64::from(slot_recipients(input))),
                most_closing,
                most_of_all,
            };
        };
        let most_batches = (input.concurrency * 3 / 4).max(LEAST_SLOTS);
        let batch_parts = batch_parts(per_second, input.batch_size);
        let in_flight = per_second * (input.limit.response.as_secs_f64() + HANDLING_S);
        let wanted = 2 + (in_flight / f64::from(batch_parts)).ceil() as u32;
        let full_batches = wanted.clamp(LEAST_SLOTS, most_batches);
        Self {
            full_batches,
            most_batches,
            most: Most::Parts(u64::from(full_batches) * u64::from(batch_parts)),
            most_closing,
            most_of_all,
        }
    }

    /// Whether one more batch may be admitted, of any priority but high.
    pub fn has_room(&self, load: &Load) -> bool {
        self.fits(&load.all) && self.left_of_all(load) > 0
    }

    /// Whether one more batch of priority high may be admitted: other batches do not count, unless
    /// an operator has reduced the concurrency.
    pub fn has_room_for_high(&self, load: &Load) -> bool {
        self.fits(&load.high) && self.left_of_all(load) > 0
    }

    /// Whether one more batch may be admitted of those that take no slot before their time, beside
    /// `ahead` others of them. Always, unless an operator has reduced the concurrency.
    pub fn has_room_ahead(&self, load: &Load, ahead: u32) -> bool {
        self.left_of_all(load) > ahead
    }

    /// The slots that nothing takes, while no limit is known.
    pub fn open_and_free(&self, load: &Load) -> u32 {
        let (needed, most) = self.most.compare(&load.all);
        let left = u64::from(self.full_batches) * most.saturating_sub(needed) / most.max(1);
        u32::try_from(left).unwrap_or(u32::MAX)
    }

    /// Whether one more batch may be closed.
    pub fn has_room_to_close(&self, load: &Load) -> bool {
        self.free_to_close(load) > 0
    }

    /// Whether the first batch of a schedule may be admitted at once, beside a backlog.
    pub fn has_room_for_first(&self, load: &Load) -> bool {
        let (needed, most) = self.most.compare(&load.all);
        let has_recipients = matches!(self.most, Most::Parts(_)) || needed < 4 * most;
        has_recipients && self.free_for_first(load) > 0
    }

    /// The most batches of a schedule that begins later. Under a limit they last until the admission
    /// that follows the first release, and leave room for other schedules of the same time.
    pub const fn most_ahead(&self) -> u32 {
        match self.most {
            Most::Parts(_) => BATCHES_AHEAD,
            Most::Recipients(_) => self.most_batches,
        }
    }

    /// The most batches that one admission may take of one kind.
    pub fn free(&self, load: &Load) -> u32 {
        if self.has_room(load) {
            (self.most_batches - load.all.batches).min(self.left_of_all(load))
        } else {
            0
        }
    }

    /// The most schedules whose first batch one admission may take beside a backlog.
    pub fn free_for_first(&self, load: &Load) -> u32 {
        let most = self.most_batches.max(4 * self.full_batches);
        most.saturating_sub(load.all.batches)
            .min(self.left_of_all(load))
    }

    /// The most batches that one admission may take to close them.
    pub fn free_to_close(&self, load: &Load) -> u32 {
        self.most_closing
            .saturating_sub(load.closing)
            .min(self.left_of_all(load))
    }

    /// The most batches of priority high that one admission may take.
    pub fn free_for_high(&self, load: &Load) -> u32 {
        if self.has_room_for_high(load) {
            (self.most_batches - load.high.batches).min(self.left_of_all(load))
        } else {
            0
        }
    }

    /// Whether a quarter of the slots is free, or little is admitted, so that an admission is worth
    /// its transaction.
    pub fn is_worth_while(&self, load: &Load) -> bool {
        let (needed, most) = self.most.compare(&load.all);
        self.is_low_of_all(load)
            && is_low(load.all.batches, self.most_batches, LEAST_SLOTS)
            && (self.is_little(load.all.batches) || needed * 4 <= most * 3)
    }

    /// The same for batches to close.
    pub fn is_worth_while_to_close(&self, load: &Load) -> bool {
        self.is_low_of_all(load) && is_low(load.closing, self.most_closing, LEAST_SLOTS)
    }

    /// How many more batches may be admitted while an operator has reduced the concurrency.
    const fn left_of_all(&self, load: &Load) -> u32 {
        match self.most_of_all {
            Some(most) => most.saturating_sub(load.batches()),
            None => u32::MAX,
        }
    }

    fn is_low_of_all(&self, load: &Load) -> bool {
        self.most_of_all
            .is_none_or(|most| is_low(load.batches(), most, LEAST_SLOTS))
    }

    fn fits(&self, demand: &Demand) -> bool {
        let (needed, most) = self.most.compare(demand);
        demand.batches < self.most_batches && (self.is_little(demand.batches) || needed < most)
    }

    /// Whether there is room beside so few batches, however large they are.
    fn is_little(&self, batches: u32) -> bool {
        batches < LEAST_SLOTS.min(self.full_batches)
    }
}

/// Whether a quarter of `most` is free, or fewer than `low` are admitted.
fn is_low(batches: u32, most: u32, low: u32) -> bool {
    batches < low.min(most) || batches * 4 <= most * 3
}

/// Returns the recipients of a slot while no limit is known: those of a full batch, if it is small.
fn slot_recipients(input: &SlotInput) -> u32 {
    input.batch_size.clamp(1, SLOT_RECIPIENTS)
}

/// Returns the message parts of a full batch under a limit.
fn batch_parts(per_second: f64, batch_size: u32) -> u32 {
    let by_limit = (SECONDS_OF_LIMIT * per_second) as u32;
    by_limit.max(LEAST_BATCH_PARTS).min(batch_size.max(1))
}

#[cfg(test)]
mod tests;
