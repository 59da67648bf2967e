//! The actions that are possible in each state.

use shared::message::status::Status;
use stateright::{Model, Property};

use crate::{
    mix::{Broken, Mix},
    properties,
    receipt::Receipt,
    recheck_pass::PartStatuses,
    requests::Reply,
    rows::{Age, Due, ROWS, ScheduleStatus},
    rules,
    world::{End, PARTS, Stage, Task, WORKERS, Work, Worker, World, bit, parts_of},
};

/// One step of a worker, the carrier, a queue, an operator or the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "see the functions of the same names; the first number is that of the worker"
)]
pub enum Action {
    Claim(Work),
    Deliver {
        work: Work,
        duplicate: bool,
    },
    LoseMessage(Work),
    Sweep,
    Read(usize, Work),
    Close(usize),
    Hold(usize),
    Expire(usize),
    Reject(usize),
    Flush {
        worker: usize,
        twice: bool,
    },
    Start(usize),
    Stop(usize),
    Answer {
        worker: usize,
        request: u8,
        reply: Reply,
    },
    Query {
        worker: usize,
        recipient: usize,
        answers: PartStatuses,
    },
    Record(usize),
    Release(usize),
    Return(usize),
    ReadTurn,
    Admit {
        enqueued: bool,
    },
    Finish,
    LeaseEnds,
    Crash(usize),
    Arrives {
        recipient: usize,
        attempt: u8,
        part: u8,
    },
    IsRefused {
        recipient: usize,
        attempt: u8,
    },
    IsLostOnTheWire {
        recipient: usize,
        attempt: u8,
    },
    Push(Receipt),
    QuietTimeIsOver(usize),
    DeadlineIsOver(usize),
    BecomesLate,
    EndPasses,
    MoveEnd,
    Pause,
    Resume,
    /// An operator stops all sending.
    SetBrake,
    ReleaseBrake,
    /// The sweep finds the batch while the brake is set.
    SweepSkips,
    Cancel,
    SendNow,
    CancelRecipient(usize),
    ChangeRecipient(usize),
    ResolveSent(usize),
    ResolveResend(usize),
}

impl Model for Mix {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![self.world()]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        self.worker_actions(world, actions);
        self.queue_actions(world, actions);
        self.carrier_actions(world, actions);
        self.receipt_actions(world, actions);
        self.operator_actions(world, actions);
        self.time_actions(world, actions);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        next.apply(self, action);
        Some(next)
    }

    fn within_boundary(&self, world: &World) -> bool {
        world
            .rows
            .iter()
            .all(|row| row.attempt <= self.max_attempts)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}

impl Mix {
    pub(crate) fn worker_actions(&self, world: &World, actions: &mut Vec<Action>) {
        for worker in 0..WORKERS {
            let state = &world.workers[worker];
            match state.stage {
                Stage::Idle => continue,
                Stage::Claimed(work) => actions.push(Action::Read(worker, work)),
                Stage::Close => actions.push(Action::Close(worker)),
                Stage::Hold => actions.push(Action::Hold(worker)),
                Stage::Expire => actions.push(Action::Expire(worker)),
                Stage::Sending => self.pass_actions(world, worker, actions),
                Stage::Rechecking => self.recheck_actions(world, worker, actions),
            }
            if state.is_done() {
                actions.push(Action::Release(worker));
                let may_return = self.admission && state.stage == Stage::Sending;
                actions.extend(may_return.then_some(Action::Return(worker)));
            }
            if self.crash {
                actions.push(Action::Crash(worker));
            }
        }
        if rules::may_finish(&world.schedule, &[world.batch]) {
            actions.push(Action::Finish);
        }
    }

    fn pass_actions(&self, world: &World, worker: usize, actions: &mut Vec<Action>) {
        let state = &world.workers[worker];
        if state.tasks.contains(&Task::Marked) {
            actions.push(Action::Start(worker));
            return;
        }
        if world.may_flush(self, worker) {
            actions.push(Action::Flush {
                worker,
                twice: false,
            });
            actions.extend(self.commit_lost.then_some(Action::Flush {
                worker,
                twice: true,
            }));
        }
        if state.tasks.contains(&Task::Waiting) {
            actions.push(Action::Stop(worker));
            actions.extend((world.end == End::Passed).then_some(Action::Expire(worker)));
        }
        if state.has_only_refused() {
            actions.push(Action::Reject(worker));
        }
        for request in self.requests {
            let replies = world.replies(self, worker, *request);
            actions.extend(replies.into_iter().map(|reply| Action::Answer {
                worker,
                request: *request,
                reply,
            }));
        }
    }

    fn recheck_actions(&self, world: &World, worker: usize, actions: &mut Vec<Action>) {
        let state = &world.workers[worker];
        for recipient in (0..ROWS).filter(|recipient| state.tasks[*recipient] == Task::Query) {
            let answers = world.possible_answers(self, worker, recipient);
            actions.extend(answers.into_iter().map(|answers| Action::Query {
                worker,
                recipient,
                answers,
            }));
        }
        if !state.is_done() {
            actions.push(Action::Record(worker));
        }
    }

