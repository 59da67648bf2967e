//! Claims: run twice, at the same time, crashed between the request and the record, and with a lost
//! lease.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use shared::{
    batch::{
        claim::{self, Claim},
        rows::{self, FlushRow, FlushTimes, Step},
    },
    message::status::Status,
    platform::budget::Budget,
};
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{INVOCATION, Stage, fixture};

use crate::{cut, cut_on, five, three};

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_batch_is_sent_and_its_recheck_enqueued(pool: MySqlPool) {
    let (stage, batch) = cut(pool, Settings::default(), three()).await;
    stage.send(batch).await;
    assert_eq!(
        fixture::recipients(&stage.db, batch.schedule_id).await,
        ["1 ACCEPTD 1 0", "2 ACCEPTD 1 0", "3 ACCEPTD 1 0"]
    );
    assert_eq!(
        stage
            .acceptances()
            .iter()
            .map(|(_, times)| *times)
            .collect::<Vec<_>>(),
        [1, 1, 1]
    );
    let rechecks = stage.recheck_queue.take();
    assert_eq!(
        (rechecks.len(), rechecks[0].delay_s),
        (1, 4),
        "five seconds, 0.8 s early, rounded down"
    );
    assert!(stage.send_queue.take().is_empty());
    let row = fixture::batch(&stage.db, batch).await;
    assert!(
        !row.claimed && row.crashes == 0 && row.send_at.is_none() && row.check_at.is_some(),
        "{row:?}"
    );
    fixture::assert_counts(&stage.db, batch.schedule_id).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_batch_delivered_twice_is_sent_once(pool: MySqlPool) {
    let (stage, batch) = cut(pool, Settings::default(), three()).await;
    stage.send(batch).await;
    stage.send(batch).await;
    assert_eq!(stage.simulator.carrier().accepted(), 3);
    assert_eq!(
        stage.recheck_queue.take().len(),
        1,
        "the second delivery starts no second chain"
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_batch_delivered_to_many_workers_at_once_is_sent_once(pool: MySqlPool) {
    let settings = Settings {
        latency_ms: 50,
        ..Settings::default()
    };
    let (stage, batch) = cut(pool, settings, five()).await;
    tokio::join!(
        stage.send(batch),
        stage.send(batch),
        stage.send(batch),
        stage.send(batch)
    );
    assert_eq!(stage.simulator.carrier().accepted(), 5);
    assert_eq!(
        fixture::count(&stage.db, batch.schedule_id, "ACCEPTD").await,
        5
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn nothing_is_sent_before_its_due_time(pool: MySqlPool) {
    let (stage, batch) = cut(
        pool,
        Settings::default(),
        fixture::Schedule {
            run_in_s: 60,
            ..three()
        },
    )
    .await;
    stage.send(batch).await;
    assert_eq!(
        stage.simulator.carrier().accepted(),
        0,
        "sixty seconds early: not claimed"
    );
    let due = fixture::batch(&stage.db, batch).await.send_at.unwrap();
    let early = TimeDelta::milliseconds(700);
    stage
        .db
        .clock
        .advance((due - early - stage.db.now()).to_std().unwrap());
    stage.send(batch).await;
    let first: DateTime<Utc> = sqlx::query_scalar("SELECT MIN(sent_at) FROM recipients")
        .fetch_one(&stage.db)
        .await
        .unwrap();
    let late = first - due;
    assert!(
        late >= TimeDelta::zero() && late < TimeDelta::milliseconds(700),
        "claimed early, sent {late} after its due time"
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_crash_leaves_only_the_recipients_in_flight_uncertain(pool: MySqlPool) {
    // Of five requests of a hundred, two are in flight: the carrier accepts them and never answers.
    let settings = Settings {
        hang_after_accept: 1.0,
        ..Settings::default()
    };
    let mut stage = Stage::new(pool, settings).await;
    stage.dispatcher.settings.batch_size = 500;
    let schedule = fixture::Schedule {
        recipients: 500,
        ..three()
    };
    let batch = cut_on(&stage, schedule).await;
    let count = async |status| fixture::count(&stage.db, batch.schedule_id, status).await;
    // The process ends in the middle of its requests: the future is dropped, nothing is recorded.
    let killed = tokio::time::timeout(Duration::from_secs(1), stage.send(batch)).await;
    assert!(killed.is_err());
    assert_eq!(count("SENDING").await, 200);
    stage.simulator.carrier().set(Settings::default()).unwrap();

    stage.send(batch).await;
    assert_eq!(count("SENDING").await, 200, "the lease still runs");
    stage.db.clock.advance(INVOCATION + Duration::from_secs(11));
    stage.send(batch).await;
    assert_eq!(count("UNCERTAIN").await, 200);
    assert_eq!(count("ACCEPTD").await, 300);
    assert!(
        stage.acceptances().iter().all(|(_, times)| *times == 1),
        "no recipient was sent to twice"
    );
    fixture::assert_counts(&stage.db, batch.schedule_id).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn an_answer_after_the_lease_is_still_recorded(pool: MySqlPool) {
    let (stage, batch) = cut(
        pool,
        Settings {
            latency_ms: 600,
            ..Settings::default()
        },
        three(),
    )
    .await;
    let first = stage.send(batch);
    let second = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        // The lease expires while the owner waits for its answer. Another worker claims the batch,
        // finds no status to query, and finishes the schedule.
        stage.db.clock.advance(INVOCATION + Duration::from_secs(11));
        stage.send(batch).await;
        assert_eq!(
            fixture::count(&stage.db, batch.schedule_id, "UNCERTAIN").await,
            3
        );
        assert_eq!(
            fixture::status(&stage.db, batch.schedule_id).await,
            "finished"
        );
    };
    tokio::join!(first, second);
    assert_eq!(
        fixture::count(&stage.db, batch.schedule_id, "ACCEPTD").await,
        3
    );
    assert_eq!(stage.simulator.carrier().accepted(), 3);
    let row = fixture::batch(&stage.db, batch).await;
    assert!(
        row.check_at.is_some() && row.sweep_at.is_some(),
        "the batch is due again: {row:?}"
    );
    assert_eq!(
        fixture::status(&stage.db, batch.schedule_id).await,
        "running"
    );
}

/// A row of a flush for the first recipient.
fn flush_row(step: Step, attempt: u32, status: Status) -> FlushRow {
    FlushRow {
        seq: 1,
        attempt,
        step,
        resend: 0,
        status,
        message_id: None,
        error: None,
        is_final: 0,
    }
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_worker_that_lost_its_claim_marks_nothing(pool: MySqlPool) {
    let (stage, batch) = cut(pool, Settings::default(), three()).await;
    let now = stage.db.now();
    let later = now + TimeDelta::seconds(6);
    let lost = Claim::new(batch, now, now + TimeDelta::seconds(5));
    let early = Claim::new(batch, now, later);
    let current = Claim::new(batch, later, now + TimeDelta::seconds(90));
    let claim = async |claim: &Claim| claim::claim_to_send(&stage.db, claim).await.unwrap();
    assert!(claim(&lost).await);
    assert!(!claim(&early).await, "the first lease still runs");
    assert!(claim(&current).await);

    let flush = async |claim: &Claim, row: FlushRow| {
        let mut connection = stage.db.acquire().await.unwrap();
        let times = FlushTimes {
            marked_at: claim.at,
            now: later,
        };
        rows::flush(&mut connection, claim, &[row], times)
            .await
            .unwrap()
    };
    let mark = || flush_row(Step::Mark, 0, Status::Sending);
    assert_eq!(
        flush(&lost, mark()).await,
        0,
        "the token is the new owner's"
    );
    assert_eq!(flush(&current, mark()).await, 1);
    let unmark = flush_row(Step::Unmark, 1, Status::Pending);
    assert_eq!(flush(&lost, unmark).await, 0, "the mark is the new owner's");

    let make_due = async |claim: &Claim| {
        let mut connection = stage.db.acquire().await.unwrap();
        rows::make_due_if_lease_lost(&mut connection, claim, later)
            .await
            .unwrap()
    };
    assert!(make_due(&lost).await);
    assert!(!make_due(&current).await);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_batch_claimed_three_times_without_a_release_is_parked(pool: MySqlPool) {
    let (stage, batch) = cut(pool, Settings::default(), three()).await;
    for crashes in 1..=3 {
        let now = stage.db.now();
        assert!(
            claim::claim_to_send(&stage.db, &Claim::new(batch, now, now))
                .await
                .unwrap()
        );
        assert_eq!(fixture::batch(&stage.db, batch).await.crashes, crashes);
        stage.db.clock.advance(Duration::from_secs(1));
    }
    stage.send(batch).await;
    assert_eq!(stage.simulator.carrier().accepted(), 0);
    assert_eq!(
        fixture::count(&stage.db, batch.schedule_id, "PENDING").await,
        3
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_request_starts_only_if_its_answer_can_be_recorded(pool: MySqlPool) {
    let (stage, batch) = cut(pool, Settings::default(), three()).await;
    stage
        .sender
        .send_batch(batch, Budget::new(Duration::from_secs(6)))
        .await
        .unwrap();
    assert_eq!(
        stage.simulator.carrier().accepted(),
        0,
        "two seconds for the carrier and five for the record exceed six"
    );
    assert_eq!(
        fixture::count(&stage.db, batch.schedule_id, "PENDING").await,
        3
    );
    assert_eq!(stage.send_queue.take().len(), 1);
}
