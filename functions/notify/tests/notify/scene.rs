//! A webhook, its receiver on loopback, and notify.

use std::{sync::Arc, time::Duration};

use notify::{Notifier, Poster};
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
use uuid::Uuid;
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

pub struct Scene {
    pub db: Db,
    pub server: MockServer,
    pub queue: Arc<FakeQueue>,
    pub notifier: Notifier,
    pub webhook: Uuid,
}

impl Scene {
    /// Returns a scene with a receiver that gives this answer.
    pub async fn new(pool: MySqlPool, answer: ResponseTemplate) -> Self {
        let server = MockServer::start().await;
        let url = format!("{}/hook?x=1", server.uri());
        let scene = Self::at(pool, &url, server, AllowedTargets::Loopback).await;
        scene.answer(answer).await;
        scene
    }

    /// Returns a scene with a webhook at this URL.
    pub async fn at(
        pool: MySqlPool,
        url: &str,
        server: MockServer,
        allowed: AllowedTargets,
    ) -> Self {
        let db = Db::from_pool(pool);
        let queue = FakeQueue::new();
        let webhook = webhooks::insert(&db, url, "schedule.finished,messages.final").await;
        let notifier = Notifier {
            db: db.clone(),
            queue: queue.clone(),
            keys: webhooks::keys().await,
            poster: Poster::with_timeout(allowed, Duration::from_secs(1)).unwrap(),
            healthy_places: 2,
        };
        Self {
            db,
            server,
            queue,
            notifier,
            webhook,
        }
    }

    /// Sets the answer of the receiver.
    pub async fn answer(&self, answer: ResponseTemplate) {
        self.server.reset().await;
        Mock::given(any())
            .respond_with(answer)
            .mount(&self.server)
            .await;
    }

    /// Records an event, and returns its delivery.
    pub async fn event(&self) -> DeliveryMessage {
        let data = json!({"schedule_id": Uuid::nil(), "status": "finished"});
        let kind = EventType::ScheduleFinished;
        let event = NewEvent {
            id: Uuid::now_v7(),
            kind,
            schedule_id: Some(Uuid::nil()),
            range: None,
            data: Some(data),
        };
        let mut connection = self.db.acquire().await.unwrap();
        insert_deliveries(&mut connection, &[self.webhook], &event, self.db.now())
            .await
            .unwrap()[0]
    }

    pub async fn deliver(&self, message: DeliveryMessage) {
        self.notifier.deliver(message).await.unwrap();
    }

    /// Returns the deliveries as lines.
    pub async fn rows(&self) -> Vec<String> {
        webhooks::deliveries(&self.db, self.webhook).await
    }

    pub async fn received(&self) -> Vec<Request> {
        self.server.received_requests().await.unwrap()
    }

    /// Closes the circuit, and ends the deliveries so far.
    pub async fn forget_failures(&self) {
        self.set("failures = 0, suspended_until = NULL").await;
        sqlx::query("UPDATE webhook_deliveries SET status = 'failed', due_at = NULL WHERE status = 'pending'")
            .execute(&self.db)
            .await
            .unwrap();
    }

    /// Changes the row of the webhook.
    pub async fn set(&self, assignments: &str) {
        let sql = format!("UPDATE webhooks SET {assignments} WHERE id = ?");
        sqlx::query(&sql)
            .bind(self.webhook)
            .execute(&self.db)
            .await
            .unwrap();
    }

    /// Returns the webhook's `disabled_reason`, and whether it is failing.
    pub async fn state(&self) -> (Option<String>, bool) {
        let sql = "SELECT disabled_reason, failing_since IS NOT NULL FROM webhooks WHERE id = ? AND (disabled_at IS NULL) = (disabled_reason IS NULL)";
        sqlx::query_as(sql)
            .bind(self.webhook)
            .fetch_one(&self.db)
            .await
            .unwrap()
    }
}

/// Returns whether a request is signed with the n-th secret of the webhook.
pub fn is_signed(request: &Request, webhook: Uuid, secret_no: u32) -> bool {
    let header = |name: &str| request.headers[name].to_str().unwrap();
    let headers = (
        header("webhook-id"),
        header("webhook-timestamp"),
        header("webhook-signature"),
    );
    webhooks::is_signed(
        &webhooks::secret(webhook, secret_no),
        headers,
        &request.body,
    )
}
