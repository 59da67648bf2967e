//! What may happen next.

use shared::message::status::Status;
use stateright::{Model, Property};

use crate::{
    database::{Age, Life, ROWS},
    mix::Mix,
    pass::Reply,
    properties,
    recheck::Words,
    rules,
    world::{PARTS, Place, Stage, WORKERS, Work, Worker, World, bit, parts_of},
};

/// One step of somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the functions of their names say it; the first number is the worker's"
)]
pub enum Action {
    Claim(Work),
    Deliver {
        work: Work,
        kept: bool,
    },
    LoseMessage(Work),
    Sweep,
    Read(usize, Work),
    Close(usize),
    Hold(usize),
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
    Ask {
        worker: usize,
        at: usize,
        said: Words,
    },
    Record(usize),
    Release(usize),
    Finish,
    LeaseEnds,
    Crash(usize),
    Arrives {
        at: usize,
        attempt: u8,
        part: u8,
    },
    IsRefused {
        at: usize,
        attempt: u8,
    },
    IsLostOnTheWire {
        at: usize,
        attempt: u8,
    },
    Push {
        at: usize,
        attempt: u8,
        part: u8,
        status: Status,
    },
    QuietTimeIsOver(usize),
    DeadlineIsOver(usize),
    BecomesLate,
    Pause,
    Resume,
    Cancel,
    SendNow,
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
        self.push_actions(world, actions);
        self.people_actions(world, actions);
        self.time_actions(world, actions);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        next.take(self, action);
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
            let it = &world.workers[worker];
            match it.stage {
                Stage::Idle => continue,
                Stage::Claimed(work) => actions.push(Action::Read(worker, work)),
                Stage::Close => actions.push(Action::Close(worker)),
                Stage::Hold => actions.push(Action::Hold(worker)),
                Stage::Sending => self.pass_actions(world, worker, actions),
                Stage::Asking => self.recheck_actions(world, worker, actions),
            }
            if it.is_done() {
                actions.push(Action::Release(worker));
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
        let it = &world.workers[worker];
        if it.places.contains(&Place::Marked) {
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
        if it.places.contains(&Place::Waiting) {
            actions.push(Action::Stop(worker));
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
        let it = &world.workers[worker];
        for at in (0..ROWS).filter(|at| it.places[*at] == Place::Ask) {
            let sayings = world.sayings(self, worker, at);
            actions.extend(
                sayings
                    .into_iter()
                    .map(|said| Action::Ask { worker, at, said }),
            );
        }
        if !it.is_done() {
            actions.push(Action::Record(worker));
        }
    }

    pub(crate) fn queue_actions(&self, world: &World, actions: &mut Vec<Action>) {
        let free = world.workers.contains(&Worker::IDLE);
        let handed = world.batch.sweep_at.is_set();
        for (at, work) in [Work::Send, Work::Check].into_iter().enumerate() {
            let may = match work {
                Work::Send => rules::may_claim_to_send(&world.batch, &world.schedule),
                Work::Check => rules::may_claim_to_check(&world.batch),
            };
            if !self.queues {
                actions.extend(
                    (free && handed && may && world.hands_out(work)).then_some(Action::Claim(work)),
                );
            } else if world.queued[at] {
                actions.push(Action::LoseMessage(work));
                if free {
                    actions.extend([false, true].map(|kept| Action::Deliver { work, kept }));
                }
            }
        }
        let wanted = [Work::Send, Work::Check].map(|work| world.hands_out(work));
        if self.queues && handed && (0..2).any(|at| wanted[at] && !world.queued[at]) {
            actions.push(Action::Sweep);
        }
    }

    pub(crate) fn carrier_actions(&self, world: &World, actions: &mut Vec<Action>) {
        for at in 0..self.recipients() {
            let wire = world.carrier[at].wire;
            for attempt in
                (1..=self.max_attempts).filter(|attempt| wire & parts_of(*attempt, PARTS) != 0)
            {
                let parts = (0..PARTS).filter(|part| wire & bit(attempt, *part) != 0);
                actions.extend(parts.map(|part| Action::Arrives { at, attempt, part }));
                let whole = wire & parts_of(attempt, PARTS) == parts_of(attempt, self.parts);
                actions.extend(
                    ((self.throttle || self.refuse) && whole)
                        .then_some(Action::IsRefused { at, attempt }),
                );
                actions.extend(self.lost.then_some(Action::IsLostOnTheWire { at, attempt }));
            }
        }
    }

    fn people_actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.moves_left > 0 {
            let running = world.schedule.status == Life::Running;
            let paused = world.schedule.status == Life::Paused;
            actions.extend(running.then_some(Action::Pause));
            actions.extend(paused.then_some(Action::Resume));
            actions.extend(
                (running || paused || world.schedule.status == Life::Missed)
                    .then_some(Action::Cancel),
            );
        }
        if world.batch.missed && rules::may_send_now(&world.schedule) {
            actions.push(Action::SendNow);
        }
        for at in 0..if self.operator { self.recipients() } else { 0 } {
            if rules::may_resolve(&world.rows[at], &world.batch) {
                actions.extend([Action::ResolveSent(at), Action::ResolveResend(at)]);
            }
        }
    }

    fn time_actions(&self, world: &World, actions: &mut Vec<Action>) {
        let owner = world
            .batch
            .token
            .map(|token| world.workers[usize::from(token)].stage != Stage::Idle);
        if let Some(alive) = owner
            && !world.batch.lease_over
            && (self.freeze || !alive)
        {
            actions.push(Action::LeaseEnds);
        }
        for at in 0..self.recipients() {
            let row = &world.rows[at];
            let asked = matches!(row.status, Status::Sending | Status::Uncertain)
                && (self.own_ids || self.resend_uncertain);
            if asked && row.age == Age::Fresh && world.is_quiet(at) {
                actions.push(Action::QuietTimeIsOver(at));
            }
            let open = matches!(
                row.status,
                Status::Acceptd | Status::Enroute | Status::Uncertain
            );
            if open && row.age != Age::Old && self.forgets && world.is_quiet(at) {
                actions.push(Action::DeadlineIsOver(at));
            }
        }
        actions.extend((self.lateness && !world.late).then_some(Action::BecomesLate));
    }
}

impl World {
    fn hands_out(&self, work: Work) -> bool {
        match work {
            Work::Send => rules::hands_out_send(&self.batch, &self.schedule),
            Work::Check => rules::hands_out_check(&self.batch),
        }
    }

    /// The quiet time is longer than a lease and than anything stays on the wire: nothing of the attempt can arrive any more.
    fn is_quiet(&self, at: usize) -> bool {
        let row = &self.rows[at];
        let may_start = |it: &Worker| {
            it.places[at] == Place::Marked && it.attempts[at] == row.attempt && !it.over
        };
        self.carrier[at].wire & parts_of(row.attempt, PARTS) == 0
            && !self.workers.iter().any(may_start)
    }
}
