//! `callback_url` of a schedule: who may set it, what is posted there, and that no log contains it.

use axum::http::StatusCode;
use serde_json::{Value, json};
use shared::{
    access::Permission::{self, SchedulesRead, SchedulesWrite, WebhooksOwn},
    platform::db::{Db, MIGRATOR},
};
use sqlx::MySqlPool;
use testkit::webhooks;
use uuid::Uuid;

use crate::common::{
    Answer, Api, count, insert_key, phones, request, validation::assert_refused, webhooks::secret,
};

const URL: &str = "https://example.com/hook/hunter2?token=hunter3";
const GRANTED: [Permission; 3] = [SchedulesRead, SchedulesWrite, WebhooksOwn];

/// The body of a schedule with a callback.
fn with_callback(url: &str) -> Value {
    let mut body = request();
    body["recipients"] = json!(phones(0..2));
    body["callback_url"] = json!(url);
    body
}

fn callback_of(answer: &Answer) -> Uuid {
    assert!(answer.status.is_success(), "{}", answer.body);
    answer.text("callback_webhook_id").parse().unwrap()
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn events_of_a_schedule_go_to_its_callback_too(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let admin = api.admin().await;
    let key = api.with(&insert_key(&pool, &GRANTED, None).await);
    let global = admin.webhook().await;
    admin
        .patch_webhook(global, &json!({"events": ["schedule.paused"]}))
        .await;
    let first = key.post(&with_callback(URL)).await;
    let second = key.post(&with_callback(URL)).await;
    let callback = callback_of(&first);
    assert_eq!(callback_of(&second), callback, "one per owner and URL");
    let plain = key.schedule(&phones(0..2)).await;
    for id in [first.id(), second.id(), plain] {
        assert_eq!(key.post_step(id, "pause").await.status, StatusCode::OK);
    }
    assert_eq!(
        key.post_step(first.id(), "resume").await.status,
        StatusCode::OK
    );
    let db = Db::from_pool(pool.clone());
    assert_eq!(
        webhooks::events(&db, callback).await,
        ["schedule.paused", "schedule.paused", "schedule.resumed"]
    );
    assert_eq!(webhooks::events(&db, global).await.len(), 3);
    // It is a webhook of the key: its deliveries, its secret and its test are there.
    let shown = key.get(&format!("/v1/webhooks/{callback}")).await.body;
    let me = key.get("/v1/auth/me").await.text("id");
    assert_eq!(
        (&shown["url"], &shown["callback"], &shown["owner"]),
        (&json!(URL), &json!(true), &json!(format!("key:{me}")))
    );
    let deliveries = format!("/v1/webhooks/{callback}/deliveries");
    let deliveries = key.get(&deliveries).await.body["deliveries"].clone();
    assert_eq!(deliveries.as_array().unwrap().len(), 3);
    let rotated = key.call_webhook(callback, "rotate-secret", None).await;
    assert_eq!(rotated.text("secret"), secret(callback, 2));
    let test = key.call_webhook(callback, "test", None).await;
    assert_eq!(test.status, StatusCode::ACCEPTED);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn no_answer_about_a_schedule_and_no_audit_row_contains_the_url(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let admin = api.admin().await;
    let key = api.with(&insert_key(&pool, &GRANTED, None).await);
    let made = key.post(&with_callback(URL)).await;
    let (id, callback) = (made.id(), callback_of(&made));
    let changed = key
        .patch(id, &json!({"callback_url": format!("{URL}&x=hunter4")}))
        .await;
    let shown = key.get(&format!("/v1/schedules/{id}")).await;
    let entries = admin.audit("").await;
    let actions: Vec<_> = entries
        .iter()
        .map(|entry| entry["action"].as_str().unwrap())
        .collect();
    let expected = [
        "schedule.change",
        "webhook.create",
        "schedule.create",
        "webhook.create",
    ];
    assert_eq!(actions[..4], expected);
    assert_eq!(
        entries[0]["before"],
        json!({"callback_webhook_id": callback})
    );
    let all = json!([made.body, changed.body, shown.body, entries]).to_string();
    assert!(!all.contains("hunter"), "{all}");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn only_those_who_may_have_webhooks_set_a_callback(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let admin = api.admin().await;
    let operator = admin.user("otto", "operator").await;
    let plain = api.with(&insert_key(&pool, &[SchedulesRead, SchedulesWrite], None).await);
    for caller in [&operator, &plain] {
        let id = caller.schedule(&phones(0..2)).await;
        let dry = caller
            .post_json("/v1/schedules?dry_run=true", &with_callback(URL))
            .await;
        for refused in [
            dry,
            caller.post(&with_callback(URL)).await,
            caller.patch(id, &json!({"callback_url": URL})).await,
            caller.patch(id, &json!({"callback_url": null})).await,
        ] {
            assert_eq!(
                (refused.problem(), &refused.body["permission"]),
                ("forbidden", &json!("webhooks:own"))
            );
        }
    }
    let one = api.with(&insert_key(&pool, &GRANTED, None).await);
    let other = api.with(&insert_key(&pool, &GRANTED, None).await);
    let id = one.schedule(&phones(0..2)).await;
    let refused = other.patch(id, &json!({"callback_url": URL})).await;
    assert_eq!(
        (refused.problem(), &refused.body["permission"]),
        ("forbidden", &json!("webhooks:write")),
        "a schedule that another has created"
    );
    let dry = one
        .post_json("/v1/schedules?dry_run=true", &with_callback(URL))
        .await;
    assert_eq!(dry.status, StatusCode::OK, "{}", dry.body);
    assert_eq!(count(&pool, "SELECT COUNT(*) FROM webhooks").await, 0);
    callback_of(&admin.patch(id, &json!({"callback_url": URL})).await);
    let sql = "SELECT COUNT(*) FROM webhooks WHERE owner LIKE 'user:%'";
    assert_eq!(count(&pool, sql).await, 1);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_callback_can_be_changed_and_removed_in_every_state(pool: MySqlPool) {
    let key = Api::new(&pool).await;
    let id = key.schedule(&phones(0..2)).await;
    let first = callback_of(&key.patch(id, &json!({"callback_url": URL})).await);
    key.post_step(id, "pause").await;
    let other = json!({"callback_url": "https://example.org/"});
    let second = callback_of(&key.patch(id, &other).await);
    assert_ne!(first, second);
    key.post_step(id, "resume").await;
    let removed = key.patch(id, &json!({"callback_url": null})).await;
    assert_eq!(removed.body["callback_webhook_id"], Value::Null);
    key.post_step(id, "cancel").await;
    let again = key.patch(id, &other).await;
    assert_eq!(callback_of(&again), second, "also of a cancelled one");
    let db = Db::from_pool(pool.clone());
    assert_eq!(webhooks::events(&db, first).await, ["schedule.paused"]);
    assert_eq!(webhooks::events(&db, second).await, ["schedule.resumed"]);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_callback_url_follows_the_rules_of_webhooks(pool: MySqlPool) {
    let key = Api::new(&pool).await;
    let refused = |url: &str, code: &'static str| (with_callback(url), code);
    for (body, code) in [
        refused("http://example.com/", "not-https"),
        refused("https://ana:hunter2@example.com/", "login-in-url"),
        refused("https://10.0.0.1/", "private-address"),
        refused(
            "https://169.254.169.254/latest/meta-data/",
            "private-address",
        ),
        refused("example.com", "not-a-url"),
    ] {
        let expected = [("callback_url", code)];
        assert_refused(
            &key,
            "POST",
            "/v1/schedules",
            &[(body, expected.as_slice())],
        )
        .await;
    }
    assert_eq!(count(&pool, "SELECT COUNT(*) FROM webhooks").await, 0);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_callback_can_be_created_before_it_is_named(pool: MySqlPool) {
    let key = Api::new(&pool).await;
    let wanted = json!({"url": URL, "events": ["schedule.cancelled"], "callback": true});
    let made = key.post_json("/v1/webhooks", &wanted).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    assert_eq!(made.text("secret"), secret(made.id(), 1));
    let again = key.post_json("/v1/webhooks", &wanted).await;
    assert_eq!(again.body["errors"][0]["code"], "in-use", "{}", again.body);
    let schedule = key.post(&with_callback(URL)).await;
    assert_eq!(callback_of(&schedule), made.id());
    let plain = key.schedule(&phones(0..2)).await;
    for id in [schedule.id(), plain] {
        key.post_step(id, "pause").await;
        key.post_step(id, "cancel").await;
    }
    let db = Db::from_pool(pool.clone());
    assert_eq!(
        webhooks::events(&db, made.id()).await,
        ["schedule.cancelled"]
    );
    // With a new URL it remains the callback of its schedules, and is found by the new one.
    let moved = json!({"url": "https://example.org/"});
    assert_eq!(
        key.patch_webhook(made.id(), &moved).await.status,
        StatusCode::OK
    );
    let named = key.post(&with_callback("https://example.org/")).await;
    assert_eq!(callback_of(&named), made.id());
    let old = callback_of(&key.post(&with_callback(URL)).await);
    let taken = key.patch_webhook(old, &moved).await;
    assert_eq!(taken.body["errors"][0]["code"], "in-use", "{}", taken.body);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_disabled_callback_cannot_be_named(pool: MySqlPool) {
    let key = Api::new(&pool).await;
    let made = key.post(&with_callback(URL)).await;
    let callback = callback_of(&made);
    key.patch_webhook(callback, &json!({"disabled": true}))
        .await;
    let refused = key.post(&with_callback(URL)).await;
    assert_eq!(refused.problem(), "webhook-disabled");
    assert_eq!(count(&pool, "SELECT COUNT(*) FROM schedules").await, 1);
    key.post_step(made.id(), "pause").await;
    let db = Db::from_pool(pool.clone());
    assert!(webhooks::events(&db, callback).await.is_empty());
    assert_eq!(
        key.delete_webhook(callback).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        key.post_step(made.id(), "resume").await.status,
        StatusCode::OK
    );
    assert_ne!(callback_of(&key.post(&with_callback(URL)).await), callback);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn concurrent_calls_with_one_url_create_one_callback(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let mut apis = Vec::new();
    for _ in 0..5 {
        apis.push(Api::new(&pool).await.with(&admin.token));
    }
    let body = with_callback(URL);
    let calls = apis.iter().map(|api| api.post(&body));
    let answers = futures_util::future::join_all(calls).await;
    let first = callback_of(&answers[0]);
    assert!(answers.iter().all(|answer| callback_of(answer) == first));
    assert_eq!(count(&pool, "SELECT COUNT(*) FROM webhooks").await, 1);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn an_owner_has_at_most_1000_callbacks(pool: MySqlPool) {
    let key = Api::new(&pool).await;
    let first = callback_of(&key.post(&with_callback(URL)).await);
    let sql = "INSERT INTO webhooks (id, url, events, selected_events, owner, callback_hash, key_id, created_at, created_by)
        SELECT UNHEX(LEFT(SHA2(j.n, 256), 32)), 'https://example.com/', '', 'schedule.paused', w.owner, UNHEX(SHA2(j.n, 256)), 'test', w.created_at, w.created_by
        FROM webhooks w JOIN JSON_TABLE(?, '$[*]' COLUMNS (n INT PATH '$')) j WHERE w.id = ?";
    let insert = sqlx::query(sql)
        .bind(json!((0..999).collect::<Vec<_>>()).to_string())
        .bind(first);
    insert.execute(&pool).await.unwrap();
    let refused = key.post(&with_callback("https://example.org/")).await;
    assert_eq!(refused.problem(), "too-many-webhooks");
    assert_eq!(callback_of(&key.post(&with_callback(URL)).await), first);
    // They do not count as its other webhooks.
    let webhook = json!({"url": URL, "events": ["schedule.paused"]});
    let made = key.post_json("/v1/webhooks", &webhook).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
}
