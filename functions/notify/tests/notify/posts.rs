//! Posts to a receiver on loopback: run twice, at the same time, crashed between the post and the
//! record, and each way in which a receiver can answer.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use shared::events::target::AllowedTargets;
use sqlx::MySqlPool;
use tokio::net::TcpListener;
use wiremock::{MockServer, ResponseTemplate};

use crate::scene::{Scene, is_signed};

fn answer(code: u16) -> ResponseTemplate {
    ResponseTemplate::new(code)
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_delivery_is_posted_once_and_signed(pool: MySqlPool) {
    let scene = Scene::new(pool, answer(204)).await;
    let event = scene.event().await;
    let before = scene.db.now().timestamp();
    scene.deliver(event).await;
    scene.deliver(event).await;
    let received = scene.received().await;
    let duplicate = "the duplicate message finds it delivered";
    assert_eq!(received.len(), 1, "{duplicate}");
    let request = &received[0];
    let header = |name: &str| request.headers[name].to_str().unwrap();
    assert_eq!(header("webhook-id"), format!("msg_{}", event.event_id));
    let timestamp: i64 = header("webhook-timestamp").parse().unwrap();
    assert!((before..=before + 5).contains(&timestamp));
    assert!(is_signed(request, scene.webhook, 1) && !is_signed(request, scene.webhook, 2));
    assert_eq!(scene.rows().await, ["schedule.finished delivered 1 204"]);
    assert!(scene.queue.take().is_empty());
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn the_request_holds_the_event_as_json(pool: MySqlPool) {
    let scene = Scene::new(pool, answer(204)).await;
    let event = scene.event().await;
    scene.deliver(event).await;
    let received = scene.received().await;
    let request = &received[0];
    assert_eq!(
        (
            request.method.as_str(),
            request.url.path(),
            request.url.query()
        ),
        ("POST", "/hook", Some("x=1"))
    );
    let header = |name: &str| request.headers[name].to_str().unwrap();
    assert_eq!(header("content-type"), "application/json");
    assert!(header("user-agent").starts_with("sms-scheduler/"));
    let created: DateTime<Utc> = sqlx::query_scalar("SELECT created_at FROM webhook_deliveries")
        .fetch_one(&scene.db)
        .await
        .unwrap();
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let data = json!({"schedule_id": "00000000-0000-0000-0000-000000000000", "status": "finished"});
    assert_eq!(
        body,
        json!({"type": "schedule.finished", "timestamp": created, "data": data})
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_delivery_claimed_by_many_workers_at_once_is_posted_once(pool: MySqlPool) {
    let scene = Scene::new(pool, answer(200).set_delay(Duration::from_millis(200))).await;
    let event = scene.event().await;
    tokio::join!(
        scene.deliver(event),
        scene.deliver(event),
        scene.deliver(event),
        scene.deliver(event)
    );
    assert_eq!(scene.received().await.len(), 1);
    assert_eq!(scene.rows().await, ["schedule.finished delivered 1 200"]);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_delivery_is_posted_again_with_the_same_id_after_a_crash(pool: MySqlPool) {
    let scene = Scene::new(pool, answer(200).set_delay(Duration::from_millis(900))).await;
    let event = scene.event().await;
    let killed = tokio::time::timeout(Duration::from_millis(400), scene.deliver(event)).await;
    assert!(killed.is_err());
    scene.deliver(event).await;
    assert_eq!(
        scene.rows().await,
        ["schedule.finished pending 1"],
        "the lease still runs"
    );
    let first = scene.received().await;
    scene.answer(answer(200)).await;
    // The lease ends after 30 s, and after 40 s the place of the crashed post is free.
    scene.db.clock.advance(Duration::from_secs(41));
    scene.deliver(event).await;
    let second = scene.received().await;
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_eq!(
        first[0].headers["webhook-id"],
        second[0].headers["webhook-id"]
    );
    assert_eq!(first[0].body, second[0].body);
    assert!(first[0].headers["webhook-timestamp"] != second[0].headers["webhook-timestamp"]);
    assert!(is_signed(&first[0], scene.webhook, 1) && is_signed(&second[0], scene.webhook, 1));
    assert_eq!(scene.rows().await, ["schedule.finished delivered 2 200"]);
}

/// An answer, and what follows from it.
struct Case {
    answer: ResponseTemplate,
    row: &'static str,
    /// The shortest delay of the next try; a delay is up to a quarter longer.
    shortest_delay_s: Option<u32>,
}

fn case(answer: ResponseTemplate, row: &'static str, shortest_delay_s: Option<u32>) -> Case {
    Case {
        answer,
        row,
        shortest_delay_s,
    }
}

fn cases(elsewhere: &str) -> Vec<Case> {
    let redirect = |code| answer(code).insert_header("location", elsewhere);
    let minute = |code| answer(code).insert_header("retry-after", "60");
    let slow = answer(200).set_delay(Duration::from_secs(2));
    let large = answer(200).set_body_bytes(vec![b'x'; 3_000_000]);
    vec![
        case(answer(200), "delivered 1 200", None),
        case(answer(204), "delivered 1 204", None),
        case(redirect(301), "pending 1 301", Some(5)),
        case(redirect(307), "pending 1 307", Some(5)),
        case(answer(400), "pending 1 400", Some(5)),
        case(answer(401), "pending 1 401", Some(5)),
        case(answer(404), "pending 1 404", Some(5)),
        case(minute(429), "pending 1 429", Some(60)),
        case(minute(503), "pending 1 503", Some(60)),
        case(minute(500), "pending 1 500", Some(5)),
        case(answer(500), "pending 1 500", Some(5)),
        case(slow, "pending 1 timed out", Some(5)),
        case(large, "delivered 1 200", None),
    ]
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn each_answer_of_a_receiver_is_recorded_and_retried_as_it_says(pool: MySqlPool) {
    let scene = Scene::new(pool, answer(200)).await;
    for case in cases(&format!("{}/elsewhere", scene.server.uri())) {
        let (row, shortest) = (case.row, case.shortest_delay_s);
        scene.forget_failures().await;
        scene.answer(case.answer).await;
        let event = scene.event().await;
        scene.deliver(event).await;
        assert_eq!(
            scene.rows().await.pop().unwrap(),
            format!("schedule.finished {row}")
        );
        assert_eq!(
            scene.received().await.len(),
            1,
            "{row}: no redirect is followed, nothing is retried at once"
        );
        let messages = scene.queue.take();
        // A requested delay also suspends the webhook, which enqueues a probe.
        let expected = shortest.map_or(0, |shortest| 1 + usize::from(shortest == 60));
        assert_eq!(messages.len(), expected, "{row}");
        for (message, shortest) in messages.iter().zip(shortest.into_iter().cycle()) {
            let delays = shortest - 1..=shortest * 5 / 4;
            assert!(delays.contains(&message.delay_s), "{row}: {message:?}");
        }
    }
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_closed_or_missing_connection_is_retried(pool: MySqlPool) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let receiver = tokio::spawn(async move {
        // The request is read first, so that the connection ends without a reset.
        let (stream, _) = listener.accept().await.unwrap();
        stream.readable().await.unwrap();
        stream.try_read(&mut [0; 8192]).ok();
    });
    let scene = Scene::at(
        pool,
        &url,
        MockServer::start().await,
        AllowedTargets::Loopback,
    )
    .await;
    let event = scene.event().await;
    scene.deliver(event).await;
    assert_eq!(
        scene.rows().await,
        ["schedule.finished pending 1 connection closed"]
    );
    receiver.await.unwrap();
    scene.db.clock.advance(Duration::from_secs(7));
    scene.deliver(event).await;
    assert_eq!(
        scene.rows().await,
        ["schedule.finished pending 2 no connection"]
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_delivery_fails_after_ten_tries_over_three_days(pool: MySqlPool) {
    let scene = Scene::new(pool, answer(500)).await;
    let (event, started) = (scene.event().await, scene.db.now());
    let mut delays = Vec::new();
    for tries in 1..=10 {
        scene.deliver(event).await;
        scene.deliver(event).await;
        let (done, due): (u32, Option<DateTime<Utc>>) =
            sqlx::query_as("SELECT tries, due_at FROM webhook_deliveries")
                .fetch_one(&scene.db)
                .await
                .unwrap();
        assert_eq!(done, tries, "a try before the due time does nothing");
        delays.extend(scene.queue.take().iter().map(|message| message.delay_s));
        if let Some(due) = due {
            scene
                .db
                .clock
                .advance((due - scene.db.now()).to_std().unwrap());
        }
    }
    assert_eq!(scene.rows().await, ["schedule.finished failed 10 500"]);
    assert_eq!(scene.received().await.len(), 10);
    assert!((75..=95).contains(&(scene.db.now() - started).num_hours()));
    assert_eq!(
        delays.len(),
        2 + 8,
        "two retries, and a probe from the third failure on; the sweep enqueues retries that are due later than a queue can hold: {delays:?}"
    );
    scene.db.clock.advance(Duration::from_secs(100_000));
    scene.deliver(event).await;
    assert_eq!(scene.received().await.len(), 10);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_delivery_whose_claims_always_crash_fails(pool: MySqlPool) {
    let scene = Scene::new(pool, answer(200)).await;
    let event = scene.event().await;
    sqlx::query("UPDATE webhook_deliveries SET tries = 10")
        .execute(&scene.db)
        .await
        .unwrap();
    scene.deliver(event).await;
    assert_eq!(scene.rows().await, ["schedule.finished failed 11 given up"]);
    assert!(scene.received().await.is_empty());
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn nothing_is_posted_to_a_private_address_in_any_notation(pool: MySqlPool) {
    let server = MockServer::start().await;
    let port = server.address().port();
    let scene = Scene::at(
        pool,
        &format!("https://127.0.0.1:{port}/"),
        server,
        AllowedTargets::Public,
    )
    .await;
    for (url, error) in [
        (format!("https://127.0.0.1:{port}/"), "private address"),
        (format!("https://localhost:{port}/"), "private address"),
        (
            format!("https://[::ffff:127.0.0.1]:{port}/"),
            "private address",
        ),
        (
            "https://169.254.169.254/latest/meta-data".to_owned(),
            "private address",
        ),
        (format!("http://127.0.0.1:{port}/"), "bad url"),
    ] {
        scene.forget_failures().await;
        scene.set(&format!("url = '{url}'")).await;
        let event = scene.event().await;
        scene.deliver(event).await;
        assert_eq!(
            scene.rows().await.pop().unwrap(),
            format!("schedule.finished pending 1 {error}"),
            "{url}"
        );
    }
    assert!(scene.received().await.is_empty());
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn both_secrets_sign_for_a_day_after_a_rotation(pool: MySqlPool) {
    let scene = Scene::new(pool, answer(200)).await;
    scene
        .set("secret_no = 2, rotated_at = UTC_TIMESTAMP(3)")
        .await;
    for (hours, old) in [(0, true), (23, true), (2, false)] {
        scene.db.clock.advance(Duration::from_secs(hours * 3600));
        let event = scene.event().await;
        scene.deliver(event).await;
        let request = scene.received().await.pop().unwrap();
        assert!(is_signed(&request, scene.webhook, 2));
        assert_eq!(is_signed(&request, scene.webhook, 1), old);
    }
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_410_disables_the_webhook_and_fails_its_deliveries(pool: MySqlPool) {
    let scene = Scene::new(pool, answer(410)).await;
    let (first, second) = (scene.event().await, scene.event().await);
    scene.deliver(first).await;
    assert_eq!(scene.state().await.0.as_deref(), Some("gone"));
    scene.deliver(second).await;
    assert_eq!(
        scene.rows().await,
        [
            "schedule.finished failed 1 410",
            "schedule.finished failed 1 webhook disabled"
        ]
    );
    assert_eq!(scene.received().await.len(), 1);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_webhook_that_fails_for_five_days_is_disabled(pool: MySqlPool) {
    let scene = Scene::new(pool, answer(500)).await;
    let fail = async |days: u64| {
        scene.db.clock.advance(Duration::from_secs(days * 86_400));
        scene
            .set("failures = 0, suspended_until = NULL, accepted_at = NULL")
            .await;
        let event = scene.event().await;
        scene.deliver(event).await;
        scene.state().await
    };
    assert_eq!(fail(0).await, (None, true));
    assert_eq!(fail(4).await, (None, true));
    scene.answer(answer(200)).await;
    assert_eq!(fail(0).await, (None, false), "a success resets the time");
    scene.answer(answer(500)).await;
    assert_eq!(fail(2).await, (None, true));
    assert_eq!(fail(4).await, (None, true));
    assert_eq!(fail(1).await, (Some("failing".to_owned()), true));
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn nothing_is_posted_without_the_key_or_the_webhook(pool: MySqlPool) {
    let scene = Scene::new(pool, answer(200)).await;
    let event = scene.event().await;
    scene.set("key_id = 'another'").await;
    scene.deliver(event).await;
    assert_eq!(scene.rows().await, ["schedule.finished pending 1 key gone"]);
    sqlx::query("DELETE FROM webhooks")
        .execute(&scene.db)
        .await
        .unwrap();
    scene.db.clock.advance(Duration::from_secs(7));
    scene.deliver(event).await;
    assert!(scene.rows().await.is_empty() && scene.received().await.is_empty());
}
