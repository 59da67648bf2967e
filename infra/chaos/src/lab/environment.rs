//! An execution environment of a function: its own pool of one connection, its handler, and
//! production's settings.

use std::{collections::HashSet, sync::Arc, time::Duration};

use chrono::TimeDelta;
use dispatch::{Dispatcher, personal_data::PersonalData, sweep::velocity::VelocityRule};
use notify::{Notifier, Poster, circuit::places_per_webhook};
use recheck::Rechecker;
use send::Sender;
use serde_json::{Value, json};
use shared::{
    batch::{
        admission::{Admission, AdmissionSettings},
        worker::Worker,
    },
    carrier::capacity::LimitDefaults,
    events::target::AllowedTargets,
    platform::{budget::Budget, db::Db, metrics::collect},
};
use sqlx::MySqlPool;

use super::{
    function::Function,
    invocation::Invocation,
    plan::Plan,
    production::{CONNECT_TIMEOUT, IN_FLIGHT, LEASE, backoff, pool, timing},
    world::World,
};

/// Recipients that a transaction of the retention erases: a list takes several.
const ERASED_AT_ONCE: u32 = 7;
/// `SEND_CONCURRENCY`
const CONCURRENCY: u32 = 20;
/// `NOTIFY_CONCURRENCY`
const NOTIFY_CONCURRENCY: u32 = 5;

enum Handler {
    Dispatch(Dispatcher),
    Send(Sender),
    Recheck(Rechecker),
    Notify(Notifier),
}

/// An execution environment. It handles one event at a time.
pub struct Environment {
    function: Function,
    pool: MySqlPool,
    handler: Handler,
}

/// How an invocation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvocationEnd {
    /// The event is handled.
    Succeeded,
    /// The event has to be delivered again.
    Failed,
    /// The process was killed.
    Killed,
}

/// The limits of one invocation, real time.
#[derive(Clone, Copy)]
pub struct Limits {
    /// The time until Lambda ends it.
    pub budget: Duration,
    /// The time until it is killed, if it is to be.
    pub kill_after: Option<Duration>,
}

impl Environment {
    /// Starts an environment, as on a cold start.
    pub fn start(function: Function, world: &World) -> anyhow::Result<Self> {
        Self::with_pool(function, world, pool(&world.options, CONNECT_TIMEOUT))
    }

    /// Starts an environment that connects to a port on which no database listens.
    pub fn start_without_database(function: Function, world: &World) -> anyhow::Result<Self> {
        let closed_port = world.options.clone().host("127.0.0.1").port(1);
        let timeout = Duration::from_millis(20);
        Self::with_pool(function, world, pool(&closed_port, timeout))
    }

    fn with_pool(function: Function, world: &World, pool: MySqlPool) -> anyhow::Result<Self> {
        let db = Db::with_one_connection(pool.clone(), world.clock.clone());
        let handler = match function {
            Function::Dispatch => Handler::Dispatch(dispatcher(world, db)),
            Function::Send => Handler::Send(Sender {
                worker: worker(world, db),
                settings: send::Settings {
                    in_flight: IN_FLIGHT * world.plan.numbers_per_request(),
                    timeout: world.plan.timeout,
                    limit: LimitDefaults::default(),
                },
            }),
            Function::Recheck => Handler::Recheck(Rechecker {
                worker: worker(world, db),
                settings: recheck::Settings {
                    in_flight: 50,
                    timeout: world.plan.timeout,
                    limit: LimitDefaults::default(),
                },
            }),
            Function::Notify => Handler::Notify(Notifier {
                db,
                queue: world.queue(Function::Notify),
                keys: world.app.webhook_keys.clone(),
                poster: Poster::new(AllowedTargets::Loopback)?,
                healthy_places: places_per_webhook(NOTIFY_CONCURRENCY),
            }),
        };
        Ok(Self {
            function,
            pool,
            handler,
        })
    }

