//! A schedule with a window sends inside of it, whatever the clock says when a batch is taken up.
#![allow(missing_docs, clippy::unwrap_used)]

use api::lists::store::insert_variables;
use chrono::{DateTime, Days, NaiveTime, TimeDelta, Utc};
use shared::platform::{
    db::Db,
    queue::{BatchMessage, DispatchMessage},
};
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{Stage, fixture};

/// Tomorrow at that time.
fn tomorrow(db: &Db, hour: u32, minute: u32) -> DateTime<Utc> {
    let day = db.now().date_naive() + Days::new(1);
    day.and_time(NaiveTime::from_hms_opt(hour, minute, 0).unwrap())
        .and_utc()
}

fn go_to(db: &Db, at: DateTime<Utc>) {
    db.clock.advance((at - db.now()).to_std().unwrap());
}

/// A schedule of five that is due now, and may send from 9 to 11.
async fn in_the_morning(stage: &Stage, message: &'static str) -> DispatchMessage {
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
    set.execute(&stage.db.pool).await.unwrap();
    schedule
}

async fn planned_at(stage: &Stage, batch: BatchMessage) -> DateTime<Utc> {
    let planned = "SELECT planned_at FROM batches WHERE schedule_id = ? AND batch_no = ?";
    sqlx::query_scalar(planned)
        .bind(batch.schedule_id)
        .bind(batch.batch_no)
        .fetch_one(&stage.db.pool)
        .await
        .unwrap()
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn what_is_due_while_it_is_closed_waits_for_its_opening(pool: MySqlPool) {
    let stage = Stage::new(pool, Settings::default()).await;
    go_to(&stage.db, tomorrow(&stage.db, 12, 0));
    let schedule = in_the_morning(&stage, "Good morning").await;
    stage
        .dispatcher
        .dispatch(schedule, dispatch::DispatchedBy::Queue)
        .await
        .unwrap();
    let batch = BatchMessage {
        schedule_id: schedule.schedule_id,
        batch_no: 1,
    };
    let opens = tomorrow(&stage.db, 9, 0);
    assert_eq!(
        (
            fixture::batch(&stage.db, batch).await.send_at,
            planned_at(&stage, batch).await
        ),
        (Some(opens), opens)
    );
    stage.dispatcher.sweep(|| true).await.unwrap();
    stage.send(batch).await;
    assert_eq!(stage.simulator.carrier().accepted(), 0);
    go_to(&stage.db, opens - TimeDelta::seconds(60));
    stage.dispatcher.sweep(|| true).await.unwrap();
    stage.play().await;
    assert_eq!(
        fixture::count(&stage.db, schedule.schedule_id, "DELIVRD").await,
        5
    );
    let sent: Vec<DateTime<Utc>> = sqlx::query_scalar("SELECT sent_at FROM recipients")
        .fetch_all(&stage.db.pool)
        .await
        .unwrap();
    assert!(
        sent.iter()
            .all(|at| (opens..opens + TimeDelta::hours(2)).contains(at)),
        "{sent:?}"
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn what_is_left_when_it_closes_goes_on_the_next_day_and_is_not_late(pool: MySqlPool) {
    // Five texts, so five requests, two at a time: the last begins three seconds after the first.
    let stage = Stage::new(
        pool,
        Settings {
            latency_ms: 1_500,
            ..Settings::default()
        },
    )
    .await;
    go_to(&stage.db, tomorrow(&stage.db, 10, 0));
    let schedule = in_the_morning(&stage, "Good morning, {{name}}").await;
    let given: Vec<_> = (1..=5)
        .map(|seq| (seq, format!(r#"{{"name":"{seq}"}}"#)))
        .collect();
    let given: Vec<_> = given
        .iter()
        .map(|(seq, json)| (*seq, json.as_str()))
        .collect();
    insert_variables(
        &mut stage.db.pool.acquire().await.unwrap(),
        schedule.schedule_id,
        &given,
    )
    .await
    .unwrap();
    stage
        .dispatcher
        .dispatch(schedule, dispatch::DispatchedBy::Queue)
        .await
        .unwrap();
    let batch = stage.send_queue.take_batches()[0];
    let closes = stage
        .db
        .now()
        .date_naive()
        .and_hms_opt(11, 0, 0)
        .unwrap()
        .and_utc();
    go_to(&stage.db, closes - TimeDelta::seconds(2));
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
    assert_eq!(
        fixture::count(&stage.db, schedule.schedule_id, "PENDING").await as u64,
        5 - sent
    );
    // Much later than max_lateness_s after run_at.
    go_to(&stage.db, opens);
    stage.dispatcher.sweep(|| true).await.unwrap();
    stage.play().await;
    assert_eq!(
        fixture::count(&stage.db, schedule.schedule_id, "DELIVRD").await,
        5
    );
    assert!(stage.acceptances().iter().all(|(_, times)| *times == 1));
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn what_is_found_when_it_is_closed_is_put_off_and_a_cancel_waits_for_nothing(
    pool: MySqlPool,
) {
    let stage = Stage::new(pool, Settings::default()).await;
    go_to(&stage.db, tomorrow(&stage.db, 10, 59));
    let schedule = in_the_morning(&stage, "Good morning").await;
    stage
        .dispatcher
        .dispatch(schedule, dispatch::DispatchedBy::Queue)
        .await
        .unwrap();
    let batch = stage.send_queue.take_batches()[0];
    // Its message was long on its way: two minutes late, and closed by then.
    stage.db.clock.advance(std::time::Duration::from_secs(120));
    stage.send(batch).await;
    assert_eq!(stage.simulator.carrier().stats().requests, 0);
    assert_eq!(
        fixture::batch(&stage.db, batch).await.send_at,
        Some(tomorrow(&stage.db, 9, 0))
    );
    let cancel = "UPDATE schedules s JOIN batches b ON b.schedule_id = s.id SET s.status = 'cancelled', b.send_at = UTC_TIMESTAMP()";
    sqlx::query(cancel).execute(&stage.db.pool).await.unwrap();
    stage.send(batch).await;
    assert_eq!(
        fixture::count(&stage.db, schedule.schedule_id, "CANCELLED").await,
        5
    );
    assert!(fixture::batch(&stage.db, batch).await.sweep_at.is_none());
}
