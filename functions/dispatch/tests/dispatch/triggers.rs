//! The events that invoke dispatch.

use dispatch::Trigger;
use shared::platform::{budget::Budget, queue::DispatchMessage};
use sqlx::MySqlPool;
use testkit::{INVOCATION, fixture};

use crate::stage;

#[test]
fn each_trigger_is_recognised() {
    let read = |json: &str| serde_json::from_str::<Trigger>(json);
    let id = "0197f3b4-7a52-7000-8000-000000000000";
    assert!(matches!(
        read(r#"{"sweep":true}"#),
        Ok(Trigger::Sweep { .. })
    ));
    assert!(matches!(
        read(&format!(r#"{{"schedule_id":"{id}","version":3}}"#)),
        Ok(Trigger::OneTime(DispatchMessage { version: 3, .. }))
    ));
    assert!(matches!(read(r#"{"Records":[]}"#), Ok(Trigger::Queue(_))));
    for wrong in [
        "{}",
        "[]",
        r#"{"schedule_id":"x","version":1}"#,
        r#"{"version":1}"#,
    ] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_malformed_message_fails_alone(pool: MySqlPool) {
    let stage = stage(pool).await;
    let schedule = fixture::Schedule::default().insert(&stage.db).await;
    let event = serde_json::json!({"Records": [
        {"messageId": "bad", "body": "{\"schedule_id\":1}"},
        {"messageId": "good", "body": serde_json::to_string(&schedule).unwrap()},
        {"messageId": "empty"},
    ]});
    let trigger = serde_json::from_value(event).unwrap();
    let response = stage
        .dispatcher
        .handle(trigger, Budget::new(INVOCATION))
        .await
        .unwrap();
    let failed: Vec<_> = response
        .batch_item_failures
        .iter()
        .map(|failure| failure.item_identifier.as_str())
        .collect();
    assert_eq!(failed, ["bad", "empty"]);
    assert_eq!(stage.send_queue.take().len(), 1);
}
