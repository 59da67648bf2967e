//! `mark_cut`, `mark_missed`, `send_uncut_now`, `change_schedule`, `schedules_to_cut`.

use api::resources::schedules::store::moves;
use chrono::TimeDelta;
use dispatch::{
    DispatchedBy,
    cut::store::{self, CutMark, CutStatus},
    sweep::store::schedules_to_cut,
};
use model::{
    rows::ScheduleStatus,
    rules::{self, Opening},
};
use shared::{
    platform::queue::DispatchMessage,
    schedule::{
        row::{Schedule, load_schedule},
        start::Start,
    },
};
use sqlx::MySqlPool;

use crate::{
    cases::{Case, pairs, schedules},
    table::Table,
};

/// Returns all schedules, whose version is 1, each with the version 1 or 2 of a message.
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
async fn mark_cut_matches_the_model(pool: MySqlPool) {
    let all = pairs(
        &cases(),
        &[
            (CutStatus::Running, ScheduleStatus::Running),
            (CutStatus::Cancelled, ScheduleStatus::Cancelled),
        ],
    );
    let (cases, inputs): (Vec<_>, Vec<_>) = all
        .into_iter()
        .map(|((case, version), outcome)| (case, (version, outcome)))
        .unzip();
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    let mut connection = table.db.acquire().await.unwrap();
    for (index, (case, (version, (outcome, status)))) in expected.iter_mut().zip(inputs).enumerate()
    {
        let message = DispatchMessage {
            schedule_id: table.ids[index],
            version,
        };
        let matched = rules::mark_cut(&mut case.schedule, version == 1, status);
        let mark = CutMark {
            status: outcome,
            batch_count: 1,
            cancelled: 0,
            dispatched_by: DispatchedBy::Queue,
            at: table.now,
        };
        let marked = store::mark_cut(&mut connection, message, mark)
            .await
            .unwrap();
        assert_eq!(marked, matched, "{case:?}");
    }
    drop(connection);
    table.expect(&cases, &expected).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn mark_missed_matches_the_model(pool: MySqlPool) {
    let (cases, versions): (Vec<_>, Vec<_>) = cases().into_iter().unzip();
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    let mut connection = table.db.acquire().await.unwrap();
    for (index, (case, version)) in expected.iter_mut().zip(versions).enumerate() {
        let message = DispatchMessage {
            schedule_id: table.ids[index],
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
async fn send_uncut_now_and_change_schedule_match_the_model(pool: MySqlPool) {
    let (cases, versions): (Vec<_>, Vec<_>) = cases().into_iter().unzip();
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    let mut connection = table.db.acquire().await.unwrap();
    let mut changed = 0;
    for (index, (case, version)) in expected.iter_mut().zip(versions).enumerate() {
        if version == 1 {
            changed += u32::from(rules::send_uncut_now(&mut case.schedule));
            let start = Start {
                run_at: table.now,
                send_window: None,
                send_until: None,
                send_within_s: None,
            };
            moves::send_uncut_now(&mut connection, table.ids[index], start)
                .await
                .unwrap();
        } else {
            changed += u32::from(rules::is_changeable(&case.schedule));
            let row = load_schedule(&mut connection, table.ids[index])
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
    let changes: u32 =
        sqlx::query_scalar("SELECT CAST(SUM(version - 1) AS UNSIGNED) FROM schedules")
            .fetch_one(&table.db)
            .await
            .unwrap();
    assert_eq!(
        changes, changed,
        "each change of the time increments the version"
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn the_sweep_finds_the_schedules_of_the_model(pool: MySqlPool) {
    let all = pairs(
        &pairs(&schedules(), &[false, true]),
        &[None, Some(Opening::Passed), Some(Opening::Ahead)],
    );
    let case = |schedule| Case {
        schedule,
        ..Case::SENDING
    };
    let all: Vec<_> = all
        .into_iter()
        .filter(|((schedule, _), _)| case(*schedule).is_allowed())
        .collect();
    let cases: Vec<_> = all
        .iter()
        .map(|((schedule, _), _)| case(*schedule))
        .collect();
    let table = Table::of(pool, &cases).await;
    let mut expected = Vec::new();
    for (id, ((schedule, reached), opening)) in table.ids.iter().zip(all) {
        let at = |passed: bool| table.now + TimeDelta::hours(if passed { -1 } else { 1 });
        sqlx::query("UPDATE schedules SET run_at = ?, opens_at = ? WHERE id = ?")
            .bind(at(reached))
            .bind(opening.map(|opening| at(opening == Opening::Passed)))
            .bind(id)
            .execute(&table.db)
            .await
            .unwrap();
        let opening = opening.unwrap_or(Opening::Passed);
        if rules::sweep_enqueues_cut(&schedule, reached, opening) {
            expected.push(*id);
        }
    }
    let found = schedules_to_cut(&table.db, table.now).await.unwrap();
    let mut found: Vec<_> = found.iter().map(|message| message.schedule_id).collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert!(!found.is_empty() && found.len() < cases.len());
    assert_eq!(found, expected);
}
