//! What a run works on: a database of its own, a carrier, queues, EventBridge, and one clock for all.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use api::{
    App,
    auth::{Gate, tokens::KeySource},
    resources::{
        api_keys::create::{KeyRequest, new_key},
        receipts::secrets::Callbacks,
        schedules::forecast::Capacity,
    },
};
use api::{auth::limits::Rate, resources::api_keys::store::insert_api_key};
use proxy::{Mode, Proxy};
use shared::{
    access::Permission,
    carrier::Carrier,
    events::{keys::SharedKeys, target::AllowedTargets},
    platform::{
        db::{Clock, Db, MIGRATOR},
        secret::hash_token,
    },
};
use simulator::Simulator;
use sqlx::{
    Connection, MySqlConnection, MySqlPool,
    mysql::{MySqlConnectOptions, MySqlPoolOptions, MySqlSslMode},
};
use tokio::net::lookup_host;

use super::{
    adapter::LabCarrier,
    dice::Dice,
    environment::{DATABASE, Function, pool},
    events::LabScheduler,
    hooks::Hooks,
    plan::{Act, Plan},
    queue::LabQueue,
};
use crate::history;

/// The clock starts so far behind the real one, and never overtakes it: the carrier stamps real times, and none may be before a time of
/// ours that it should be after.
const BEHIND: Duration = Duration::from_hours(24 * 20);

/// Nobody logs in here with a password.
const SIGNING_KEY: &str = r#"{"kid":"lab","key":"a key of at least thirty-two characters"}"#;

/// See the module.
pub struct World {
    /// What happens.
    pub plan: Plan,
    /// Whether it does.
    pub dice: Dice,
    /// Everybody's.
    pub clock: Clock,
    /// The database as nobody's fault touches it.
    pub pool: MySqlPool,
    /// How the functions connect to it.
    pub options: MySqlConnectOptions,
    /// The carrier.
    pub simulator: Simulator,
    /// The functions' way to it.
    pub carrier: Arc<dyn Carrier>,
    /// One-time schedules.
    pub events: Arc<LabScheduler>,
    /// Fault points.
    pub hooks: Arc<Hooks>,
    /// The API.
    pub app: App,
    /// The key to it.
    pub key: String,
    queues: [Arc<LabQueue>; 3],
    carrier_proxy: Option<Proxy>,
    database_proxy: Option<Proxy>,
}

/// A run's own database.
pub struct Database {
    admin: MySqlConnectOptions,
    name: String,
}

impl Database {
    /// Makes it.
    pub async fn create(admin_url: &str, name: String) -> anyhow::Result<Self> {
        // Encryption to a server on the same machine only takes time.
        let admin = admin_url
            .parse::<MySqlConnectOptions>()
            .context("the database's URL")?
            .ssl_mode(MySqlSslMode::Disabled);
        let mut connection = MySqlConnection::connect_with(&admin)
            .await
            .context("connecting as an administrator")?;
        sqlx::raw_sql(&format!("CREATE DATABASE {name}"))
            .execute(&mut connection)
            .await?;
        connection.close().await.ok();
        Ok(Self { admin, name })
    }

    /// Drops it.
    pub async fn discard(&self) -> anyhow::Result<()> {
        let mut connection = MySqlConnection::connect_with(&self.admin).await?;
        sqlx::raw_sql(&format!("DROP DATABASE {}", self.name))
            .execute(&mut connection)
            .await?;
        Ok(())
    }

    async fn open(&self) -> anyhow::Result<(MySqlConnectOptions, MySqlPool)> {
        let options = self.admin.clone().database(&self.name);
        let pool = MySqlPoolOptions::new()
            .max_connections(2)
            .connect_with(options.clone())
            .await?;
        MIGRATOR.run(&pool).await.context("migrating")?;
        history::keep(&pool).await.context("keeping the history")?;
        Ok((options, pool))
    }
}

