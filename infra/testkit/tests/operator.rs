//! What a person does about trouble, played through to the end with all workers: nothing is lost, nothing goes out twice that was not
//! to, and what was said is what the carrier's ledger shows.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod gate;

use std::{sync::Arc, time::Duration};

use api::App;
use axum::{
    body::{Body, to_bytes},
    http::Request,
};
use chrono::TimeDelta;
use lambda_http::tower::ServiceExt;
use serde_json::{Value, json};
use shared::platform::queue::{BatchMessage, DispatchMessage, Outgoing, read_body};
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{FakeQueue, Stage, fixture};
use uuid::Uuid;

struct Operator {
    stage: Stage,
    app: App,
    dispatch_queue: Arc<FakeQueue>,
}

impl Operator {
    async fn new(pool: MySqlPool, settings: Settings) -> Self {
        let stage = Stage::new(pool, settings).await;
        let dispatch_queue = FakeQueue::new();
        let app = App {
            dispatch_queue: dispatch_queue.clone(),
            ..gate::app(&stage).await
        };
        Self {
            stage,
            app,
            dispatch_queue,
        }
    }

    async fn call(&self, mut request: Request<Body>) -> Value {
        request
            .headers_mut()
            .insert("authorization", gate::new_key(&self.app.db).await);
        let answer = api::routes::router(self.app.clone())
            .oneshot(request)
            .await
            .unwrap();
        let status = answer.status();
        let body: Value =
            serde_json::from_slice(&to_bytes(answer.into_body(), usize::MAX).await.unwrap())
                .unwrap();
        assert!(status.is_success(), "{status}: {body}");
        body
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let request = Request::post(path).header("content-type", "application/json");
        self.call(request.body(Body::from(body.to_string())).unwrap())
            .await
    }

    async fn get(&self, path: &str) -> Value {
        self.call(Request::get(path).body(Body::empty()).unwrap())
            .await
    }

    fn wait(&self, seconds: u64) {
        self.stage.db.clock.advance(Duration::from_secs(seconds));
    }

    /// What the API has put on dispatch's queue, and then what is on the others, until all are empty. No sweep comes by itself.
    async fn play(&self) {
        for message in self.dispatch_queue.take() {
            if message == Outgoing::sweep() {
                self.stage.dispatcher.sweep(|| true).await.unwrap();
            } else {
                let message = read_body::<DispatchMessage>(&message.body).unwrap();
                self.stage
                    .dispatcher
                    .dispatch(message, dispatch::DispatchedBy::Queue)
                    .await
                    .unwrap();
            }
        }
        self.stage.play().await;
    }

    /// A schedule whose batches are cut, and of which nothing was sent yet.
    async fn cut(&self, recipients: u32) -> Uuid {
        let schedule = fixture::Schedule {
            recipients,
            ..Default::default()
        }
        .insert(&self.stage.db)
        .await;
        self.stage
            .dispatcher
            .dispatch(schedule, dispatch::DispatchedBy::Queue)
            .await
            .unwrap();
        schedule.schedule_id
    }

    async fn status(&self, id: Uuid) -> String {
        fixture::assert_counts(&self.stage.db, id).await;
        fixture::status(&self.stage.db, id).await
    }

    async fn trouble(&self) -> i64 {
        self.get("/v1/attention").await["total"].as_i64().unwrap()
    }

