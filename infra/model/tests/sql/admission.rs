//! `open_turn`, `return_batch`, `end_turn`.

use model::{
    rows::{Batch, Schedule},
    rules,
};
use shared::{
    batch::admission::turns::{ReturnedBatch, end_turn, open_turn, return_batch},
    platform::queue::BatchMessage,
};
use sqlx::MySqlPool;

use crate::{
    cases::{Case, pairs},
    table::Table,
};

/// Returns a batch that waits and one that does not, each with and without a turn.
fn cases() -> Vec<Case> {
    let case = |(waiting, turn)| Case {
        schedule: Schedule {
            turn,
            ..Case::SENDING.schedule
        },
        batch: Batch {
            waiting,
            ..Case::SENDING.batch
        },
        ..Case::SENDING
    };
    pairs(&[false, true], &[false, true])
        .into_iter()
        .map(case)
        .collect()
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn open_turn_and_return_batch_match_the_model(pool: MySqlPool) {
    let cases: Vec<_> = cases().into_iter().flat_map(|case| [case, case]).collect();
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    let mut connection = table.db.acquire().await.unwrap();
    for (index, case) in expected.iter_mut().enumerate() {
        rules::open_turn(&mut case.schedule, &[case.batch]);
        let (schedule_id, now) = (table.ids[index], table.now);
        let returned = ReturnedBatch {
            batch: BatchMessage {
                schedule_id,
                batch_no: 1,
            },
            parts: 1,
            ready_at: now,
        };
        if index % 2 == 0 {
            open_turn(&mut connection, schedule_id, now, now)
                .await
                .unwrap();
        } else {
            return_batch(&mut connection, &returned).await.unwrap();
        }
    }
    drop(connection);
    table.expect(&cases, &expected).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn end_turn_matches_the_model(pool: MySqlPool) {
    let cases = cases();
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    let mut connection = table.db.acquire().await.unwrap();
    for (index, case) in expected.iter_mut().enumerate() {
        rules::end_turn(&mut case.schedule, &[case.batch]);
        end_turn(&mut connection, table.ids[index]).await.unwrap();
    }
    drop(connection);
    table.expect(&cases, &expected).await;
}
