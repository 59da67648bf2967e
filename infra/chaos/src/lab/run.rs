//! Executes a run: starts everything that is due, lets it work side by side, and moves the clock to
//! the next due time when nothing works.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use futures_util::{StreamExt, future::LocalBoxFuture, stream::FuturesUnordered};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    environment::{Environment, InvocationEnd, Limits, queue_event},
    events::Event,
    function::Function,
    invocation::Invocation,
    script::{Script, Step},
    state::State,
    world::World,
};

/// Maximum of real time per run.
const MAX_REAL_TIME: Duration = Duration::from_secs(60);
/// Maximum of time per run on the run's clock.
const MAX_RUN_TIME: TimeDelta = TimeDelta::days(4);

/// A longer jump of the clock also takes some real time, because the carrier delivers in real time.
const LONG_JUMP: Duration = Duration::from_secs(500);

/// What was started.
enum Job {
    Message(Function, u64),
    Event(Event),
    Sweep,
    Step(Step),
}

impl Job {
    /// Returns the function whose environment it occupies.
    fn function(&self) -> Option<Function> {
        match self {
            Self::Message(function, _) => Some(*function),
            Self::Event(_) | Self::Sweep => Some(Function::Dispatch),
            Self::Step(_) => None,
        }
    }
}

/// A job that has ended.
struct Finished {
    job: Job,
    /// The environment for the next event, if the job had one that is still alive.
    environment: Option<(Function, Environment)>,
    end: anyhow::Result<InvocationEnd>,
}

/// One run of a plan's schedules.
pub struct Run<'a> {
    world: &'a World,
    schedules: &'a [Uuid],
    began: Instant,
    began_at: DateTime<Utc>,
    running: FuturesUnordered<LocalBoxFuture<'a, Finished>>,
    busy: HashMap<Function, usize>,
    idle: HashMap<Function, Vec<Environment>>,
    script: Script,
    next_sweep: DateTime<Utc>,
    invocations: u64,
    dead_letters: HashMap<Function, u32>,
}

impl<'a> Run<'a> {
    /// Prepares the run of schedules that were just posted. The first is the main one, with that
    /// time.
    pub fn new(world: &'a World, schedules: &'a [Uuid], run_at: DateTime<Utc>) -> Self {
        let now = world.clock.now();
        let minute = now.duration_trunc(TimeDelta::minutes(1)).unwrap_or(now);
        Self {
            world,
            schedules,
            began: Instant::now(),
            began_at: now,
            running: FuturesUnordered::new(),
            busy: HashMap::new(),
            idle: HashMap::new(),
            script: Script::new(&world.plan.script, run_at),
            next_sweep: minute + world.rng.delta(0..=119_999),
            invocations: 0,
            dead_letters: HashMap::new(),
        }
    }

    /// Executes the run until nothing more will happen. The inner `Err` describes the schedules'
    /// state if the run did not end in time.
    pub async fn execute(mut self) -> anyhow::Result<Result<(), String>> {
        loop {
            let now = self.world.clock.now();
            self.world.hooks.thaw(now);
            self.start_what_is_due(now);
            if self.began.elapsed() > MAX_REAL_TIME || now > self.began_at + MAX_RUN_TIME {
                let state = State::read(self.world, self.schedules).await?;
                return Ok(Err(state.describe()));
            }
            if self.running.len() > self.world.hooks.frozen() {
                self.wait_for_change().await?;
                continue;
            }
            let state = State::read(self.world, self.schedules).await?;
            let Some(next) = self.next_due(&state, self.world.clock.now()) else {
                return Ok(Ok(()));
            };
            self.advance_clock(next).await?;
        }
    }

    /// Waits until a job has ended, an intervention is to begin, or something else is due: the
    /// clock runs on while jobs work.
    async fn wait_for_change(&mut self) -> anyhow::Result<()> {
        let now = self.world.clock.now();
        let later = self.planned().filter(|at| *at > now).min();
        let wait = later.and_then(|at| (at - now).to_std().ok());
        tokio::select! {
            Some(finished) = self.running.next() => self.record(finished),
            () = self.world.hooks.changed.notified() => Ok(()),
            () = tokio::time::sleep(wait.unwrap_or(MAX_REAL_TIME).min(MAX_REAL_TIME)) => Ok(()),
        }
    }