impl World {
    /// Everything up, nothing scheduled.
    pub async fn new(
        plan: Plan,
        dice: Dice,
        database: &Database,
        admin_url: &str,
    ) -> anyhow::Result<Self> {
        let clock = Clock::behind(BEHIND);
        let (mut options, admin) = database.open().await?;
        let database_proxy = in_front_of(admin_url, plan.takes_the_database()).await?;
        if let Some(proxy) = &database_proxy {
            options = options.host("127.0.0.1").port(proxy.address().port());
        }
        let simulator = Simulator::start(plan.carrier.clone()).await?;
        let carrier_proxy = in_front_of(&simulator.url(), plan.takes_the_carrier()).await?;
        let origin = carrier_proxy.as_ref().map_or_else(
            || simulator.url(),
            |proxy| format!("http://{}", proxy.address()),
        );
        let carrier = LabCarrier::shared(&origin, &plan)?;
        let queues =
            Function::ALL.map(|_| LabQueue::new(clock.clone(), dice.clone(), plan.queues.clone()));
        let events = LabScheduler::new(dice.clone(), plan.events.clone());
        let hooks = Hooks::new(
            clock.clone(),
            dice.clone(),
            plan.kills.clone(),
            plan.traps.clone(),
        );
        let app = App {
            db: Db {
                pool: pool(&options, DATABASE),
                clock: clock.clone(),
            },
            dispatch_queue: queues[Function::Dispatch as usize].clone(),
            recheck_queue: queues[Function::Recheck as usize].clone(),
            // No schedule here has a webhook.
            notify_queue: LabQueue::new(clock.clone(), dice.clone(), plan.queues.clone()),
            webhook_keys: SharedKeys::open(KeySource::Fixed(SIGNING_KEY.to_owned().into())).await?,
            webhook_targets: AllowedTargets::Public,
            scheduler: events.clone(),
            dead_letters: Vec::new(),
            capacity: Capacity::default(),
            quiet_time: chrono::TimeDelta::minutes(5),
            dispatch_lead: Duration::from_secs(90),
            gate: Gate::open(
                KeySource::Fixed(SIGNING_KEY.to_owned().into()),
                Rate {
                    per_minute: 1_000_000,
                },
            )
            .await?,
            receipt_format: shared::carrier::registry::ADAPTERS[0].receipts,
            callbacks: Callbacks::open(None).await?,
            commit: "lab".into(),
        };
        Ok(Self {
            plan,
            dice,
            key: admit(&admin, &clock).await?,
            clock,
            pool: admin,
            options,
            simulator,
            carrier,
            events,
            hooks,
            app,
            queues,
            carrier_proxy,
            database_proxy,
        })
    }

    /// The queue in front of that function.
    pub fn queue(&self, function: Function) -> Arc<LabQueue> {
        Arc::clone(&self.queues[function as usize])
    }

    /// Does what no person does.
    pub async fn act(&self, act: Act) -> anyhow::Result<()> {
        let port = |refuse| Mode {
            refuse,
            ..Mode::default()
        };
        match (act, &self.carrier_proxy, &self.database_proxy) {
            (Act::Carrier(change), ..) => {
                let mut settings = self.simulator.carrier().settings();
                change(&mut settings);
                self.simulator.carrier().set(settings)?;
            }
            (Act::CarrierGone(gone), Some(proxy), _)
            | (Act::DatabaseGone(gone), _, Some(proxy)) => {
                proxy.set(port(gone)).await?;
                proxy.cut().await;
            }
            (Act::DatabaseCut, _, Some(proxy)) => proxy.cut().await,
            (Act::Purge, ..) => self.queues.iter().for_each(|queue| queue.purge()),
            (Act::Lock(real_ms), ..) => self.lock(Duration::from_millis(real_ms)).await?,
            _ => {}
        }
        Ok(())
    }

    /// Takes rows one by one from the end, which crosses everybody who begins at the beginning, then a batch, then the schedule.
    async fn lock(&self, time: Duration) -> anyhow::Result<()> {
        let mut transaction = self.pool.begin().await?;
        let row = "SELECT seq FROM recipients ORDER BY seq DESC LIMIT 1 OFFSET ? FOR UPDATE";
        for offset in 0..self.dice.number(1..=6) {
            // The one that gives way to a deadlock is this one, as often as not.
            if sqlx::query(row)
                .bind(offset * 4)
                .execute(&mut *transaction)
                .await
                .is_err()
            {
                return Ok(());
            }
            tokio::time::sleep(self.dice.millis(0..=3)).await;
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

/// A key to the API that may do all that a key may.
async fn admit(pool: &MySqlPool, clock: &Clock) -> anyhow::Result<String> {
    let request = KeyRequest {
        name: "lab".to_owned(),
        permissions: Permission::GRANTABLE.to_vec(),
        ..KeyRequest::default()
    };
    let (row, key) = new_key(&request, "nobody".to_owned(), clock.now());
    insert_api_key(&mut *pool.acquire().await?, &row, &hash_token(&key)).await?;
    Ok(key)
}

/// A proxy, where one is wanted.
async fn in_front_of(url: &str, wanted: bool) -> anyhow::Result<Option<Proxy>> {
    if !wanted {
        return Ok(None);
    }
    Proxy::start(address(url).await?).await.map(Some)
}

async fn address(url: &str) -> anyhow::Result<SocketAddr> {
    let url: reqwest::Url = url.parse().context("an address")?;
    let host = (
        url.host_str().context("no host")?,
        url.port().unwrap_or(3306),
    );
    lookup_host(host)
        .await?
        .find(SocketAddr::is_ipv4)
        .context("no address")
}
