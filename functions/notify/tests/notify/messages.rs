//! What is told of messages: each once, when nothing more will be sent, whoever dies meanwhile.

use api::resources::{schedules::moves_store, uncertain::store};
use std::time::Duration;

use shared::{
    batch::{
        SeqRange,
        claim::Claim,
        release::{PassResult, Release, write_release_with_events},
        rows,
        worker::Work,
    },
    events::{EventType, queue::enqueue},
    message::status::Status,
    platform::{budget::Budget, db::Db, queue::BatchMessage},
    schedule::{event::record_event, lifecycle},
};
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{INVOCATION, fixture};
use uuid::Uuid;

use crate::told::Told;

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_message_that_is_sent_again_is_told_when_that_has_ended(pool: MySqlPool) {
    let told = Told::new(
        pool,
        Settings {
            undeliv_first_attempts: 1,
            ..Settings::default()
        },
    )
    .await;
    told.cut(fixture::Schedule::default()).await;
    told.stage.play().await;
    assert_eq!(
        told.messages().await,
        [["1 DELIVRD 2", "2 DELIVRD 2", "3 DELIVRD 2"]]
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn what_was_recorded_before_a_crash_is_told_by_the_next_owner(pool: MySqlPool) {
    let told = Told::new(pool, Settings::default()).await;
    let batch = told.cut(fixture::Schedule::default()).await;
    let (stage, db) = (&told.stage, &told.stage.db);
    stage.send(batch).await;
    db.clock.advance(Duration::from_secs(6));
    let claimed = stage
        .rechecker
        .worker
        .claim(batch, Work::Check, Budget::new(INVOCATION))
        .await
        .unwrap()
        .unwrap();
    let verdicts = claimed.rows.iter().map(|row| rows::StatusUpdate {
        seq: row.seq,
        attempt: row.attempt,
        status: Status::Delivrd,
        carrier_status: Some("DELIVRD".into()),
        message_id: None,
        is_final: 1,
    });
    let verdicts: Vec<_> = verdicts.collect();
    let mut connection = db.pool.acquire().await.unwrap();
    rows::record_status_updates(&mut connection, &claimed.claim, &verdicts, db.now())
        .await
        .unwrap();
    drop(connection);
    // Here the process dies; another takes the batch up, finds nothing to ask, and releases it.
    assert_eq!(told.events().await, ["schedule.started"]);
    db.clock.advance(INVOCATION + Duration::from_secs(11));
    stage.recheck(batch).await;
    assert_eq!(
        told.events().await,
        ["schedule.started", "messages.final", "schedule.finished"]
    );
    // The first wakes up: its claim is lost, and it tells nothing.
    stage
        .rechecker
        .worker
        .release(&claimed, PassResult::Checked)
        .await
        .unwrap();
    assert_eq!(told.events().await.len(), 3);
    assert_eq!(
        told.messages().await,
        [["1 DELIVRD 1", "2 DELIVRD 1", "3 DELIVRD 1"]]
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn what_a_cancel_closes_is_told(pool: MySqlPool) {
    let told = Told::new(pool, Settings::default()).await;
    let batch = told.cut(fixture::Schedule::default()).await;
    let db = &told.stage.db;
    let mut connection = db.pool.acquire().await.unwrap();
    moves_store::cancel_schedule(&mut connection, batch.schedule_id, db.now())
        .await
        .unwrap();
    record_event(
        &mut connection,
        EventType::ScheduleCancelled,
        batch.schedule_id,
        db.now(),
    )
    .await
    .unwrap();
    drop(connection);
    told.stage.send(batch).await;
    told.stage.send(batch).await;
    assert_eq!(
        told.messages().await,
        [["1 CANCELLED 0", "2 CANCELLED 0", "3 CANCELLED 0"]]
    );
    assert_eq!(
        told.events().await,
        ["schedule.started", "schedule.cancelled", "messages.final"]
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn what_a_person_resolves_as_sent_is_told_as_unknown(pool: MySqlPool) {
    let told = Told::new(
        pool,
        Settings {
            hang_after_accept: 1.0,
            ..Settings::default()
        },
    )
    .await;
    let batch = told
        .cut(fixture::Schedule {
            recipients: 1,
            ..Default::default()
        })
        .await;
    let db = &told.stage.db;
    told.stage.send(batch).await;
    assert_eq!(fixture::count(db, batch.schedule_id, "UNCERTAIN").await, 1);
    let mut connection = db.pool.acquire().await.unwrap();
    let (id, now) = (batch.schedule_id, db.now());
    let locked = store::lock_batch(&mut connection, id, 1, now)
        .await
        .unwrap()
        .unwrap();
    store::close_as_sent(&mut connection, id, &[1], now)
        .await
        .unwrap();
    store::recount_batch(&mut connection, id, (1, &locked), now)
        .await
        .unwrap();
    lifecycle::reopen_schedule(&mut connection, id)
        .await
        .unwrap();
    drop(connection);
    told.stage.recheck(batch).await;
    assert_eq!(told.messages().await, [["1 UNKNOWN 1"]]);
    let expected = [
        "schedule.started",
        "schedule.finished",
        "messages.final",
        "schedule.finished",
    ];
    assert_eq!(
        told.events().await,
        expected,
        "what runs again and finishes again is told again"
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_thousand_messages_an_event(pool: MySqlPool) {
    let told = Told::new(pool, Settings::default()).await;
    let db = &told.stage.db;
    let id = fixture::Schedule {
        recipients: 2_500,
        ..Default::default()
    }
    .insert(db)
    .await
    .schedule_id;
    let sql = "UPDATE recipients SET status = 'DELIVRD', attempt = 1, message_id = 'm', sent_at = ?, final_at = ? WHERE schedule_id = ?";
    sqlx::query(sql)
        .bind(db.now())
        .bind(db.now())
        .bind(id)
        .execute(&db.pool)
        .await
        .unwrap();
    let claim = claimed(db, id, 2_500).await;
    let deliveries = write_release_with_events(db, &claim, SeqRange::new(1, 2_500), &release(0))
        .await
        .unwrap()
        .unwrap();
    enqueue(
        &told.stage.sender.worker.notify_queue,
        &deliveries,
        db.now(),
    )
    .await;
    let messages = told.messages().await;
    assert_eq!(
        messages.iter().map(Vec::len).collect::<Vec<_>>(),
        [1000, 1000, 500]
    );
    assert_eq!(
        (messages[1][0].as_str(), messages[2][499].as_str()),
        ("1001 DELIVRD 1", "2500 DELIVRD 1")
    );
}

/// A batch of these recipients under a claim.
async fn claimed(db: &Db, id: Uuid, recipients: u32) -> Claim {
    let now = db.now();
    let claim = Claim::new(
        BatchMessage {
            schedule_id: id,
            batch_no: 1,
        },
        now,
        now + INVOCATION,
    );
    let sql = "INSERT INTO batches (schedule_id, batch_no, first_seq, last_seq, planned_at, send_at, sweep_at, claim_token, claimed_until)
               VALUES (?, 1, 1, ?, ?, ?, ?, ?, ?)";
    let insert = sqlx::query(sql)
        .bind(id)
        .bind(recipients)
        .bind(now)
        .bind(now)
        .bind(now)
        .bind(claim.token)
        .bind(claim.until);
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
#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn what_a_release_does_not_send_again_is_told_and_nothing_else(pool: MySqlPool) {
    let told = Told::new(pool, Settings::default()).await;
    let db = &told.stage.db;
    let finals = Status::ALL
        .into_iter()
        .filter(|status| status.is_final() && *status != Status::Invalid);
    let mut outcomes = Vec::new();
    for status in finals {
        for (resends, max_resends, suppressed) in [
            (0, 0, false),
            (0, 1, false),
            (0, 1, true),
            (1, 1, false),
            (1, 2, false),
            (1, 2, true),
        ] {
            let id = fixture::Schedule {
                recipients: 1,
                ..Default::default()
            }
            .insert(db)
            .await
            .schedule_id;
            sqlx::query("DELETE FROM suppressions")
                .execute(&db.pool)
                .await
                .unwrap();
            if suppressed {
                let sql = "INSERT INTO suppressions (phone, source, created_at, created_by) VALUES (?, 'api', ?, 'test')";
                sqlx::query(sql)
                    .bind(fixture::phone(1))
                    .bind(db.now())
                    .execute(&db.pool)
                    .await
                    .unwrap();
            }
            let sql = "UPDATE recipients SET status = ?, resends = ?, attempt = 1 + resends, message_id = 'm', sent_at = ?, final_at = ? WHERE schedule_id = ?";
            let update = sqlx::query(sql)
                .bind(status.as_str())
                .bind(resends)
                .bind(db.now())
                .bind(db.now())
                .bind(id);
            update.execute(&db.pool).await.unwrap();
            let claim = claimed(db, id, 1).await;
            let deliveries =
                write_release_with_events(db, &claim, SeqRange::new(1, 1), &release(max_resends))
                    .await
                    .unwrap()
                    .unwrap();
            let again = fixture::batch(db, claim.batch).await.send_at.is_some();
            assert_eq!(
                deliveries.len(),
                usize::from(!again),
                "{status:?} {resends} of {max_resends} {suppressed}"
            );
            outcomes.push(again);
        }
    }
    assert!(outcomes.contains(&true) && outcomes.contains(&false));
}

/// What is not final, or is no message, is not told.
#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn what_has_not_ended_is_not_told(pool: MySqlPool) {
    let told = Told::new(pool, Settings::default()).await;
    let db = &told.stage.db;
    let id = fixture::Schedule {
        recipients: 4,
        ..Default::default()
    }
    .insert(db)
    .await
    .schedule_id;
    for (seq, change) in [
        (
            1,
            "status = 'ACCEPTD', attempt = 1, message_id = 'm', sent_at = UTC_TIMESTAMP(3)",
        ),
        (
            2,
            "status = 'UNCERTAIN', attempt = 1, sent_at = UTC_TIMESTAMP(3)",
        ),
        (
            3,
            "status = 'INVALID', phone = NULL, input = 'x', error = 'x', final_at = UTC_TIMESTAMP(3)",
        ),
    ] {
        let sql = format!("UPDATE recipients SET {change} WHERE schedule_id = ? AND seq = ?");
        sqlx::query(&sql)
            .bind(id)
            .bind(seq)
            .execute(&db.pool)
            .await
            .unwrap();
    }
    let claim = claimed(db, id, 4).await;
    assert!(
        write_release_with_events(db, &claim, SeqRange::new(1, 4), &release(0))
            .await
            .unwrap()
            .unwrap()
            .is_empty()
    );
    assert!(
        write_release_with_events(db, &claim, SeqRange::new(1, 4), &release(0))
            .await
            .unwrap()
            .is_none(),
        "released already"
    );
}
