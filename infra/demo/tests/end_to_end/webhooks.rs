//! The real notify function publishes a schedule's events to a webhook on loopback.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shared::events::secret::WebhookKeys;
use uuid::Uuid;
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

use crate::stage::{Stage, numbers};

const EVENTS: &str = "schedule.started,schedule.finished,messages.final";

#[tokio::test]
#[ignore = "needs the local stack: make test"]
async fn a_webhook_receives_the_start_each_final_message_and_the_end() {
    let stage = Stage::connect().await;
    let receiver = MockServer::start().await;
    Mock::given(any())
        .respond_with(ResponseTemplate::new(204))
        .mount(&receiver)
        .await;
    let keys = WebhookKeys::read(stage.stack.value("WEBHOOK_KEYS").unwrap()).unwrap();
    let webhook = insert_webhook(&stage, &receiver, &keys).await;

    let recipients = numbers(9, 33).split_off(3);
    let schedule = stage
        .post(Stage::soon(3), "Published", recipients.clone())
        .await;
    stage.prove_delivered(schedule.id, 30).await;
    let requests = wait_for_the_end(&receiver, schedule.id).await;
    sqlx::query("DELETE FROM webhooks WHERE id = ?")
        .bind(webhook)
        .execute(&stage.pool)
        .await
        .unwrap();

    assert_signed(&requests, &keys, webhook);
    let bodies: Vec<_> = requests.iter().map(body).collect();
    assert!(bodies.iter().any(|body| body["type"] == "schedule.started"));
    assert_eq!(json!(delivered_phones(&bodies)), json!(recipients));
}

async fn insert_webhook(stage: &Stage, receiver: &MockServer, keys: &WebhookKeys) -> Uuid {
    let webhook = Uuid::now_v7();
    let sql = "INSERT INTO webhooks (id, url, events, key_id, created_at, created_by) VALUES (?, ?, ?, ?, UTC_TIMESTAMP(3), 'test')";
    let insert = sqlx::query(sql)
        .bind(webhook)
        .bind(receiver.uri())
        .bind(EVENTS)
        .bind(keys.newest());
    insert.execute(&stage.pool).await.unwrap();
    webhook
}

/// Waits for the event of the schedule's end. Returns all requests about this schedule.
async fn wait_for_the_end(receiver: &MockServer, schedule_id: Uuid) -> Vec<Request> {
    let ended = Instant::now();
    loop {
        // The webhook also receives events of other tests' schedules.
        let all = receiver.received_requests().await.unwrap();
        let ours: Vec<_> = all
            .into_iter()
            .filter(|request| body(request)["data"]["schedule_id"] == json!(schedule_id))
            .collect();
        if ours
            .iter()
            .any(|request| body(request)["type"] == "schedule.finished")
        {
            println!("published {} ms after the end", ended.elapsed().as_millis());
            return ours;
        }
        assert!(
            ended.elapsed() < Duration::from_secs(70),
            "the end was not published within the period of the sweep; requests: {}",
            ours.len()
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn assert_signed(requests: &[Request], keys: &WebhookKeys, webhook: Uuid) {
    let secret = keys.secret(keys.newest(), webhook, 1).unwrap();
    for request in requests {
        let header = |name: &str| request.headers[name].to_str().unwrap();
        let signed = secret.sign(
            header("webhook-id"),
            header("webhook-timestamp").parse().unwrap(),
            &request.body,
        );
        assert_eq!(header("webhook-signature"), signed);
    }
}

/// Returns the numbers of all delivered messages, sorted.
fn delivered_phones(bodies: &[Value]) -> Vec<Value> {
    let messages = bodies
        .iter()
        .filter_map(|body| body["data"]["messages"].as_array())
        .flatten();
    let mut phones: Vec<_> = messages
        .filter(|message| message["status"] == "DELIVRD")
        .map(|message| message["phone"].clone())
        .collect();
    phones.sort_by_key(Value::to_string);
    phones
}

fn body(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}
