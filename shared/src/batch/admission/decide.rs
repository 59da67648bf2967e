//! Decides which batches are admitted. Pure.
//!
//! Batches that are only closed come first, since they need nothing from the carrier, then priority
//! high. Normal and bulk schedules share what is left by start-time fair queueing (Goyal, Vin, Cheng
//! 1996): a schedule's virtual time advances by the message parts of its batches, and the schedule
//! with the least is next.

mod candidate;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use self::candidate::Candidate;
use super::{
    slots::{Load, Slots},
    turn::{Class, Turn, TurnTimes},
};
use crate::schedule::priority::Priority;

/// Normal schedules leave bulk ones one part for this many of their own: a tenth of all.
const NORMAL_PARTS_PER_BULK_PART: u64 = 9;

/// The columns of the carrier that an admission reads and writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shares {
    /// The virtual times of high, normal and bulk schedules: of the batch admitted last.
    pub virtual_parts: [u64; 3],
    /// `carriers.bulk_credit`: the message parts that normal schedules were admitted with since the
    /// last bulk one, while a bulk one waited.
    pub bulk_credit: u64,
}

/// The input of a decision.
#[derive(Clone, Copy, Debug)]
pub struct Situation {
    /// The time.
    pub now: DateTime<Utc>,
    /// How much may be admitted.
    pub slots: Slots,
    /// What is admitted and due.
    pub load: Load,
    /// The carrier's columns.
    pub shares: Shares,
}

/// A batch that is admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// `batches.schedule_id`
    pub schedule_id: Uuid,
    /// `batches.batch_no`
    pub batch_no: u32,
    /// When it is sent.
    pub send_at: DateTime<Utc>,
}

/// A turn after the decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TurnAfter {
    /// `turns.schedule_id`
    pub schedule_id: Uuid,
    /// The times as they were read.
    pub seen: TurnTimes,
    /// The new times.
    pub times: TurnTimes,
    /// `turns.virtual_parts`
    pub virtual_parts: u64,
}

/// What an admission writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// The batches, in the order in which they are enqueued.
    pub admitted: Vec<Admitted>,
    /// The turns that continue and have changed.
    pub turns: Vec<TurnAfter>,
    /// The schedules of which no batch waits any more.
    pub ended: Vec<Uuid>,
    /// The carrier's columns.
    pub shares: Shares,
}

/// A turn that begins later, with what is admitted for its time.
#[derive(Clone, Debug)]
pub struct Ahead {
    /// The turn.
    pub turn: Turn,
    /// The load at its time.
    pub load: Load,
}

/// Decides which batches are admitted. `ahead`: turns that begin later.
pub fn decide(situation: &Situation, turns: Vec<Turn>, ahead: Vec<Ahead>) -> Decision {
    let now = situation.now;
    let mut round = Round {
        now,
        slots: situation.slots,
        load: situation.load,
        ahead: 0,
        decision: Decision {
            shares: situation.shares,
            ..Decision::default()
        },
        candidates: turns
            .into_iter()
            .map(|turn| Candidate::new(turn, now))
            .collect(),
    };
    round.close();
    round.admit_high();
    round.admit_first();
    round.share();
    let due = round.candidates.len();
    for Ahead { turn, load } in ahead {
        round.candidates.push(Candidate::new(turn, now));
        round.admit_ahead(load);
    }
    let has = |priority| {
        let mut due = round.candidates[..due].iter();
        due.any(|candidate| candidate.priority() == Some(priority))
    };
    // Bulk schedules collect no credit for a time in which none of them waits.
    if has(Priority::Normal) && !has(Priority::Bulk) {
        round.decision.shares.bulk_credit = 0;
    }
    round.finish()
}

struct Round {
    now: DateTime<Utc>,
    slots: Slots,
    load: Load,
    /// Batches that this decision admits for later times, and that are not part of the load.
    ahead: u32,
    decision: Decision,
    candidates: Vec<Candidate>,
}

impl Round {
    /// Admits batches that are only closed.
    fn close(&mut self) {
        for at in 0..self.candidates.len() {
            while self.candidates[at].turn.class == Class::Closing
                && self.slots.has_room_to_close(&self.load)
                && self.candidates[at].parts(self.now).is_some()
            {
                self.take(at);
                self.load.closing += 1;
            }
        }
    }

    /// Admits batches of priority high, whatever else is admitted.
    fn admit_high(&mut self) {
        while self.slots.has_room_for_high(&self.load)
            && let Some(at) = self.next_of(Priority::High)
        {
            self.charge(at);
        }
    }

    /// Admits the first batch of each normal schedule that begins, beside a backlog too.
    fn admit_first(&mut self) {
        for at in 0..self.candidates.len() {
            let candidate = &self.candidates[at];
            if candidate.priority() == Some(Priority::Normal)
                && candidate.turn.is_new()
                && self.slots.has_room_for_first(&self.load)
                && self.may_be_next(candidate)
            {
                self.charge(at);
            }
        }
    }

    /// Shares the rest between normal and bulk schedules.
    fn share(&mut self) {
        while self.slots.has_room(&self.load) {
            let normal = self.next_of(Priority::Normal);
            let bulk = self.next_of(Priority::Bulk);
            let at = match (normal, bulk) {
                (None, None) => return,
                (Some(at), None) | (None, Some(at)) => at,
                (Some(normal), Some(bulk)) => self.normal_or_bulk(normal, bulk),
            };
            self.charge(at);
        }
    }

