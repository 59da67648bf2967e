//! Which events are recorded: by dispatch, send and recheck on a real database, each once, with the change that it tells.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use dispatch::Way;
use notify::{Notifier, Poster};
use serde_json::{Value, json};
use shared::{
    budget::Budget,
    db::{
        batches::{Claim, Release},
        events::record_event,
        moves, outcomes, resolve,
    },
    queue::BatchMessage,
    release::Ended,
    status::Status,
    webhooks::{EventType, target::Reach, tell},
    worker::Work,
};
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{INVOCATION, Stage, fixture, webhooks};
use uuid::Uuid;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

const EVERYTHING: &str =
    "schedule.started,schedule.paused,schedule.resumed,schedule.finished,schedule.cancelled,schedule.missed,messages.final";

/// A stage with a webhook that wants everything, whose receiver answers 200.
struct Told {
    stage: Stage,
    server: MockServer,
    webhook: Uuid,
}

impl Told {
    async fn new(pool: MySqlPool, settings: Settings) -> Self {
        let stage = Stage::new(pool, settings).await;
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(ResponseTemplate::new(200)).mount(&server).await;
        let webhook = webhooks::insert(&stage.db, &server.uri(), EVERYTHING).await;
        Self { stage, server, webhook }
    }

    /// A schedule that is cut; its first batch.
    async fn cut(&self, schedule: fixture::Schedule) -> BatchMessage {
        let message = schedule.insert(&self.stage.db).await;
        self.stage.dispatcher.dispatch(message, Way::Queue).await.unwrap();
        BatchMessage { schedule_id: message.schedule_id, batch_no: 1 }
    }

    async fn events(&self) -> Vec<String> {
        webhooks::events(&self.stage.db, self.webhook).await
    }

    /// Has everything posted that waits on the queue; the bodies.
    async fn posted(&self) -> Vec<Value> {
        let notifier = Notifier {
            db: self.stage.db.clone(),
            queue: self.stage.notify_queue.clone(),
            keys: webhooks::keys().await,
            poster: Poster::new(Reach::Anywhere).unwrap(),
        };
        for message in self.stage.notify_queue.take_deliveries() {
            notifier.deliver(message).await.unwrap();
        }
        let received = self.server.received_requests().await.unwrap();
        received.iter().map(|request| serde_json::from_slice(&request.body).unwrap()).collect()
    }

