//! An execution environment of a function: its own pool of one connection, its handler, and production's settings.

use std::{collections::HashSet, sync::Arc, time::Duration};

use chrono::TimeDelta;
use dispatch::Dispatcher;
use recheck::Rechecker;
use send::Sender;
use serde_json::{Value, json};
use shared::{
    batch::{release::Timing, worker::Worker},
    platform::{backoff::Backoff, budget::Budget, db::Db},
};
use sqlx::{
    MySqlPool,
    mysql::{MySqlConnectOptions, MySqlPoolOptions},
};

use super::{invocation::Invocation, plan::Plan, queue::LabQueue, world::World};

/// The functions behind queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Function {
    /// Cuts and sweeps.
    Dispatch,
    /// Sends.
    Send,
    /// Asks.
    Recheck,
}

impl Function {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Dispatch, Self::Send, Self::Recheck];
}

enum Handler {
    Dispatch(Dispatcher),
    Send(Sender),
    Recheck(Rechecker),
}

/// See the module.
pub struct Environment {
    pool: MySqlPool,
    handler: Handler,
}

/// How an invocation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// What came in is done with.
    Well,
    /// It is to come again.
    Badly,
    /// The process died.
    Killed,
}

/// `SEND_IN_FLIGHT`: production's.
pub const IN_FLIGHT: usize = 2;
/// Production's: the function's time-out, and ten seconds.
pub const LEASE: Duration = Duration::from_secs(70);
/// Real time, like the time-outs; production's is five seconds, which no answer here takes.
const RECORDING: Duration = Duration::from_millis(500);

/// Production's waits, for invocations that have so much real time.
pub fn patience(budget: Duration) -> Backoff {
    let lease_margin = TimeDelta::from_std(LEASE.saturating_sub(budget)).unwrap_or_default();
    Backoff {
        recording_share: RECORDING,
        lease_margin,
        ..Backoff::default()
    }
}

fn timing(plan: &Plan) -> Timing {
    Timing {
        recheck_delays: [10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600]
            .map(Duration::from_secs)
            .to_vec(),
        recheck_deadline: TimeDelta::hours(23),
        resend_delay: TimeDelta::seconds(300),
        quiet_time: TimeDelta::seconds(300),
        backoff: patience(plan.budget),
    }
}

/// For a connection.
pub const DATABASE: Duration = Duration::from_millis(400);

/// A pool as a function has it, but for a time-out that is as short as the others.
pub fn pool(options: &MySqlConnectOptions, timeout: Duration) -> MySqlPool {
    let pool = MySqlPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(timeout);
    // The server's own 50 s would pass in real time; one is the least that it takes.
    let pool = pool.after_connect(|connection, _| {
        Box::pin(async move {
            sqlx::query("SET SESSION innodb_lock_wait_timeout = 1")
                .execute(connection)
                .await
                .map(drop)
        })
    });
    pool.connect_lazy_with(options.clone())
}

impl Environment {
    /// A cold start.
    pub fn start(function: Function, world: &World) -> Self {
        Self::with_pool(function, world, pool(&world.options, DATABASE))
    }

    /// One that looks for the database where nobody listens.
    pub fn start_lost(function: Function, world: &World) -> Self {
        let nowhere = world.options.clone().host("127.0.0.1").port(1);
        Self::with_pool(function, world, pool(&nowhere, Duration::from_millis(20)))
    }

    fn with_pool(function: Function, world: &World, pool: MySqlPool) -> Self {
        let plan = &world.plan;
        let db = Db {
            pool: pool.clone(),
            clock: world.clock.clone(),
        };
        let (send_queue, recheck_queue) =
            (world.queue(Function::Send), world.queue(Function::Recheck));
        // Nobody has a webhook here, so nothing is ever put on it.
        let notify_queue =
            LabQueue::new(world.clock.clone(), world.dice.clone(), plan.queues.clone());
        let worker = |db| Worker {
            db,
            carrier: Arc::clone(&world.carrier),
            send_queue: send_queue.clone(),
            recheck_queue: recheck_queue.clone(),
            notify_queue: notify_queue.clone(),
            timing: timing(plan),
        };
        let timeout = plan.timeout;
        let handler = match function {
            Function::Dispatch => {
                let (lead, sweep_lead) = (TimeDelta::seconds(90), TimeDelta::seconds(70));
                let settings = dispatch::Settings {
                    lead,
                    sweep_lead,
                    batch_size: plan.batch_size,
                    backoff: patience(plan.budget),
                };
                Handler::Dispatch(Dispatcher {
                    db,
                    send_queue,
                    recheck_queue,
                    notify_queue,
                    settings,
                })
            }
            Function::Send => {
                let settings = send::Settings {
                    in_flight: IN_FLIGHT,
                    timeout,
                    parts_per_second: None,
                };
                Handler::Send(Sender {
                    worker: worker(db),
                    settings,
                })
            }
            Function::Recheck => {
                let settings = recheck::Settings {
                    in_flight: 50,
                    timeout,
                };
                Handler::Recheck(Rechecker {
                    worker: worker(db),
                    settings,
                })
            }
        };
        Self { pool, handler }
    }

    /// Handles an event. An environment that died does not come back.
    pub async fn invoke(
        self,
        event: Value,
        invocation: Arc<Invocation>,
        limits: (Duration, Option<Duration>),
    ) -> (Option<Self>, Ended) {
        let (budget, fuse) = limits;
        let ended = invocation
            .run(self.handle(event, Budget::new(budget)), fuse)
            .await;
        match ended {
            Some(Ok(true)) => (Some(self), Ended::Well),
            Some(_) => (Some(self), Ended::Badly),
            None => {
                // A dead process's connection is closed by its kernel.
                tokio::time::timeout(Duration::from_secs(1), self.pool.close())
                    .await
                    .ok();
                (None, Ended::Killed)
            }
        }
    }

    /// True: everything is done with.
    async fn handle(&self, event: Value, budget: Budget) -> anyhow::Result<bool> {
        let response = match &self.handler {
            Handler::Dispatch(dispatcher) => {
                // The sweep begins a round with twenty seconds left: its time is not the plan's.
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
        };
        let failed: HashSet<_> = response
            .batch_item_failures
            .iter()
            .map(|failure| &failure.item_identifier)
            .collect();
        Ok(failed.is_empty())
    }
}

/// What Lambda hands over for a message of a queue.
pub fn from_queue(id: u64, body: &str) -> Value {
    json!({"Records": [{"messageId": id.to_string(), "body": body}]})
}
