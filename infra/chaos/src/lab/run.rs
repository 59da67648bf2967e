//! A run: whatever is due is begun, what has been begun goes on side by side, and when nothing is, the clock jumps to what comes next.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use futures_util::{StreamExt, future::LocalBoxFuture, stream::FuturesUnordered};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    environment::{Ended, Environment, Function, from_queue},
    events::Event,
    invocation::Invocation,
    plan::Act,
    state::State,
    world::World,
};

/// Real time that a run may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Time on the run's clock, likewise.
const DAYS: TimeDelta = TimeDelta::days(4);

/// A jump so long takes some real time as well: the carrier delivers in real time.
const LONG: Duration = Duration::from_secs(500);

/// What was begun.
enum Job {
    Message(Function, u64),
    Event(Event),
    Sweep,
    Act(Act),
}

type Done = (Job, Option<(Function, Environment)>, anyhow::Result<Ended>);

/// See the module.
pub struct Run<'a> {
    world: &'a World,
    schedule_id: Uuid,
    began: Instant,
    until: DateTime<Utc>,
    running: FuturesUnordered<LocalBoxFuture<'a, Done>>,
    busy: HashMap<Function, usize>,
    idle: HashMap<Function, Vec<Environment>>,
    script: VecDeque<(DateTime<Utc>, Act)>,
    next_sweep: DateTime<Utc>,
    invocations: u64,
}

impl<'a> Run<'a> {
    /// A run of a schedule that was just posted.
    pub fn new(world: &'a World, schedule_id: Uuid, run_at: DateTime<Utc>) -> Self {
        let now = world.clock.now();
        let mut script: Vec<_> = world
            .plan
            .script
            .iter()
            .map(|(at_s, act)| (run_at + TimeDelta::seconds(*at_s), act.clone()))
            .collect();
        script.sort_by_key(|(at, _)| *at);
        let minute = now.duration_trunc(TimeDelta::minutes(1)).unwrap_or(now);
        Self {
            world,
            schedule_id,
            began: Instant::now(),
            until: now + DAYS,
            running: FuturesUnordered::new(),
            busy: HashMap::new(),
            idle: HashMap::new(),
            script: script.into(),
            next_sweep: minute + world.dice.delta(0..=119_999),
            invocations: 0,
        }
    }

    /// Plays it to its end. `Err` in the inside: it came to none, and where it stood.
    pub async fn play(mut self) -> anyhow::Result<Result<(), String>> {
        loop {
            let now = self.world.clock.now();
            self.world.hooks.thaw(now);
            self.begin_what_is_due(now);
            if self.began.elapsed() > PATIENCE || now > self.until {
                return Ok(Err(State::read(self.world, self.schedule_id)
                    .await?
                    .describe()));
            }
            if self.running.len() > self.world.hooks.frozen() {
                self.go_on().await?;
                continue;
            }
            let state = State::read(self.world, self.schedule_id).await?;
            let Some(next) = self.next(&state, self.world.clock.now()) else {
                return Ok(Ok(()));
            };
            self.jump(next).await;
        }
    }

    /// Until something has ended, or is to begin.
    async fn go_on(&mut self) -> anyhow::Result<()> {
        tokio::select! {
            Some(done) = self.running.next() => self.note(done),
            () = self.world.hooks.changed.notified() => Ok(()),
            () = tokio::time::sleep(PATIENCE) => Ok(()),
        }
    }

    fn begin_what_is_due(&mut self, now: DateTime<Utc>) {
        for act in self.world.hooks.take_acts() {
            self.begin_act(act);
        }
        while let Some((_, act)) = self.script.pop_front_if(|(at, _)| *at <= now) {
            self.begin_act(act);
        }
        for function in Function::ALL {
            while self.has_room(function)
                && let Some(message) = self.world.queue(function).receive(now)
            {
                self.invoke(
                    function,
                    Job::Message(function, message.id),
                    from_queue(message.id, &message.body),
                );
            }
        }
        while let Some(event) = self.world.events.fire(now) {
            self.invoke(Function::Dispatch, Job::Event(event), json!(event.message));
        }
        if self.next_sweep <= now {
            while self.next_sweep <= now {
                self.next_sweep += TimeDelta::minutes(1);
            }
            if !self.world.dice.chance(self.world.plan.sweeps_skipped) {
                self.invoke(Function::Dispatch, Job::Sweep, json!({"sweep": true}));
            }
        }
    }

    fn has_room(&self, function: Function) -> bool {
        // Lambda has given up what is frozen.
        let most = self.world.plan.environments + self.world.hooks.frozen();
        self.busy.get(&function).copied().unwrap_or_default() < most
    }

