//! One send pass: what `functions/send` does between claim and release, statement by statement.

use shared::{batch::rows::Step, message::status::Status};

use crate::{
    database::{Age, Due, Life, ROWS, Row},
    mix::{Broken, Mix},
    recheck,
    rules::{self, Flush},
    world::{Carrier, PARTS, Place, Stage, Work, Worker, World, bit, parts_of},
};

/// How the carrier's answer to a request reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    /// Ids, but for these recipients.
    Ids {
        /// As bits.
        missing: u8,
    },
    /// Time-out, reset, 5xx.
    Lost,
    /// 429: again in this pass, or in a later one.
    Throttled,
    /// A 4xx text.
    Refused {
        /// It is the last one that is borne: REJECTD instead of PENDING.
        last: bool,
    },
}

fn rows_of(request: u8) -> impl Iterator<Item = usize> {
    (0..ROWS).filter(move |at| request & (1 << at) != 0)
}

impl World {
    /// The recipients of a request that stand at a place.
    fn standing(&self, worker: usize, request: u8, place: impl Fn(Place) -> bool) -> u8 {
        rows_of(request)
            .filter(|at| place(self.workers[worker].places[*at]))
            .map(|at| 1 << at)
            .sum()
    }

    /// After the claim: leftovers become UNCERTAIN, then everything is read.
    pub fn read(&mut self, mix: &Mix, worker: usize, work: Work) {
        if !self.owns(worker) {
            self.workers[worker] = Worker::IDLE;
            return;
        }
        for at in 0..mix.recipients() {
            self.change(at, |row, _| rules::owner_lost(row, true));
            if mix.is_broken(Broken::LeftoversPending) && self.rows[at].status == Status::Uncertain
            {
                self.rows[at].status = Status::Pending;
            }
        }
        let schedule = self.schedule.status;
        let alive = matches!(schedule, Life::Running | Life::Paused);
        let too_late = self.late
            && !self.batch.missed
            && self.rows.iter().any(|row| row.status == Status::Pending);
        let stage = match work {
            Work::Check => Stage::Asking,
            Work::Send if schedule == Life::Cancelled => Stage::Close,
            Work::Send if too_late => Stage::Hold,
            Work::Send => Stage::Sending,
        };
        self.workers[worker].alive = alive;
        self.workers[worker].stage = stage;
        self.take_up(
            mix,
            worker,
            stage == Stage::Close || stage == Stage::Hold || self.batch.missed,
        );
    }

    fn take_up(&mut self, mix: &Mix, worker: usize, hold_pending: bool) {
        let max_resends = if self.workers[worker].alive {
            mix.max_resends
        } else {
            0
        };
        let asking = self.workers[worker].stage == Stage::Asking;
        for at in 0..mix.recipients() {
            let row = &self.rows[at];
            let place = if asking {
                recheck::question(mix, row)
            } else {
                errand(mix, row, max_resends, hold_pending)
            };
            let it = &mut self.workers[worker];
            it.places[at] = place;
            if place != Place::Rest {
                (it.attempts[at], it.seen[at]) = (row.attempt, row.status);
            }
        }
    }

    /// Cancelled: what is PENDING ends.
    pub fn close(&mut self, mix: &Mix, worker: usize) {
        let owns = self.owns(worker);
        for at in 0..mix.recipients() {
            self.change(at, |row, _| rules::close(row, owns));
        }
        self.workers[worker].stage = Stage::Sending;
    }

    /// Too late: what is PENDING is held.
    pub fn hold(&mut self, mix: &Mix, worker: usize) {
        let owns = self.owns(worker);
        if mix.is_broken(Broken::HoldWithoutSchedule) {
            self.batch.missed |= owns;
        } else {
            rules::hold_missed(&mut self.batch, &self.schedule, owns);
        }
        self.workers[worker].stage = Stage::Sending;
    }

    /// The next requests that may start, as recipients; none while there is too much in flight.
    pub fn next_requests(&self, mix: &Mix, worker: usize) -> Vec<u8> {
        let it = &self.workers[worker];
        let is_up = |place| matches!(place, Place::Marked | Place::Flying);
        let up = mix
            .requests
            .iter()
            .filter(|request| self.standing(worker, **request, is_up) != 0)
            .count();
        let waiting = mix
            .requests
            .iter()
            .map(|request| self.standing(worker, *request, |place| place == Place::Waiting));
        let free = if it.stopped {
            0
        } else {
            mix.in_flight.saturating_sub(up)
        };
        waiting.filter(|request| *request != 0).take(free).collect()
    }

