//! A stage with all workers, and a webhook that subscribes to all events.

use dispatch::DispatchedBy;
use notify::{Notifier, Poster};
use serde_json::Value;
use shared::{events::target::AllowedTargets, platform::queue::BatchMessage};
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{Stage, fixture, webhooks};
use uuid::Uuid;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

/// The names of all events.
pub const ALL_EVENTS: &str = "schedule.started,schedule.paused,schedule.resumed,schedule.finished,schedule.cancelled,schedule.missed,messages.final";

/// A stage with a webhook that subscribes to all events and whose receiver answers 200.
pub struct Published {
    pub stage: Stage,
    server: MockServer,
    pub webhook: Uuid,
}

impl Published {
    pub async fn new(pool: MySqlPool, settings: Settings) -> Self {
        let stage = Stage::new(pool, settings).await;
        let server = MockServer::start().await;
        Mock::given(any())
            .respond_with(ResponseTemplate::new(200))
            .mount(&server)
            .await;
        let webhook = webhooks::insert(&stage.db, &server.uri(), ALL_EVENTS).await;
        Self {
            stage,
            server,
            webhook,
        }
    }

    /// Inserts and cuts a schedule, and returns its first batch.
    pub async fn cut(&self, schedule: fixture::Schedule) -> BatchMessage {
        let message = schedule.insert(&self.stage.db).await;
        self.stage
            .dispatcher
            .dispatch(message, DispatchedBy::Queue)
            .await
            .unwrap();
        BatchMessage {
            schedule_id: message.schedule_id,
            batch_no: 1,
        }
    }

    /// Returns the events that were recorded, in their order.
    pub async fn events(&self) -> Vec<String> {
        webhooks::events(&self.stage.db, self.webhook).await
    }

    /// Posts the deliveries on the queue, and returns all bodies so far.
    pub async fn posted(&self) -> Vec<Value> {
        let notifier = Notifier {
            db: self.stage.db.clone(),
            queue: self.stage.notify_queue.clone(),
            keys: webhooks::keys().await,
            poster: Poster::new(AllowedTargets::Loopback).unwrap(),
            healthy_places: 2,
        };
        for message in self.stage.notify_queue.take_deliveries() {
            notifier.deliver(message).await.unwrap();
        }
        let received = self.server.received_requests().await.unwrap();
        received
            .iter()
            .map(|request| serde_json::from_slice(&request.body).unwrap())
            .collect()
    }

    /// Posts the deliveries on the queue, and returns the published messages, one list per event, as
    /// `seq STATUS attempt`.
    pub async fn messages(&self) -> Vec<Vec<String>> {
        let bodies = self.posted().await;
        let finals = bodies
            .iter()
            .filter(|body| body["type"] == "messages.final");
        let line = |message: &Value| {
            format!(
                "{} {} {}",
                message["seq"],
                message["status"].as_str().unwrap(),
                message["attempt"]
            )
        };
        finals
            .map(|body| {
                body["data"]["messages"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(line)
                    .collect()
            })
            .collect()
    }
}
