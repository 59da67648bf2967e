//! What each action does.

use crate::{
    database::{Age, Batch, Due},
    mix::{Broken, Mix},
    model::Action,
    rules,
    world::{Stage, Work, Worker, World, bit, parts_of},
};

impl World {
    /// Takes a step.
    pub fn take(&mut self, mix: &Mix, action: Action) {
        match action {
            Action::Claim(work) => self.claim(work),
            Action::Deliver { work, kept } => {
                self.queued[work as usize] = kept;
                self.claim(work);
            }
            Action::LoseMessage(work) => self.queued[work as usize] = false,
            Action::Sweep => self.sweep(),
            Action::Read(worker, work) => self.read(mix, worker, work),
            Action::Close(worker) => self.close(mix, worker),
            Action::Hold(worker) => self.hold(mix, worker),
            Action::Flush { worker, twice } => self.flush(mix, worker, twice),
            Action::Start(worker) => self.start(mix, worker),
            Action::Stop(worker) => self.workers[worker].stop(),
            Action::Answer {
                worker,
                request,
                reply,
            } => self.answer(mix, worker, request, reply),
            Action::Ask { worker, at, said } => self.ask(mix, worker, at, said),
            Action::Record(worker) => self.record(mix, worker),
            Action::Release(worker) => self.release(mix, worker),
            Action::Finish => rules::finish(&mut self.schedule, &[self.batch]),
            Action::Crash(worker) => self.workers[worker] = Worker::IDLE,
            _ => self.take_outside(mix, action),
        }
        self.pass_time();
    }

    fn take_outside(&mut self, mix: &Mix, action: Action) {
        match action {
            Action::LeaseEnds => self.end_lease(),
            Action::Arrives { at, attempt, part } => {
                self.carrier[at].wire &= !bit(attempt, part);
                self.carrier[at].accepted |= bit(attempt, part);
            }
            Action::IsRefused { at, attempt } => {
                self.carrier[at].wire &= !parts_of(attempt, mix.parts);
                self.carrier[at].refused |= parts_of(attempt, mix.parts);
            }
            Action::IsLostOnTheWire { at, attempt } => {
                self.carrier[at].wire &= !parts_of(attempt, mix.parts)
            }
            Action::Push {
                at,
                attempt,
                part,
                status,
            } => self.push(mix, at, (attempt, part), status),
            Action::QuietTimeIsOver(at) => self.rows[at].age = Age::Quiet,
            Action::DeadlineIsOver(at) => self.rows[at].age = Age::Old,
            Action::BecomesLate => self.late = true,
            _ => self.take_move(mix, action),
        }
    }

    fn take_move(&mut self, mix: &Mix, action: Action) {
        let batches = std::slice::from_mut(&mut self.batch);
        match action {
            Action::Pause => _ = rules::pause(&mut self.schedule),
            Action::Resume => _ = rules::resume(&mut self.schedule, batches, Due::Now),
            Action::Cancel => {
                let held = self.batch.missed
                    && self.batch.token.is_some()
                    && mix.is_broken(Broken::HoldSurvivesCancel);
                rules::cancel(&mut self.schedule, std::slice::from_mut(&mut self.batch));
                self.batch.missed |= held;
            }
            Action::SendNow => {
                self.late &= !rules::send_now(&mut self.schedule, batches);
                return;
            }
            Action::ResolveSent(at) => {
                let (mut batch, mut schedule) = (self.batch, self.schedule);
                self.change(at, |row, _| {
                    rules::resolve_sent(row, &mut batch, &mut schedule)
                });
                (self.batch, self.schedule) = (batch, schedule);
                return;
            }
            Action::ResolveResend(at) => {
                let (mut batch, mut schedule) = (self.batch, self.schedule);
                self.change(at, |row, _| {
                    rules::resolve_resend(row, &mut batch, &mut schedule)
                });
                self.carrier[at].allowed += 1;
                (self.batch, self.schedule) = (batch, schedule);
                return;
            }
            _ => return,
        }
        self.moves_left -= 1;
    }

    /// A message is handled: the first free environment claims.
    fn claim(&mut self, work: Work) {
        let may = match work {
            Work::Send => rules::may_claim_to_send(&self.batch, &self.schedule),
            Work::Check => rules::may_claim_to_check(&self.batch),
        };
        let free = self.workers.iter().position(|it| *it == Worker::IDLE);
        if let (true, Some(worker)) = (may, free) {
            rules::claim(&mut self.batch, worker as u8);
            self.workers[worker].stage = Stage::Claimed(work);
        }
    }

    fn sweep(&mut self) {
        self.queued[0] |= rules::hands_out_send(&self.batch, &self.schedule);
        self.queued[1] |= rules::hands_out_check(&self.batch);
    }

    fn end_lease(&mut self) {
        self.batch.lease_over = true;
        if let Some(owner) = self.batch.token {
            let it = &mut self.workers[usize::from(owner)];
            it.over = it.stage != Stage::Idle;
        }
    }

    /// Time passes at any moment: what is due later is due now.
    fn pass_time(&mut self) {
        let now = |due: Due| if due.is_set() { Due::Now } else { due };
        let Batch {
            send_at,
            check_at,
            sweep_at,
            ..
        } = self.batch;
        self.batch = Batch {
            send_at: now(send_at),
            check_at: now(check_at),
            sweep_at: now(sweep_at),
            ..self.batch
        };
    }
}
