//! Pause, resume, cancel, send now, of a schedule in the states that the API allows them in.

use api::resources::schedules::store::moves;
use model::{
    database::{Batch, Due, Life, Schedule},
    rules,
};
use shared::schedule::lifecycle;
use sqlx::MySqlPool;

use crate::table::{Case, TOKENS, Table, pairs};

/// Batches with every due, of a schedule of each of these states.
fn cases(lives: &[Life]) -> Vec<Case> {
    let mut cases = Vec::new();
    for (status, ((token, lease_over), (send_at, missed))) in pairs(
        lives,
        &pairs(
            &TOKENS,
            &pairs(&[Due::Never, Due::Now, Due::Later], &[false, true]),
        ),
    ) {
        let batch = Batch {
            token,
            lease_over,
            send_at,
            missed,
            ..Case::SENDING.batch
        };
        cases.push(Case {
            schedule: Schedule { status, cut: true },
            batch,
            ..Case::SENDING
        });
    }
    cases.retain(|case| case.is_allowed() && !(case.batch.missed && case.batch.send_at.is_set()));
    cases
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_pause_is_as_the_model_says(pool: MySqlPool) {
    let cases = cases(&[
        Life::Running,
        Life::Finished,
        Life::Paused,
        Life::Cancelled,
        Life::Missed,
    ]);
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    let mut connection = table.db.pool.acquire().await.unwrap();
    for (at, case) in expected.iter_mut().enumerate() {
        rules::pause(&mut case.schedule);
        // By a person, and by the system itself: the same for a schedule that is cut.
        if at % 2 == 0 {
            moves::pause_schedule(&mut connection, table.ids[at], table.now)
                .await
                .unwrap();
        } else {
            lifecycle::pause_schedule(&mut connection, table.ids[at], "why", table.now)
                .await
                .unwrap();
        }
    }
    drop(connection);
    table.expect(&cases, &expected).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_resume_is_as_the_model_says(pool: MySqlPool) {
    let cases = cases(&[Life::Paused]);
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    let mut connection = table.db.pool.acquire().await.unwrap();
    for (at, case) in expected.iter_mut().enumerate() {
        rules::resume(
            &mut case.schedule,
            std::slice::from_mut(&mut case.batch),
            Due::Now,
        );
        moves::resume_cut_schedule(&mut connection, table.ids[at], table.now, table.now)
            .await
            .unwrap();
    }
    drop(connection);
    table.expect(&cases, &expected).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_cancel_is_as_the_model_says(pool: MySqlPool) {
    let cases = cases(&[Life::Running, Life::Paused, Life::Missed]);
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    let mut connection = table.db.pool.acquire().await.unwrap();
    for (at, case) in expected.iter_mut().enumerate() {
        rules::cancel(&mut case.schedule, std::slice::from_mut(&mut case.batch));
        moves::cancel_schedule(&mut connection, table.ids[at], table.now)
            .await
            .unwrap();
    }
    drop(connection);
    table.expect(&cases, &expected).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn sending_now_is_as_the_model_says(pool: MySqlPool) {
    let mut cases = cases(&[Life::Running, Life::Missed, Life::Finished]);
    cases.retain(|case| rules::may_send_now(&case.schedule));
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    let mut connection = table.db.pool.acquire().await.unwrap();
    for (at, case) in expected.iter_mut().enumerate() {
        let sent = rules::send_now(&mut case.schedule, std::slice::from_mut(&mut case.batch));
        let released = moves::send_held_now(&mut connection, table.ids[at], table.now)
            .await
            .unwrap();
        assert_eq!(released, u64::from(sent), "{case:?}");
    }
    drop(connection);
    table.expect(&cases, &expected).await;
}
