//! `mark_cut`, `mark_missed`, `send_uncut_now`, `change_schedule`.

use api::resources::schedules::store::moves;
use dispatch::cut::store::{self, Outcome};
use model::{database::Life, rules};
use shared::{
    platform::queue::DispatchMessage,
    schedule::row::{Schedule, load_schedule},
};
use sqlx::MySqlPool;

use crate::table::{Case, Table, pairs, schedules};

/// Every schedule; its version is 1, and the message says 1 or 2.
fn cases() -> Vec<(Case, u32)> {
    let case = |(schedule, version)| {
        (
            Case {
                schedule,
                ..Case::SENDING
            },
            version,
        )
    };
    let mut cases: Vec<_> = pairs(&schedules(), &[1, 2]).into_iter().map(case).collect();
    cases.retain(|(case, _)| case.is_allowed());
    cases
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_cut_is_as_the_model_says(pool: MySqlPool) {
    let all = pairs(
        &cases(),
        &[
            (Outcome::Running, Life::Running),
            (Outcome::Cancelled, Life::Cancelled),
        ],
    );
    let (cases, said): (Vec<_>, Vec<_>) = all
        .into_iter()
        .map(|((case, version), outcome)| (case, (version, outcome)))
        .unzip();
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    let mut connection = table.db.pool.acquire().await.unwrap();
    for (at, (case, (version, (outcome, life)))) in expected.iter_mut().zip(said).enumerate() {
        let message = DispatchMessage {
            schedule_id: table.ids[at],
            version,
        };
        let matched = rules::mark_cut(&mut case.schedule, version == 1, life);
        let marked = store::mark_cut(&mut connection, message, (outcome, 1, "queue"), table.now)
            .await
            .unwrap();
        assert_eq!(marked, matched, "{case:?}");
    }
    drop(connection);
    table.expect(&cases, &expected).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn missing_is_as_the_model_says(pool: MySqlPool) {
    let (cases, versions): (Vec<_>, Vec<_>) = cases().into_iter().unzip();
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    let mut connection = table.db.pool.acquire().await.unwrap();
    for (at, (case, version)) in expected.iter_mut().zip(versions).enumerate() {
        let message = DispatchMessage {
            schedule_id: table.ids[at],
            version,
        };
        let matched = rules::mark_missed(&mut case.schedule, version == 1);
        assert_eq!(
            store::mark_missed(&mut connection, message).await.unwrap(),
            matched,
            "{case:?}"
        );
    }
    drop(connection);
    table.expect(&cases, &expected).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn sending_an_uncut_one_now_and_changing_its_time_are_as_the_model_says(pool: MySqlPool) {
    let (cases, versions): (Vec<_>, Vec<_>) = cases().into_iter().unzip();
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    let mut connection = table.db.pool.acquire().await.unwrap();
    let mut changed = 0;
    for (at, (case, version)) in expected.iter_mut().zip(versions).enumerate() {
        if version == 1 {
            changed += u32::from(rules::send_uncut_now(&mut case.schedule));
            moves::send_uncut_now(&mut connection, table.ids[at], table.now)
                .await
                .unwrap();
        } else {
            changed += u32::from(rules::is_changeable(&case.schedule));
            let row = load_schedule(&mut connection, table.ids[at])
                .await
                .unwrap()
                .unwrap();
            moves::change_schedule(
                &mut connection,
                &Schedule {
                    run_at: table.now,
                    ..row
                },
                true,
            )
            .await
            .unwrap();
        }
    }
    drop(connection);
    table.expect(&cases, &expected).await;
    let risen: u32 = sqlx::query_scalar("SELECT CAST(SUM(version - 1) AS UNSIGNED) FROM schedules")
        .fetch_one(&table.db.pool)
        .await
        .unwrap();
    assert_eq!(risen, changed, "each change of time raises the version");
}