    /// Returns the times at which a queue, the script or EventBridge has something to start.
    fn planned(&self) -> impl Iterator<Item = DateTime<Utc>> {
        let queues = self
            .receiving()
            .filter_map(|function| self.world.queue(function).next_at());
        let throttled = self.world.is_throttled(Function::Dispatch);
        let events = (!throttled).then(|| self.world.events.next_at());
        queues.chain(self.script.next_at()).chain(events.flatten())
    }

    /// Returns the functions whose queues are polled now.
    fn receiving(&self) -> impl Iterator<Item = Function> + use<'_, 'a> {
        Function::ALL
            .into_iter()
            .filter(|function| !self.world.is_throttled(*function))
    }

    fn start_what_is_due(&mut self, now: DateTime<Utc>) {
        for intervention in self.world.hooks.take_interventions() {
            let step = self.script.begin(intervention, now);
            self.start_step(step);
        }
        while let Some(step) = self.script.take_due(now) {
            self.start_step(step);
        }
        let receiving: Vec<_> = self.receiving().collect();
        for function in receiving {
            while self.has_free_environment(function)
                && let Some(message) = self.world.queue(function).receive(now)
            {
                self.invoke(
                    function,
                    Job::Message(function, message.id),
                    queue_event(message.id, &message.body),
                );
            }
        }
        let throttled = self.world.is_throttled(Function::Dispatch);
        while !throttled && let Some(event) = self.world.events.fire(now) {
            self.invoke(Function::Dispatch, Job::Event(event), json!(event.message));
        }
        self.note_dead_letters(now);
        if self.next_sweep <= now {
            self.world.add_aws_metrics(now..now + TimeDelta::seconds(1));
            while self.next_sweep <= now {
                self.next_sweep += TimeDelta::minutes(1);
            }
            if !throttled && !self.world.rng.chance(self.world.plan.sweeps_skipped) {
                self.invoke(Function::Dispatch, Job::Sweep, json!({"sweep": true}));
            }
        }
    }

    /// Adds the messages that have become dead letters to the metrics.
    fn note_dead_letters(&mut self, now: DateTime<Utc>) {
        for function in Function::ALL {
            let count = self.world.queue(function).dead_letters();
            if self
                .dead_letters
                .insert(function, count)
                .unwrap_or_default()
                != count
            {
                let queue = format!("{}Dlq", function.name());
                self.world.emitted.add_dead_letter(&queue, now, count);
            }
        }
    }

    fn has_free_environment(&self, function: Function) -> bool {
        // Lambda no longer counts a frozen environment.
        let most = self.world.plan.environments + self.world.hooks.frozen();
        self.busy.get(&function).copied().unwrap_or_default() < most
    }

    fn start_step(&mut self, step: Step) {
        let (world, schedule_id) = (self.world, self.schedules[0]);
        self.running.push(Box::pin(async move {
            let end = world.execute(schedule_id, step).await.map(|done| {
                if done {
                    InvocationEnd::Succeeded
                } else {
                    InvocationEnd::Failed
                }
            });
            Finished {
                job: Job::Step(step),
                environment: None,
                end,
            }
        }));
    }

    fn invoke(&mut self, function: Function, job: Job, event: Value) {
        let (world, plan) = (self.world, &self.world.plan);
        let batch_no = batch_of(&event);
        let without_database = self.draw_failure(&job);
        let environment = if without_database {
            Environment::start_without_database(function, world)
        } else {
            let warm = self.idle.get_mut(&function).and_then(Vec::pop);
            warm.map_or_else(|| Environment::start(function, world), Ok)
        };
        let kill = world.hooks.draw_kill(batch_no);
        let limits = Limits {
            budget: plan.budget,
            kill_after: kill.then(|| world.rng.millis(0..=40)),
        };
        self.invocations += 1;
        let invocation = Invocation::new(self.invocations, plan.budget);
        *self.busy.entry(function).or_default() += 1;
        self.running.push(Box::pin(async move {
            let (environment, end) = match environment {
                Ok(environment) => environment.invoke(world, event, invocation, limits).await,
                Err(error) => {
                    return Finished {
                        job,
                        environment: None,
                        end: Err(error),
                    };
                }
            };
            if end == InvocationEnd::Killed && kill {
                world.hooks.record_kill(batch_no);
            }
            let environment = environment
                .filter(|_| !without_database)
                .map(|environment| (function, environment));
            Finished {
                job,
                environment,
                end: Ok(end),
            }
        }));
    }

