//! The effect of each action.

use shared::message::status::Status;

use crate::{
    actions::Action,
    mix::{Broken, Mix},
    rows::{Age, Batch, Due},
    rules,
    world::{End, Stage, Work, Worker, World, bit, parts_of},
};

impl World {
    /// Applies an action.
    pub fn apply(&mut self, mix: &Mix, action: Action) {
        match action {
            Action::Claim(work) => self.claim(work),
            Action::Deliver { work, duplicate } => {
                self.queued[work as usize] = duplicate;
                self.claim(work);
            }
            Action::LoseMessage(work) => self.queued[work as usize] = false,
            Action::ReadTurn => self.admission = Some(self.batch.waiting),
            Action::Admit { enqueued } => self.admit(mix, enqueued),
            Action::Sweep => self.sweep(),
            Action::Read(worker, work) => self.read(mix, worker, work),
            Action::Close(worker) => self.close(mix, worker),
            Action::Hold(worker) => self.hold(mix, worker),
            Action::Expire(worker) => self.expire(mix, worker),
            Action::Reject(worker) => self.reject(mix, worker),
            Action::Flush { worker, twice } => self.flush(mix, worker, twice),
            Action::Start(worker) => self.start(mix, worker),
            Action::Stop(worker) => self.workers[worker].stop(),
            Action::Answer {
                worker,
                request,
                reply,
            } => self.answer(mix, worker, request, reply),
            Action::Query {
                worker,
                recipient,
                answers,
            } => self.query(mix, worker, recipient, answers),
            Action::Record(worker) => self.record(mix, worker),
            Action::Release(worker) => self.release(mix, worker, false),
            Action::Return(worker) => self.release(mix, worker, true),
            Action::Finish => rules::finish(&mut self.schedule, &[self.batch]),
            Action::Crash(worker) => self.crash(worker),
            _ => self.apply_outside(mix, action),
        }
        self.pass_time();
        self.forget_marks();
    }

    fn apply_outside(&mut self, mix: &Mix, action: Action) {
        match action {
            Action::LeaseEnds => self.end_lease(),
            Action::Arrives {
                recipient,
                attempt,
                part,
            } => {
                self.carrier[recipient].on_wire &= !bit(attempt, part);
                self.carrier[recipient].accepted |= bit(attempt, part);
            }
            Action::IsRefused { recipient, attempt } => {
                self.carrier[recipient].on_wire &= !parts_of(attempt, mix.parts);
                self.carrier[recipient].refused |= parts_of(attempt, mix.parts);
            }
            Action::IsLostOnTheWire { recipient, attempt } => {
                self.carrier[recipient].on_wire &= !parts_of(attempt, mix.parts);
            }
            Action::Push(receipt) => self.push(mix, receipt),
            Action::QuietTimeIsOver(recipient) => self.rows[recipient].age = Age::PastQuietTime,
            Action::DeadlineIsOver(recipient) => self.rows[recipient].age = Age::PastDeadline,
            Action::BecomesLate => self.late = true,
            Action::EndPasses => self.end = End::Passed,
            _ => self.apply_lifecycle(mix, action),
        }
    }

    fn apply_lifecycle(&mut self, mix: &Mix, action: Action) {
        let has_pending = self.has_pending(mix);
        let (owned, missed) = (self.batch.token.is_some(), self.batch.missed);
        let batches = std::slice::from_mut(&mut self.batch);
        match action {
            Action::Pause => _ = rules::pause(&mut self.schedule),
            Action::Resume => {
                rules::resume(&mut self.schedule, batches, Due::Now, has_pending);
                if owned && mix.is_broken(Broken::ClaimedBatchWaits) {
                    (batches[0].waiting, batches[0].sweep_at) = (true, Due::Unreachable);
                    rules::open_turn(&mut self.schedule, batches);
                }
            }
            Action::MoveEnd => self.end = End::Moved,
            Action::SetBrake => self.stopped = true,
            Action::Cancel => {
                rules::cancel(&mut self.schedule, batches, has_pending);
                batches[0].missed |= missed && owned && mix.is_broken(Broken::HoldSurvivesCancel);
            }
            _ => return self.apply_decision(mix, action),
        }
        self.moves_left -= 1;
    }

