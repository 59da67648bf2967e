//! Send against a real database and a real HTTP carrier: run twice, at once, crashed between do and record, and every way in which
//! a carrier can answer.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use chrono::TimeDelta;
use shared::{
    batch::{
        claim::{self, Claim},
        rows,
    },
    platform::{budget::Budget, queue::BatchMessage},
    schedule::lifecycle,
};
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{INVOCATION, Stage, fixture, with_own_ids};

/// A stage with a schedule that is cut and due; its first batch.
async fn cut(
    pool: MySqlPool,
    settings: Settings,
    schedule: fixture::Schedule,
) -> (Stage, BatchMessage) {
    let stage = Stage::new(pool, settings).await;
    let batch = cut_on(&stage, schedule).await;
    (stage, batch)
}

async fn cut_on(stage: &Stage, schedule: fixture::Schedule) -> BatchMessage {
    let message = schedule.insert(&stage.db).await;
    stage.send_queue.take();
    stage
        .dispatcher
        .dispatch(message, dispatch::DispatchedBy::Queue)
        .await
        .unwrap();
    stage.send_queue.take_batches()[0]
}

fn three() -> fixture::Schedule {
    fixture::Schedule::default()
}

fn three_late() -> fixture::Schedule {
    fixture::Schedule {
        max_lateness_s: 60,
        ..three()
    }
}

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
        "the second delivery starts no chain of its own"
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_batch_delivered_to_many_at_once_is_sent_once(pool: MySqlPool) {
    let settings = Settings {
        latency_ms: 50,
        ..Settings::default()
    };
    let (stage, batch) = cut(
        pool,
        settings,
        fixture::Schedule {
            recipients: 5,
            ..three()
        },
    )
    .await;
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
async fn nothing_is_sent_before_its_time(pool: MySqlPool) {
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
    let first: chrono::DateTime<chrono::Utc> =
        sqlx::query_scalar("SELECT MIN(sent_at) FROM recipients")
            .fetch_one(&stage.db.pool)
            .await
            .unwrap();
    let late = first - due;
    assert!(
        late >= TimeDelta::zero() && late < TimeDelta::milliseconds(700),
        "claimed early, sent {late} after its time"
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_crash_before_the_record_leaves_uncertain_what_was_in_flight_and_nothing_else(
    pool: MySqlPool,
) {
    // Two requests of a hundred in flight of five; the carrier takes them and never answers.
    let settings = Settings {
        hang_after_accept: 1.0,
        ..Settings::default()
    };
    let stage = Stage::new(pool, settings).await;
    let message = fixture::Schedule {
        recipients: 500,
        ..three()
    }
    .insert(&stage.db)
    .await;
    let dispatcher = dispatch::Dispatcher {
        db: stage.db.clone(),
        send_queue: stage.send_queue.clone(),
        recheck_queue: stage.recheck_queue.clone(),
        notify_queue: stage.notify_queue.clone(),
        settings: dispatch::Settings {
            batch_size: 500,
            ..stage.dispatcher.settings.clone()
        },
    };
    dispatcher
        .dispatch(message, dispatch::DispatchedBy::Queue)
        .await
        .unwrap();
    let batch = stage.send_queue.take_batches()[0];
    // The process dies in the middle of its requests: the future is dropped, nothing is recorded.
    let killed = tokio::time::timeout(Duration::from_secs(1), stage.send(batch)).await;
    assert!(killed.is_err());
    assert_eq!(
        fixture::count(&stage.db, batch.schedule_id, "SENDING").await,
        200
    );
    stage.simulator.carrier().set(Settings::default()).unwrap();

    stage.send(batch).await;
    assert_eq!(
        fixture::count(&stage.db, batch.schedule_id, "SENDING").await,
        200,
        "the lease still runs"
    );
    stage.db.clock.advance(INVOCATION + Duration::from_secs(11));
    stage.send(batch).await;
    assert_eq!(
        fixture::count(&stage.db, batch.schedule_id, "UNCERTAIN").await,
        200
    );
    assert_eq!(
        fixture::count(&stage.db, batch.schedule_id, "ACCEPTD").await,
        300
    );
    assert!(
        stage.acceptances().iter().all(|(_, times)| *times == 1),
        "nobody was sent to twice"
    );
    fixture::assert_counts(&stage.db, batch.schedule_id).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn an_answer_after_the_lease_still_counts(pool: MySqlPool) {
    let (stage, batch) = cut(
        pool,
        Settings {
            latency_ms: 600,
            ..Settings::default()
        },
        three(),
    )
    .await;
    let old = stage.send(batch);
    let other = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        // The lease ends while the owner waits for its answer; another takes over, finds nothing to ask, and finishes the schedule.
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
    tokio::join!(old, other);
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

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_worker_that_lost_its_claim_marks_nothing(pool: MySqlPool) {
    let (stage, batch) = cut(pool, Settings::default(), three()).await;
    let now = stage.db.now();
    let later = now + TimeDelta::seconds(6);
    let (old, new) = (
        Claim::new(batch, now, now + TimeDelta::seconds(5)),
        Claim::new(batch, later, now + TimeDelta::seconds(90)),
    );
    assert!(claim::claim_to_send(&stage.db, &old).await.unwrap());
    assert!(
        !claim::claim_to_send(&stage.db, &Claim::new(batch, now, later))
            .await
            .unwrap(),
        "the first lease runs"
    );
    assert!(claim::claim_to_send(&stage.db, &new).await.unwrap());
    let mark = |step, attempt| rows::FlushRow {
        seq: 1,
        attempt,
        step,
        resend: 0,
        status: shared::message::status::Status::Sending,
        message_id: None,
        error: None,
        is_final: 0,
    };
    let mut connection = stage.db.pool.acquire().await.unwrap();
    let marks = [mark(rows::Step::Mark, 0)];
    assert_eq!(
        rows::flush(&mut connection, &old, &marks, later)
            .await
            .unwrap(),
        0,
        "the token is another's"
    );
    assert_eq!(
        rows::flush(&mut connection, &new, &marks, later)
            .await
            .unwrap(),
        1
    );
    let unmark = rows::FlushRow {
        status: shared::message::status::Status::Pending,
        ..mark(rows::Step::Unmark, 1)
    };
    assert_eq!(
        rows::flush(&mut connection, &old, &[unmark], later)
            .await
            .unwrap(),
        0,
        "that mark is another's"
    );
    assert!(
        rows::make_due_if_lease_lost(&mut connection, &old, later)
            .await
            .unwrap()
    );
    assert!(
        !rows::make_due_if_lease_lost(&mut connection, &new, later)
            .await
            .unwrap()
    );
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
async fn what_a_carrier_can_answer_and_what_becomes_of_it(pool: MySqlPool) {
    let stage = Stage::new(pool, Settings::default()).await;
    let on = |set: fn(&mut Settings)| {
        let mut settings = Settings::default();
        set(&mut settings);
        settings
    };
    // What the carrier does; the state of three recipients; how many acceptances are in its ledger.
    let table: [(&str, Settings, &str, u64); 7] = [
        (
            "5xx after acceptance",
            on(|s| s.error_5xx_after_accept = 1.0),
            "UNCERTAIN",
            3,
        ),
        (
            "connection reset after acceptance",
            on(|s| s.reset_after_accept = 1.0),
            "UNCERTAIN",
            3,
        ),
        (
            "no answer in time",
            on(|s| s.hang_after_accept = 1.0),
            "UNCERTAIN",
            3,
        ),
        (
            "an empty array",
            on(|s| s.empty_array = 1.0),
            "UNCERTAIN",
            3,
        ),
        ("a page of HTML", on(|s| s.html = 1.0), "UNCERTAIN", 3),
        ("400 NO ROUTES", on(|s| s.refuse_4xx = 1.0), "PENDING", 0),
        (
            "503 before acceptance",
            on(|s| s.error_5xx_before = 1.0),
            "UNCERTAIN",
            0,
        ),
    ];
    for (what, settings, state, accepted) in table {
        stage.simulator.carrier().reset();
        stage.simulator.carrier().set(settings).unwrap();
        let batch = cut_on(&stage, three()).await;
        stage.send(batch).await;
        assert_eq!(
            fixture::count(&stage.db, batch.schedule_id, state).await,
            3,
            "{what}"
        );
        assert_eq!(stage.simulator.carrier().accepted(), accepted, "{what}");
        fixture::assert_counts(&stage.db, batch.schedule_id).await;
    }
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_429_is_waited_out_and_costs_no_resend(pool: MySqlPool) {
    let settings = Settings {
        capacity_rps: 1,
        ..Settings::default()
    };
    let (stage, batch) = cut(pool, settings, three()).await;
    // The capacity of this second is used up by somebody else.
    let numbers = ["60199999999"];
    let submit = shared::carrier::Submit {
        numbers: &numbers,
        text: "x",
        sender: None,
        own_id: None,
        parts: 1,
    };
    stage.sender.worker.carrier.submit(submit).await.unwrap();
    stage.send(batch).await;
    let lines = fixture::recipients(&stage.db, batch.schedule_id).await;
    assert!(
        lines
            .iter()
            .all(|line| line.contains("ACCEPTD") && line.ends_with(" 0")),
        "{lines:?}"
    );
    assert!(
        lines.iter().all(|line| !line.contains("ACCEPTD 1 ")),
        "an attempt was refused first: {lines:?}"
    );
    assert!(stage.acceptances().iter().all(|(_, times)| *times == 1));
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_long_429_goes_through_the_queue(pool: MySqlPool) {
    let settings = Settings {
        busy_429: 1.0,
        retry_after_s: Some(30),
        ..Settings::default()
    };
    let (stage, batch) = cut(pool, settings, three()).await;
    stage.send(batch).await;
    assert_eq!(
        fixture::count(&stage.db, batch.schedule_id, "PENDING").await,
        3
    );
    let again = stage.send_queue.take();
    assert!((29..40).contains(&again[0].delay_s), "{again:?}");
    stage.simulator.carrier().set(Settings::default()).unwrap();
    stage.db.clock.advance(Duration::from_secs(40));
    stage.send(batch).await;
    assert_eq!(
        fixture::count(&stage.db, batch.schedule_id, "ACCEPTD").await,
        3
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_refused_connection_loses_nothing(pool: MySqlPool) {
    let stage = Stage::with_carrier(pool, Settings::default(), |config| {
        config.url = "http://127.0.0.1:1/api".into()
    })
    .await;
    let batch = cut_on(&stage, three()).await;
    stage.send(batch).await;
    assert_eq!(
        fixture::count(&stage.db, batch.schedule_id, "PENDING").await,
        3
    );
    assert_eq!(stage.send_queue.take().len(), 1);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn one_bad_number_does_not_hold_the_others(pool: MySqlPool) {
    let bad = fixture::phone(3).trim_start_matches('+').to_owned();
    let settings = Settings {
        refuse_numbers: vec![bad],
        ..Settings::default()
    };
    let (stage, batch) = cut(
        pool,
        settings,
        fixture::Schedule {
            recipients: 5,
            max_lateness_s: 86_400,
            ..three()
        },
    )
    .await;
    for _ in 0..8 {
        stage.send(batch).await;
        stage.db.clock.advance(Duration::from_secs(900));
    }
    let lines = fixture::recipients(&stage.db, batch.schedule_id).await;
    assert!(
        lines[2].starts_with("3 REJECTD 8 0 400 NO ROUTES"),
        "{lines:?}"
    );
    assert_eq!(
        fixture::count(&stage.db, batch.schedule_id, "ACCEPTD").await,
        4
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn refused_credentials_pause_the_schedule(pool: MySqlPool) {
    let (stage, batch) = cut(
        pool,
        Settings {
            unauthorized: true,
            ..Settings::default()
        },
        three(),
    )
    .await;
    stage.send(batch).await;
    assert_eq!(
        fixture::status(&stage.db, batch.schedule_id).await,
        "paused"
    );
    assert_eq!(
        fixture::count(&stage.db, batch.schedule_id, "PENDING").await,
        3
    );
    let reason: String = sqlx::query_scalar("SELECT pause_reason FROM schedules")
        .fetch_one(&stage.db.pool)
        .await
        .unwrap();
    assert!(reason.contains("401 not authorized"), "{reason}");
    let row = fixture::batch(&stage.db, batch).await;
    assert!(row.send_at.is_some(), "it goes on after a resume: {row:?}");
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_cancel_closes_what_was_not_sent(pool: MySqlPool) {
    let (stage, batch) = cut(pool, Settings::default(), three()).await;
    sqlx::query("UPDATE schedules SET status = 'cancelled'")
        .execute(&stage.db.pool)
        .await
        .unwrap();
    stage.send(batch).await;
    assert_eq!(
        fixture::recipients(&stage.db, batch.schedule_id).await[0],
        "1 CANCELLED 0 0"
    );
    assert_eq!(stage.simulator.carrier().accepted(), 0);
    assert!(fixture::batch(&stage.db, batch).await.sweep_at.is_none());
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_pause_takes_hold_inside_a_batch(pool: MySqlPool) {
    let settings = Settings {
        latency_ms: 400,
        ..Settings::default()
    };
    let (stage, batch) = cut(
        pool,
        settings,
        fixture::Schedule {
            recipients: 5,
            ..three()
        },
    )
    .await;
    // Requests of one number, one at a time.
    sqlx::query("UPDATE batches SET refusals = 2")
        .execute(&stage.db.pool)
        .await
        .unwrap();
    let pause = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        lifecycle::pause(&stage.db, batch.schedule_id, "a person")
            .await
            .unwrap();
    };
    tokio::join!(stage.send(batch), pause);
    assert_eq!(
        stage.simulator.carrier().accepted(),
        2,
        "two were in flight"
    );
    assert_eq!(
        fixture::count(&stage.db, batch.schedule_id, "PENDING").await,
        3
    );
    assert_eq!(
        fixture::count(&stage.db, batch.schedule_id, "ACCEPTD").await,
        2
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_batch_found_too_late_is_held_and_shown_and_what_was_sent_goes_on(pool: MySqlPool) {
    let (stage, batch) = cut(
        pool,
        Settings {
            undeliv_first_attempts: 1,
            ..Settings::default()
        },
        three_late(),
    )
    .await;
    // One of the three was refused at first, and waits as PENDING; an outage follows.
    let first = fixture::phone(1).trim_start_matches('+').to_owned();
    stage
        .simulator
        .carrier()
        .set(Settings {
            refuse_numbers: vec![first],
            undeliv_first_attempts: 1,
            ..Settings::default()
        })
        .unwrap();
    for _ in 0..3 {
        stage.send(batch).await;
        stage.db.clock.advance(Duration::from_secs(5));
    }
    assert_eq!(
        fixture::count(&stage.db, batch.schedule_id, "PENDING").await,
        1
    );
    stage.simulator.carrier().set(Settings::default()).unwrap();
    stage.db.clock.advance(Duration::from_secs(61));
    stage.send(batch).await;
    let lines = fixture::recipients(&stage.db, batch.schedule_id).await;
    assert!(lines[0].starts_with("1 PENDING"), "{lines:?}");
    let missed: bool = sqlx::query_scalar("SELECT missed_at IS NOT NULL FROM batches")
        .fetch_one(&stage.db.pool)
        .await
        .unwrap();
    assert!(missed);
    stage.play().await;
    assert_eq!(
        fixture::count(&stage.db, batch.schedule_id, "DELIVRD").await,
        2
    );
    assert_eq!(
        fixture::count(&stage.db, batch.schedule_id, "PENDING").await,
        1,
        "nobody is sent to at three in the morning"
    );
    assert_eq!(
        fixture::status(&stage.db, batch.schedule_id).await,
        "missed"
    );
    let row = fixture::batch(&stage.db, batch).await;
    assert!(row.send_at.is_none() && row.sweep_at.is_none(), "{row:?}");
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_text_of_several_parts_keeps_every_id(pool: MySqlPool) {
    let text = "long ".repeat(70).leak();
    let (stage, batch) = cut(
        pool,
        Settings::default(),
        fixture::Schedule {
            message: text,
            parts: 3,
            ..three()
        },
    )
    .await;
    stage.send(batch).await;
    let ids: Vec<String> = sqlx::query_scalar("SELECT message_id FROM recipients")
        .fetch_all(&stage.db.pool)
        .await
        .unwrap();
    assert!(ids.iter().all(|ids| ids.split(',').count() == 3), "{ids:?}");
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn with_ids_of_ours_a_lost_answer_is_asked_for(pool: MySqlPool) {
    let settings = Settings {
        username: Some("u".into()),
        password: Some("p".into()),
        reset_after_accept: 1.0,
        unknown_id: simulator::UnknownId::NotFound,
        ..Settings::default()
    };
    let stage = Stage::with_carrier(pool, settings.clone(), with_own_ids).await;
    let batch = cut_on(&stage, three()).await;
    stage.send(batch).await;
    let uncertain = fixture::count(&stage.db, batch.schedule_id, "UNCERTAIN").await;
    assert!(uncertain >= 1 && stage.simulator.carrier().accepted() >= 1);
    stage
        .simulator
        .carrier()
        .set(Settings {
            reset_after_accept: 0.0,
            ..settings
        })
        .unwrap();
    stage.play().await;
    assert_eq!(
        fixture::count(&stage.db, batch.schedule_id, "DELIVRD").await,
        3
    );
    assert!(
        stage.acceptances().iter().all(|(_, times)| *times == 1),
        "{:?}",
        stage.acceptances()
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
        "two seconds for the carrier and five for the record are more than six"
    );
    assert_eq!(
        fixture::count(&stage.db, batch.schedule_id, "PENDING").await,
        3
    );
    assert_eq!(stage.send_queue.take().len(), 1);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn an_answer_is_recorded_once_a_failing_database_is_back(pool: MySqlPool) {
    let (stage, batch) = cut(
        pool,
        Settings {
            latency_ms: 400,
            ..Settings::default()
        },
        three(),
    )
    .await;
    let fail = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        sqlx::raw_sql("RENAME TABLE recipients TO elsewhere")
            .execute(&stage.db.pool)
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(1200)).await;
        sqlx::raw_sql("RENAME TABLE elsewhere TO recipients")
            .execute(&stage.db.pool)
            .await
            .unwrap();
    };
    tokio::join!(stage.send(batch), fail);
    assert_eq!(
        fixture::recipients(&stage.db, batch.schedule_id).await,
        ["1 ACCEPTD 1 0", "2 ACCEPTD 1 0", "3 ACCEPTD 1 0"]
    );
    assert_eq!(stage.simulator.carrier().accepted(), 3);
}
