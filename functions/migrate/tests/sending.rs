//! Sending is stopped and resumed, and held after a restore, on a real database and a real HTTP
//! carrier.
#![allow(missing_docs, clippy::unwrap_used)]

use std::time::Duration;

use chrono::TimeDelta;
use dispatch::DispatchedBy;
use migrate::sending::{BrakeRequest, RestoredRequest, hold_after_restore, resume, stop};
use shared::platform::queue::{BatchMessage, DispatchMessage};
use simulator::{Settings, UnknownId};
use sqlx::MySqlPool;
use testkit::{Stage, fixture, with_own_ids};

fn request() -> BrakeRequest {
    BrakeRequest {
        reason: "a test".to_owned(),
        by: Some("ana".to_owned()),
    }
}

async fn stop_now(stage: &Stage) {
    let mut connection = stage.db.acquire().await.unwrap();
    let stopped = stop(&mut connection, &request(), stage.db.now())
        .await
        .unwrap();
    assert!(stopped.stopped && stopped.since.is_some());
}

async fn resume_now(stage: &Stage) -> u64 {
    let mut connection = stage.db.acquire().await.unwrap();
    let resumed = resume(&mut connection, &request(), stage.db.now())
        .await
        .unwrap();
    assert!(!resumed.stopped && resumed.since.is_none());
    resumed.resumed_batches
}

/// Inserts and cuts a schedule of four batches that is due now, and returns the batches on the queue.
async fn cut(stage: &Stage) -> Vec<BatchMessage> {
    let schedule = fixture::Schedule {
        recipients: 20,
        ..Default::default()
    };
    let message = schedule.insert(&stage.db).await;
    dispatch(stage, message).await;
    stage.send_queue.take_batches()
}

async fn dispatch(stage: &Stage, message: DispatchMessage) {
    let dispatched = stage.dispatcher.dispatch(message, DispatchedBy::Queue);
    dispatched.await.unwrap();
}

/// Sweeps and works for twenty minutes.
async fn work(stage: &Stage) {
    for _ in 0..20 {
        stage.db.clock.advance(Duration::from_secs(60));
        stage.dispatcher.sweep(|| true).await.unwrap();
        stage.play().await;
    }
}