    /// Applies an operator's decision about missed batches or an UNCERTAIN row.
    fn apply_decision(&mut self, mix: &Mix, action: Action) {
        let has_pending = self.has_pending(mix);
        let (mut batch, mut schedule) = (self.batch, self.schedule);
        match action {
            Action::SweepSkips => rules::skip_while_stopped(&mut batch, &schedule),
            Action::ReleaseBrake => {
                self.stopped = false;
                if !mix.is_broken(Broken::BrakeReleasesNothing) {
                    rules::release_brake(&mut batch, &schedule);
                }
            }
            Action::SendNow => {
                let batches = std::slice::from_mut(&mut batch);
                let sent = rules::send_now(&mut schedule, batches, has_pending);
                self.late &= !sent;
            }
            Action::ResolveSent(recipient) => self.change_row(recipient, |row, _| {
                rules::resolve_sent(row, &mut batch, &mut schedule);
            }),
            Action::ResolveResend(recipient) => {
                self.change_row(recipient, |row, _| {
                    rules::resolve_resend(row, &mut batch, &mut schedule);
                });
                self.carrier[recipient].allowed_resends += 1;
            }
            _ => return self.apply_change(mix, action),
        }
        (self.batch, self.schedule) = (batch, schedule);
    }

    /// Applies a caller's cancellation or change of one recipient.
    fn apply_change(&mut self, mix: &Mix, action: Action) {
        let (mut batch, mut schedule) = (self.batch, self.schedule);
        match action {
            Action::CancelRecipient(recipient) => {
                if mix.is_broken(Broken::CancelIgnoresMark) {
                    self.rows[recipient].status = Status::Pending;
                }
                let mut others = (0..mix.recipients()).filter(|other| *other != recipient);
                let others = others.any(|other| self.rows[other].status == Status::Pending);
                let in_time = self.change_row(recipient, |row, _| {
                    rules::cancel_recipient(row, &mut batch, &mut schedule, others)
                });
                self.carrier[recipient].is_cancelled |= in_time;
                // The statement that ends a claim counts the rows.
                self.uncounted &= batch.token.is_some();
            }
            Action::ChangeRecipient(recipient) => {
                let in_time = rules::change_recipient(&self.rows[recipient], &mut batch);
                self.carrier[recipient].is_changed |= in_time;
                self.uncounted &= batch.token.is_some();
                if mix.is_broken(Broken::ChangeKeepsClaim) {
                    batch = self.batch;
                }
            }
            _ => {}
        }
        (self.batch, self.schedule) = (batch, schedule);
    }

    /// Handles a message: the first free worker claims the batch.
    fn claim(&mut self, work: Work) {
        let may = match work {
            Work::Send => rules::may_claim_to_send(&self.batch, &self.schedule, self.stopped),
            Work::Check => rules::may_claim_to_check(&self.batch),
        };
        let free = self.workers.iter().position(|state| *state == Worker::IDLE);
        if let (true, Some(worker)) = (may, free) {
            match work {
                Work::Send => rules::claim_to_send(&mut self.batch, worker as u8),
                Work::Check => rules::claim_to_check(&mut self.batch, worker as u8),
            }
            self.workers[worker].stage = Stage::Claimed(work);
        }
    }

    fn sweep(&mut self) {
        self.queued[0] |= rules::sweep_enqueues_send(&self.batch, &self.schedule, self.stopped);
        self.queued[1] |= rules::sweep_enqueues_check(&self.batch);
    }

    /// Ends the transaction of an admission: admits what waits, and ends the turn.
    fn admit(&mut self, mix: &Mix, enqueued: bool) {
        let batches = std::slice::from_mut(&mut self.batch);
        if self.admission.take() == Some(true) {
            self.queued[0] |= rules::admit(&mut batches[0]) && enqueued;
        }
        if mix.is_broken(Broken::TurnEndsUnchecked) {
            self.schedule.turn = false;
        } else {
            rules::end_turn(&mut self.schedule, batches);
        }
    }

    fn has_pending(&self, mix: &Mix) -> bool {
        let mut rows = self.rows[..mix.recipients()].iter();
        rows.any(|row| row.status == Status::Pending)
    }

    fn end_lease(&mut self) {
        self.batch.lease_over = true;
        if let Some(owner) = self.batch.token {
            let state = &mut self.workers[usize::from(owner)];
            state.lease_over = state.stage != Stage::Idle;
        }
    }

    /// Lets time pass: a later due time can be reached at any moment, so it becomes due now.
    fn pass_time(&mut self) {
        let now = |due: Due| if due == Due::Later { Due::Now } else { due };
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
