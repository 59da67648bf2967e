//! What ends UNDELIV is sent again, and every attempt is kept. The carrier's rule is for numbers that only this test uses.

use std::time::Duration;

use demo::api::NewSchedule;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::stage::{Stage, numbers};

#[tokio::test]
#[ignore = "needs the local stack: make test"]
async fn what_ends_undeliv_is_sent_again_and_every_attempt_is_kept() {
    let stage = Stage::enter().await;
    let numbers = numbers(9, 3);
    let (never, later) = (numbers[0].clone(), numbers[1].clone());
    let before = settings(&stage, json!({})).await["undeliv_prefixes"].clone();
    settings(&stage, json!({ "undeliv_prefixes": [never, later] })).await;
    let schedule = NewSchedule {
        max_attempts: Some(3),
        ..NewSchedule::new(Stage::soon(3), "Try three times", numbers.clone())
    };
    let id = stage.api.create(&schedule).await.unwrap().id;
    accepted(&stage, id, &later).await;
    // Its fate is drawn: the first attempt ends UNDELIV, the next one is delivered.
    settings(&stage, json!({ "undeliv_prefixes": [never] })).await;
    stage.prove(id).await;
    settings(&stage, json!({ "undeliv_prefixes": before })).await;
    assert_eq!(
        kept(&stage, id, &never).await,
        [("UNDELIV", 2), ("UNDELIV", 2), ("UNDELIV", 2)].map(owned)
    );
    assert_eq!(
        kept(&stage, id, &later).await,
        [("UNDELIV", 1), ("DELIVRD", 1)].map(owned)
    );
    assert_eq!(
        kept(&stage, id, &numbers[2]).await,
        [("DELIVRD", 0)].map(owned)
    );
}

fn owned((status, resends): (&str, u32)) -> (String, u32) {
    (status.to_owned(), resends)
}

/// Changes the simulator's settings, and returns them.
async fn settings(stage: &Stage, patch: Value) -> Value {
    let url = format!("{}/settings", stage.stack.carrier_origin().unwrap());
    let answer = stage
        .http
        .patch(url)
        .json(&patch)
        .send()
        .await
        .unwrap()
        .error_for_status();
    answer
        .expect("the carrier of the tests is the simulator")
        .json()
        .await
        .unwrap()
}

/// Waits until the carrier has accepted the first message to that number.
async fn accepted(stage: &Stage, id: Uuid, phone: &str) {
    for _ in 0..300 {
        let row = sqlx::query_scalar::<_, Option<String>>(
            "SELECT message_id FROM recipients WHERE schedule_id = ? AND phone = ?",
        );
        if row
            .bind(id)
            .bind(phone)
            .fetch_one(&stage.pool)
            .await
            .unwrap()
            .is_some()
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not accepted within 15 s");
}

/// How each attempt of a number ended, and how often it was sent again in all.
async fn kept(stage: &Stage, id: Uuid, phone: &str) -> Vec<(String, u32)> {
    let statement = "SELECT status, resends FROM (
          SELECT a.attempt, a.status, r.resends FROM attempts a JOIN recipients r ON r.schedule_id = a.schedule_id AND r.seq = a.seq
            WHERE r.schedule_id = ? AND r.phone = ?
          UNION ALL SELECT attempt, status, resends FROM recipients WHERE schedule_id = ? AND phone = ?) x ORDER BY attempt";
    let rows = sqlx::query_as(statement)
        .bind(id)
        .bind(phone)
        .bind(id)
        .bind(phone);
    rows.fetch_all(&stage.pool).await.unwrap()
}
