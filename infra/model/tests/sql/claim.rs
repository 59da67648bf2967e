//! `claim_to_send`, `claim_to_check`, `make_due_if_lease_lost`, `bring_forward` with
//! `reopen_schedule`.

use api::resources::receipts::store::{Due as DueBatch, bring_forward};
use model::{
    rows::{Batch, Due, Row},
    rules,
};
use shared::batch::{
    brake::{self, Brake},
    claim, rows,
};
use shared::schedule::lifecycle::reopen_schedule;
use sqlx::MySqlPool;

use crate::{
    cases::{Case, OURS, TOKENS, pairs, schedules},
    table::Table,
};

const DUES: [Due; 3] = [Due::Never, Due::Now, Due::Later];

/// Returns all batches and schedules that a claim distinguishes. The recipient has no effect.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (schedule, (send_at, check_at)) in pairs(&schedules(), &pairs(&DUES, &DUES)) {
        for ((token, lease_over), (crashes, sweep_at)) in pairs(&TOKENS, &pairs(&[0, 2, 3], &DUES))
        {
            let batch = Batch {
                send_at,
                waiting: false,
                check_at,
                sweep_at,
                token,
                lease_over,
                crashes,
                missed: false,
            };
            let waiting = Batch {
                waiting: true,
                ..batch
            };
            cases.extend([batch, waiting].map(|batch| Case {
                schedule,
                batch,
                row: Row::NEW,
            }));
        }
    }
    cases.retain(Case::is_allowed);
    cases
}

/// Sets the brake.
async fn stop(table: &Table) {
    let brake = Brake {
        set_at: Some(table.now),
        set_by: "user:x".to_owned(),
        reason: "a test".to_owned(),
    };
    let mut connection = table.db.acquire().await.unwrap();
    brake::write(&mut connection, &brake).await.unwrap();
}

async fn compare_claim_to_send(pool: MySqlPool, stopped: bool) {
    let cases = cases();
    let table = Table::of(pool, &cases).await;
    if stopped {
        stop(&table).await;
    }
    let mut expected = cases.clone();
    for (index, case) in expected.iter_mut().enumerate() {
        let may = rules::may_claim_to_send(&case.batch, &case.schedule, stopped);
        assert_eq!(
            claim::claim_to_send(&table.db, &table.claim(index))
                .await
                .unwrap(),
            may,
            "{case:?}"
        );
        if may {
            rules::claim_to_send(&mut case.batch, OURS);
        }
    }
    table.expect(&cases, &expected).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn claim_to_send_matches_the_model(pool: MySqlPool) {
    compare_claim_to_send(pool, false).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn claim_to_send_under_the_brake_matches_the_model(pool: MySqlPool) {
    compare_claim_to_send(pool, true).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn the_release_of_the_brake_matches_the_model(pool: MySqlPool) {
    let mut cases = cases();
    for case in &mut cases {
        // As the sweep leaves it.
        rules::skip_while_stopped(&mut case.batch, &case.schedule);
    }
    cases.retain(Case::is_allowed);
    let table = Table::of(pool, &cases).await;
    let mut connection = table.db.acquire().await.unwrap();
    brake::make_due(&mut connection).await.unwrap();
    let mut expected = cases.clone();
    for case in &mut expected {
        rules::release_brake(&mut case.batch, &case.schedule);
    }
    table.expect(&cases, &expected).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn claim_to_check_matches_the_model(pool: MySqlPool) {
    let cases = cases();
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    for (index, case) in expected.iter_mut().enumerate() {
        let may = rules::may_claim_to_check(&case.batch);
        assert_eq!(
            claim::claim_to_check(&table.db, &table.claim(index))
                .await
                .unwrap(),
            may,
            "{case:?}"
        );
        if may {
            rules::claim_to_check(&mut case.batch, OURS);
        }
    }
    table.expect(&cases, &expected).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn make_due_if_lease_lost_matches_the_model(pool: MySqlPool) {
    let cases = cases();
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    let mut connection = table.db.acquire().await.unwrap();
    for (index, case) in expected.iter_mut().enumerate() {
        let owns = case.owns();
        let made_due = rules::make_due_if_lease_lost(&mut case.batch, &mut case.schedule, owns);
        assert_eq!(
            rows::make_due_if_lease_lost(&mut connection, &table.claim(index), table.now)
                .await
                .unwrap(),
            made_due,
            "{case:?}"
        );
    }
    drop(connection);
    table.expect(&cases, &expected).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn bring_forward_matches_the_model(pool: MySqlPool) {
    let cases = cases();
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    let mut connection = table.db.acquire().await.unwrap();
    for (index, case) in expected.iter_mut().enumerate() {
        rules::bring_forward(&mut case.batch, &mut case.schedule);
        let due = DueBatch {
            schedule_id: table.ids[index],
            batch_no: 1,
            check_at: table.now,
        };
        bring_forward(&mut connection, &[due]).await.unwrap();
        reopen_schedule(&mut connection, table.ids[index])
            .await
            .unwrap();
    }
    drop(connection);
    table.expect(&cases, &expected).await;
}
