//! Effects of receipts on their batches: rechecks that they bring forward, and a concurrent
//! release.

use std::time::Duration;

use crate::common::{
    Api,
    receipts::{accepted, push, receipt, rechecks, tally},
    rows,
};
use api::resources::receipts::store::{ReceiptRow, record_receipts};
use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::{
    batch::{
        SeqRange,
        claim::{Claim, claim_to_check},
        release::{PassResult, Release, write_release},
    },
    message::status::Status,
    platform::{
        db::{Db, MIGRATOR},
        queue::BatchMessage,
    },
};
use sqlx::MySqlPool;
use uuid::Uuid;

/// A receipt for the first recipient of a batch.
fn for_first(batch_no: u32, status: &str) -> Value {
    let seq = batch_no * 5 - 4;
    receipt(seq, &format!("m{seq}"), status)
}

/// DELIVRD receipts for all recipients of a batch.
fn for_all(batch_no: u32) -> Vec<Value> {
    let seqs = batch_no * 5 - 4..=batch_no * 5;
    seqs.map(|seq| receipt(seq, &format!("m{seq}"), "DELIVRD"))
        .collect()
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_batch_is_rechecked_only_if_its_receipts_require_it(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = accepted(&api, &pool, 6).await;
    for (no, assignments) in [
        (4, "claim(60), sweep_at = now(65)"),
        (5, "check_at = now(50), sweep_at = now(170)"),
        (6, "crashes = 3, claim(-100), sweep_at = now(900)"),
    ] {
        rows::batch(&pool, id, no, assignments).await;
    }
    let mut body = for_all(1);
    body.extend([for_first(2, "DELIVRD"), for_first(3, "UNDELIV")]);
    body.extend((4..=6).flat_map(for_all));
    assert_eq!(tally(&push(&api, &json!(body)).await), [22, 0, 0, 0, 0]);
    let unchanged = "free unowned - later later past 0 0 0";
    #[rustfmt::skip]
    let expected = [
        (1, "free unowned - now now past 0 0 0", "no recipient is left: at once, so that the schedule can finish"),
        (2, unchanged, "one recipient of several"),
        (3, unchanged, "a recipient that may be resent"),
        (4, "free owned - later later past 0 0 0", "its owner counts the receipts"),
        (5, unchanged, "it is due for a recheck soon anyway"),
        (6, "free owned - later later past 3 0 0", "parked: an operator decides first"),
    ];
    for (no, line, why) in expected {
        assert_eq!(rows::batch_line(&pool, id, no).await, line, "{no}: {why}");
    }
    let mut queued = rechecks(&api);
    queued.sort_unstable();
    assert_eq!(queued, [(1, 0), (3, 59)]);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_failing_recheck_queue_leaves_the_batch_due_for_the_sweep(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = accepted(&api, &pool, 2).await;
    let first = push(&api, &for_first(2, "DELIVRD")).await;
    assert_eq!(tally(&first), [1, 0, 0, 0, 0]);
    api.fakes.rechecks.refuse(0..10);
    assert_eq!(
        tally(&push(&api, &json!(for_all(2))).await),
        [4, 1, 0, 0, 0]
    );
    assert_eq!(
        rows::batch_line(&pool, id, 2).await,
        "free unowned - now now past 0 0 0"
    );
}

/// Five DELIVRD receipts for the first batch.
fn delivered(schedule_id: Uuid) -> Vec<ReceiptRow> {
    let receipt = |seq| ReceiptRow {
        schedule_id,
        seq,
        attempt: 1,
        status: Status::Delivrd,
        carrier_status: "DELIVRD".into(),
        message_id: format!("m{seq}"),
        is_final: 1,
        sent_at: None,
    };
    (1..=5).map(receipt).collect()
}

/// The owner of a batch releases it while a transaction has recorded receipts and not committed
/// them.
#[sqlx::test(migrator = "MIGRATOR")]
async fn a_release_waits_for_an_open_receipt_transaction_and_counts_its_receipts(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = accepted(&api, &pool, 1).await;
    rows::batch(&pool, id, 1, "check_at = now(-1)").await;
    let db = Db::from_pool(pool.clone());
    let now = db.now();
    let batch = BatchMessage {
        schedule_id: id,
        batch_no: 1,
    };
    let claim = Claim::new(batch, now, now + TimeDelta::seconds(60));
    assert!(claim_to_check(&db, &claim).await.unwrap());

    let mut recording = pool.begin().await.unwrap();
    let recorded = record_receipts(&mut recording, &delivered(id), now).await;
    assert_eq!(recorded.unwrap(), 5);
    let values = Release {
        max_resends: 0,
        resend_uncertain: false,
        ask_uncertain_since: None,
        send_at: now,
        check_at: now,
        sweep_send_at: now,
        sweep_check_at: now,
        result: PassResult::Checked {
            least_delay: TimeDelta::zero(),
        },
    };
    let mut connection = db.acquire().await.unwrap();
    let release = tokio::spawn(async move {
        write_release(&mut *connection, &claim, SeqRange::new(1, 5), &values).await
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(
        !release.is_finished(),
        "the release returned before COMMIT was sent"
    );
    recording.commit().await.unwrap();
    assert!(release.await.unwrap().unwrap());
    assert_eq!(
        rows::batch_line(&pool, id, 1).await,
        "free unowned - - - past 0 0 0"
    );
    let counts = &api.get(&format!("/v1/schedules/{id}")).await.body["counts"];
    assert_eq!(
        (&counts["DELIVRD"], &counts["ACCEPTD"]),
        (&json!(5), &json!(0))
    );
}
