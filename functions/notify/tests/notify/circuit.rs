//! The circuit breaker of a webhook: after failures in a row nothing is posted for a while, no try
//! is counted meanwhile, and one probe decides.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use notify::store::{self, FailedPost};
use sqlx::MySqlPool;
use wiremock::ResponseTemplate;

use crate::scene::Scene;

fn answer(code: u16) -> ResponseTemplate {
    ResponseTemplate::new(code)
}

/// The circuit of the webhook.
#[derive(Debug, PartialEq, Eq, sqlx::FromRow)]
struct Circuit {
    failures: u32,
    suspended_until: Option<DateTime<Utc>>,
    posts: u32,
    posts_before: u32,
}

async fn circuit(scene: &Scene) -> Circuit {
    let sql = "SELECT failures, suspended_until, posts, posts_before FROM webhooks WHERE id = ?";
    sqlx::query_as(sql)
        .bind(scene.webhook)
        .fetch_one(&scene.db)
        .await
        .unwrap()
}

/// Records six events, of which the first three fail, so that the circuit is open. Returns for how
/// long it is.
async fn open(scene: &Scene) -> Duration {
    let mut events = Vec::new();
    for _ in 0..6 {
        events.push(scene.event().await);
    }
    scene.deliver(events[0]).await;
    let circuit = circuit(scene).await;
    assert_eq!(
        (circuit.failures, circuit.posts, circuit.posts_before),
        (3, 0, 0)
    );
    let open = circuit.suspended_until.unwrap() - scene.db.now();
    assert!(
        (TimeDelta::seconds(8)..=TimeDelta::milliseconds(12_500)).contains(&open),
        "{open}"
    );
    open.to_std().unwrap()
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn deliveries_wait_for_an_open_circuit_without_a_try(pool: MySqlPool) {
    let scene = Scene::new(pool, answer(500)).await;
    let open = open(&scene).await;
    assert_eq!(scene.received().await.len(), 3);
    let mut expected = vec!["schedule.finished pending 1 500"; 3];
    expected.extend(["schedule.finished pending 0"; 3]);
    assert_eq!(scene.rows().await, expected);
    let messages = scene.queue.take();
    let delays: Vec<_> = messages.iter().map(|message| message.delay_s).collect();
    let probe = delays.last().copied().unwrap();
    assert_eq!(
        (delays.len(), u64::from(probe).abs_diff(open.as_secs()) <= 1),
        (4, true),
        "three retries, and the probe: {delays:?}"
    );
    let later = scene.event().await;
    scene.deliver(later).await;
    assert_eq!(scene.received().await.len(), 3, "the circuit is open");
    assert_eq!(
        scene.rows().await.pop().unwrap(),
        "schedule.finished pending 0"
    );
    assert!(scene.queue.take().is_empty());
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn an_accepted_probe_closes_the_circuit_and_everything_is_posted(pool: MySqlPool) {
    let scene = Scene::new(pool, answer(500)).await;
    let open = open(&scene).await;
    let probe = scene.queue.take_deliveries().pop().unwrap();
    scene.answer(answer(200)).await;
    scene.db.clock.advance(open);
    scene.deliver(probe).await;
    let rows = scene.rows().await;
    assert!(
        rows.iter()
            .all(|row| row.starts_with("schedule.finished delivered")),
        "one message, and all that is due: {rows:?}"
    );
    let circuit = circuit(&scene).await;
    assert_eq!((circuit.failures, circuit.suspended_until), (0, None));
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_refused_probe_is_the_only_post_and_doubles_the_time(pool: MySqlPool) {
    let scene = Scene::new(pool, answer(500)).await;
    let open = open(&scene).await;
    let probe = scene.queue.take_deliveries().pop().unwrap();
    scene
        .answer(answer(500).set_delay(Duration::from_millis(300)))
        .await;
    scene.db.clock.advance(open);
    tokio::join!(
        scene.deliver(probe),
        scene.deliver(probe),
        scene.deliver(probe),
        scene.deliver(probe)
    );
    assert_eq!(scene.received().await.len(), 1);
    let circuit = circuit(&scene).await;
    let open = circuit.suspended_until.unwrap() - scene.db.now();
    assert!(
        (TimeDelta::seconds(18)..=TimeDelta::seconds(25)).contains(&open),
        "{open}"
    );
    assert_eq!((circuit.failures, circuit.posts), (4, 0));
    assert_eq!(
        scene.queue.take().len(),
        2,
        "the retry of the delivery, and the next probe"
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_crashed_probe_is_followed_by_another(pool: MySqlPool) {
    let scene = Scene::new(pool, answer(500)).await;
    let open = open(&scene).await;
    let probe = scene.queue.take_deliveries().pop().unwrap();
    scene
        .answer(answer(200).set_delay(Duration::from_millis(900)))
        .await;
    scene.db.clock.advance(open);
    let killed = tokio::time::timeout(Duration::from_millis(400), scene.deliver(probe)).await;
    assert!(killed.is_err());
    scene.deliver(probe).await;
    assert_eq!(scene.received().await.len(), 1, "its lease still runs");
    scene.answer(answer(200)).await;
    scene.db.clock.advance(Duration::from_secs(41));
    scene.deliver(probe).await;
    assert_eq!(scene.received().await.len(), 6);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_requested_delay_suspends_the_webhook_at_once(pool: MySqlPool) {
    let busy = answer(429).insert_header("retry-after", "60");
    let scene = Scene::new(pool, busy).await;
    let (first, second) = (scene.event().await, scene.event().await);
    scene.deliver(first).await;
    scene.deliver(second).await;
    assert_eq!(scene.received().await.len(), 1);
    let waits = circuit(&scene).await.suspended_until.unwrap() - scene.db.now();
    assert!((55..=75).contains(&waits.num_seconds()), "{waits}");
    // A failure without a request for a delay ends the lease of the probe.
    scene.answer(answer(500)).await;
    scene.db.clock.advance(waits.to_std().unwrap());
    scene.deliver(second).await;
    let circuit = circuit(&scene).await;
    assert!(circuit.failures >= 2 && circuit.suspended_until.is_some());
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_webhook_has_one_place_until_it_has_accepted_a_post(pool: MySqlPool) {
    let scene = Scene::new(pool, answer(200)).await;
    let (db, webhook) = (&scene.db, scene.webhook);
    let take = || async { store::take_place(db, webhook, 2, db.now()).await.unwrap() };
    let first = take().await.unwrap();
    assert_eq!(take().await, None);
    store::record_accepted(db, webhook, first, db.now())
        .await
        .unwrap();
    let (one, two) = (take().await.unwrap(), take().await.unwrap());
    assert_eq!(take().await, None, "two places");
    let failed = FailedPost {
        place: one,
        now: db.now(),
        suspended_until: None,
    };
    store::record_failed_post(db, webhook, failed)
        .await
        .unwrap();
    assert_eq!(take().await, None, "it failed, and one post is in progress");
    store::return_place(db, webhook, two, db.now())
        .await
        .unwrap();
    take().await.unwrap();
    assert_eq!(take().await, None);
    // That place is never returned.
    db.clock.advance(Duration::from_secs(40));
    take().await.unwrap();
}