    pub(crate) fn queue_actions(&self, world: &World, actions: &mut Vec<Action>) {
        let free = world.workers.contains(&Worker::IDLE);
        let swept = world.batch.sweep_at == Due::Now;
        for (queue, work) in [Work::Send, Work::Check].into_iter().enumerate() {
            let may = match work {
                Work::Send => {
                    rules::may_claim_to_send(&world.batch, &world.schedule, world.stopped)
                }
                Work::Check => rules::may_claim_to_check(&world.batch),
            };
            if !self.queues {
                actions.extend(
                    (free && swept && may && world.sweep_enqueues(work))
                        .then_some(Action::Claim(work)),
                );
            } else if world.queued[queue] {
                actions.push(Action::LoseMessage(work));
                if free {
                    actions
                        .extend([false, true].map(|duplicate| Action::Deliver { work, duplicate }));
                }
            }
        }
        let missing = |work: Work| world.sweep_enqueues(work) && !world.queued[work as usize];
        if self.queues && swept && (missing(Work::Send) || missing(Work::Check)) {
            actions.push(Action::Sweep);
        }
        // A turn of which nothing can be admitted, and which does not end, is no step.
        let ends = !world.batch.waiting;
        match world.admission {
            Some(_) => {
                actions.extend([false, true].map(|enqueued| Action::Admit { enqueued }));
            }
            None if rules::may_admit(&world.schedule, world.stopped)
                && (ends || world.batch.token.is_none()) =>
            {
                actions.push(Action::ReadTurn);
            }
            None => {}
        }
    }

    pub(crate) fn carrier_actions(&self, world: &World, actions: &mut Vec<Action>) {
        for recipient in 0..self.recipients() {
            let on_wire = world.carrier[recipient].on_wire;
            for attempt in
                (1..=self.max_attempts).filter(|attempt| on_wire & parts_of(*attempt, PARTS) != 0)
            {
                let parts = (0..PARTS).filter(|part| on_wire & bit(attempt, *part) != 0);
                actions.extend(parts.map(|part| Action::Arrives {
                    recipient,
                    attempt,
                    part,
                }));
                let whole = on_wire & parts_of(attempt, PARTS) == parts_of(attempt, self.parts);
                actions.extend(
                    ((self.throttle || self.refuse || self.account) && whole)
                        .then_some(Action::IsRefused { recipient, attempt }),
                );
                actions.extend(
                    self.lost
                        .then_some(Action::IsLostOnTheWire { recipient, attempt }),
                );
            }
        }
    }

    fn operator_actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.moves_left > 0 {
            let running = world.schedule.status == ScheduleStatus::Running;
            let paused = world.schedule.status == ScheduleStatus::Paused;
            actions.extend(running.then_some(Action::Pause));
            actions.extend(paused.then_some(Action::Resume));
            actions.extend((world.end == End::Passed && running).then_some(Action::MoveEnd));
            actions.extend(
                (running || paused || world.schedule.status == ScheduleStatus::Missed)
                    .then_some(Action::Cancel),
            );
        }
        if world.stopped {
            actions.push(Action::ReleaseBrake);
            let mut swept = world.batch;
            rules::skip_while_stopped(&mut swept, &world.schedule);
            actions.extend((swept != world.batch).then_some(Action::SweepSkips));
        } else if self.brake && world.moves_left > 0 {
            actions.push(Action::SetBrake);
        }
        if world.batch.missed && rules::may_send_now(&world.schedule) {
            actions.push(Action::SendNow);
        }
        for recipient in 0..if self.changes { self.recipients() } else { 0 } {
            let row = &world.rows[recipient];
            let is_marked =
                row.status == Status::Sending && self.is_broken(Broken::CancelIgnoresMark);
            if rules::is_in_time(row) || is_marked {
                actions.push(Action::CancelRecipient(recipient));
            }
            if rules::is_in_time(row) && !world.carrier[recipient].is_changed {
                actions.push(Action::ChangeRecipient(recipient));
            }
        }
        for recipient in 0..if self.operator { self.recipients() } else { 0 } {
            if rules::may_resolve(&world.rows[recipient], &world.batch) {
                actions.extend([
                    Action::ResolveSent(recipient),
                    Action::ResolveResend(recipient),
                ]);
            }
        }
    }

    fn time_actions(&self, world: &World, actions: &mut Vec<Action>) {
        let owner = world
            .batch
            .token
            .map(|token| world.workers[usize::from(token)].stage != Stage::Idle);
        if let Some(is_running) = owner
            && !world.batch.lease_over
            && (self.freeze || !is_running)
        {
            actions.push(Action::LeaseEnds);
        }
        for recipient in 0..self.recipients() {
            let row = &world.rows[recipient];
            let counts_quiet_time = matches!(row.status, Status::Sending | Status::Uncertain)
                && (self.own_ids || self.resend_uncertain);
            if counts_quiet_time && row.age == Age::Fresh && world.is_quiet(recipient) {
                actions.push(Action::QuietTimeIsOver(recipient));
            }
            let open = matches!(
                row.status,
                Status::Acceptd | Status::Enroute | Status::Uncertain
            );
            if open && row.age != Age::PastDeadline && self.forgets && world.is_quiet(recipient) {
                actions.push(Action::DeadlineIsOver(recipient));
            }
        }
        actions.extend((self.lateness && !world.late).then_some(Action::BecomesLate));
        actions.extend((self.end && world.end == End::Ahead).then_some(Action::EndPasses));
    }
}

impl World {
    fn sweep_enqueues(&self, work: Work) -> bool {
        match work {
            Work::Send => rules::sweep_enqueues_send(&self.batch, &self.schedule, self.stopped),
            Work::Check => rules::sweep_enqueues_check(&self.batch),
        }
    }

    /// Checks that the quiet time can have passed. It is longer than a lease and than the time of a
    /// request on the wire: no part of the attempt can arrive any more.
    fn is_quiet(&self, recipient: usize) -> bool {
        let row = &self.rows[recipient];
        let may_start = |state: &Worker| {
            state.tasks[recipient] == Task::Marked
                && state.attempts[recipient] == row.attempt
                && !state.lease_over
        };
        self.carrier[recipient].on_wire & parts_of(row.attempt, PARTS) == 0
            && !self.workers.iter().any(may_start)
    }
}
