//! A webhook on loopback is told of a schedule's life by the real function.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shared::events::secret::WebhookKeys;
use uuid::Uuid;
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

use crate::stage::{Stage, numbers};

const WANTED: &str = "schedule.started,schedule.finished,messages.final";

#[tokio::test]
#[ignore = "needs the local stack: make test"]
async fn a_webhook_is_told_of_the_start_of_each_message_and_of_the_end() {
    let stage = Stage::enter().await;
    let receiver = MockServer::start().await;
    Mock::given(any())
        .respond_with(ResponseTemplate::new(204))
        .mount(&receiver)
        .await;
    let keys = WebhookKeys::read(stage.stack.value("WEBHOOK_KEYS").unwrap()).unwrap();
    let webhook = Uuid::now_v7();
    let sql = "INSERT INTO webhooks (id, url, events, key_id, created_at, created_by) VALUES (?, ?, ?, ?, UTC_TIMESTAMP(3), 'test')";
    let insert = sqlx::query(sql)
        .bind(webhook)
        .bind(receiver.uri())
        .bind(WANTED)
        .bind(keys.newest());
    insert.execute(&stage.pool).await.unwrap();

    let sent_to = numbers(9, 33).split_off(3);
    let schedule = stage.post(Stage::soon(3), "Told", sent_to.clone()).await;
    stage.prove_delivered(schedule.id, 30).await;
    let ended = Instant::now();
    let told = loop {
        // Other tests' schedules are told to this webhook too.
        let all = receiver.received_requests().await.unwrap();
        let ours: Vec<_> = all
            .into_iter()
            .filter(|request| body(request)["data"]["schedule_id"] == json!(schedule.id))
            .collect();
        if ours
            .iter()
            .any(|request| body(request)["type"] == "schedule.finished")
        {
            break ours;
        }
        assert!(
            ended.elapsed() < Duration::from_secs(70),
            "not told within a sweep's minute: {}",
            ours.len()
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    println!("told {} ms after the end", ended.elapsed().as_millis());
    sqlx::query("DELETE FROM webhooks WHERE id = ?")
        .bind(webhook)
        .execute(&stage.pool)
        .await
        .unwrap();

    let secret = keys.secret(keys.newest(), webhook, 1).unwrap();
    for request in &told {
        let header = |name: &str| request.headers[name].to_str().unwrap();
        let signed = secret.sign(
            header("webhook-id"),
            header("webhook-timestamp").parse().unwrap(),
            &request.body,
        );
        assert_eq!(header("webhook-signature"), signed);
    }
    assert!(
        told.iter()
            .any(|request| body(request)["type"] == "schedule.started")
    );
    let bodies: Vec<_> = told.iter().map(body).collect();
    let messages = bodies
        .iter()
        .filter_map(|body| body["data"]["messages"].as_array())
        .flatten();
    let mut phones: Vec<_> = messages
        .filter(|message| message["status"] == "DELIVRD")
        .map(|message| message["phone"].clone())
        .collect();
    phones.sort_by_key(Value::to_string);
    assert_eq!(json!(phones), json!(sent_to));
}

fn body(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}
