//! What `schedules.held_after` holds: `claim_to_send`, `claim_to_check`, `hold_turn`, `release_held`.

use model::{
    rows::{Batch, Due, Hold, Schedule},
    rules,
};
use shared::batch::{
    admission::turns::{hold_turn, open_turn},
    brake::{self, Brake},
    canary::release_held,
    claim,
};
use sqlx::MySqlPool;

use crate::{
    cases::{Case, OURS, TOKENS, pairs, schedules},
    table::Table,
};

const DUES: [Due; 3] = [Due::Never, Due::Now, Due::Later];

/// Returns batches of schedules that hold nothing, of canaries, and behind one, with each status of
/// the schedule.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let holds = pairs(&Hold::ALL, &[false, true]);
    for (schedule, (hold, turn)) in pairs(&schedules(), &holds) {
        let schedule = Schedule {
            hold,
            turn,
            ..schedule
        };
        let batches = pairs(&pairs(&DUES, &TOKENS), &[false, true]);
        for ((send_at, (token, lease_over)), waiting) in batches {
            let batch = Batch {
                send_at,
                waiting,
                token,
                lease_over,
                check_at: Due::Now,
                ..Case::SENDING.batch
            };
            cases.push(Case {
                schedule,
                batch,
                ..Case::SENDING
            });
        }
    }
    cases.retain(Case::is_allowed);
    cases
}

async fn compare_claim_to_send(pool: MySqlPool, stopped: bool) {
    let cases = cases();
    let table = Table::of(pool, &cases).await;
    if stopped {
        let brake = Brake {
            set_at: Some(table.now),
            set_by: "user:x".to_owned(),
            reason: "a test".to_owned(),
        };
        let mut connection = table.db.acquire().await.unwrap();
        brake::write(&mut connection, &brake).await.unwrap();
    }
    let mut expected = cases.clone();
    let mut claimed = [0; 3];
    for (index, case) in expected.iter_mut().enumerate() {
        let may = rules::may_claim_to_send(&case.batch, &case.schedule, stopped);
        let done = claim::claim_to_send(&table.db, &table.claim(index)).await;
        assert_eq!(done.unwrap(), may, "{case:?}");
        if may {
            rules::claim_to_send(&mut case.batch, OURS);
            claimed[case.schedule.hold as usize] += 1;
        }
    }
    table.expect(&cases, &expected).await;
    let [nothing, canary, behind] = claimed;
    assert!(nothing == canary && behind > 0, "{claimed:?}");
    assert_eq!(
        behind < canary,
        !stopped,
        "behind a canary only cancelled schedules are claimed"
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_claim_behind_a_canary_matches_the_model(pool: MySqlPool) {
    compare_claim_to_send(pool, false).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_claim_behind_a_canary_under_the_brake_matches_the_model(pool: MySqlPool) {
    compare_claim_to_send(pool, true).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_claim_to_check_ignores_the_hold_as_in_the_model(pool: MySqlPool) {
    let cases = cases();
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    for (index, case) in expected.iter_mut().enumerate() {
        let may = rules::may_claim_to_check(&case.batch);
        let done = claim::claim_to_check(&table.db, &table.claim(index)).await;
        assert_eq!(done.unwrap(), may, "{case:?}");
        if may {
            rules::claim_to_check(&mut case.batch, OURS);
        }
    }
    table.expect(&cases, &expected).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn hold_turn_matches_the_model(pool: MySqlPool) {
    let cases = cases();
    let table = Table::of(pool, &cases).await;
    let mut connection = table.db.acquire().await.unwrap();
    for (index, case) in cases.iter().enumerate() {
        let id = table.ids[index];
        hold_turn(&mut connection, id).await.unwrap();
        let aside = "SELECT COUNT(*) FROM turns WHERE schedule_id = ? AND ready_at = '9999-01-01'";
        let aside: i64 = sqlx::query_scalar(aside)
            .bind(id)
            .fetch_one(&mut *connection)
            .await
            .unwrap();
        let expected = i64::from(rules::may_hold_turn(&case.schedule));
        assert_eq!(aside, expected, "{case:?}");
    }
    drop(connection);
    table.expect(&cases, &cases).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn release_held_matches_the_model(pool: MySqlPool) {
    let cases = cases();
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    let mut connection = table.db.acquire().await.unwrap();
    for (index, case) in expected.iter_mut().enumerate() {
        let (id, now) = (table.ids[index], table.now);
        rules::release_held(&mut case.schedule, &[case.batch]);
        release_held(&mut connection, id, now).await.unwrap();
        open_turn(&mut connection, id, now, now).await.unwrap();
        // What was held and is due is planned for now.
        let before = &cases[index];
        let is_moved = before.schedule.hold == Hold::Behind
            && before.batch.waiting
            && before.batch.send_at.is_set();
        let planned = "SELECT COUNT(*) FROM batches WHERE schedule_id = ? AND planned_at >= ?";
        let planned: i64 = sqlx::query_scalar(planned)
            .bind(id)
            .bind(now)
            .fetch_one(&mut *connection)
            .await
            .unwrap();
        assert_eq!(planned, i64::from(is_moved), "{before:?}");
    }
    drop(connection);
    table.expect(&cases, &expected).await;
}
