//! Resolutions of uncertain messages that race with the owner of their batch.

use std::time::Duration;

use crate::common::{
    Api, rows,
    uncertain::{attempts, resolve, tally},
};
use chrono::{TimeDelta, Utc};
use serde_json::json;
use shared::{
    batch::{
        claim::{Claim, claim_to_check},
        rows::{FlushRow, Step, make_due_if_lease_lost, record_late_answers},
    },
    message::status::Status,
    platform::{
        db::{Db, MIGRATOR, retry_lock_conflicts},
        queue::BatchMessage,
    },
};
use sqlx::MySqlPool;

/// Fifty times, a concurrent claim and decision: a claimed batch is never resolved.
#[sqlx::test(migrator = "MIGRATOR")]
async fn a_concurrent_decision_and_claim_are_serialized(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let db = Db::from_pool(pool.clone());
    for n in 0..50_u64 {
        let id = rows::cut(&api, &pool, 1).await;
        rows::uncertain(&pool, id, 1..=5, 400).await;
        rows::batch(&pool, id, 1, "check_at = now(-1), sweep_at = now(0)").await;
        let now = db.now();
        let claim = Claim::new(
            BatchMessage {
                schedule_id: id,
                batch_no: 1,
            },
            now,
            now + TimeDelta::seconds(60),
        );
        let claimed = async {
            tokio::time::sleep(Duration::from_micros(n * 60)).await;
            let claimed = retry_lock_conflicts(|| claim_to_check(&db, &claim))
                .await
                .unwrap();
            // The owner works with the rows that it reads here: no later decision changes them.
            let read: Vec<String> = rows::recipients(&pool, id).await;
            (claimed, read)
        };
        let body = json!({"outcome": "resend"});
        let (answer, (claimed, read)) = tokio::join!(resolve(&api, id, &body), claimed);
        assert!(claimed, "the decision leaves the batch due");
        let [changed, busy, ..] = tally(&answer);
        assert_eq!((changed + busy, changed * busy), (5, 0));
        assert_eq!(read, rows::recipients(&pool, id).await, "changed {changed}");
    }
}

/// An owner that was suspended past its lease records its answer after an operator has decided: the
/// answer belongs to the earlier attempt.
#[sqlx::test(migrator = "MIGRATOR")]
async fn a_late_answer_after_a_decision_is_recorded_on_the_old_attempt(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = rows::cut(&api, &pool, 1).await;
    rows::uncertain(&pool, id, 1..=1, 400).await;
    let batch = BatchMessage {
        schedule_id: id,
        batch_no: 1,
    };
    let claim = Claim::new(batch, Utc::now(), Utc::now() - TimeDelta::seconds(1));
    rows::batch(
        &pool,
        id,
        1,
        &format!(
            "claim(-1), sweep_at = now(0), claim_token = UNHEX('{}')",
            claim.token.simple()
        ),
    )
    .await;
    assert_eq!(
        tally(&resolve(&api, id, &json!({"outcome": "resend"})).await),
        [1, 0, 0, 0, 0]
    );
    let answer = FlushRow {
        seq: 1,
        attempt: 1,
        step: Step::Answer,
        resend: 0,
        status: Status::Acceptd,
        message_id: Some("id".into()),
        error: None,
        is_final: 0,
    };
    let mut connection = pool.acquire().await.unwrap();
    assert!(
        make_due_if_lease_lost(&mut connection, &claim, Utc::now())
            .await
            .unwrap(),
        "the owner detects that its lease is lost"
    );
    record_late_answers(&mut connection, batch, &[answer])
        .await
        .unwrap();
    assert_eq!(attempts(&pool, id).await, ["1 1 ACCEPTD id timed out"]);
}