    /// What was told of messages, as `seq STATUS attempt`, one list an event.
    async fn messages(&self) -> Vec<Vec<String>> {
        let bodies = self.posted().await;
        let finals = bodies.iter().filter(|body| body["type"] == "messages.final");
        let line = |message: &Value| format!("{} {} {}", message["seq"], message["status"].as_str().unwrap(), message["attempt"]);
        finals.map(|body| body["data"]["messages"].as_array().unwrap().iter().map(line).collect()).collect()
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn the_life_of_a_schedule_is_told_once_to_each_webhook_that_wants_it(pool: MySqlPool) {
    let told = Told::new(pool, Settings::default()).await;
    let db = &told.stage.db;
    let one = webhooks::insert(db, "http://127.0.0.1:9", "schedule.finished").await;
    let disabled = webhooks::insert(db, "http://127.0.0.1:9", EVERYTHING).await;
    sqlx::query("UPDATE webhooks SET disabled_at = created_at WHERE id = ?").bind(disabled).execute(&db.pool).await.unwrap();
    let message = fixture::Schedule { recipients: 7, ..Default::default() }.insert(db).await;
    let dispatch = || async { told.stage.dispatcher.dispatch(message, Way::Queue).await.unwrap() };
    tokio::join!(dispatch(), dispatch(), dispatch());
    dispatch().await;
    assert_eq!(told.events().await, ["schedule.started"], "dispatched four times");
    told.stage.play().await;
    let finish = || async { tell::finish(db, message.schedule_id).await.unwrap() };
    let (first, second) = tokio::join!(finish(), finish());
    assert!(first.is_none() && second.is_none(), "it is finished already");
    told.stage.dispatcher.sweep(|| true).await.unwrap();
    let expected = ["schedule.started", "messages.final", "messages.final", "schedule.finished"];
    assert_eq!(told.events().await, expected, "two batches, each rechecked once");
    assert_eq!(webhooks::events(db, one).await, ["schedule.finished"]);
    assert!(webhooks::events(db, disabled).await.is_empty());
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn of_many_that_finish_a_schedule_one_tells(pool: MySqlPool) {
    let told = Told::new(pool, Settings::default()).await;
    let batch = told.cut(fixture::Schedule::default()).await;
    let db = &told.stage.db;
    sqlx::query("UPDATE batches SET send_at = NULL, sweep_at = NULL").execute(&db.pool).await.unwrap();
    let finish = || async { tell::finish(db, batch.schedule_id).await.unwrap().is_some() };
    let (a, b, c, d) = tokio::join!(finish(), finish(), finish(), finish());
    assert_eq!([a, b, c, d].into_iter().filter(|finished| *finished).count(), 1);
    assert_eq!(told.events().await, ["schedule.started", "schedule.finished"]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn what_is_told_is_what_the_rows_say(pool: MySqlPool) {
    let told = Told::new(pool, Settings::default()).await;
    let batch = told.cut(fixture::Schedule { recipients: 2, ..Default::default() }).await;
    told.stage.play().await;
    let bodies = told.posted().await;
    let started = &bodies[0];
    assert_eq!(
        (&started["type"], &started["data"]["status"], &started["data"]["recipients"]),
        (&json!("schedule.started"), &json!("running"), &json!(2))
    );
    assert!(started["data"].get("counts").is_none() && started["timestamp"].is_string() && started["data"]["run_at"].is_string());
    let columns = "SELECT JSON_OBJECT('id', message_id, 'word', carrier_status) FROM recipients WHERE schedule_id = ? ORDER BY seq";
    let rows: Vec<String> = sqlx::query_scalar(columns).bind(batch.schedule_id).fetch_all(&told.stage.db.pool).await.unwrap();
    let messages: Vec<_> = bodies[1]["data"]["messages"].as_array().unwrap().clone();
    for ((message, row), seq) in messages.iter().zip(&rows).zip(1..) {
        let row: Value = serde_json::from_str(row).unwrap();
        let (sent_at, final_at) = (&message["sent_at"], &message["final_at"]);
        assert!(sent_at.is_string() && final_at.is_string());
        let expected = json!({"seq": seq, "phone": fixture::phone(seq), "status": "DELIVRD", "attempt": 1, "message_id": row["id"],
            "carrier_status": row["word"], "error": null, "sent_at": sent_at, "final_at": final_at});
        assert_eq!(*message, expected);
    }
    assert_eq!((messages.len(), &bodies[1]["data"]["schedule_id"]), (2, &json!(batch.schedule_id)));
    let finished = &bodies[2];
    assert_eq!((&finished["type"], &finished["data"]["status"]), (&json!("schedule.finished"), &json!("finished")));
    assert_eq!((&finished["data"]["counts"]["DELIVRD"], &finished["data"]["counts"]["PENDING"]), (&json!(2), &json!(0)));
    assert_eq!(bodies.len(), 3);
    let kept: Vec<String> = sqlx::query_scalar("SELECT data FROM webhook_deliveries WHERE data IS NOT NULL")
        .fetch_all(&told.stage.db.pool)
        .await
        .unwrap();
    assert!(kept.iter().all(|data| !data.contains("+60") && !data.contains("Hello")), "no number and no text: {kept:?}");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_message_that_is_sent_again_is_told_when_that_has_ended(pool: MySqlPool) {
    let told = Told::new(pool, Settings { undeliv_first_attempts: 1, ..Settings::default() }).await;
    told.cut(fixture::Schedule::default()).await;
    told.stage.play().await;
    assert_eq!(told.messages().await, [["1 DELIVRD 2", "2 DELIVRD 2", "3 DELIVRD 2"]]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn what_was_recorded_before_a_crash_is_told_by_the_next_owner(pool: MySqlPool) {
    let told = Told::new(pool, Settings::default()).await;
    let batch = told.cut(fixture::Schedule::default()).await;
    let (stage, db) = (&told.stage, &told.stage.db);
    stage.send(batch).await;
    db.clock.advance(Duration::from_secs(6));
    let claimed = stage.rechecker.worker.claim(batch, Work::Check, Budget::new(INVOCATION)).await.unwrap().unwrap();
    let verdicts = claimed.rows.iter().map(|row| outcomes::Verdict {
        seq: row.seq,
        attempt: row.attempt,
        status: Status::Delivrd,
        carrier_status: Some("DELIVRD".into()),
        message_id: None,
        is_final: 1,
    });
    let verdicts: Vec<_> = verdicts.collect();
    let mut connection = db.pool.acquire().await.unwrap();
    outcomes::record_verdicts(&mut connection, &claimed.claim, &verdicts, db.now()).await.unwrap();
    drop(connection);
    // Here the process dies; another takes the batch up, finds nothing to ask, and releases it.
    assert_eq!(told.events().await, ["schedule.started"]);
    db.clock.advance(INVOCATION + Duration::from_secs(11));
    stage.recheck(batch).await;
    assert_eq!(told.events().await, ["schedule.started", "messages.final", "schedule.finished"]);
    // The first wakes up: its claim is lost, and it tells nothing.
    stage.rechecker.worker.release(&claimed, Ended::Checked).await.unwrap();
    assert_eq!(told.events().await.len(), 3);
    assert_eq!(told.messages().await, [["1 DELIVRD 1", "2 DELIVRD 1", "3 DELIVRD 1"]]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn what_a_cancel_closes_is_told(pool: MySqlPool) {
    let told = Told::new(pool, Settings::default()).await;
    let batch = told.cut(fixture::Schedule::default()).await;
    let db = &told.stage.db;
    let mut connection = db.pool.acquire().await.unwrap();
    moves::cancel_schedule(&mut connection, batch.schedule_id, db.now()).await.unwrap();
    record_event(&mut connection, EventType::ScheduleCancelled, batch.schedule_id, db.now()).await.unwrap();
    drop(connection);
    told.stage.send(batch).await;
    told.stage.send(batch).await;
    assert_eq!(told.messages().await, [["1 CANCELLED 0", "2 CANCELLED 0", "3 CANCELLED 0"]]);
    assert_eq!(told.events().await, ["schedule.started", "schedule.cancelled", "messages.final"]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn what_a_person_resolves_as_sent_is_told_as_unknown(pool: MySqlPool) {
    let told = Told::new(pool, Settings { hang_after_accept: 1.0, ..Settings::default() }).await;
    let batch = told.cut(fixture::Schedule { recipients: 1, ..Default::default() }).await;
    let db = &told.stage.db;
    told.stage.send(batch).await;
    assert_eq!(fixture::count(db, batch.schedule_id, "UNCERTAIN").await, 1);
    let mut connection = db.pool.acquire().await.unwrap();
    let (id, now) = (batch.schedule_id, db.now());
    let locked = resolve::lock_batch(&mut connection, id, 1, now).await.unwrap().unwrap();
    resolve::close_as_sent(&mut connection, id, &[1], now).await.unwrap();
    resolve::recount_batch(&mut connection, id, (1, &locked), now).await.unwrap();
    resolve::reopen_schedule(&mut connection, id).await.unwrap();
    drop(connection);
    told.stage.recheck(batch).await;
    assert_eq!(told.messages().await, [["1 UNKNOWN 1"]]);
    let expected = ["schedule.started", "schedule.finished", "messages.final", "schedule.finished"];
    assert_eq!(told.events().await, expected, "what runs again and finishes again is told again");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn what_is_missed_is_told_as_missed(pool: MySqlPool) {
    let told = Told::new(pool, Settings::default()).await;
    told.cut(fixture::Schedule { run_in_s: -4000, ..Default::default() }).await;
    assert_eq!(told.events().await, ["schedule.missed"]);
    let batch = told.cut(fixture::Schedule::default()).await;
    told.stage.db.clock.advance(Duration::from_secs(4000));
    told.stage.send(batch).await;
    assert_eq!(told.events().await, ["schedule.missed", "schedule.started", "schedule.missed"]);
    let last = told.posted().await.pop().unwrap();
    assert_eq!((&last["data"]["status"], &last["data"]["counts"]["PENDING"]), (&json!("missed"), &json!(3)));
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn the_systems_own_pause_is_told_with_its_reason_and_once(pool: MySqlPool) {
    let told = Told::new(pool, Settings::default()).await;
    let batch = told.cut(fixture::Schedule::default()).await;
    let db = &told.stage.db;
    assert_eq!(tell::pause(db, batch.schedule_id, "HTTP 401").await.unwrap().map(|told| told.len()), Some(1));
    assert!(tell::pause(db, batch.schedule_id, "HTTP 401").await.unwrap().is_none(), "it does not run any more");
    assert_eq!(told.events().await, ["schedule.started", "schedule.paused"]);
    // Nothing of this is on the queue, as if the process had died: the sweep finds it.
    told.stage.notify_queue.take();
    told.stage.dispatcher.sweep(|| true).await.unwrap();
    let paused = told.posted().await.into_iter().find(|body| body["type"] == "schedule.paused").unwrap();
    assert_eq!(paused["data"]["reason"], "HTTP 401");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_thousand_messages_an_event(pool: MySqlPool) {
    let told = Told::new(pool, Settings::default()).await;
    let db = &told.stage.db;
    let id = fixture::Schedule { recipients: 2_500, ..Default::default() }.insert(db).await.schedule_id;
    let sql =
        "UPDATE recipients SET status = 'DELIVRD', attempt = 1, message_id = 'm', sent_at = ?, final_at = ? WHERE schedule_id = ?";
    sqlx::query(sql).bind(db.now()).bind(db.now()).bind(id).execute(&db.pool).await.unwrap();
    let claim = claimed(db, id, 2_500).await;
    let deliveries = tell::release(db, &claim, (1, 2_500), &release(0)).await.unwrap().unwrap();
    tell::enqueue(&told.stage.sender.worker.notify_queue, &deliveries, db.now()).await;
    let messages = told.messages().await;
    assert_eq!(messages.iter().map(Vec::len).collect::<Vec<_>>(), [1000, 1000, 500]);
    assert_eq!((messages[1][0].as_str(), messages[2][499].as_str()), ("1001 DELIVRD 1", "2500 DELIVRD 1"));
}

/// A batch of these recipients under a claim.
async fn claimed(db: &shared::db::Db, id: Uuid, recipients: u32) -> Claim {
    let now = db.now();
    let claim = Claim::new(BatchMessage { schedule_id: id, batch_no: 1 }, now, now + INVOCATION);
    let sql = "INSERT INTO batches (schedule_id, batch_no, first_seq, last_seq, planned_at, send_at, sweep_at, claim_token, claimed_until)
               VALUES (?, 1, 1, ?, ?, ?, ?, ?, ?)";
    let insert = sqlx::query(sql).bind(id).bind(recipients).bind(now).bind(now).bind(now).bind(claim.token).bind(claim.until);
    insert.execute(&db.pool).await.unwrap();
    claim
}

fn release(max_resends: u32) -> Release {
    let (now, resend_uncertain) = (chrono::Utc::now(), false);
    Release {
        max_resends,
        resend_uncertain,
        ask_uncertain_since: None,
        send_at: now,
        check_at: now,
        sweep_send_at: now,
        sweep_check_at: now,
        accepted: false,
        refused: false,
    }
}

/// Of every final state: told if, and only if, the release does not send it again.
#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn what_a_release_does_not_send_again_is_told_and_nothing_else(pool: MySqlPool) {
    let told = Told::new(pool, Settings::default()).await;
    let db = &told.stage.db;
    let finals = Status::ALL.into_iter().filter(|status| status.is_final() && *status != Status::Invalid);
    let mut outcomes = Vec::new();
    for status in finals {
        for (resends, max_resends, suppressed) in
            [(0, 0, false), (0, 1, false), (0, 1, true), (1, 1, false), (1, 2, false), (1, 2, true)]
        {
            let id = fixture::Schedule { recipients: 1, ..Default::default() }.insert(db).await.schedule_id;
            sqlx::query("DELETE FROM suppressions").execute(&db.pool).await.unwrap();
            if suppressed {
                let sql = "INSERT INTO suppressions (phone, source, created_at, created_by) VALUES (?, 'api', ?, 'test')";
                sqlx::query(sql).bind(fixture::phone(1)).bind(db.now()).execute(&db.pool).await.unwrap();
            }
            let sql = "UPDATE recipients SET status = ?, resends = ?, attempt = 1 + resends, message_id = 'm', sent_at = ?, final_at = ? WHERE schedule_id = ?";
            let update = sqlx::query(sql).bind(status.as_str()).bind(resends).bind(db.now()).bind(db.now()).bind(id);
            update.execute(&db.pool).await.unwrap();
            let claim = claimed(db, id, 1).await;
            let deliveries = tell::release(db, &claim, (1, 1), &release(max_resends)).await.unwrap().unwrap();
            let again = fixture::batch(db, claim.batch).await.send_at.is_some();
            assert_eq!(deliveries.len(), usize::from(!again), "{status:?} {resends} of {max_resends} {suppressed}");
            outcomes.push(again);
        }
    }
    assert!(outcomes.contains(&true) && outcomes.contains(&false));
}

/// What is not final, or is no message, is not told.
#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn what_has_not_ended_is_not_told(pool: MySqlPool) {
    let told = Told::new(pool, Settings::default()).await;
    let db = &told.stage.db;
    let id = fixture::Schedule { recipients: 4, ..Default::default() }.insert(db).await.schedule_id;
    for (seq, change) in [
        (1, "status = 'ACCEPTD', attempt = 1, message_id = 'm', sent_at = UTC_TIMESTAMP(3)"),
        (2, "status = 'UNCERTAIN', attempt = 1, sent_at = UTC_TIMESTAMP(3)"),
        (3, "status = 'INVALID', phone = NULL, input = 'x', error = 'x', final_at = UTC_TIMESTAMP(3)"),
    ] {
        let sql = format!("UPDATE recipients SET {change} WHERE schedule_id = ? AND seq = ?");
        sqlx::query(&sql).bind(id).bind(seq).execute(&db.pool).await.unwrap();
    }
    let claim = claimed(db, id, 4).await;
    assert!(tell::release(db, &claim, (1, 4), &release(0)).await.unwrap().unwrap().is_empty());
    assert!(tell::release(db, &claim, (1, 4), &release(0)).await.unwrap().is_none(), "released already");
}

/// A release, where nobody has a webhook: the statements are those of before there were webhooks, and no row is touched.
#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn who_has_no_webhook_pays_nothing_for_it(pool: MySqlPool) {
    let one = sqlx::mysql::MySqlPoolOptions::new().max_connections(1);
    let pool = one.connect_with((*pool.connect_options()).clone()).await.unwrap();
    let stage = Stage::new(pool, Settings::default()).await;
    let db = &stage.db;
    let message = fixture::Schedule { recipients: 10, ..Default::default() }.insert(db).await;
    stage.dispatcher.dispatch(message, Way::Queue).await.unwrap();
    let statements = async |what: &str| {
        let sql = format!("SHOW SESSION STATUS WHERE Variable_name = '{what}'");
        let row: (String, String) = sqlx::query_as(&sql).fetch_one(&db.pool).await.unwrap();
        row.1.parse::<i64>().unwrap()
    };
    let mut spent = Vec::new();
    for batch_no in [1, 2] {
        let batch = BatchMessage { schedule_id: message.schedule_id, batch_no };
        stage.send(batch).await;
        db.clock.advance(Duration::from_secs(6));
        let mut claimed = stage.rechecker.worker.claim(batch, Work::Check, Budget::new(INVOCATION)).await.unwrap().unwrap();
        let sql = "UPDATE recipients SET status = 'DELIVRD', final_at = ? WHERE schedule_id = ? AND seq BETWEEN ? AND ?";
        let (first, last) = (claimed.batch.first_seq, claimed.batch.last_seq);
        let update = sqlx::query(sql).bind(db.now()).bind(message.schedule_id).bind(first).bind(last);
        update.execute(&db.pool).await.unwrap();
        claimed.rows.clear();
        let before = (statements("Com_stmt_execute").await, statements("Com_begin").await);
        stage.rechecker.worker.release(&claimed, Ended::Checked).await.unwrap();
        // One is the question itself.
        spent.push((statements("Com_stmt_execute").await - before.0 - 2, statements("Com_begin").await - before.1));
    }
    assert_eq!(spent[0], (2, 0), "release, and what it has set");
    assert_eq!(spent[1].1, 1, "the last one finishes the schedule, in a transaction");
    assert_eq!(fixture::status(db, message.schedule_id).await, "finished");
    let marked: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM recipients WHERE final_event IS NOT NULL").fetch_one(&db.pool).await.unwrap();
    assert_eq!(marked, 0);
    assert!(stage.notify_queue.take().is_empty());
}
