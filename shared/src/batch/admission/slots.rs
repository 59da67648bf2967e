//! How many batches may be admitted at the same time. Pure.

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
/// Time beyond the carrier's response for which batches are admitted: claim, flushes and release.
const HANDLING_S: f64 = 0.5;

/// The batches that are admitted and due, by what they need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Batches that are only closed: cancelled, or past the end of their schedule.
    pub closing: u32,
    /// Batches of priority high.
    pub high: u32,
    /// Message parts of priority high.
    pub high_parts: u64,
    /// Batches of any priority that are sent.
    pub all: u32,
    /// Their message parts.
    pub all_parts: u64,
    /// The most message parts that one schedule has of them, for each priority: high, normal, bulk.
    pub largest: [u64; 3],
}

impl Load {
    /// Adds batches that are sent.
    pub(super) fn add(&mut self, priority: Priority, batches: u32, parts: u64) {
        self.all += batches;
        self.all_parts += parts;
        if priority == Priority::High {
            self.high += batches;
            self.high_parts += parts;
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
    /// `SEND_CONCURRENCY`
    pub concurrency: u32,
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
    /// Message parts; `None`: only batches count.
    parts: Option<u64>,
    /// Most batches that are only closed.
    most_closing: u32,
}

impl Slots {
    /// Computes the slots. With a limit: what the carrier takes while a request is answered, and
    /// two batches more, so that it never waits for work. Small batches share a slot. A quarter of
    /// the workers stays free for priority high and for schedules that begin.
    pub fn new(input: &SlotInput) -> Self {
        let most_closing = (input.concurrency + input.concurrency / 2).max(LEAST_SLOTS);
        let Some(per_second) = input.limit.per_second() else {
            let open = input.open_slots.clamp(1, most_closing);
            return Self {
                full_batches: open,
                most_batches: open,
                parts: None,
                most_closing,
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
            parts: Some(u64::from(full_batches) * u64::from(batch_parts)),
            most_closing,
        }
    }

    /// Whether one more batch may be admitted, of any priority but high.
    pub fn has_room(&self, load: &Load) -> bool {
        self.fits(load.all, load.all_parts)
    }

    /// Whether one more batch of priority high may be admitted: other batches do not count.
    pub fn has_room_for_high(&self, load: &Load) -> bool {
        self.fits(load.high, load.high_parts)
    }

    /// Whether one more batch may be closed.
    pub fn has_room_to_close(&self, load: &Load) -> bool {
        load.closing < self.most_closing
    }

    /// Whether the first batch of a schedule may be admitted at once, beside a backlog.
    pub fn has_room_for_first(&self, load: &Load) -> bool {
        load.all < 4 * self.full_batches
    }

    /// The most batches of a schedule that begins later. Under a limit they last until the admission
    /// that follows the first release, and leave room for other schedules of the same time.
    pub const fn most_ahead(&self) -> u32 {
        if self.parts.is_some() {
            BATCHES_AHEAD
        } else {
            self.most_batches
        }
    }

    /// The most batches that one admission may take of one kind.
    pub fn free(&self, load: &Load) -> u32 {
        if self.has_room(load) {
            self.most_batches - load.all
        } else {
            0
        }
    }

    /// The most batches that one admission may take to close them.
    pub fn free_to_close(&self, load: &Load) -> u32 {
        self.most_closing.saturating_sub(load.closing)
    }

    /// The most batches of priority high that one admission may take.
    pub fn free_for_high(&self, load: &Load) -> u32 {
        if self.has_room_for_high(load) {
            self.most_batches - load.high
        } else {
            0
        }
    }

    /// Whether a quarter of the slots is free, or little is admitted, so that an admission is worth
    /// its transaction.
    pub fn is_worth_while(&self, load: &Load) -> bool {
        is_low(load.all, self.most_batches, LEAST_SLOTS)
            && self
                .parts
                .is_none_or(|parts| load.all < LEAST_SLOTS || load.all_parts * 4 <= parts * 3)
    }

    /// The same for batches to close.
    pub fn is_worth_while_to_close(&self, load: &Load) -> bool {
        is_low(load.closing, self.most_closing, LEAST_SLOTS)
    }

    fn fits(&self, batches: u32, parts: u64) -> bool {
        let has_parts = self.parts.is_none_or(|most| parts < most);
        batches < self.most_batches && (batches < LEAST_SLOTS || has_parts)
    }
}

/// Whether a quarter of `most` is free, or fewer than `low` are admitted.
fn is_low(batches: u32, most: u32, low: u32) -> bool {
    batches < low.min(most) || batches * 4 <= most * 3
}

/// Returns the message parts of a full batch under a limit.
fn batch_parts(per_second: f64, batch_size: u32) -> u32 {
    let by_limit = (SECONDS_OF_LIMIT * per_second) as u32;
    by_limit.max(LEAST_BATCH_PARTS).min(batch_size.max(1))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn slots(per_second: Option<f64>, open_slots: u32, concurrency: u32) -> Slots {
        Slots::new(&SlotInput {
            limit: Limit {
                configured: per_second,
                requests_per_second: None,
                learned: None,
                response: Duration::from_millis(100),
            },
            open_slots,
            concurrency,
            batch_size: 500,
        })
    }

    fn load(batches: u32, parts_each: u64) -> Load {
        let mut load = Load::default();
        for _ in 0..batches {
            load.add(Priority::Normal, 1, parts_each);
        }
        load
    }

    #[test]
    fn a_limit_is_divided_into_slots() {
        for (per_second, concurrency, full_batches) in [
            (1.0, 20, 3),
            (10.0, 20, 3),
            (100.0, 20, 4),
            (1000.0, 20, 4),
            (2000.0, 20, 5),
            (100_000.0, 20, 15),
            (100_000.0, 1, 3),
        ] {
            assert_eq!(
                slots(Some(per_second), 8, concurrency).full_batches,
                full_batches,
                "{per_second} {concurrency}"
            );
        }
    }

    #[test]
    fn small_batches_share_a_slot() {
        let slots = slots(Some(1000.0), 8, 20);
        assert!(slots.has_room(&load(3, 500)) && !slots.has_room(&load(4, 500)));
        assert!(slots.has_room(&load(14, 10)) && !slots.has_room(&load(15, 10)));
        assert!(slots.has_room(&load(2, 5000)), "the least number");
    }

    #[test]
    fn without_a_limit_the_open_slots_count() {
        assert!(slots(None, 8, 20).has_room(&load(7, 500)));
        assert!(!slots(None, 8, 20).has_room(&load(8, 1)));
        assert_eq!(slots(None, 900, 20).full_batches, 30);
    }

    #[test]
    fn other_batches_take_no_room_from_high() {
        let slots = slots(Some(1000.0), 8, 20);
        let mut load = load(15, 500);
        assert!(slots.has_room_for_high(&load) && !slots.has_room(&load));
        for _ in 0..4 {
            load.add(Priority::High, 1, 500);
        }
        assert!(!slots.has_room_for_high(&load));
    }

    #[test]
    fn an_admission_waits_for_a_quarter_of_the_slots() {
        let open = slots(None, 8, 20);
        let worth: Vec<_> = (0..9)
            .map(|batches| open.is_worth_while(&load(batches, 500)))
            .collect();
        assert_eq!(
            worth,
            [true, true, true, true, true, true, true, false, false]
        );
        let limited = slots(Some(1000.0), 8, 20);
        assert!(limited.is_worth_while(&load(3, 500)) && !limited.is_worth_while(&load(4, 500)));
    }
}
