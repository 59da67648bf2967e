//! The surroundings of the functions in a run: a database, a carrier, queues, EventBridge, and one
//! clock for all. [`World::execute`] executes the steps of the script.

use std::{
    collections::HashSet,
    ops::Range,
    sync::{Arc, PoisonError},
    time::Duration,
};

use api::{
    App, RESEND_CHUNK,
    auth::{Gate, limits::Rate, tokens::KeySource},
    resources::{
        api_keys::{
            create::{KeyRequest, new_key},
            store::insert_api_key,
        },
        receipts::secrets::Callbacks,
        schedules::forecast::DeploymentCapacity,
    },
};
use chrono::{DateTime, TimeDelta, Utc};
use migrate::sending::{self, BrakeRequest};
use shared::{
    access::Permission,
    carrier::Carrier,
    events::{keys::SharedKeys, target::AllowedTargets},
    message::phone::{AllowedCountries, AllowedTypes},
    platform::{
        db::{Clock, Db},
        secret::hash_token,
    },
};
use simulator::Simulator;
use sqlx::{MySqlPool, mysql::MySqlConnectOptions};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::{
    adapter::LabCarrier,
    changes::Changes,
    conditions::Conditions,
    crowd::Crowd,
    database::Database,
    emitted::Emitted,
    environment::velocity,
    events::LabScheduler,
    function::Function,
    hooks::Hooks,
    intervention::Act,
    plan::Plan,
    production::{CONNECT_TIMEOUT, pool},
    proxies::Proxies,
    queue::LabQueue,
    receiver::Receiver,
    resends::Resends,
    rng::SharedRng,
    script::Step,
    timeline::Timeline,
};
use crate::server::Server;

/// The run's clock starts so far behind the real one and never overtakes it. The carrier stamps
/// real times, and none of them may be before a time of the run that has to be earlier.
const BEHIND: Duration = Duration::from_hours(24 * 20);

/// Signs sessions. No user logs in with a password in the lab.
const SIGNING_KEY: &str = r#"{"kid":"lab","key":"a key of at least thirty-two characters"}"#;

/// The surroundings of the functions in a run.
pub struct World {
    /// The plan of the run.
    pub plan: Plan,
    /// The generator of the run.
    pub rng: SharedRng,
    /// The clock of all functions, queues and one-time schedules.
    pub clock: Clock,
    /// What the clock showed at each real time.
    pub timeline: Timeline,
    /// The database, as an administrator, never through a proxy.
    pub pool: MySqlPool,
    /// How the functions connect to the database.
    pub options: MySqlConnectOptions,
    /// The carrier.
    pub simulator: Simulator,
    /// The functions' adapter to the carrier.
    pub carrier: Arc<dyn Carrier>,
    /// One-time schedules.
    pub events: Arc<LabScheduler>,
    /// Fault points.
    pub hooks: Arc<Hooks>,
    /// The changes that an operator asked for.
    pub changes: Changes,
    /// The schedules that send again.
    pub resends: Resends,
    /// The metrics that the functions have emitted.
    pub emitted: Emitted,
    /// The API.
    pub app: App,
    /// An API key with all permissions that a key can have.
    pub key: String,
    /// The receiver of the webhook, if the plan has one.
    pub receiver: Option<Receiver>,
    queues: [Arc<LabQueue>; 4],
    proxies: Proxies,
    conditions: Mutex<Conditions>,
    affected: std::sync::Mutex<Affected>,
    crowd: Mutex<Option<Crowd>>,
}

/// The functions that a condition affects.
#[derive(Default)]
struct Affected {
    throttled: HashSet<Function>,
    without_database: HashSet<Function>,
}