    /// Returns the next of two batches: each normal one pays a ninth of its parts to the bulk
    /// schedules, until that pays for a bulk one.
    fn normal_or_bulk(&mut self, normal: usize, bulk: usize) -> usize {
        let parts = |at: usize| self.candidates[at].parts(self.now).unwrap_or(1);
        let price = parts(bulk) * NORMAL_PARTS_PER_BULK_PART;
        let paid = parts(normal);
        let credit = &mut self.decision.shares.bulk_credit;
        if *credit >= price {
            *credit -= price;
            bulk
        } else {
            *credit += paid;
            normal
        }
    }

    /// Admits batches of a turn that begins later, the last candidate: as many as there is room for
    /// at its time.
    fn admit_ahead(&mut self, load: Load) {
        let at = self.candidates.len() - 1;
        let now_load = std::mem::replace(&mut self.load, load);
        let mut is_first = self.candidates[at].turn.is_new();
        let most = self.slots.most_ahead() as usize;
        while self.candidates[at].taken < most && self.candidates[at].parts(self.now).is_some() {
            let has_room = match self.candidates[at].priority() {
                Some(Priority::High) => self.slots.has_room_for_high(&self.load),
                Some(Priority::Normal) if is_first => self.slots.has_room_for_first(&self.load),
                _ => self.slots.has_room(&self.load),
            };
            if !has_room || !self.slots.has_room_ahead(&self.load, self.ahead) {
                break;
            }
            is_first = false;
            self.charge(at);
        }
        self.ahead += self.candidates[at].taken as u32;
        self.load = now_load;
    }

    /// Returns the candidate of a priority that is next.
    fn next_of(&self, priority: Priority) -> Option<usize> {
        (0..self.candidates.len())
            .filter(|&at| {
                let candidate = &self.candidates[at];
                candidate.priority() == Some(priority) && self.may_be_next(candidate)
            })
            .min_by_key(|&at| (self.start_tag(at), self.candidates[at].turn.schedule_id))
    }

    /// Whether the next batch of a candidate was read, and may be admitted now.
    fn may_be_next(&self, candidate: &Candidate) -> bool {
        let has_room =
            candidate.takes_slot(self.now) || self.slots.has_room_ahead(&self.load, self.ahead);
        has_room && candidate.parts(self.now).is_some()
    }

    /// Returns the virtual time at which the next batch of a candidate starts: its own.
    ///
    /// A schedule that joins has none yet: it starts with the batches in progress. Those are admitted
    /// but not sent, so schedules of the same time start together although one was cut first. A
    /// schedule that could not be admitted for some time, in the night for example, makes up for as
    /// much as all slots hold.
    fn start_tag(&self, at: usize) -> u64 {
        let candidate = &self.candidates[at];
        let Some(priority) = candidate.priority() else {
            return 0;
        };
        let batch = candidate.parts(self.now).unwrap_or(0);
        let behind = if candidate.turn.has_joined() {
            batch * u64::from(self.slots.full_batches)
        } else {
            self.load.largest[priority as usize].saturating_sub(batch)
        };
        let shared = self.decision.shares.virtual_parts[priority as usize];
        candidate
            .turn
            .virtual_parts
            .max(shared.saturating_sub(behind))
    }

    /// Admits the next batch of a candidate, and charges its parts.
    fn charge(&mut self, at: usize) {
        let candidate = &self.candidates[at];
        let (Some(priority), Some(demand)) = (candidate.priority(), candidate.demand(self.now))
        else {
            return;
        };
        let start = self.start_tag(at);
        // A schedule that begins is admitted before its turn; the others keep their time.
        if !candidate.turn.is_new() || candidate.taken > 0 {
            let shared = &mut self.decision.shares.virtual_parts[priority as usize];
            *shared = start.max(*shared);
        }
        self.candidates[at].turn.virtual_parts = start + demand.parts;
        let candidate = &mut self.candidates[at];
        candidate.taken_parts += demand.parts;
        let largest = &mut self.load.largest[priority as usize];
        *largest = candidate.taken_parts.max(*largest);
        if candidate.takes_slot(self.now) {
            self.load.add(priority, demand);
        } else {
            self.ahead += 1;
        }
        self.take(at);
    }

    fn take(&mut self, at: usize) {
        let candidate = &mut self.candidates[at];
        let turn = &mut candidate.turn;
        let batch = turn.batches[candidate.taken];
        let send_at = turn.send_time(self.now);
        candidate.taken += 1;
        if let Some(rate) = turn.rate.filter(|rate| *rate > 0) {
            let lasts_ms = i64::from(batch.pending) * 1000 / i64::from(rate);
            turn.next_send_at = send_at + TimeDelta::milliseconds(lasts_ms);
        }
        self.decision.admitted.push(Admitted {
            schedule_id: turn.schedule_id,
            batch_no: batch.batch_no,
            send_at,
        });
    }

    fn finish(self) -> Decision {
        let Self {
            now, mut decision, ..
        } = self;
        for candidate in self.candidates {
            let Candidate {
                turn,
                taken,
                is_later,
                ..
            } = candidate;
            if taken == turn.batches.len() && !turn.has_more {
                decision.ended.push(turn.schedule_id);
                continue;
            }
            let later = turn.ready_at(now) > now;
            if taken == 0 && !later && !is_later {
                continue;
            }
            decision.turns.push(TurnAfter {
                schedule_id: turn.schedule_id,
                seen: turn.seen,
                times: TurnTimes {
                    ready_at: turn.ready_at(now),
                    next_send_at: turn.send_time(now),
                },
                virtual_parts: turn.virtual_parts,
            });
        }
        decision
    }
}

#[cfg(test)]
mod tests;
