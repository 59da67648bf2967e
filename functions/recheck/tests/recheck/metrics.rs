//! The metrics of recheck: what a pass counts and measures.

use std::time::Duration;

use shared::platform::{
    metrics::{Counter, Figures, Measure, collect},
    queue::BatchMessage,
};
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{Stage, fixture};

use crate::{sent, three};

async fn recheck(stage: &Stage, batch: BatchMessage, seconds: u64) -> Figures {
    stage.db.clock.advance(Duration::from_secs(seconds));
    collect(stage.recheck(batch)).await.1
}

fn at_once() -> Settings {
    Settings {
        delivery_delay_ms_min: 0,
        delivery_delay_ms_max: 0,
        ..Settings::default()
    }
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_pass_counts_what_has_ended_and_measures_its_queries(pool: MySqlPool) {
    let (stage, batch) = sent(pool, at_once(), three()).await;
    let figures = recheck(&stage, batch, 40).await;
    let expected = [(Counter::Delivered, 3), (Counter::Rechecks, 3)];
    assert_eq!(figures.counts().collect::<Vec<_>>(), expected);
    assert_eq!(figures.values(Measure::StatusLatency).len(), 3);
    assert_eq!(figures.values(Measure::CarrierFailures), [0.0; 3]);
    let times = figures.values(Measure::TimeToDelivered);
    assert!(
        times.len() == 3 && times.iter().all(|time| (39.0..60.0).contains(time)),
        "{times:?}"
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn undelivered_messages_and_failed_queries_are_counted(pool: MySqlPool) {
    let failing = Settings {
        undeliv: 1.0,
        status_error: 1.0,
        ..at_once()
    };
    let (stage, batch) = sent(pool, failing.clone(), three()).await;
    let figures = recheck(&stage, batch, 40).await;
    assert_eq!(figures.count(Counter::StatusQueriesFailed), 3);
    assert_eq!(figures.values(Measure::CarrierFailures), [100.0; 3]);
    assert_eq!(figures.count(Counter::Undelivered), 0);
    let healthy = Settings {
        status_error: 0.0,
        ..failing
    };
    stage.simulator.carrier().set(healthy).unwrap();
    let figures = recheck(&stage, batch, 40).await;
    assert_eq!(figures.count(Counter::Undelivered), 3);
    assert!(figures.values(Measure::TimeToDelivered).is_empty());
}

/// Sets what has ended of a batch, and lets it have so many recipients.
async fn set_ended(stage: &Stage, batch: BatchMessage, delivered: u32, undelivered: u32) {
    let sql = "INSERT INTO batches (schedule_id, batch_no, first_seq, last_seq, planned_at, delivrd, undeliv)
               VALUES (?, ?, ? * 1000 + 1, ? * 1000 + 1000, '2026-01-01', ?, ?)
               ON DUPLICATE KEY UPDATE last_seq = first_seq + 999";
    let no = batch.batch_no;
    let query = sqlx::query(sql)
        .bind(batch.schedule_id)
        .bind(no)
        .bind(no)
        .bind(no);
    query
        .bind(delivered)
        .bind(undelivered)
        .execute(&stage.db)
        .await
        .unwrap();
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_batch_that_is_delivered_clearly_worse_than_those_before_it_is_counted(pool: MySqlPool) {
    for (delivered_before, drops) in [(950, 1), (100, 0)] {
        let schedule = fixture::Schedule {
            recipients: 200,
            max_resends: 0,
            ..fixture::Schedule::default()
        };
        let failing = Settings {
            undeliv: 0.6,
            ..at_once()
        };
        let (stage, batch) = sent(pool.clone(), failing, schedule).await;
        // One batch of all recipients, as the second of its schedule.
        for sql in [
            "DELETE FROM batches WHERE schedule_id = ? AND batch_no > 1",
            "UPDATE batches SET batch_no = 2, last_seq = 200 WHERE schedule_id = ?",
        ] {
            sqlx::query(sql)
                .bind(batch.schedule_id)
                .execute(&stage.db)
                .await
                .unwrap();
        }
        let [first, second] = [1, 2].map(|batch_no| BatchMessage { batch_no, ..batch });
        set_ended(&stage, first, delivered_before, 1000 - delivered_before).await;
        let fail = "UPDATE recipients SET status = 'UNDELIV', attempt = 1, sent_at = UTC_TIMESTAMP(3), final_at = UTC_TIMESTAMP(3)
                    WHERE schedule_id = ? AND seq BETWEEN 6 AND 200";
        sqlx::query(fail)
            .bind(batch.schedule_id)
            .execute(&stage.db)
            .await
            .unwrap();
        let figures = recheck(&stage, second, 40).await;
        assert_eq!(
            figures.count(Counter::DeliveryShareDrops),
            drops,
            "{delivered_before}"
        );
    }
}
