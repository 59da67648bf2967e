//! One send pass: the statements that `functions/send` executes between claim and release.

use shared::{batch::rows::Step, message::status::Status};

use crate::{
    mix::{Broken, Mix},
    recheck_pass,
    rows::{Age, Due, ROWS, Row, ScheduleStatus},
    rules::{self, Flush},
    world::{End, Stage, Task, Work, Worker, World},
};

impl World {
    /// Runs the statements after the claim: SENDING rows become UNCERTAIN, then all rows are read.
    pub fn read(&mut self, mix: &Mix, worker: usize, work: Work) {
        if !self.owns(worker) {
            self.workers[worker] = Worker::IDLE;
            return;
        }
        for recipient in 0..mix.recipients() {
            self.change_row(recipient, |row, _| rules::mark_owner_lost(row, true));
            if mix.is_broken(Broken::LeftoversBecomePending)
                && self.rows[recipient].status == Status::Uncertain
            {
                self.rows[recipient].status = Status::Pending;
            }
        }
        let schedule = self.schedule.status;
        let never_sent =
            |row: &Row| row.status == Status::Pending && seen_by_policy(mix, row).resends == 0;
        let has_unsent = self.rows[..mix.recipients()].iter().any(never_sent);
        let too_late = self.late && !self.batch.missed && has_unsent;
        let has_ended = self.end == End::Passed;
        let stage = match work {
            Work::Check => Stage::Rechecking,
            Work::Send if schedule == ScheduleStatus::Cancelled => Stage::Close,
            Work::Send if has_ended => Stage::Expire,
            Work::Send if too_late => Stage::Hold,
            Work::Send => Stage::Sending,
        };
        self.workers[worker].allows_resends =
            matches!(schedule, ScheduleStatus::Running | ScheduleStatus::Paused) && !has_ended;
        self.workers[worker].stage = stage;
        self.assign_tasks(mix, worker);
    }

    fn assign_tasks(&mut self, mix: &Mix, worker: usize) {
        let max_resends = self.max_resends(mix, worker);
        let pending = match self.workers[worker].stage {
            Stage::Close | Stage::Expire => PendingRows::None,
            Stage::Hold => PendingRows::Resends,
            _ if self.batch.missed => PendingRows::Resends,
            _ => PendingRows::All,
        };
        let rechecks = self.workers[worker].stage == Stage::Rechecking;
        for recipient in 0..mix.recipients() {
            let row = &seen_by_policy(mix, &self.rows[recipient]);
            let task = if rechecks {
                recheck_pass::recheck_task(mix, row)
            } else {
                send_task(mix, row, max_resends, pending)
            };
            let state = &mut self.workers[worker];
            state.tasks[recipient] = task;
            if task != Task::None {
                state.attempts[recipient] = row.attempt;
                state.read_status[recipient] = row.status;
                state.read_change[recipient] = self.carrier[recipient].is_changed;
            }
        }
    }

    fn max_resends(&self, mix: &Mix, worker: usize) -> u8 {
        if self.workers[worker].allows_resends {
            mix.max_resends
        } else {
            0
        }
    }

    /// Closes the PENDING rows of a cancelled schedule.
    pub fn close(&mut self, mix: &Mix, worker: usize) {
        let owns = self.owns(worker);
        for recipient in 0..mix.recipients() {
            self.change_row(recipient, |row, _| rules::close_pending(row, owns));
        }
        self.workers[worker].stage = Stage::Sending;
    }

    /// Holds the PENDING rows of a batch that is too late.
    pub fn hold(&mut self, mix: &Mix, worker: usize) {
        let owns = self.owns(worker);
        if mix.is_broken(Broken::HoldIgnoresSchedule) {
            self.batch.missed |= owns;
        } else {
            rules::hold_missed(&mut self.batch, &self.schedule, owns);
        }
        self.workers[worker].stage = Stage::Sending;
    }

    /// Ends the PENDING rows after the schedule's end, at the beginning of a pass or between its
    /// requests.
    pub fn expire(&mut self, mix: &Mix, worker: usize) {
        let owns = self.owns(worker) || mix.is_broken(Broken::ExpiryWithoutToken);
        for recipient in 0..mix.recipients() {
            let expired = self.change_row(recipient, |row, _| rules::expire_pending(row, owns));
            self.carrier[recipient].has_expired |= expired;
        }
        self.workers[worker].stop();
        self.workers[worker].allows_resends = false;
        self.workers[worker].stage = Stage::Sending;
    }