impl World {
    /// Starts everything. Nothing is scheduled yet.
    pub async fn start(
        plan: Plan,
        rng: SharedRng,
        database: &Database,
        admin_url: &str,
    ) -> anyhow::Result<Self> {
        let clock = Clock::behind(BEHIND);
        let (mut options, admin) = database.open().await?;
        let simulator = Simulator::start(plan.carrier.clone()).await?;
        let proxies = Proxies::start(&plan, &simulator.url(), admin_url).await?;
        if let Some(address) = proxies.address(Server::Database) {
            options = options.host("127.0.0.1").port(address.port());
        }
        let carrier_origin = proxies
            .address(Server::Carrier)
            .map_or_else(|| simulator.url(), |address| format!("http://{address}"));
        let carrier = LabCarrier::shared(&carrier_origin, &plan)?;
        let new_queue = || LabQueue::new(clock.clone(), rng.clone(), plan.queues.clone());
        let queues = Function::ALL.map(|_| new_queue());
        let events = LabScheduler::new(rng.clone(), plan.events.clone());
        let hooks = Hooks::new(
            clock.clone(),
            rng.clone(),
            plan.kills.clone(),
            plan.traps.clone(),
        );
        let db = Db::with_one_connection(pool(&options, CONNECT_TIMEOUT), clock.clone());
        let mut app = app(db, &queues, Arc::clone(&events)).await?;
        if let Some(resends) = plan.resends {
            app.resend_chunk = resends.chunk;
        }
        let receiver = if plan.webhook_events.is_empty() {
            None
        } else {
            Some(Receiver::start().await?)
        };
        Ok(Self {
            receiver,
            key: create_key(&admin, &clock).await?,
            plan,
            rng,
            timeline: Timeline::new(&clock),
            clock,
            pool: admin,
            options,
            simulator,
            carrier,
            events,
            hooks,
            changes: Changes::default(),
            resends: Resends::default(),
            emitted: Emitted::default(),
            app,
            queues,
            proxies,
            conditions: Mutex::default(),
            affected: std::sync::Mutex::default(),
            crowd: Mutex::default(),
        })
    }

    /// Returns the queue of that function.
    pub fn queue(&self, function: Function) -> Arc<LabQueue> {
        Arc::clone(&self.queues[function as usize])
    }

    /// Returns whether Lambda throttles a function now.
    pub fn is_throttled(&self, function: Function) -> bool {
        self.affected().throttled.contains(&function)
    }

    /// Returns whether a function cannot reach the database now.
    pub fn is_without_database(&self, function: Function) -> bool {
        self.affected().without_database.contains(&function)
    }

    fn affected(&self) -> std::sync::MutexGuard<'_, Affected> {
        self.affected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what AWS itself measures in each minute of an interval: the ages of messages, and the
    /// invocations of what is throttled.
    pub fn add_aws_metrics(&self, minutes: Range<DateTime<Utc>>) {
        let mut at = minutes.start;
        while at < minutes.end {
            for function in Function::ALL {
                let since = self.queue(function).oldest_since();
                let age = since.map_or(TimeDelta::zero(), |since| at - since);
                if age > TimeDelta::zero() {
                    self.emitted.add_age(function, at, age);
                }
                let is_invoked = function == Function::Dispatch || age > TimeDelta::zero();
                if is_invoked && self.is_throttled(function) {
                    self.emitted.add_throttle(function, at);
                }
            }
            at += TimeDelta::minutes(1);
        }
    }

    /// Adds the metrics of the sweeps that are left out in an interval.
    pub async fn add_idle_sweeps(&self, minutes: Range<DateTime<Utc>>) -> anyhow::Result<()> {
        let db = Db::with_one_connection(self.pool.clone(), self.clock.clone());
        let rule = velocity(&self.plan);
        self.emitted.add_idle_sweeps(&db, rule, minutes).await
    }

    /// Executes a step of the script. Returns false if it has to be repeated.
    pub async fn execute(&self, schedule_id: Uuid, step: Step) -> anyhow::Result<bool> {
        match step {
            Step::Execute(Act::Call(call)) => return self.call(schedule_id, call).await,
            Step::Execute(Act::StopSending) => self.brake(true).await?,
            Step::Execute(Act::ResumeSending) => self.brake(false).await?,
            Step::Execute(Act::SetBudget(parts)) => self.set_budget(parts).await?,
            Step::Execute(Act::CutDatabaseConnections) => {
                self.proxies.cut(Server::Database).await?;
            }
            Step::Execute(Act::PurgeQueues) => self.queues.iter().for_each(|queue| queue.purge()),
            Step::Execute(Act::LockRows { real_ms }) => {
                self.lock_rows(Duration::from_millis(real_ms)).await?;
            }
            Step::Begin(id, condition) => {
                let mut conditions = self.conditions.lock().await;
                conditions.begin(id, condition);
                self.apply(&conditions).await?;
            }
            Step::End(id) => {
                let mut conditions = self.conditions.lock().await;
                conditions.end(id);
                self.apply(&conditions).await?;
            }
        }
        Ok(true)
    }

    /// Stops or resumes all sending, as migrate does.
    async fn brake(&self, stops: bool) -> anyhow::Result<()> {
        let request = BrakeRequest {
            reason: "a fault of the lab".to_owned(),
            by: None,
        };
        let (mut connection, now) = (self.pool.acquire().await?, self.clock.now());
        if stops {
            sending::stop(&mut connection, &request, now).await?;
        } else {
            sending::resume(&mut connection, &request, now).await?;
        }
        Ok(())
    }