    /// Handles an event. Returns the environment for the next event unless its process was killed.
    pub async fn invoke(
        self,
        world: &World,
        event: Value,
        invocation: Arc<Invocation>,
        limits: Limits,
    ) -> (Option<Self>, InvocationEnd) {
        let handled = Box::pin(collect(self.handle(event, Budget::new(limits.budget))));
        let handled = Box::pin(async {
            let (handled, figures) = handled.await;
            world.emitted.add(world.clock.now(), &figures);
            handled
        });
        match invocation.run(handled, limits.kill_after).await {
            Some(Ok(true)) => (Some(self), InvocationEnd::Succeeded),
            Some(Ok(false)) => (Some(self), InvocationEnd::Failed),
            Some(Err(_)) => {
                world.emitted.add_error(self.function, world.clock.now());
                (Some(self), InvocationEnd::Failed)
            }
            None => {
                world.emitted.add_error(self.function, world.clock.now());
                // The kernel closes the connection of a process that has ended.
                let Self { pool, handler, .. } = self;
                drop(handler);
                tokio::time::timeout(Duration::from_secs(1), pool.close())
                    .await
                    .ok();
                (None, InvocationEnd::Killed)
            }
        }
    }

    /// Returns whether everything in the event is handled.
    async fn handle(&self, event: Value, budget: Budget) -> anyhow::Result<bool> {
        let response = match &self.handler {
            Handler::Dispatch(dispatcher) => {
                // The sweep begins a round only with twenty seconds left, which the plan's budget
                // may not have.
                dispatcher
                    .handle(
                        serde_json::from_value(event)?,
                        Budget::new(budget.remaining().max(LEASE)),
                    )
                    .await?
            }
            Handler::Send(sender) => sender.handle(serde_json::from_value(event)?, budget).await,
            Handler::Recheck(rechecker) => {
                rechecker
                    .handle(serde_json::from_value(event)?, budget)
                    .await
            }
            Handler::Notify(notifier) => notifier.handle(serde_json::from_value(event)?).await,
        };
        let failed: HashSet<_> = response
            .batch_item_failures
            .iter()
            .map(|failure| &failure.item_identifier)
            .collect();
        Ok(failed.is_empty())
    }
}

fn admission(world: &World, db: Db) -> Admission {
    let settings = AdmissionSettings {
        concurrency: CONCURRENCY,
        batch_size: world.plan.batch_size,
        limit: LimitDefaults::default(),
        backoff: backoff(world.plan.budget),
    };
    Admission::new(db, world.queue(Function::Send), settings)
}

fn dispatcher(world: &World, db: Db) -> Dispatcher {
    Dispatcher {
        admission: admission(world, db.clone()),
        db,
        send_queue: world.queue(Function::Send),
        recheck_queue: world.queue(Function::Recheck),
        notify_queue: world.queue(Function::Notify),
        settings: dispatch::Settings {
            lead: TimeDelta::seconds(90),
            sweep_lead: TimeDelta::seconds(70),
            batch_size: world.plan.batch_size,
            // The lab moves its clock instead.
            watch: Duration::ZERO,
            backoff: backoff(world.plan.budget),
            velocity: velocity(&world.plan),
        },
        personal_data: PersonalData {
            retain_days: world.plan.retain_days,
            step: ERASED_AT_ONCE,
            keys: world.app.webhook_keys.clone(),
        },
    }
}

/// Returns the rule of a plan. Nobody has a history.
pub fn velocity(plan: &Plan) -> VelocityRule {
    VelocityRule {
        parts_per_hour: plan.velocity,
        factor: 10,
    }
}

fn worker(world: &World, db: Db) -> Worker {
    Worker {
        admission: admission(world, db.clone()),
        db,
        carrier: Arc::clone(&world.carrier),
        send_queue: world.queue(Function::Send),
        recheck_queue: world.queue(Function::Recheck),
        notify_queue: world.queue(Function::Notify),
        timing: timing(world.plan.budget),
    }
}

/// Returns the event that Lambda passes to a function for one message of its queue.
pub fn queue_event(id: u64, body: &str) -> Value {
    json!({"Records": [{"messageId": id.to_string(), "body": body}]})
}