    /// Decides, at the end of a pass, about the recipients that were refused alone: REJECTD if the
    /// carrier has accepted others in this pass, else PENDING.
    pub fn reject(&mut self, mix: &Mix, worker: usize) {
        let owns = self.owns(worker);
        let accepted = self.workers[worker].accepted;
        let rejects = accepted || mix.is_broken(Broken::RejectedWithoutAcceptance);
        for recipient in 0..ROWS {
            if self.workers[worker].tasks[recipient] != Task::RefusedAlone {
                continue;
            }
            self.workers[worker].tasks[recipient] = Task::None;
            let skip = Flush {
                step: Step::Skip,
                attempt: self.workers[worker].attempts[recipient],
                status: Status::Rejectd,
                resend: false,
                ids: 0,
                by: worker as u8,
            };
            let rejected = rejects
                && self.change_row(recipient, |row, schedule| {
                    rules::flush(row, schedule, owns, &skip)
                });
            self.violations.rejected_wrongly |=
                rejected && (!accepted || self.carrier[recipient].account_refused);
        }
    }

    /// Checks that the pass flushes now: it has something to record, or it has something to start
    /// and nothing to wait for.
    pub fn may_flush(&self, mix: &Mix, worker: usize) -> bool {
        let state = &self.workers[worker];
        let has = |matches: fn(&Task) -> bool| state.tasks.iter().any(matches);
        let unrecorded = has(|task| matches!(task, Task::Answered { .. } | Task::Unmark));
        let started = has(|task| matches!(task, Task::Marked | Task::InFlight));
        state.stage == Stage::Sending
            && (unrecorded || (!started && !self.next_requests(mix, worker).is_empty()))
    }

    /// Runs the statement, or the transaction, that records answers and marks the recipients of the
    /// next requests. It is executed twice if the answer to the first commit was lost. If not all of
    /// its rows match, the next flush takes back its marks, of which it does not know how many there
    /// are: the statement by range commits what matched.
    pub fn flush(&mut self, mix: &Mix, worker: usize, twice: bool) {
        let starting: u8 = self.next_requests(mix, worker).iter().sum();
        let starts = |recipient: usize| starting & (1 << recipient) != 0;
        let row_of = |recipient| self.flush_row(worker, recipient, starts(recipient));
        let rows: Vec<(usize, Flush)> = (0..ROWS)
            .filter_map(|recipient| Some((recipient, row_of(recipient)?)))
            .collect();
        let mut all_matched = self.write(mix, worker, &rows);
        if twice {
            all_matched = self.write(mix, worker, &rows);
        }
        for (recipient, flushed) in &rows {
            self.update_task(worker, *recipient, flushed.step, all_matched);
        }
        // A frozen pass may have passed its check of the clock once, but not twice.
        if !all_matched || self.workers[worker].lease_over {
            self.workers[worker].stop();
        }
    }

    fn update_task(&mut self, worker: usize, recipient: usize, step: Step, all_matched: bool) {
        let state = &mut self.workers[worker];
        let retry = matches!(state.tasks[recipient], Task::Answered { retry: true, .. });
        let alone = matches!(state.tasks[recipient], Task::Answered { alone: true, .. });
        state.tasks[recipient] = match step {
            Step::Mark => {
                state.attempts[recipient] += 1;
                if all_matched {
                    Task::Marked
                } else {
                    Task::Unmark
                }
            }
            // The recipient waits again only if the record was written: then it was never sent.
            Step::Answer if all_matched && retry => {
                state.read_status[recipient] = Status::Pending;
                if state.stopped {
                    Task::None
                } else {
                    Task::Waiting
                }
            }
            Step::Answer if all_matched && alone => Task::RefusedAlone,
            _ => Task::None,
        };
    }

    fn flush_row(&self, worker: usize, recipient: usize, starts: bool) -> Option<Flush> {
        let state = &self.workers[worker];
        let unmark = Flush {
            step: Step::Unmark,
            attempt: state.attempts[recipient],
            status: Status::Pending,
            resend: false,
            ids: 0,
            by: worker as u8,
        };
        match state.tasks[recipient] {
            Task::Answered { status, ids, .. } => Some(Flush {
                step: Step::Answer,
                status,
                ids,
                ..unmark
            }),
            Task::Unmark => Some(unmark),
            Task::Waiting if starts => Some(Flush {
                step: Step::Mark,
                status: Status::Sending,
                resend: state.read_status[recipient] != Status::Pending,
                ..unmark
            }),
            _ => None,
        }
    }

