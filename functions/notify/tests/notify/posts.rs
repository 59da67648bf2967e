//! Notify against a real database and a receiver on loopback: run twice, at once, crashed between post and record, and every way in
//! which a receiver can answer.

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
async fn what_is_posted_is_signed_as_a_receiver_verifies_it_and_posted_once(pool: MySqlPool) {
    let scene = Scene::new(pool, answer(204)).await;
    let event = scene.event().await;
    let before = scene.db.now().timestamp();
    scene.deliver(event).await;
    scene.deliver(event).await;
    let received = scene.received().await;
    assert_eq!(
        received.len(),
        1,
        "the queue's duplicate finds it delivered"
    );
    let request = &received[0];
    assert_eq!(
        (
            request.method.as_str(),
            request.url.path(),
            request.url.query()
        ),
        ("POST", "/hook", Some("x=1"))
    );
    assert_eq!(
        request.headers["webhook-id"],
        format!("msg_{}", event.event_id)
    );
    assert_eq!(request.headers["content-type"], "application/json");
    assert!(
        request.headers["user-agent"]
            .to_str()
            .unwrap()
            .starts_with("sms-scheduler/")
    );
    let timestamp: i64 = request.headers["webhook-timestamp"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((before..=before + 5).contains(&timestamp));
    assert!(is_signed(request, scene.webhook, 1) && !is_signed(request, scene.webhook, 2));
    let created: DateTime<Utc> = sqlx::query_scalar("SELECT created_at FROM webhook_deliveries")
        .fetch_one(&scene.db.pool)
        .await
        .unwrap();
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let data = json!({"schedule_id": "00000000-0000-0000-0000-000000000000", "status": "finished"});
    assert_eq!(
        body,
        json!({"type": "schedule.finished", "timestamp": created, "data": data})
    );
    assert_eq!(scene.rows().await, ["schedule.finished delivered 1 204"]);
    assert!(scene.queue.take().is_empty());
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn one_that_comes_to_many_at_once_is_posted_once(pool: MySqlPool) {
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
async fn a_crash_between_post_and_record_has_it_posted_again_under_the_same_id(pool: MySqlPool) {
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
    scene.db.clock.advance(Duration::from_secs(31));
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

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn what_a_receiver_can_answer_and_what_comes_of_it(pool: MySqlPool) {
    let scene = Scene::new(pool, answer(200)).await;
    let elsewhere = format!("{}/elsewhere", scene.server.uri());
    let minute = |code| answer(code).insert_header("retry-after", "60");
    // The answer, the row, and the least delay in seconds of the next try.
    let table = [
        (answer(200), "delivered 1 200", None),
        (answer(204), "delivered 1 204", None),
        (
            answer(301).insert_header("location", elsewhere.as_str()),
            "pending 1 301",
            Some(5),
        ),
        (
            answer(307).insert_header("location", elsewhere.as_str()),
            "pending 1 307",
            Some(5),
        ),
        (answer(400), "pending 1 400", Some(5)),
        (answer(401), "pending 1 401", Some(5)),
        (answer(404), "pending 1 404", Some(5)),
        (minute(429), "pending 1 429", Some(60)),
        (minute(503), "pending 1 503", Some(60)),
        (minute(500), "pending 1 500", Some(5)),
        (answer(500), "pending 1 500", Some(5)),
        (
            answer(200).set_delay(Duration::from_secs(2)),
            "pending 1 timed out",
            Some(5),
        ),
        (
            answer(200).set_body_bytes(vec![b'x'; 3_000_000]),
            "delivered 1 200",
            None,
        ),
    ];
    for (answer, expected, delay_s) in table {
        scene.answer(answer).await;
        let event = scene.event().await;
        scene.deliver(event).await;
        assert_eq!(
            scene.rows().await.pop().unwrap(),
            format!("schedule.finished {expected}")
        );
        assert_eq!(
            scene.received().await.len(),
            1,
            "{expected}: no redirect is followed, nothing is tried again at once"
        );
        let delays: Vec<_> = scene
            .queue
            .take()
            .iter()
            .map(|message| message.delay_s)
            .collect();
        let longest = |least: u32| least * 5 / 4;
        assert_eq!(delays.len(), usize::from(delay_s.is_some()), "{expected}");
        for (delay, least) in delays.iter().zip(delay_s) {
            assert!(
                (least - 1..=longest(least)).contains(delay),
                "{expected}: {delay}"
            );
        }
    }
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_receiver_that_hangs_up_or_is_not_there_is_tried_again(pool: MySqlPool) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let hangs_up = tokio::spawn(async move {
        // The request is read, for the end of the connection not to come as a reset before it.
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
    hangs_up.await.unwrap();
    scene.db.clock.advance(Duration::from_secs(7));
    scene.deliver(event).await;
    assert_eq!(
        scene.rows().await,
        ["schedule.finished pending 2 no connection"]
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn it_is_tried_ten_times_over_three_days_and_then_failed(pool: MySqlPool) {
    let scene = Scene::new(pool, answer(500)).await;
    let (event, begun) = (scene.event().await, scene.db.now());
    let mut delays = Vec::new();
    for tries in 1..=10 {
        scene.deliver(event).await;
        scene.deliver(event).await;
        let (done, due): (u32, Option<DateTime<Utc>>) =
            sqlx::query_as("SELECT tries, due_at FROM webhook_deliveries")
                .fetch_one(&scene.db.pool)
                .await
                .unwrap();
        assert_eq!(done, tries, "it waits for its time");
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
    assert!((75..=95).contains(&(scene.db.now() - begun).num_hours()));
    assert_eq!(
        delays.len(),
        2,
        "what is due later than a queue can hold is the sweep's: {delays:?}"
    );
    scene.db.clock.advance(Duration::from_secs(100_000));
    scene.deliver(event).await;
    assert_eq!(scene.received().await.len(), 10);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_claim_that_always_ends_in_a_crash_is_given_up(pool: MySqlPool) {
    let scene = Scene::new(pool, answer(200)).await;
    let event = scene.event().await;
    sqlx::query("UPDATE webhook_deliveries SET tries = 10")
        .execute(&scene.db.pool)
        .await
        .unwrap();
    scene.deliver(event).await;
    assert_eq!(scene.rows().await, ["schedule.finished failed 11 given up"]);
    assert!(scene.received().await.is_empty());
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn nothing_is_posted_to_a_private_address_by_whatever_name(pool: MySqlPool) {
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
async fn for_a_day_after_a_rotation_both_secrets_sign(pool: MySqlPool) {
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
async fn a_410_disables_the_webhook_and_ends_what_waits_for_it(pool: MySqlPool) {
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
async fn a_webhook_that_fails_for_five_days_without_a_success_is_disabled(pool: MySqlPool) {
    let scene = Scene::new(pool, answer(500)).await;
    let fail = async |days: u64| {
        scene.db.clock.advance(Duration::from_secs(days * 86_400));
        let event = scene.event().await;
        scene.deliver(event).await;
        scene.state().await
    };
    assert_eq!(fail(0).await, (None, true));
    assert_eq!(fail(4).await, (None, true));
    scene.answer(answer(200)).await;
    assert_eq!(
        fail(0).await,
        (None, false),
        "a success: its time counts anew"
    );
    scene.answer(answer(500)).await;
    assert_eq!(fail(2).await, (None, true));
    assert_eq!(fail(4).await, (None, true));
    assert_eq!(fail(1).await, (Some("failing".to_owned()), true));
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn without_its_key_or_its_webhook_nothing_is_posted(pool: MySqlPool) {
    let scene = Scene::new(pool, answer(200)).await;
    let event = scene.event().await;
    scene.set("key_id = 'another'").await;
    scene.deliver(event).await;
    assert_eq!(scene.rows().await, ["schedule.finished pending 1 key gone"]);
    sqlx::query("DELETE FROM webhooks")
        .execute(&scene.db.pool)
        .await
        .unwrap();
    scene.db.clock.advance(Duration::from_secs(7));
    scene.deliver(event).await;
    assert!(scene.rows().await.is_empty() && scene.received().await.is_empty());
}