    /// Draws whether a message is delivered to an environment that cannot reach the database.
    fn draw_failure(&self, job: &Job) -> bool {
        let handled = match job {
            Job::Message(function, _) => Some(*function),
            Job::Event(_) => Some(Function::Dispatch),
            Job::Sweep | Job::Step(_) => None,
        };
        if handled.is_some_and(|function| self.world.is_without_database(function)) {
            return true;
        }
        let faults = &self.world.plan.queues;
        let affected = match job {
            Job::Message(Function::Send | Function::Recheck, _) => true,
            Job::Message(Function::Dispatch | Function::Notify, _)
            | Job::Event(_)
            | Job::Sweep
            | Job::Step(_) => false,
        };
        let until = self.began_at + TimeDelta::seconds(faults.failed_until_s);
        affected && self.world.clock.now() < until && self.world.rng.chance(faults.failed)
    }

    fn record(&mut self, finished: Finished) -> anyhow::Result<()> {
        let (end, now) = (finished.end?, self.world.clock.now());
        if let Some((function, environment)) = finished.environment {
            self.idle.entry(function).or_default().push(environment);
        }
        let function = finished.job.function();
        if let Some(busy) = function.and_then(|function| self.busy.get_mut(&function)) {
            *busy = busy.saturating_sub(1);
        }
        let succeeded = end == InvocationEnd::Succeeded;
        match finished.job {
            // A message that is not acknowledged becomes visible again. The message of an
            // invocation that was frozen may be gone: acknowledging it does no harm.
            Job::Message(function, id) if succeeded => self.world.queue(function).acknowledge(id),
            Job::Event(event) if !succeeded => {
                if !self.world.events.retry(event, now) {
                    self.world
                        .emitted
                        .add_dead_letter("DispatchEventDlq", now, 1);
                }
            }
            Job::Step(step) if !succeeded => self.script.retry(step, now),
            Job::Message(..) | Job::Event(_) | Job::Sweep | Job::Step(_) => {}
        }
        Ok(())
    }

    /// Returns when something is due next, or `None` if the run is over.
    fn next_due(&self, state: &State, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let others = self.planned().chain(self.world.hooks.next_thaw()).min();
        if state.is_at_rest() || self.world.is_throttled(Function::Dispatch) {
            return others;
        }
        // Most of the sweeps that would find nothing are left out.
        let due = state
            .sweep_due()
            .map_or(self.next_sweep, |due| self.next_sweep.max(due));
        let minutes = (due - self.next_sweep + TimeDelta::milliseconds(59_999)).num_minutes();
        let sweep = self.next_sweep
            + TimeDelta::minutes(if self.world.rng.chance(0.05) {
                0
            } else {
                minutes
            });
        Some(others.map_or(sweep, |other| other.min(sweep)).max(now))
    }

    /// Moves the clock. If an environment is frozen, waits until its real deadline has passed, as
    /// it would have in production.
    async fn advance_clock(&mut self, to: DateTime<Utc>) -> anyhow::Result<()> {
        let Ok(by) = (to - self.world.clock.now()).to_std() else {
            return Ok(());
        };
        if let Some(deadline) = self.world.hooks.frozen_deadline() {
            tokio::time::sleep_until(deadline.into()).await;
        }
        if by > LONG_JUMP {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.world.clock.advance(by);
        self.world.timeline.record(&self.world.clock);
        let left_out_from = self.next_sweep;
        while self.next_sweep + TimeDelta::minutes(1) <= to {
            self.next_sweep += TimeDelta::minutes(1);
        }
        self.world.add_aws_metrics(left_out_from..self.next_sweep);
        if self.world.is_throttled(Function::Dispatch) {
            return Ok(());
        }
        let left_out = left_out_from..self.next_sweep;
        self.world.add_idle_sweeps(left_out).await
    }
}

/// Returns the batch of a queue's message, or 0 for an event without a batch.
fn batch_of(event: &Value) -> u32 {
    let body = event
        .pointer("/Records/0/body")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    body["batch_no"].as_u64().unwrap_or_default() as u32
}