    /// Writes the rows. Returns `true` if each row matched and the claim still owns the batch.
    fn write(&mut self, mix: &Mix, worker: usize, rows: &[(usize, Flush)]) -> bool {
        let owns = self.owns(worker);
        let is_fact = |row: &Flush| match row.step {
            Step::Unmark => !mix.is_broken(Broken::UnmarkThatMakesNothingDue),
            step => step == Step::Answer,
        };
        let lease_lost = rows.iter().any(|(_, row)| is_fact(row))
            && !mix.is_broken(Broken::AnswerThatMakesNothingDue)
            && rules::make_due_if_lease_lost(&mut self.batch, &mut self.schedule, owns);
        let mut all_matched = !lease_lost;
        for (recipient, flush) in rows {
            let with_token = match flush.step {
                Step::Mark => owns || mix.is_broken(Broken::MarkWithoutToken),
                _ => owns,
            };
            let before = self.rows[*recipient];
            let is_omitted = is_omitted(mix, &before, owns, flush);
            if flush.step == Step::Unmark && mix.is_broken(Broken::UnmarkByAttemptOnly) {
                self.rows[*recipient].marked_by = Some(flush.by);
            }
            let matched = self.change_row(*recipient, |row, schedule| {
                if flush.step == Step::Mark && flush.attempt > 0 {
                    rules::keep_attempt(row, schedule, with_token, flush.attempt);
                }
                if lease_lost {
                    rules::record_late_answer(row, flush);
                }
                !is_omitted && rules::flush(row, schedule, with_token, flush)
            });
            all_matched &= matched;
            self.observe(mix, *recipient, &before, flush);
        }
        all_matched
    }

    /// Counts a resend that a rule allowed, and records a violation if an answer was discarded.
    fn observe(&mut self, mix: &Mix, recipient: usize, before: &Row, flush: &Flush) {
        let after = &self.rows[recipient];
        if after.attempt > before.attempt {
            let failed = matches!(before.status, Status::Undeliv | Status::Expired);
            let policy = before.status == Status::Uncertain
                && mix.resend_uncertain
                && before.age >= Age::PastQuietTime;
            self.carrier[recipient].allowed_resends += u8::from(failed || policy);
        }
        let recorded = if after.attempt == flush.attempt {
            !matches!(after.status, Status::Sending | Status::Uncertain)
        } else {
            after.earlier_attempts[usize::from(flush.attempt)]
                .is_none_or(|status| status != Status::Uncertain)
        };
        self.violations.answer_discarded |=
            flush.step == Step::Answer && flush.ids != 0 && !recorded;
    }

    /// Releases the batch and ends the invocation. `returns`: what is PENDING waits for its turn.
    pub fn release(&mut self, mix: &Mix, worker: usize, returns: bool) {
        let is_send = self.workers[worker].stage == Stage::Sending;
        let input = rules::Release {
            max_resends: self.max_resends(mix, worker),
            resend_uncertain: mix.resend_uncertain && !mix.own_ids,
            ask_uncertain: mix.own_ids,
            waits: is_send.then_some(returns),
            send_at: Due::Now,
            check_at: Due::Now,
        };
        let owns = self.owns(worker);
        let rows: Vec<Row> = self.rows[..mix.recipients()]
            .iter()
            .map(|row| seen_by_policy(mix, row))
            .collect();
        if rules::release(&mut self.batch, &rows, owns, &input) {
            self.uncounted = false;
            if returns && !mix.is_broken(Broken::ReturnWithoutTurn) {
                rules::open_turn(&mut self.schedule, &[self.batch]);
            }
            self.queued[0] |= mix.queues && self.batch.send_at.is_set() && !self.batch.waiting;
            self.queued[1] |= mix.queues && self.batch.check_at.is_set();
        }
        self.workers[worker] = Worker::IDLE;
    }
}

/// Checks that an omitted rule keeps a row of a flush from being written.
fn is_omitted(mix: &Mix, row: &Row, owns: bool, flush: &Flush) -> bool {
    match flush.step {
        Step::Answer => !owns && mix.is_broken(Broken::AnswerNeedsToken),
        Step::Unmark => {
            (!owns && mix.is_broken(Broken::UnmarkNeedsToken))
                || (row.status == Status::Uncertain && mix.is_broken(Broken::UnmarkOfSendingOnly))
        }
        _ => false,
    }
}

/// The PENDING rows that a pass sends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PendingRows {
    All,
    /// Those that were sent before.
    Resends,
    None,
}

/// Returns a row as the policy of holds and resends reads it, with the omitted rules.
fn seen_by_policy(mix: &Mix, row: &Row) -> Row {
    let is_held = mix.is_broken(Broken::RefusedResendIsHeld) && row.status == Status::Pending;
    Row {
        resends: if is_held { 0 } else { row.resends },
        ended: row.ended && !mix.is_broken(Broken::ExpiryIsResent),
        ..*row
    }
}

/// Returns the task of a send pass for a row.
fn send_task(mix: &Mix, row: &Row, max_resends: u8, pending: PendingRows) -> Task {
    let may_resend = row.resends < max_resends;
    let due = match row.status {
        Status::Pending if row.resends > 0 => pending != PendingRows::None,
        Status::Pending => pending == PendingRows::All,
        Status::Expired if row.ended => false,
        Status::Undeliv | Status::Expired => may_resend,
        Status::Uncertain => {
            may_resend && mix.resend_uncertain && !mix.own_ids && row.age >= Age::PastQuietTime
        }
        _ => false,
    };
    if due { Task::Waiting } else { Task::None }
}