    /// Sets the budget of all sending, or changes it.
    async fn set_budget(&self, parts: u64) -> anyhow::Result<()> {
        let now = self.clock.now();
        let budget = "INSERT INTO budgets (id, scope, period, unit, amount, created_at, updated_at) VALUES (?, 'system', 'month', 'parts', ?, ?, ?)
            ON DUPLICATE KEY UPDATE amount = VALUES(amount), updated_at = VALUES(updated_at)";
        sqlx::query(budget)
            .bind(Uuid::now_v7())
            .bind(parts)
            .bind(now)
            .bind(now)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    async fn apply(&self, conditions: &Conditions) -> anyhow::Result<()> {
        let settings = conditions.carrier_settings(&self.plan.carrier);
        self.simulator.carrier().set(settings)?;
        *self.affected() = Affected {
            throttled: conditions.throttled(),
            without_database: conditions.without_database(),
        };
        if let Some(receiver) = &self.receiver {
            receiver.answer_with(conditions.webhook_answer());
        }
        let mut crowd = self.crowd.lock().await;
        if !conditions.hold_connections() {
            if let Some(crowd) = crowd.take() {
                crowd.close().await;
            }
        } else if crowd.is_none() {
            *crowd = Some(Crowd::open(&self.pool, &self.options).await?);
        }
        self.proxies.apply(conditions).await
    }

    /// Locks rows one by one from the last to the first, which is the opposite order of the
    /// functions, then the batches, then the schedule.
    async fn lock_rows(&self, time: Duration) -> anyhow::Result<()> {
        let mut transaction = self.pool.begin().await?;
        let row = "SELECT seq FROM recipients ORDER BY seq DESC LIMIT 1 OFFSET ? FOR UPDATE";
        for offset in 0..self.rng.number(1..=6) {
            // The server resolves a deadlock by an error here as often as in a function.
            if sqlx::query(row)
                .bind(offset * 4)
                .execute(&mut *transaction)
                .await
                .is_err()
            {
                return Ok(());
            }
            tokio::time::sleep(self.rng.millis(0..=3)).await;
        }
        for all in [
            "SELECT batch_no FROM batches FOR UPDATE",
            "SELECT id FROM schedules FOR UPDATE",
        ] {
            if sqlx::query(all).execute(&mut *transaction).await.is_err() {
                return Ok(());
            }
        }
        tokio::time::sleep(time).await;
        transaction.rollback().await?;
        Ok(())
    }
}

/// Builds the API as production runs it, without alarms and receipts. Its webhooks are on loopback.
async fn app(
    db: Db,
    queues: &[Arc<LabQueue>; 4],
    scheduler: Arc<LabScheduler>,
) -> anyhow::Result<App> {
    let signing_key = || KeySource::Fixed(SIGNING_KEY.to_owned().into());
    let rate = Rate {
        per_minute: 1_000_000,
    };
    Ok(App {
        db,
        dispatch_queue: queues[Function::Dispatch as usize].clone(),
        recheck_queue: queues[Function::Recheck as usize].clone(),
        notify_queue: queues[Function::Notify as usize].clone(),
        webhook_keys: SharedKeys::open(signing_key()).await?,
        webhook_targets: AllowedTargets::Loopback,
        scheduler,
        dead_letters: Vec::new(),
        capacity: DeploymentCapacity::default(),
        resend_chunk: RESEND_CHUNK,
        countries: AllowedCountries::all(),
        number_types: AllowedTypes::default(),
        approval: api::resources::schedules::approval::rule::ApprovalRule::default(),
        quiet_time: chrono::TimeDelta::minutes(5),
        dispatch_lead: Duration::from_secs(90),
        gate: Gate::open(signing_key(), rate).await?,
        receipt_format: shared::carrier::registry::ADAPTERS[0].receipts,
        callbacks: Callbacks::open(None).await?,
        edge: api::http::edge::Edge::default(),
        commit: "lab".into(),
    })
}

/// Creates an API key with all permissions that a key can have.
async fn create_key(pool: &MySqlPool, clock: &Clock) -> anyhow::Result<String> {
    let request = KeyRequest {
        name: "lab".to_owned(),
        permissions: Permission::GRANTABLE.to_vec(),
        ..KeyRequest::default()
    };
    let (row, key) = new_key(&request, "lab".to_owned(), clock.now());
    insert_api_key(&mut *pool.acquire().await?, &row, &hash_token(&key)).await?;
    Ok(key)
}
