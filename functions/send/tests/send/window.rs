//! A schedule with a window sends only inside it, at any time at which a batch is claimed.

use std::time::Duration;

use chrono::{DateTime, Days, NaiveTime, TimeDelta, Utc};
use shared::platform::{
    db::Db,
    queue::{BatchMessage, DispatchMessage},
};
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{Stage, fixture};

use crate::{dispatch, set_names};

/// Returns tomorrow at the given time.
fn tomorrow(db: &Db, hour: u32, minute: u32) -> DateTime<Utc> {
    let day = db.now().date_naive() + Days::new(1);
    day.and_time(NaiveTime::from_hms_opt(hour, minute, 0).unwrap())
        .and_utc()
}

fn advance_to(db: &Db, at: DateTime<Utc>) {
    db.clock.advance((at - db.now()).to_std().unwrap());
}

/// Inserts a schedule with five recipients that is due now and may send from 9 to 11.
async fn insert_with_window(stage: &Stage, message: &'static str) -> DispatchMessage {
    let schedule = fixture::Schedule {
        recipients: 5,
        message,
        ..Default::default()
    }
    .insert(&stage.db)
    .await;
    let window = r#"{"days":["Mon","Tue","Wed","Thu","Fri","Sat","Sun"],"from":"09:00","to":"11:00","zone":"UTC"}"#;
    let set = sqlx::query("UPDATE schedules SET send_window = ? WHERE id = ?")
        .bind(window)
        .bind(schedule.schedule_id);
    set.execute(&stage.db).await.unwrap();
    schedule
}

async fn planned_at(stage: &Stage, batch: BatchMessage) -> DateTime<Utc> {
    let planned = "SELECT planned_at FROM batches WHERE schedule_id = ? AND batch_no = ?";
    sqlx::query_scalar(planned)
        .bind(batch.schedule_id)
        .bind(batch.batch_no)
        .fetch_one(&stage.db)
        .await
        .unwrap()
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_schedule_due_while_the_window_is_closed_waits_for_its_opening(pool: MySqlPool) {
    let stage = Stage::new(pool, Settings::default()).await;
    advance_to(&stage.db, tomorrow(&stage.db, 12, 0));
    let schedule = insert_with_window(&stage, "Good morning").await;
    dispatch(&stage, schedule).await;
    let opens = tomorrow(&stage.db, 9, 0);
    assert_eq!(
        fixture::status(&stage.db, schedule.schedule_id).await,
        "scheduled"
    );
    advance_to(&stage.db, opens - TimeDelta::seconds(60));
    stage.dispatcher.sweep(|| true).await.unwrap();
    let batch = BatchMessage {
        schedule_id: schedule.schedule_id,
        batch_no: 1,
    };
    assert_eq!(
        (
            fixture::batch(&stage.db, batch).await.send_at,
            planned_at(&stage, batch).await
        ),
        (Some(opens), opens)
    );
    assert_eq!(stage.simulator.carrier().accepted(), 0);
    stage.play().await;
    assert_eq!(
        fixture::count(&stage.db, schedule.schedule_id, "DELIVRD").await,
        5
    );
    let sent: Vec<DateTime<Utc>> = sqlx::query_scalar("SELECT sent_at FROM recipients")
        .fetch_all(&stage.db)
        .await
        .unwrap();
    assert!(
        sent.iter()
            .all(|at| (opens..opens + TimeDelta::hours(2)).contains(at)),
        "{sent:?}"
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn recipients_left_at_closing_are_sent_the_next_day_and_are_not_late(pool: MySqlPool) {
    // Five texts make five requests, two at a time: the last starts three seconds after the first.
    let mut stage = Stage::new(
        pool,
        Settings {
            latency_ms: 1_500,
            ..Settings::default()
        },
    )
    .await;
    stage.sender.settings.in_flight = 2;
    advance_to(&stage.db, tomorrow(&stage.db, 10, 0));
    let schedule = insert_with_window(&stage, "Good morning, {{name}}").await;
    let names = [(1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "e")];
    set_names(&stage.db, schedule.schedule_id, &names).await;
    dispatch(&stage, schedule).await;
    let batch = stage.send_queue.take_batches()[0];
    let closes = tomorrow(&stage.db, 11, 0) - Days::new(1);
    advance_to(&stage.db, closes - TimeDelta::seconds(2));
    stage.send(batch).await;
    let sent = stage.simulator.carrier().accepted();
    assert!((1..5).contains(&sent), "{sent}");
    let opens = tomorrow(&stage.db, 9, 0);
    assert_eq!(
        (
            fixture::batch(&stage.db, batch).await.send_at,
            planned_at(&stage, batch).await
        ),
        (Some(opens), opens)
    );
    let pending = fixture::count(&stage.db, schedule.schedule_id, "PENDING").await;
    assert_eq!(pending as u64, 5 - sent);
    // Much later after run_at than max_lateness_s.
    advance_to(&stage.db, opens);
    stage.dispatcher.sweep(|| true).await.unwrap();
    stage.play().await;
    assert_eq!(
        fixture::count(&stage.db, schedule.schedule_id, "DELIVRD").await,
        5
    );
    assert!(stage.acceptances().iter().all(|(_, times)| *times == 1));
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_batch_claimed_while_closed_is_postponed_and_a_cancel_is_immediate(pool: MySqlPool) {
    let stage = Stage::new(pool, Settings::default()).await;
    advance_to(&stage.db, tomorrow(&stage.db, 10, 59));
    let schedule = insert_with_window(&stage, "Good morning").await;
    dispatch(&stage, schedule).await;
    let batch = stage.send_queue.take_batches()[0];
    // Its message arrives two minutes late, after the window has closed.
    stage.db.clock.advance(Duration::from_secs(120));
    stage.send(batch).await;
    assert_eq!(stage.simulator.carrier().stats().requests, 0);
    assert_eq!(
        fixture::batch(&stage.db, batch).await.send_at,
        Some(tomorrow(&stage.db, 9, 0))
    );
    let cancel = "UPDATE schedules s JOIN batches b ON b.schedule_id = s.id SET s.status = 'cancelled', b.send_at = UTC_TIMESTAMP()";
    sqlx::query(cancel).execute(&stage.db).await.unwrap();
    stage.send(batch).await;
    assert_eq!(
        fixture::count(&stage.db, schedule.schedule_id, "CANCELLED").await,
        5
    );
    assert!(fixture::batch(&stage.db, batch).await.sweep_at.is_none());
}
