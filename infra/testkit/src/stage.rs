//! All workers on one database, with queues in memory and a carrier simulator: what a test needs to play a schedule through.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use dispatch::Dispatcher;
use recheck::Rechecker;
use send::Sender;
use shared::{
    batch::{release::Timing, worker::Worker},
    carrier::{CarrierSettings, Login, registry::ADAPTERS},
    platform::{backoff::Backoff, budget::Budget, db::Db, queue::BatchMessage},
};
use simulator::{Settings, Simulator};
use sqlx::MySqlPool;

use crate::FakeQueue;

/// See the module.
pub struct Stage {
    /// The database.
    pub db: Db,
    /// The carrier.
    pub simulator: Simulator,
    /// Messages for send.
    pub send_queue: Arc<FakeQueue>,
    /// Messages for recheck.
    pub recheck_queue: Arc<FakeQueue>,
    /// Messages for notify.
    pub notify_queue: Arc<FakeQueue>,
    /// Dispatch, with batches of five.
    pub dispatcher: Dispatcher,
    /// Send, with two requests in flight.
    pub sender: Sender,
    /// Recheck.
    pub rechecker: Rechecker,
}

/// The time of one invocation.
pub const INVOCATION: Duration = Duration::from_secs(60);

/// Adjusts a stage's carrier to own ids, with an adapter that takes them.
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
    /// A stage whose carrier behaves as `settings` say.
    pub async fn new(pool: MySqlPool, settings: Settings) -> Self {
        Self::with_carrier(pool, settings, |_| ()).await
    }

    /// Likewise, with another way of speaking to the carrier.
    pub async fn with_carrier(
        pool: MySqlPool,
        settings: Settings,
        adjust: impl FnOnce(&mut CarrierSettings),
    ) -> Self {
        let db = Db::from_pool(pool);
        let simulator = Simulator::start(settings).await.unwrap();
        let mut settings = CarrierSettings {
            adapter: ADAPTERS[0],
            url: format!("{}/api", simulator.url()),
            timeout: Duration::from_secs(2),
            own_ids: false,
            login: None,
        };
        adjust(&mut settings);
        let carrier = settings.connect().unwrap();
        let [send_queue, recheck_queue, notify_queue] = [0; 3].map(|_| FakeQueue::new());
        let worker = || Worker {
            db: db.clone(),
            carrier: carrier.clone(),
            send_queue: send_queue.clone(),
            recheck_queue: recheck_queue.clone(),
            notify_queue: notify_queue.clone(),
            timing: timing(),
        };
        let timeout = Duration::from_secs(2);
        let dispatcher = Dispatcher {
            db: db.clone(),
            send_queue: send_queue.clone(),
            recheck_queue: recheck_queue.clone(),
            notify_queue: notify_queue.clone(),
            settings: dispatch::Settings {
                lead: TimeDelta::seconds(90),
                sweep_lead: TimeDelta::seconds(70),
                batch_size: 5,
                backoff: Backoff::default(),
            },
        };
        let settings = send::Settings {
            in_flight: 2,
            timeout,
            parts_per_second: None,
        };
        let sender = Sender {
            worker: worker(),
            settings,
        };
        let settings = recheck::Settings {
            in_flight: 10,
            timeout,
        };
        let rechecker = Rechecker {
            worker: worker(),
            settings,
        };
        Self {
            db: db.clone(),
            simulator,
            send_queue,
            recheck_queue,
            notify_queue,
            dispatcher,
            sender,
            rechecker,
        }
    }

    /// Sends a batch, with a minute of time.
    pub async fn send(&self, batch: BatchMessage) {
        self.sender
            .send_batch(batch, Budget::new(INVOCATION))
            .await
            .unwrap();
    }

    /// Rechecks a batch, with a minute of time.
    pub async fn recheck(&self, batch: BatchMessage) {
        self.rechecker
            .recheck_batch(batch, Budget::new(INVOCATION))
            .await
            .unwrap();
    }

    /// Plays what is on the queues, moving the clock over every delay, until both are empty; at most a hundred rounds.
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
        panic!("no end after a hundred rounds");
    }

    /// How often each number was accepted by the carrier, in the order of the numbers.
    pub fn acceptances(&self) -> Vec<(String, usize)> {
        let mut numbers = std::collections::BTreeMap::new();
        for line in self.simulator.carrier().ledger() {
            *numbers.entry(line.dnis).or_insert(0) += 1;
        }
        numbers.into_iter().collect()
    }
}

/// Short delays; the tests move the clock.
pub fn timing() -> Timing {
    Timing {
        recheck_delays: [5, 10, 30].map(Duration::from_secs).to_vec(),
        recheck_deadline: TimeDelta::hours(23),
        resend_delay: TimeDelta::seconds(30),
        quiet_time: TimeDelta::minutes(5),
        backoff: Backoff::default(),
    }
}
