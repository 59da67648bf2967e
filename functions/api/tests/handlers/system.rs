//! The brake over the API: it stops and resumes all sending, names who did it and why, and only an
//! administrator, or a key with the permission, may use it.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};
use shared::{
    access::Permission,
    batch::brake,
    platform::db::{Db, MIGRATOR},
};
use sqlx::MySqlPool;

use crate::common::{Api, insert_key};

const STOP: &str = "/v1/system/stop";
const RESUME: &str = "/v1/system/resume";

async fn sending(api: &Api) -> Value {
    let shown = api.get("/v1/system").await;
    assert_eq!(shown.status, StatusCode::OK, "{}", shown.body);
    shown.body["sending"].clone()
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn all_sending_is_stopped_and_resumed_with_its_reason(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let admin = api.admin().await;
    let db = Db::from_pool(pool.clone());
    let nobody = json!({"stopped": false, "since": null, "by": null, "reason": null});
    assert_eq!(sending(&admin).await, nobody);

    let stopped = admin.post_json(STOP, &json!({"reason": " INC-12 "})).await;
    assert_eq!(stopped.status, StatusCode::OK, "{}", stopped.body);
    let first = stopped.body["sending"].clone();
    assert_eq!(
        (&first["stopped"], &first["reason"]),
        (&json!(true), &json!("INC-12"))
    );
    assert!(
        first["by"].as_str().unwrap().starts_with("user:"),
        "{first}"
    );
    assert!(brake::is_set(&db).await.unwrap(), "workers read this row");
    assert_eq!(sending(&admin).await, first);

    // A second stop changes the reason, not the time.
    admin.db.clock.advance(Duration::from_secs(60));
    let again = admin
        .post_json(STOP, &json!({"reason": "INC-13"}))
        .await
        .body;
    assert_eq!(again["sending"]["since"], first["since"]);
    assert_eq!(again["sending"]["reason"], "INC-13");

    let resumed = admin.post_json(RESUME, &json!({"reason": "solved"})).await;
    assert_eq!(resumed.status, StatusCode::OK, "{}", resumed.body);
    let state = &resumed.body["sending"];
    assert_eq!(
        (&state["stopped"], &state["since"], &state["reason"]),
        (&json!(false), &Value::Null, &json!("solved"))
    );
    assert!(!brake::is_set(&db).await.unwrap());

    let entries = admin.audit("&resource=sending").await;
    let actions: Vec<_> = entries.iter().map(|entry| &entry["action"]).collect();
    assert_eq!(actions, ["sending.resume", "sending.stop", "sending.stop"]);
    assert_eq!(entries[1]["after"]["reason"], "INC-13");
    assert_eq!(entries[1]["before"]["reason"], "INC-12");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn only_who_may_stop_sending_does_and_says_why(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let admin = api.admin().await;
    for body in [
        json!({}),
        json!({"reason": "  "}),
        json!({"reason": "x".repeat(256)}),
    ] {
        let refused = admin.post_json(STOP, &body).await;
        assert_eq!(refused.problem(), "invalid-request", "{body}");
    }
    let reader = api.with(&insert_key(&pool, &[Permission::AttentionRead], None).await);
    let reason = json!({"reason": "INC-12"});
    assert_eq!(reader.post_json(STOP, &reason).await.problem(), "forbidden");
    assert_eq!(
        reader.post_json(RESUME, &reason).await.problem(),
        "forbidden"
    );
    assert_eq!(sending(&reader).await["stopped"], false);
    let monitor = api.with(&insert_key(&pool, &[Permission::SystemStop], None).await);
    assert_eq!(
        monitor.post_json(STOP, &reason).await.status,
        StatusCode::OK
    );
    let state = sending(&reader).await;
    assert!(state["by"].as_str().unwrap().starts_with("key:"), "{state}");
}
