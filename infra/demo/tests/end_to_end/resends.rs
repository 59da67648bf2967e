//! UNDELIV messages are sent again, and each attempt is recorded. The carrier's rule applies only
//! to numbers of this test.

use std::time::Duration;

use demo::api::NewSchedule;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::stage::{Stage, numbers};

#[tokio::test]
#[ignore = "needs the local stack: make test"]
async fn an_undeliv_message_is_sent_again_and_each_attempt_is_recorded() {
    let stage = Stage::connect().await;
    let numbers = numbers(9, 3);
    let (never, later) = (numbers[0].clone(), numbers[1].clone());
    let before = change_settings(&stage, json!({})).await["undeliv_prefixes"].clone();
    change_settings(&stage, json!({ "undeliv_prefixes": [never, later] })).await;
    let schedule = NewSchedule {
        max_attempts: Some(3),
        ..NewSchedule::new(Stage::soon(3), "Try three times", numbers.clone())
    };
    let id = stage.api.create(&schedule).await.unwrap().id;
    wait_until_accepted(&stage, id, &later).await;
    // The carrier decides at acceptance: the first attempt ends UNDELIV, the next is delivered.
    change_settings(&stage, json!({ "undeliv_prefixes": [never] })).await;
    stage.prove(id).await;
    change_settings(&stage, json!({ "undeliv_prefixes": before })).await;
    assert_eq!(
        attempts(&stage, id, &never).await,
        [("UNDELIV", 2), ("UNDELIV", 2), ("UNDELIV", 2)].map(owned)
    );
    assert_eq!(
        attempts(&stage, id, &later).await,
        [("UNDELIV", 1), ("DELIVRD", 1)].map(owned)
    );
    assert_eq!(
        attempts(&stage, id, &numbers[2]).await,
        [("DELIVRD", 0)].map(owned)
    );
}

fn owned((status, resends): (&str, u32)) -> (String, u32) {
    (status.to_owned(), resends)
}

/// Changes the simulator's settings and returns all of them.
async fn change_settings(stage: &Stage, patch: Value) -> Value {
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
        .expect("the tests' carrier is the simulator")
        .json()
        .await
        .unwrap()
}

/// Waits until the carrier has accepted the first message to a number.
async fn wait_until_accepted(stage: &Stage, id: Uuid, phone: &str) {
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

/// Returns how each attempt of a number ended, and how often it was sent again in total.
async fn attempts(stage: &Stage, id: Uuid, phone: &str) -> Vec<(String, u32)> {
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