    fn begin_act(&mut self, act: Act) {
        let (world, id) = (self.world, self.schedule_id);
        self.running.push(Box::pin(async move {
            let ended = match act.clone() {
                Act::Call(call) => world
                    .call(id, call)
                    .await
                    .map(|done| if done { Ended::Well } else { Ended::Badly }),
                other => world.act(other).await.map(|()| Ended::Well),
            };
            (Job::Act(act), None, ended)
        }));
    }

    fn invoke(&mut self, function: Function, job: Job, event: Value) {
        let (world, plan) = (self.world, &self.world.plan);
        let batch_no = batch_of(&event);
        let broken = self.is_broken(&job);
        let environment = if broken {
            Environment::start_lost(function, world)
        } else {
            let warm = self.idle.get_mut(&function).and_then(Vec::pop);
            warm.unwrap_or_else(|| Environment::start(function, world))
        };
        let fuse = world
            .hooks
            .dies(batch_no)
            .then(|| world.dice.millis(0..=40));
        self.invocations += 1;
        let invocation = Invocation::new(self.invocations, plan.budget);
        *self.busy.entry(function).or_default() += 1;
        self.running.push(Box::pin(async move {
            let (environment, ended) = environment
                .invoke(event, invocation, (plan.budget, fuse))
                .await;
            if ended == Ended::Killed && fuse.is_some() {
                world.hooks.note_death(batch_no);
            }
            let environment = environment
                .filter(|_| !broken)
                .map(|environment| (function, environment));
            (job, environment, Ok(ended))
        }));
    }

    fn is_broken(&self, job: &Job) -> bool {
        let faults = &self.world.plan.queues;
        let until = self.world.clock.now() - TimeDelta::seconds(faults.failed_until_s);
        let at_queue = matches!(job, Job::Message(function, _) if *function != Function::Dispatch);
        at_queue && until < self.until - DAYS && self.world.dice.chance(faults.failed)
    }

    fn note(&mut self, (job, environment, ended): Done) -> anyhow::Result<()> {
        let (ended, now) = (ended?, self.world.clock.now());
        if let Some((function, environment)) = environment {
            self.idle.entry(function).or_default().push(environment);
        }
        let function = match &job {
            Job::Message(function, _) => Some(*function),
            Job::Event(_) | Job::Sweep => Some(Function::Dispatch),
            Job::Act(_) => None,
        };
        if let Some(busy) = function.and_then(|function| self.busy.get_mut(&function)) {
            *busy = busy.saturating_sub(1);
        }
        match (job, ended) {
            // One that was frozen is long given up by its queue: acknowledged, it does no harm.
            (Job::Message(function, id), Ended::Well) => self.world.queue(function).acknowledge(id),
            (Job::Event(event), Ended::Badly | Ended::Killed) => {
                self.world.events.failed(event, now)
            }
            (Job::Act(act @ Act::Call(_)), Ended::Badly) => {
                self.script.push_front((now + TimeDelta::minutes(2), act))
            }
            _ => {}
        }
        Ok(())
    }

    /// When something happens next; none: it is over.
    fn next(&self, state: &State, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let hooks = &self.world.hooks;
        let queues = Function::ALL
            .into_iter()
            .filter_map(|function| self.world.queue(function).next_at());
        let script = self.script.iter().map(|(at, _)| *at);
        let others = queues
            .chain(script)
            .chain(self.world.events.next_at())
            .chain(hooks.next_thaw())
            .min();
        if state.is_at_rest() {
            return others;
        }
        // Sweeps that would find nothing are left out, but for some.
        let wanted = state
            .sweep_wanted
            .map_or(self.next_sweep, |wanted| self.next_sweep.max(wanted));
        let minutes = (wanted - self.next_sweep + TimeDelta::milliseconds(59_999)).num_minutes();
        let sweep = self.next_sweep
            + TimeDelta::minutes(if self.world.dice.chance(0.05) {
                0
            } else {
                minutes
            });
        Some(others.map_or(sweep, |other| other.min(sweep)).max(now))
    }

    /// Moves the clock. Where an environment is frozen, its real time has to be over first, as it would be.
    async fn jump(&mut self, to: DateTime<Utc>) {
        let Ok(by) = (to - self.world.clock.now()).to_std() else {
            return;
        };
        if let Some(deadline) = self.world.hooks.frozen_deadline() {
            tokio::time::sleep_until(deadline.into()).await;
        }
        if by > LONG {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.world.clock.advance(by);
        while self.next_sweep + TimeDelta::minutes(1) <= to {
            self.next_sweep += TimeDelta::minutes(1);
        }
    }
}

/// Of a queue's message; 0 for what is of no batch.
fn batch_of(event: &Value) -> u32 {
    let body = event
        .pointer("/Records/0/body")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    body["batch_no"].as_u64().unwrap_or_default() as u32
}