    /// Whether the pass flushes now: something to record, or something to start and nothing to wait for.
    pub fn may_flush(&self, mix: &Mix, worker: usize) -> bool {
        let it = &self.workers[worker];
        let unrecorded = it
            .places
            .iter()
            .any(|place| matches!(place, Place::Answered { .. } | Place::Unmark));
        let up = it
            .places
            .iter()
            .any(|place| matches!(place, Place::Marked | Place::Flying));
        it.stage == Stage::Sending
            && (unrecorded || (!up && !self.next_requests(mix, worker).is_empty()))
    }

    /// The transaction that records what was answered and marks what starts; said twice when the first commit's answer was lost.
    pub fn flush(&mut self, mix: &Mix, worker: usize, twice: bool) {
        let starting: u8 = self.next_requests(mix, worker).iter().sum();
        let rows: Vec<(usize, Flush)> = (0..ROWS)
            .filter_map(|at| Some((at, self.flush_row(worker, at, starting & (1 << at) != 0)?)))
            .collect();
        let mut whole = self.write(mix, worker, &rows);
        if twice {
            whole = self.write(mix, worker, &rows);
        }
        for (at, said) in &rows {
            let it = &mut self.workers[worker];
            let place = it.places[*at];
            it.places[*at] = match said.step {
                Step::Mark => {
                    it.attempts[*at] += 1;
                    if whole { Place::Marked } else { Place::Unmark }
                }
                // Only when the record stands does it wait again, as one that was never sent.
                Step::Answer if whole && matches!(place, Place::Answered { again: true, .. }) => {
                    it.seen[*at] = Status::Pending;
                    if it.stopped {
                        Place::Rest
                    } else {
                        Place::Waiting
                    }
                }
                _ => Place::Rest,
            };
        }
        // A frozen pass may be past its look at the clock once, not twice.
        if !whole || self.workers[worker].over {
            self.workers[worker].stop();
        }
    }

    fn flush_row(&self, worker: usize, at: usize, starts: bool) -> Option<Flush> {
        let it = &self.workers[worker];
        let attempt = it.attempts[at];
        match it.places[at] {
            Place::Answered { status, ids, .. } => Some(Flush {
                step: Step::Answer,
                attempt,
                status,
                resend: false,
                ids,
            }),
            Place::Unmark => Some(Flush {
                step: Step::Unmark,
                attempt,
                status: Status::Pending,
                resend: false,
                ids: 0,
            }),
            Place::Waiting if starts => {
                let resend = it.seen[at] != Status::Pending;
                Some(Flush {
                    step: Step::Mark,
                    attempt,
                    status: Status::Sending,
                    resend,
                    ids: 0,
                })
            }
            _ => None,
        }
    }

    /// True: every row matched, and the claim is ours.
    fn write(&mut self, mix: &Mix, worker: usize, rows: &[(usize, Flush)]) -> bool {
        let owns = self.owns(worker);
        let answers = rows.iter().any(|(_, said)| said.step == Step::Answer);
        let poked = answers
            && !mix.is_broken(Broken::NoPoke)
            && rules::poke(&mut self.batch, &mut self.schedule, owns);
        let mut whole = !poked;
        for (at, said) in rows {
            let with_token = match said.step {
                Step::Mark => owns || mix.is_broken(Broken::MarkWithoutToken),
                Step::Unmark => owns || mix.is_broken(Broken::UnmarkWithoutToken),
                _ => owns,
            };
            let taken =
                !(mix.is_broken(Broken::AnswerNeedsToken) && said.step == Step::Answer && !owns);
            let before = self.rows[*at];
            let matched = self.change(*at, |row, schedule| {
                if said.step == Step::Mark && said.attempt > 0 {
                    rules::keep(row, schedule, with_token, said.attempt);
                }
                if poked {
                    rules::late_answer(row, said);
                }
                taken && rules::flush(row, schedule, with_token, said)
            });
            whole &= matched;
            self.note(mix, *at, &before, said);
        }
        whole
    }

    fn note(&mut self, mix: &Mix, at: usize, before: &Row, said: &Flush) {
        let after = &self.rows[at];
        if after.attempt > before.attempt {
            let verdict = matches!(before.status, Status::Undeliv | Status::Expired);
            let policy = before.status == Status::Uncertain
                && mix.resend_uncertain
                && before.age >= Age::Quiet;
            self.carrier[at].allowed += u8::from(verdict || policy);
        }
        let known = if after.attempt == said.attempt {
            !matches!(after.status, Status::Sending | Status::Uncertain)
        } else {
            after.kept[usize::from(said.attempt)].is_none_or(|kept| kept != Status::Uncertain)
        };
        self.noticed.answer_thrown_away |= said.step == Step::Answer && said.ids != 0 && !known;
    }

