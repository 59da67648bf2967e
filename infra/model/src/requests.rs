//! The requests of a send pass, from their start to their answer.

use shared::message::status::Status;

use crate::{
    mix::{Broken, Mix},
    rows::ROWS,
    rules,
    world::{CarrierState, End, PARTS, Task, World, bit, parts_of},
};

/// The carrier's answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    /// Ids for the recipients, except some.
    Ids {
        /// The omitted recipients, as bits.
        missing: u8,
    },
    /// Time-out, reset or 5xx.
    Lost,
    /// 429: the recipients are sent again, in this pass or a later one.
    Throttled,
    /// A text of 4xx.
    Refused {
        /// The refusal concerns the account, not the numbers.
        account: bool,
    },
}

fn recipients_of(request: u8) -> impl Iterator<Item = usize> {
    (0..ROWS).filter(move |recipient| request & (1 << recipient) != 0)
}

impl World {
    /// Returns the recipients of a request whose task matches, as bits.
    fn with_task(&self, worker: usize, request: u8, matches: impl Fn(Task) -> bool) -> u8 {
        recipients_of(request)
            .filter(|recipient| matches(self.workers[worker].tasks[*recipient]))
            .map(|recipient| 1 << recipient)
            .sum()
    }

    /// Returns the next requests that may start, as bits. Returns none if the maximum number of requests
    /// is in flight.
    pub fn next_requests(&self, mix: &Mix, worker: usize) -> Vec<u8> {
        let state = &self.workers[worker];
        let is_started = |task| matches!(task, Task::Marked | Task::InFlight);
        let started = mix
            .requests()
            .iter()
            .filter(|request| self.with_task(worker, **request, is_started) != 0)
            .count();
        let waiting = mix
            .requests()
            .iter()
            .map(|request| self.with_task(worker, *request, |task| task == Task::Waiting));
        let free = if state.stopped {
            0
        } else {
            mix.max_in_flight.saturating_sub(started)
        };
        waiting.filter(|request| *request != 0).take(free).collect()
    }

    /// Starts the marked requests if the clocks allow it. Otherwise the requests were certainly not
    /// accepted.
    pub fn start(&mut self, mix: &Mix, worker: usize) {
        let in_lease =
            !self.workers[worker].lease_over || mix.is_broken(Broken::StartAfterLeaseEnd);
        let has_ended = self.end == End::Passed;
        let may = in_lease && (!has_ended || mix.is_broken(Broken::EndCheckedAtClaimOnly));
        if mix.same_number && may {
            self.swallow(mix, worker);
        }
        for recipient in 0..ROWS {
            let state = &mut self.workers[worker];
            if state.tasks[recipient] == Task::Marked {
                if may {
                    state.tasks[recipient] = Task::InFlight;
                    self.carrier[recipient].may_have_sent |=
                        state.attempts[recipient] == self.rows[recipient].attempt;
                    self.violations.sent_after_end |= has_ended;
                    self.violations.sent_after_expiry |= self.carrier[recipient].has_expired;
                    self.violations.sent_after_cancel |= self.carrier[recipient].is_cancelled;
                    self.violations.sent_unchanged |=
                        self.carrier[recipient].is_changed && !state.read_change[recipient];
                    self.carrier[recipient].on_wire |=
                        parts_of(state.attempts[recipient], mix.parts);
                } else {
                    state.tasks[recipient] = Task::Answered {
                        status: Status::Pending,
                        ids: 0,
                        retry: true,
                        alone: false,
                    };
                }
            }
        }
    }

    /// Notes what the carrier does not send: of the recipients with one number in a request, all but
    /// the first.
    fn swallow(&mut self, mix: &Mix, worker: usize) {
        for request in mix.requests() {
            let carried = self.with_task(worker, *request, |task| task == Task::Marked);
            for recipient in recipients_of(carried).skip(1) {
                let attempt = self.workers[worker].attempts[recipient];
                self.carrier[recipient].swallowed |= parts_of(attempt, mix.parts);
            }
        }
    }

    /// Returns the answers that a request can get now.
    pub fn replies(&self, mix: &Mix, worker: usize, request: u8) -> Vec<Reply> {
        let in_flight = self.with_task(worker, request, |task| task == Task::InFlight);
        if in_flight == 0 {
            return Vec::new();
        }
        let attempts = &self.workers[worker].attempts;
        let all = |bits: fn(&CarrierState) -> u8| {
            recipients_of(in_flight).all(|recipient| {
                bits(&self.carrier[recipient]) & parts_of(attempts[recipient], mix.parts) != 0
            })
        };
        let arrived = recipients_of(in_flight)
            .all(|recipient| self.carrier[recipient].on_wire & bit(attempts[recipient], 0) == 0);
        let mut replies = Vec::new();
        if arrived && all(|carrier| carrier.accepted) {
            replies.push(Reply::Ids { missing: 0 });
            let partial = recipients_of(in_flight).filter(|_| mix.partial);
            replies.extend(partial.map(|recipient| Reply::Ids {
                missing: 1 << recipient,
            }));
        }
        if arrived && all(|carrier| carrier.refused) {
            replies.extend(mix.throttle.then_some(Reply::Throttled));
            replies.extend(mix.refuse.then_some(Reply::Refused { account: false }));
            replies.extend(mix.account.then_some(Reply::Refused { account: true }));
        } else if mix.lost {
            replies.push(Reply::Lost);
        }
        replies
    }

    /// Receives the answer to a request, or gives the request up. A refusal of the account pauses
    /// the schedule.
    pub fn answer(&mut self, mix: &Mix, worker: usize, request: u8, reply: Reply) {
        let in_flight = self.with_task(worker, request, |task| task == Task::InFlight);
        let alone = in_flight.is_power_of_two();
        for recipient in recipients_of(in_flight) {
            let state = &mut self.workers[worker];
            let shift = (state.attempts[recipient] - 1) * PARTS;
            let ids = (self.carrier[recipient].accepted >> shift) & 0b11;
            let (status, ids) = match reply {
                Reply::Ids { missing } if missing & (1 << recipient) == 0 => (Status::Acceptd, ids),
                Reply::Lost if mix.is_broken(Broken::LostAnswerCountsAsNotAccepted) => {
                    (Status::Pending, 0)
                }
                Reply::Ids { .. } | Reply::Lost => (Status::Uncertain, 0),
                Reply::Throttled | Reply::Refused { .. } => (Status::Pending, 0),
            };
            state.accepted |= status == Status::Acceptd && (mix.refuse || mix.account);
            state.tasks[recipient] = Task::Answered {
                status,
                ids,
                retry: reply == Reply::Throttled,
                alone: alone && matches!(reply, Reply::Refused { .. }),
            };
            self.carrier[recipient].account_refused = reply == Reply::Refused { account: true };
        }
        if reply == (Reply::Refused { account: true })
            && !mix.is_broken(Broken::AccountRefusalCountsAsNumber)
        {
            self.refuse_account(worker);
        }
    }

    /// Pauses the schedule and ends the pass. Nobody is rejected.
    fn refuse_account(&mut self, worker: usize) {
        rules::pause(&mut self.schedule);
        let state = &mut self.workers[worker];
        state.stop();
        for task in &mut state.tasks {
            match task {
                Task::Answered { alone, .. } => *alone = false,
                Task::RefusedAlone => *task = Task::None,
                _ => {}
            }
        }
    }
}
