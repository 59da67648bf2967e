//! The events of messages that a release records: for each final message that is not resent.

use chrono::{TimeDelta, Utc};
use shared::{
    batch::{
        SeqRange,
        claim::Claim,
        release::{PassResult, Release, write_release_with_events},
    },
    events::queue::enqueue,
    message::status::Status,
    platform::{db::Db, queue::BatchMessage},
};
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{INVOCATION, fixture};
use uuid::Uuid;

use crate::published::Published;

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn an_event_holds_at_most_a_thousand_messages(pool: MySqlPool) {
    let published = Published::new(pool, Settings::default()).await;
    let db = &published.stage.db;
    let id = fixture::Schedule {
        recipients: 2_500,
        ..Default::default()
    }
    .insert(db)
    .await
    .schedule_id;
    let sql = "UPDATE recipients SET status = 'DELIVRD', attempt = 1, id_start = 'm', sent_at = ?, final_at = ? WHERE schedule_id = ?";
    sqlx::query(sql)
        .bind(db.now())
        .bind(db.now())
        .bind(id)
        .execute(db)
        .await
        .unwrap();
    let claim = claimed(db, id, 2_500).await;
    let deliveries = write_release_with_events(db, &claim, SeqRange::new(1, 2_500), &release(0))
        .await
        .unwrap()
        .unwrap();
    enqueue(
        &published.stage.sender.worker.notify_queue,
        &deliveries,
        db.now(),
    )
    .await;
    let messages = published.messages().await;
    assert_eq!(
        messages.iter().map(Vec::len).collect::<Vec<_>>(),
        [1000, 1000, 500]
    );
    assert_eq!(
        (messages[1][0].as_str(), messages[2][499].as_str()),
        ("1001 DELIVRD 1", "2500 DELIVRD 1")
    );
}

/// Inserts a batch of these recipients with a claim.
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
    insert.execute(db).await.unwrap();
    claim
}

/// A release after a recheck.
fn release(max_resends: u32) -> Release {
    let now = Utc::now();
    Release {
        max_resends,
        resend_uncertain: false,
        ask_uncertain_since: None,
        send_at: now,
        check_at: now,
        sweep_send_at: now,
        sweep_check_at: now,
        result: PassResult::Checked {
            least_delay: TimeDelta::zero(),
        },
    }
}

/// The resends of a message whose batch is released.
#[derive(Clone, Copy, Debug)]
struct Resends {
    done: u32,
    max: u32,
    /// The number has opted out.
    suppressed: bool,
}

const RESENDS: [Resends; 6] = [
    Resends {
        done: 0,
        max: 0,
        suppressed: false,
    },
    Resends {
        done: 0,
        max: 1,
        suppressed: false,
    },
    Resends {
        done: 0,
        max: 1,
        suppressed: true,
    },
    Resends {
        done: 1,
        max: 1,
        suppressed: false,
    },
    Resends {
        done: 1,
        max: 2,
        suppressed: false,
    },
    Resends {
        done: 1,
        max: 2,
        suppressed: true,
    },
];

/// Inserts a schedule with one recipient of this status.
async fn insert_ended(db: &Db, status: Status, resends: Resends) -> Uuid {
    let schedule = fixture::Schedule {
        recipients: 1,
        ..Default::default()
    };
    let id = schedule.insert(db).await.schedule_id;
    sqlx::query("DELETE FROM suppressions")
        .execute(db)
        .await
        .unwrap();
    if resends.suppressed {
        let sql = "INSERT INTO suppressions (phone, source, created_at, created_by) VALUES (?, 'api', ?, 'test')";
        sqlx::query(sql)
            .bind(fixture::phone(1))
            .bind(db.now())
            .execute(db)
            .await
            .unwrap();
    }
    let sql = "UPDATE recipients SET status = ?, resends = ?, attempt = 1 + resends, id_start = 'm', sent_at = ?, final_at = ? WHERE schedule_id = ?";
    sqlx::query(sql)
        .bind(status.as_str())
        .bind(resends.done)
        .bind(db.now())
        .bind(db.now())
        .bind(id)
        .execute(db)
        .await
        .unwrap();
    id
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_final_message_is_published_unless_it_is_resent(pool: MySqlPool) {
    let published = Published::new(pool, Settings::default()).await;
    let db = &published.stage.db;
    let finals = Status::ALL
        .into_iter()
        .filter(|status| status.is_final() && *status != Status::Invalid);
    let mut outcomes = Vec::new();
    for status in finals {
        for resends in RESENDS {
            let id = insert_ended(db, status, resends).await;
            let claim = claimed(db, id, 1).await;
            let release = release(resends.max);
            let deliveries = write_release_with_events(db, &claim, SeqRange::new(1, 1), &release)
                .await
                .unwrap()
                .unwrap();
            let is_resent = fixture::batch(db, claim.batch).await.send_at.is_some();
            assert_eq!(
                deliveries.len(),
                usize::from(!is_resent),
                "{status:?} {resends:?}"
            );
            outcomes.push(is_resent);
        }
    }
    assert!(outcomes.contains(&true) && outcomes.contains(&false));
}

/// ACCEPTD and UNCERTAIN are not final, and an INVALID number has no message.
#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn messages_that_have_not_ended_are_not_published(pool: MySqlPool) {
    let published = Published::new(pool, Settings::default()).await;
    let db = &published.stage.db;
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
            "status = 'ACCEPTD', attempt = 1, id_start = 'm', sent_at = UTC_TIMESTAMP(3)",
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
            .execute(db)
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
