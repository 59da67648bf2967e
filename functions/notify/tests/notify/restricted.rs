//! Webhooks that get only events of some schedules: of an owner, with a label, or as a callback.

use std::time::Duration;

use dispatch::DispatchedBy;
use shared::platform::db::Db;
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{fixture, webhooks};
use uuid::Uuid;
use wiremock::ResponseTemplate;

use crate::{
    published::{ALL_EVENTS, Published},
    scene::Scene,
};

const EXPECTED: [&str; 4] = [
    "schedule.started",
    "messages.final",
    "messages.final",
    "schedule.finished",
];

/// Inserts a webhook that subscribes to all events of some schedules; `restriction` assigns the
/// columns that select them.
async fn restricted(db: &Db, restriction: &str) -> Uuid {
    let id = webhooks::insert(db, "http://127.0.0.1:9", "").await;
    let sql =
        format!("UPDATE webhooks SET selected_events = '{ALL_EVENTS}', {restriction} WHERE id = ?");
    sqlx::query(&sql).bind(id).execute(db).await.unwrap();
    id
}

async fn execute(db: &Db, sql: &str, id: Uuid) {
    sqlx::query(sql).bind(id).execute(db).await.unwrap();
}

/// Sends a schedule of two batches with this creator, until it has finished.
async fn play(published: &Published, created_by: &str, callback: Option<Uuid>) {
    let (stage, db) = (&published.stage, &published.stage.db);
    let schedule = fixture::Schedule {
        recipients: 7,
        ..Default::default()
    };
    let message = schedule.insert(db).await;
    let sql = "UPDATE schedules SET created_by = ?, callback_id = ? WHERE id = ?";
    let update = sqlx::query(sql)
        .bind(created_by)
        .bind(callback)
        .bind(message.schedule_id);
    update.execute(db).await.unwrap();
    let label = "INSERT INTO schedule_labels (label, schedule_id) VALUES ('North', ?)";
    execute(db, label, message.schedule_id).await;
    stage
        .dispatcher
        .dispatch(message, DispatchedBy::Queue)
        .await
        .unwrap();
    stage.play().await;
}

/// Each webhook alone, so that the claim of a batch finds it without another one.
#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn workers_record_the_events_of_restricted_webhooks(pool: MySqlPool) {
    let published = Published::new(pool, Settings::default()).await;
    let db = &published.stage.db;
    execute(db, "DELETE FROM webhooks WHERE id = ?", published.webhook).await;
    let callback = "callback_hash = REPEAT('x', 32), owner = 'key:9'";
    for (restriction, is_callback) in [
        ("owner = 'key:1'", false),
        (callback, true),
        ("owner = 'key:1', expires_at = '2999-01-01'", false),
    ] {
        let id = restricted(db, restriction).await;
        play(&published, "key:1", is_callback.then_some(id)).await;
        assert_eq!(webhooks::events(db, id).await, EXPECTED, "{restriction}");
        execute(db, "DELETE FROM webhooks WHERE id = ?", id).await;
    }
    let labelled = restricted(db, r#"labels = '["north","south"]'"#).await;
    for label in ["north", "south"] {
        let sql = format!("INSERT INTO webhook_labels (webhook_id, label) VALUES (?, '{label}')");
        execute(db, &sql, labelled).await;
    }
    play(&published, "key:1", None).await;
    assert_eq!(webhooks::events(db, labelled).await, EXPECTED);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn restricted_webhooks_get_nothing_of_other_schedules(pool: MySqlPool) {
    let published = Published::new(pool, Settings::default()).await;
    let db = &published.stage.db;
    let named = restricted(db, "owner = 'key:1', callback_hash = REPEAT('x', 32)").await;
    let mut others = Vec::new();
    for restriction in [
        "owner = 'key:2'",
        "owner = 'key:1', callback_hash = REPEAT('y', 32)",
        "owner = 'key:1', expires_at = '2000-01-01'",
        "owner = 'key:1', disabled_at = created_at",
        r#"labels = '["south"]'"#,
        r#"labels = '["south"]', owner = 'key:1'"#,
    ] {
        others.push(restricted(db, restriction).await);
    }
    let label = "INSERT INTO webhook_labels (webhook_id, label) SELECT id, 'south' FROM webhooks WHERE labels IS NOT NULL AND id <> ?";
    execute(db, label, Uuid::nil()).await;
    play(&published, "key:1", Some(named)).await;
    assert_eq!(published.events().await, EXPECTED, "the control");
    assert_eq!(webhooks::events(db, named).await, EXPECTED, "the control");
    for other in others {
        assert!(webhooks::events(db, other).await.is_empty());
    }
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn nothing_is_posted_after_the_key_of_the_owner_has_expired(pool: MySqlPool) {
    let scene = Scene::new(pool, ResponseTemplate::new(200)).await;
    let (first, second) = (scene.event().await, scene.event().await);
    let end = scene.db.now() + chrono::TimeDelta::seconds(60);
    let sql = "UPDATE webhooks SET owner = 'key:1', expires_at = ? WHERE id = ?";
    let update = sqlx::query(sql).bind(end).bind(scene.webhook);
    update.execute(&scene.db).await.unwrap();
    sqlx::query("UPDATE webhook_deliveries SET due_at = ? WHERE event_id = ?")
        .bind(end)
        .bind(second.event_id)
        .execute(&scene.db)
        .await
        .unwrap();
    scene.deliver(first).await;
    assert_eq!(scene.received().await.len(), 1);
    scene.db.clock.advance(Duration::from_secs(61));
    scene.deliver(second).await;
    assert_eq!(scene.received().await.len(), 1, "nothing more");
    let rows = scene.rows().await;
    assert!(rows[0].contains("delivered 1 200"), "{rows:?}");
    assert!(rows[1].contains("failed 1 webhook disabled"), "{rows:?}");
}