    /// The marked requests start, if the budget allows it by the clocks; otherwise they were certainly not accepted.
    pub fn start(&mut self, mix: &Mix, worker: usize) {
        let may = !self.workers[worker].over || mix.is_broken(Broken::StartAfterLease);
        for at in 0..ROWS {
            let it = &mut self.workers[worker];
            if it.places[at] == Place::Marked {
                if may {
                    it.places[at] = Place::Flying;
                    self.carrier[at].wire |= parts_of(it.attempts[at], mix.parts);
                } else {
                    it.places[at] = Place::Answered {
                        status: Status::Pending,
                        ids: 0,
                        again: true,
                    };
                }
            }
        }
    }

    /// What may be read as the answer to a request.
    pub fn replies(&self, mix: &Mix, worker: usize, request: u8) -> Vec<Reply> {
        let flying = self.standing(worker, request, |place| place == Place::Flying);
        if flying == 0 {
            return Vec::new();
        }
        let attempts = &self.workers[worker].attempts;
        let all = |carried: fn(&Carrier) -> u8| {
            rows_of(flying)
                .all(|at| carried(&self.carrier[at]) & parts_of(attempts[at], mix.parts) != 0)
        };
        let arrived = rows_of(flying).all(|at| self.carrier[at].wire & bit(attempts[at], 0) == 0);
        let mut replies = Vec::new();
        if arrived && all(|carrier| carrier.accepted) {
            replies.push(Reply::Ids { missing: 0 });
            replies.extend(
                rows_of(flying)
                    .filter(|_| mix.partial)
                    .map(|at| Reply::Ids { missing: 1 << at }),
            );
        }
        if arrived && all(|carrier| carrier.refused) {
            replies.extend(mix.throttle.then_some(Reply::Throttled));
            replies.extend(
                [false, true]
                    .into_iter()
                    .filter(|_| mix.refuse)
                    .map(|last| Reply::Refused { last }),
            );
        } else if mix.lost {
            replies.push(Reply::Lost);
        }
        replies
    }

    /// A request is answered, or given up.
    pub fn answer(&mut self, mix: &Mix, worker: usize, request: u8, reply: Reply) {
        for at in rows_of(self.standing(worker, request, |place| place == Place::Flying)) {
            let it = &mut self.workers[worker];
            let ids = (self.carrier[at].accepted >> ((it.attempts[at] - 1) * PARTS)) & 0b11;
            let (status, ids, again) = match reply {
                Reply::Ids { missing } if missing & (1 << at) == 0 => (Status::Acceptd, ids, false),
                Reply::Lost if mix.is_broken(Broken::LostIsNotAccepted) => {
                    (Status::Pending, 0, false)
                }
                Reply::Ids { .. } | Reply::Lost => (Status::Uncertain, 0, false),
                Reply::Throttled => (Status::Pending, 0, true),
                Reply::Refused { last: false } => (Status::Pending, 0, false),
                Reply::Refused { last: true } => (Status::Rejectd, 0, false),
            };
            it.places[at] = Place::Answered { status, ids, again };
        }
    }

    /// Gives the batch back and ends the invocation.
    pub fn release(&mut self, mix: &Mix, worker: usize) {
        let told = rules::Release {
            max_resends: if self.workers[worker].alive {
                mix.max_resends
            } else {
                0
            },
            resend_uncertain: mix.resend_uncertain && !mix.own_ids,
            ask_uncertain: mix.own_ids,
            send_at: Due::Now,
            check_at: Due::Now,
        };
        let owns = self.owns(worker);
        if rules::release(&mut self.batch, &self.rows[..mix.recipients()], owns, &told) {
            self.uncounted = false;
            self.queued[0] |= mix.queues && self.batch.send_at.is_set();
            self.queued[1] |= mix.queues && self.batch.check_at.is_set();
        }
        self.workers[worker] = Worker::IDLE;
    }
}

/// What a send pass does with a row.
fn errand(mix: &Mix, row: &Row, max_resends: u8, hold_pending: bool) -> Place {
    let again = row.resends < max_resends;
    let due = match row.status {
        Status::Pending => !hold_pending,
        Status::Undeliv | Status::Expired => again,
        Status::Uncertain => again && mix.resend_uncertain && !mix.own_ids && row.age >= Age::Quiet,
        _ => false,
    };
    if due { Place::Waiting } else { Place::Rest }
}