    fn times_accepted(&self) -> Vec<usize> {
        self.stage
            .acceptances()
            .into_iter()
            .map(|(_, times)| times)
            .collect()
    }
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_missed_schedule_sent_now_is_delivered_and_a_cancelled_one_is_closed(pool: MySqlPool) {
    let operator = Operator::new(pool, Settings::default()).await;
    let late = || fixture::Schedule {
        recipients: 12,
        run_in_s: -7_200,
        ..Default::default()
    };
    let (sent, closed) = (
        late().insert(&operator.stage.db).await.schedule_id,
        late().insert(&operator.stage.db).await.schedule_id,
    );
    operator.stage.dispatcher.sweep(|| true).await.unwrap();
    assert_eq!(
        (operator.trouble().await, operator.times_accepted().len()),
        (2, 0)
    );
    operator
        .post(&format!("/v1/schedules/{sent}/send-now"), &json!({}))
        .await;
    operator.play().await;
    operator
        .post(&format!("/v1/schedules/{closed}/cancel"), &json!({}))
        .await;
    operator.play().await;
    assert_eq!(
        fixture::count(&operator.stage.db, sent, "DELIVRD").await,
        12
    );
    assert_eq!(
        fixture::count(&operator.stage.db, closed, "CANCELLED").await,
        12
    );
    assert_eq!(
        (
            operator.status(sent).await.as_str(),
            operator.status(closed).await.as_str()
        ),
        ("finished", "cancelled")
    );
    assert_eq!(
        (operator.times_accepted(), operator.trouble().await),
        (vec![1; 12], 0)
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn missed_batches_sent_now_are_delivered_and_cancelled_ones_are_closed(pool: MySqlPool) {
    let operator = Operator::new(pool, Settings::default()).await;
    for (step, state) in [("send-now", "DELIVRD"), ("cancel", "CANCELLED")] {
        let before = operator.times_accepted().len();
        let id = operator.cut(15).await;
        let batches = operator.stage.send_queue.take_batches();
        operator.stage.send(batches[0]).await;
        operator.wait(7_200);
        operator.stage.send(batches[1]).await;
        let view = operator.get(&format!("/v1/schedules/{id}")).await;
        assert_eq!(view["attention"]["missed_batches"], 1);
        operator.stage.send(batches[2]).await;
        operator.play().await;
        assert_eq!(operator.status(id).await, "missed");
        let answer = operator
            .post(&format!("/v1/schedules/{id}/{step}"), &json!({}))
            .await;
        if step == "send-now" {
            assert_eq!(answer["batches"], 2);
        }
        operator.play().await;
        let ended = if step == "send-now" {
            "finished"
        } else {
            "cancelled"
        };
        assert_eq!(operator.status(id).await, ended);
        assert_eq!(
            fixture::count(&operator.stage.db, id, state).await,
            if step == "send-now" { 15 } else { 10 }
        );
        let new = &operator.times_accepted()[before.min(15)..];
        assert!(new.iter().all(|times| *times <= 1), "{new:?}");
        assert_eq!(operator.trouble().await, 0);
        sqlx::query("UPDATE recipients SET phone = CONCAT('+6013', 1000000 + seq)")
            .execute(&operator.stage.db.pool)
            .await
            .unwrap();
    }
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_parked_batch_is_delivered_after_a_retry(pool: MySqlPool) {
    let operator = Operator::new(pool, Settings::default()).await;
    let id = operator.cut(5).await;
    let batch = operator.stage.send_queue.take_batches()[0];
    for _ in 0..3 {
        // Three claims, each by somebody who is never heard of again.
        let now = operator.stage.db.now();
        let claim = shared::batch::claim::Claim::new(batch, now, now + TimeDelta::seconds(60));
        assert!(
            shared::batch::claim::claim_to_send(&operator.stage.db, &claim)
                .await
                .unwrap()
        );
        operator.wait(61);
    }
    operator.stage.send(batch).await;
    operator.stage.dispatcher.sweep(|| true).await.unwrap();
    operator.play().await;
    assert!(operator.times_accepted().is_empty());
    let list = operator.get("/v1/attention/parked-batches").await;
    let retry = list["entries"][0]["actions"][0]["href"].as_str().unwrap();
    assert_eq!(operator.post(retry, &json!({})).await["changed"], 1);
    operator.play().await;
    assert_eq!(
        (
            operator.times_accepted(),
            operator.status(id).await.as_str()
        ),
        (vec![1; 5], "finished")
    );
    assert_eq!(
        (
            operator.trouble().await,
            fixture::count(&operator.stage.db, id, "DELIVRD").await
        ),
        (0, 5)
    );
}

/// A schedule of ten, of whom the carrier took everybody and confirmed nobody.
async fn all_uncertain(operator: &Operator) -> (Uuid, Vec<BatchMessage>) {
    let id = operator.cut(10).await;
    let batches = operator.stage.send_queue.take_batches();
    for batch in &batches {
        operator.stage.send(*batch).await;
    }
    operator.play().await;
    assert_eq!(
        operator.status(id).await,
        "finished",
        "on hold, nothing more happens by itself"
    );
    assert_eq!(
        fixture::count(&operator.stage.db, id, "UNCERTAIN").await,
        10
    );
    (id, batches)
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn what_is_resolved_as_sent_is_never_sent_again(pool: MySqlPool) {
    let operator = Operator::new(
        pool,
        Settings {
            reset_after_accept: 1.0,
            ..Settings::default()
        },
    )
    .await;
    let (id, _) = all_uncertain(&operator).await;
    let accepted = operator.times_accepted();
    assert_eq!(operator.trouble().await, 2);
    assert_eq!(
        operator
            .post(
                &format!("/v1/schedules/{id}/uncertain"),
                &json!({"outcome": "sent"})
            )
            .await["changed"],
        10
    );
    operator.play().await;
    assert_eq!(
        (
            operator.times_accepted(),
            operator.status(id).await.as_str()
        ),
        (accepted, "finished")
    );
    assert_eq!(fixture::count(&operator.stage.db, id, "UNKNOWN").await, 10);
    assert_eq!(operator.trouble().await, 0);
}

/// The carrier had taken all of them, which nobody knows: of those to be sent again each is accepted once more, and nobody else.
#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn what_is_to_be_sent_again_is_accepted_exactly_once_more(pool: MySqlPool) {
    let operator = Operator::new(
        pool,
        Settings {
            reset_after_accept: 1.0,
            ..Settings::default()
        },
    )
    .await;
    let (id, _) = all_uncertain(&operator).await;
    let accepted = operator.times_accepted();
    assert!(accepted.iter().all(|times| *times == 1), "{accepted:?}");
    let body = json!({"outcome": "resend", "recipients": [1, 2, fixture::phone(9)]});
    let early = operator
        .post(&format!("/v1/schedules/{id}/uncertain"), &body)
        .await;
    assert_eq!(
        (&early["changed"], &early["left"]["too_recent"]),
        (&json!(0), &json!(3))
    );
    operator.wait(300);
    assert_eq!(
        operator
            .post(&format!("/v1/schedules/{id}/uncertain"), &body)
            .await["changed"],
        3
    );
    // The carrier has been mended meanwhile.
    operator
        .stage
        .simulator
        .carrier()
        .set(Settings::default())
        .unwrap();
    operator.play().await;
    assert_eq!(operator.times_accepted(), [2, 2, 1, 1, 1, 1, 1, 1, 2, 1]);
    let lines = fixture::recipients(&operator.stage.db, id).await;
    assert_eq!(
        (lines[0].as_str(), lines[8].as_str()),
        ("1 DELIVRD 2 1", "9 DELIVRD 2 1")
    );
    let kept: Vec<String> = sqlx::query_scalar(
        "SELECT CONCAT_WS(' ', seq, attempt, status) FROM attempts ORDER BY seq",
    )
    .fetch_all(&operator.stage.db.pool)
    .await
    .unwrap();
    assert_eq!(kept, ["1 1 UNCERTAIN", "2 1 UNCERTAIN", "9 1 UNCERTAIN"]);
    assert_eq!(
        (
            fixture::count(&operator.stage.db, id, "UNCERTAIN").await,
            operator.status(id).await.as_str()
        ),
        (7, "finished")
    );
}
