//! A receiver that hangs, or is slow, holds up no other one: five workers, as many as
//! `NOTIFY_CONCURRENCY`, on one queue in the order of the messages.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use notify::{Notifier, Poster, circuit::places_per_webhook};
use serde_json::json;
use shared::{
    events::{
        EventType,
        record::{NewEvent, insert_deliveries},
        target::AllowedTargets,
    },
    platform::{db::Db, queue::DeliveryMessage},
};
use sqlx::MySqlPool;
use testkit::{FakeQueue, webhooks};
use tokio::{sync::Mutex, task::JoinSet, time::sleep};
use uuid::Uuid;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

const CONCURRENCY: u32 = 5;
const HEALTHY: usize = 9;
/// Events, one every [`EVERY`].
const EVENTS: usize = 30;
const EVERY: Duration = Duration::from_millis(150);
/// The longest wait of a delivery to a healthy receiver: some 50 ms on a quiet machine. Without the
/// bound on places, a receiver that hangs delays the others by 15 s, and a slow one by 9 s.
const MAX_WAIT_MS: i64 = 4000;

struct Receivers {
    db: Db,
    queue: Arc<FakeQueue>,
    messages: Arc<Mutex<VecDeque<DeliveryMessage>>>,
    webhooks: Vec<Uuid>,
    workers: JoinSet<()>,
    /// Kept, so that they run.
    _servers: Vec<MockServer>,
}

impl Receivers {
    /// Starts a receiver for each answer, and the workers. Each webhook has accepted a post before.
    async fn start(pool: MySqlPool, answers: Vec<ResponseTemplate>) -> Self {
        let db = Db::from_pool(pool);
        let (mut servers, mut ids) = (Vec::new(), Vec::new());
        for answer in answers {
            let server = MockServer::start().await;
            Mock::given(any()).respond_with(answer).mount(&server).await;
            ids.push(webhooks::insert(&db, &server.uri(), "schedule.finished").await);
            servers.push(server);
        }
        sqlx::query("UPDATE webhooks SET accepted_at = created_at")
            .execute(&db)
            .await
            .unwrap();
        let mut receivers = Self {
            queue: FakeQueue::new(),
            messages: Arc::default(),
            webhooks: ids,
            workers: JoinSet::new(),
            _servers: servers,
            db,
        };
        receivers.start_workers().await;
        receivers
    }

    async fn start_workers(&mut self) {
        let notifier = Arc::new(Notifier {
            db: self.db.clone(),
            queue: self.queue.clone(),
            keys: webhooks::keys().await,
            poster: Poster::new(AllowedTargets::Loopback).unwrap(),
            healthy_places: places_per_webhook(CONCURRENCY),
        });
        for _ in 0..CONCURRENCY {
            let (messages, notifier) = (self.messages.clone(), notifier.clone());
            self.workers.spawn(async move {
                loop {
                    let message = messages.lock().await.pop_front();
                    match message {
                        Some(message) => notifier.deliver(message).await.unwrap(),
                        None => sleep(Duration::from_millis(5)).await,
                    }
                }
            });
        }
    }

    /// Records an event for each webhook, and enqueues its deliveries.
    async fn event(&self) {
        let event = NewEvent {
            id: Uuid::now_v7(),
            kind: EventType::ScheduleFinished,
            schedule_id: Some(Uuid::nil()),
            range: None,
            data: Some(json!({"status": "finished"})),
        };
        let mut connection = self.db.acquire().await.unwrap();
        let deliveries =
            insert_deliveries(&mut connection, &self.webhooks, &event, self.db.now()).await;
        self.messages.lock().await.extend(deliveries.unwrap());
    }

    /// Returns how many deliveries of the webhooks from `first` on are delivered, and the longest
    /// wait of one in ms.
    async fn delivered(&self, first: usize) -> (usize, i64) {
        let (mut count, mut longest) = (0, 0);
        for webhook in &self.webhooks[first..] {
            let sql = "SELECT COUNT(*), COALESCE(MAX(TIMESTAMPDIFF(MICROSECOND, created_at, tried_at)) DIV 1000, 0)
                       FROM webhook_deliveries WHERE webhook_id = ? AND status = 'delivered'";
            let row: (i64, i64) = sqlx::query_as(sql)
                .bind(webhook)
                .fetch_one(&self.db)
                .await
                .unwrap();
            (count, longest) = (count + row.0 as usize, longest.max(row.1));
        }
        (count, longest)
    }
}

async fn check_healthy_ones_are_prompt(pool: MySqlPool, broken: ResponseTemplate) {
    let mut answers = vec![broken];
    answers.extend(vec![ResponseTemplate::new(200); HEALTHY]);
    let receivers = Receivers::start(pool, answers).await;
    for _ in 0..EVENTS {
        receivers.event().await;
        sleep(EVERY).await;
    }
    sleep(Duration::from_millis(MAX_WAIT_MS as u64)).await;
    let (count, longest) = receivers.delivered(1).await;
    println!(
        "{count} of {} deliveries, the longest wait {longest} ms",
        EVENTS * HEALTHY
    );
    assert_eq!(count, EVENTS * HEALTHY);
    assert!(longest <= MAX_WAIT_MS, "{longest} ms");
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn nine_healthy_receivers_are_not_delayed_by_one_that_hangs(pool: MySqlPool) {
    let hangs = ResponseTemplate::new(200).set_delay(Duration::from_secs(60));
    check_healthy_ones_are_prompt(pool, hangs).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn nine_healthy_receivers_are_not_delayed_by_a_slow_one(pool: MySqlPool) {
    let slow = ResponseTemplate::new(200).set_delay(Duration::from_secs(2));
    check_healthy_ones_are_prompt(pool, slow).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn messages_that_find_no_place_lose_no_delivery(pool: MySqlPool) {
    let slow = ResponseTemplate::new(200).set_delay(Duration::from_millis(30));
    let receivers = Receivers::start(pool, vec![slow]).await;
    for _ in 0..100 {
        receivers.event().await;
    }
    for _ in 0..100 {
        if receivers.delivered(0).await.0 == 100 {
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("{:?} of 100", receivers.delivered(0).await);
}