async fn audited(stage: &Stage) -> Vec<String> {
    let sql = "SELECT CONCAT(action, ' ', actor_name) FROM audit_log ORDER BY id";
    sqlx::query_scalar(sql).fetch_all(&stage.db).await.unwrap()
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn nothing_is_sent_while_sending_is_stopped_and_everything_once_after_it(pool: MySqlPool) {
    let stage = Stage::new(pool, Settings::default()).await;
    let batches = cut(&stage).await;
    assert_eq!(batches.len(), 4);
    stage.send(batches[0]).await;
    stop_now(&stage).await;
    stop_now(&stage).await;
    for batch in &batches[1..] {
        stage.send(*batch).await;
    }
    // The sweep, hours of it, enqueues nothing, and a new schedule is cut and not sent.
    cut(&stage).await;
    for _ in 0..180 {
        stage.db.clock.advance(Duration::from_secs(60));
        stage.dispatcher.sweep(|| true).await.unwrap();
    }
    let enqueued = stage.send_queue.take_batches();
    assert!(enqueued.is_empty(), "{enqueued:?}");
    assert_eq!(stage.acceptances().len(), 5, "those of the first batch");
    stage.db.clock.advance(Duration::from_secs(1));
    let sql = "UPDATE schedules SET max_lateness_s = 86400";
    sqlx::query(sql).execute(&stage.db).await.unwrap();
    assert!(resume_now(&stage).await >= 3);
    work(&stage).await;
    let accepted = stage.acceptances();
    // Both schedules have the same twenty numbers.
    assert!(
        accepted.iter().all(|(_, times)| *times == 2),
        "{accepted:?}"
    );
    assert_eq!(accepted.len(), 20);
    let expected = ["sending.stop ana", "sending.stop ana", "sending.resume ana"];
    assert_eq!(audited(&stage).await, expected);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_stop_needs_a_reason_and_a_restore_needs_a_stop(pool: MySqlPool) {
    let stage = Stage::new(pool, Settings::default()).await;
    let mut connection = stage.db.acquire().await.unwrap();
    let now = stage.db.now();
    for reason in [String::new(), " ".to_owned(), "x".repeat(256)] {
        let request = BrakeRequest { reason, by: None };
        assert!(stop(&mut connection, &request, now).await.is_err());
    }
    let since = |since| RestoredRequest { since, by: None };
    let refused = hold_after_restore(&mut connection, &since(now), now).await;
    assert!(refused.unwrap_err().to_string().contains("not stopped"));
    stop(&mut connection, &request(), now).await.unwrap();
    let future = now + TimeDelta::seconds(1);
    assert!(
        hold_after_restore(&mut connection, &since(future), now)
            .await
            .is_err()
    );
}

/// Copies tables aside, or back, as a restore does.
async fn copy(stage: &Stage, from: &str, to: &str) {
    for table in ["schedules", "batches", "recipients", "turns", "attempts"] {
        let columns = if table == "recipients" {
            "schedule_id, seq, phone, status, attempt, resends, carrier_status, error, sent_at, final_at, id_start, id_rest"
        } else {
            "*"
        };
        let (from, to) = (format!("{from}{table}"), format!("{to}{table}"));
        let fill = if columns == "*" {
            format!("INSERT INTO {to} SELECT * FROM {from}")
        } else {
            format!("INSERT INTO {to} ({columns}) SELECT {columns} FROM {from}")
        };
        for sql in [
            format!("CREATE TABLE IF NOT EXISTS {to} LIKE {from}"),
            format!("DELETE FROM {to}"),
            fill,
        ] {
            sqlx::raw_sql(&sql).execute(&stage.db).await.unwrap();
        }
    }
}

/// Sends half of a list after a backup, restores the backup, and returns the schedule.
async fn restore_in_the_middle(stage: &Stage) -> DispatchMessage {
    let schedule = fixture::Schedule {
        recipients: 20,
        ..Default::default()
    };
    let message = schedule.insert(&stage.db).await;
    dispatch(stage, message).await;
    let batches = stage.send_queue.take_batches();
    copy(stage, "", "backup_").await;
    let backed_up = stage.db.now();
    for batch in &batches[..2] {
        stage.send(*batch).await;
    }
    copy(stage, "backup_", "").await;
    stop_now(stage).await;
    let request = RestoredRequest {
        since: backed_up,
        by: None,
    };
    let mut connection = stage.db.acquire().await.unwrap();
    let now = stage.db.now();
    let held = hold_after_restore(&mut connection, &request, now)
        .await
        .unwrap();
    assert_eq!((held.missed_schedules, held.uncertain), (0, 20));
    let again = hold_after_restore(&mut connection, &request, now)
        .await
        .unwrap();
    assert_eq!(again.uncertain, 0);
    drop(connection);
    resume_now(stage).await;
    message
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn after_a_restore_a_carrier_is_asked_what_it_has_got(pool: MySqlPool) {
    let settings = Settings {
        unknown_id: UnknownId::NotFound,
        ..Settings::default()
    };
    let stage = Stage::with_carrier(pool, settings, with_own_ids).await;
    let schedule = restore_in_the_middle(&stage).await;
    work(&stage).await;
    let delivered = fixture::count(&stage.db, schedule.schedule_id, "DELIVRD").await;
    let accepted = stage.acceptances();
    assert!(
        accepted.iter().all(|(_, times)| *times == 1),
        "{accepted:?}"
    );
    assert_eq!((delivered, accepted.len()), (20, 20));
    fixture::assert_counts(&stage.db, schedule.schedule_id).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn after_a_restore_nothing_is_sent_twice_if_the_carrier_cannot_be_asked(pool: MySqlPool) {
    let stage = Stage::new(pool, Settings::default()).await;
    let schedule = restore_in_the_middle(&stage).await;
    work(&stage).await;
    let uncertain = fixture::count(&stage.db, schedule.schedule_id, "UNCERTAIN").await;
    let accepted = stage.acceptances();
    assert!(
        accepted.iter().all(|(_, times)| *times == 1),
        "{accepted:?}"
    );
    assert_eq!((uncertain, accepted.len()), (20, 10), "an operator decides");
    fixture::assert_counts(&stage.db, schedule.schedule_id).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_restore_leaves_what_waits_for_its_window(pool: MySqlPool) {
    let stage = Stage::new(pool, Settings::default()).await;
    let insert = async |opens_in_s: i64| {
        let schedule = fixture::Schedule {
            run_in_s: -600,
            ..Default::default()
        };
        let message = schedule.insert(&stage.db).await;
        let opens_at = stage.db.now() + TimeDelta::seconds(opens_in_s);
        sqlx::query("UPDATE schedules SET opens_at = ? WHERE id = ?")
            .bind(opens_at)
            .bind(message.schedule_id)
            .execute(&stage.db)
            .await
            .unwrap();
        message.schedule_id
    };
    let (waiting, begun) = (insert(600).await, insert(-300).await);
    stop_now(&stage).await;
    let request = RestoredRequest {
        since: stage.db.now() - TimeDelta::minutes(20),
        by: None,
    };
    let mut connection = stage.db.acquire().await.unwrap();
    let held = hold_after_restore(&mut connection, &request, stage.db.now())
        .await
        .unwrap();
    assert_eq!(held.missed_schedules, 1);
    assert_eq!(fixture::status(&stage.db, waiting).await, "scheduled");
    assert_eq!(fixture::status(&stage.db, begun).await, "missed");
}
