//! All workers on one database, with queues in memory and a carrier simulator, so that a test can
//! run a schedule from dispatch to its end.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use dispatch::{Dispatcher, personal_data::PersonalData, sweep::velocity::VelocityRule};
use recheck::Rechecker;
use send::Sender;
use shared::{
    batch::{
        admission::{Admission, AdmissionSettings},
        release::Timing,
        worker::Worker,
    },
    carrier::{CarrierSettings, Login, capacity::LimitDefaults, registry::ADAPTERS},
    platform::{backoff::Backoff, budget::Budget, db::Db, queue::BatchMessage},
};
use simulator::{Settings, Simulator};
use sqlx::MySqlPool;

use crate::FakeQueue;

/// The workers, their queues, their database and their carrier.
pub struct Stage {
    /// The database.
    pub db: Db,
    /// The carrier.
    pub simulator: Simulator,
    /// The messages to send.
    pub send_queue: Arc<FakeQueue>,
    /// The messages to recheck.
    pub recheck_queue: Arc<FakeQueue>,
    /// The messages to notify.
    pub notify_queue: Arc<FakeQueue>,
    /// Dispatch, with batches of five recipients.
    pub dispatcher: Dispatcher,
    /// Send, with two requests in flight.
    pub sender: Sender,
    /// Recheck.
    pub rechecker: Rechecker,
}

/// The duration of one invocation.
pub const INVOCATION: Duration = Duration::from_secs(60);

/// `SEND_CONCURRENCY`, from which the number of admitted batches follows.
pub const CONCURRENCY: u32 = 20;

/// The timeout of one request to the carrier.
const TIMEOUT: Duration = Duration::from_secs(2);

fn send_settings() -> send::Settings {
    send::Settings {
        in_flight: 200,
        timeout: TIMEOUT,
        limit: LimitDefaults::default(),
    }
}

const RECHECK_SETTINGS: recheck::Settings = recheck::Settings {
    in_flight: 10,
    timeout: TIMEOUT,
    limit: LimitDefaults {
        per_second: None,
        requests_per_second: None,
    },
};

fn dispatch_settings() -> dispatch::Settings {
    dispatch::Settings {
        lead: TimeDelta::seconds(90),
        sweep_lead: TimeDelta::seconds(70),
        batch_size: 5,
        watch: Duration::ZERO,
        backoff: Backoff::default(),
        velocity: VelocityRule::default(),
    }
}

fn admission_settings() -> AdmissionSettings {
    AdmissionSettings {
        concurrency: CONCURRENCY,
        batch_size: 5,
        limit: LimitDefaults::default(),
        backoff: Backoff::default(),
    }
}

/// Configures a stage's carrier with an adapter that accepts the client's own message ids, and
/// enables them.
pub fn with_own_ids(settings: &mut CarrierSettings) {
    settings.adapter = ADAPTERS
        .iter()
        .find(|adapter| adapter.takes_own_ids)
        .unwrap();
    settings.own_ids = true;
    settings.login = settings.adapter.needs_login.then(|| Login {
        username: "u".into(),
        password: "p".to_owned().into(),
    });
}

impl Stage {
    /// Creates a stage whose carrier has these settings.
    pub async fn new(pool: MySqlPool, settings: Settings) -> Self {
        Self::with_carrier(pool, settings, |_| ()).await
    }

    /// Creates a stage with carrier settings and an adjusted configuration of the carrier's client.
    pub async fn with_carrier(
        pool: MySqlPool,
        settings: Settings,
        adjust: impl FnOnce(&mut CarrierSettings),
    ) -> Self {
        let db = Db::from_pool(pool);
        // As if some passes had met no 429: the first slots of a carrier are few.
        sqlx::query("UPDATE carriers SET open_slots = 8")
            .execute(&db)
            .await
            .unwrap();
        let simulator = Simulator::start(settings).await.unwrap();
        let mut settings = CarrierSettings {
            adapter: ADAPTERS[0],
            url: format!("{}/api", simulator.url()),
            timeout: TIMEOUT,
            own_ids: false,
            login: None,
        };
        adjust(&mut settings);
        let carrier = settings.connect().unwrap();
        let [send_queue, recheck_queue, notify_queue] = [0; 3].map(|_| FakeQueue::new());
        let admission = || Admission::new(db.clone(), send_queue.clone(), admission_settings());
        let worker = || Worker {
            admission: admission(),
            db: db.clone(),
            carrier: carrier.clone(),
            send_queue: send_queue.clone(),
            recheck_queue: recheck_queue.clone(),
            notify_queue: notify_queue.clone(),
            timing: timing(),
        };
        let dispatcher = Dispatcher {
            admission: admission(),
            db: db.clone(),
            send_queue: send_queue.clone(),
            recheck_queue: recheck_queue.clone(),
            notify_queue: notify_queue.clone(),
            settings: dispatch_settings(),
            personal_data: PersonalData {
                retain_days: 0,
                step: dispatch::personal_data::STEP,
                keys: crate::webhook_keys().await,
            },
        };
        Self {
            db: db.clone(),
            simulator,
            dispatcher,
            sender: Sender {
                worker: worker(),
                settings: send_settings(),
            },
            rechecker: Rechecker {
                worker: worker(),
                settings: RECHECK_SETTINGS,
            },
            send_queue,
            recheck_queue,
            notify_queue,
        }
    }

    /// Sends a batch, in an invocation of one minute.
    pub async fn send(&self, batch: BatchMessage) {
        // Boxed: a test may hold several of these large futures.
        Box::pin(self.sender.send_batch(batch, Budget::new(INVOCATION)))
            .await
            .unwrap();
    }

    /// Rechecks a batch, in an invocation of one minute.
    pub async fn recheck(&self, batch: BatchMessage) {
        self.rechecker
            .recheck_batch(batch, Budget::new(INVOCATION))
            .await
            .unwrap();
    }

    /// Sends the batches of the send queue, and then rechecks those of the recheck queue.
    pub async fn work(&self) {
        for batch in self.send_queue.take_batches() {
            self.send(batch).await;
        }
        for batch in self.recheck_queue.take_batches() {
            self.recheck(batch).await;
        }
    }

    /// Processes both queues until they are empty, at most for a hundred rounds. Each round
    /// advances the clock by a minute.
    pub async fn play(&self) {
        for _ in 0..100 {
            let (send, recheck) = (
                self.send_queue.take_batches(),
                self.recheck_queue.take_batches(),
            );
            if send.is_empty() && recheck.is_empty() {
                return;
            }
            self.db.clock.advance(Duration::from_secs(60));
            for batch in send {
                self.send(batch).await;
            }
            for batch in recheck {
                self.recheck(batch).await;
            }
        }
        panic!("the queues are not empty after a hundred rounds");
    }

    /// Returns how often the carrier accepted a message to each number, sorted by number.
    pub fn acceptances(&self) -> Vec<(String, usize)> {
        let mut numbers = std::collections::BTreeMap::new();
        for line in self.simulator.carrier().ledger() {
            *numbers.entry(line.dnis).or_insert(0) += 1;
        }
        numbers.into_iter().collect()
    }
}

/// Returns short delays; the tests advance the clock.
pub fn timing() -> Timing {
    Timing {
        recheck_delays: [5, 10, 30].map(Duration::from_secs).to_vec(),
        recheck_deadline: TimeDelta::hours(23),
        resend_delay: TimeDelta::seconds(30),
        quiet_time: TimeDelta::minutes(5),
        backoff: Backoff::default(),
    }
}
