//! Pause, resume, cancel and "send now", for schedules in the statuses in which the API allows
//! them.

use api::resources::schedules::store::moves;
use model::{
    rows::{Batch, Due, Hold, Row, Schedule, ScheduleStatus},
    rules,
};
use shared::{message::status::Status, schedule::lifecycle};
use sqlx::MySqlPool;

use crate::{
    cases::{Case, TOKENS, pairs},
    table::Table,
};

/// Returns batches with all due times, for a schedule in each of these statuses.
fn cases(statuses: &[ScheduleStatus]) -> Vec<Case> {
    let mut cases = Vec::new();
    for (status, ((token, lease_over), (send_at, missed))) in pairs(
        statuses,
        &pairs(
            &TOKENS,
            &pairs(&[Due::Never, Due::Now, Due::Later], &[false, true]),
        ),
    ) {
        for ((waiting, check_at), (turn, pending)) in pairs(
            &pairs(&[false, true], &[Due::Never, Due::Later]),
            &pairs(&[false, true], &[false, true]),
        ) {
            let batch = Batch {
                token,
                lease_over,
                send_at,
                missed,
                waiting,
                check_at,
                ..Case::SENDING.batch
            };
            let schedule = Schedule {
                status,
                cut: true,
                turn,
                hold: Hold::Nothing,
            };
            let row = Row {
                status: if pending {
                    Status::Pending
                } else {
                    Status::Uncertain
                },
                attempt: 1,
                ..Row::NEW
            };
            cases.push(Case {
                schedule,
                batch,
                row,
            });
        }
    }
    // A release holds missed batches, and only a batch with unsent messages waits.
    cases.retain(|case| {
        let Batch {
            missed,
            send_at,
            waiting,
            ..
        } = case.batch;
        case.is_allowed() && !(missed && send_at.is_set()) && (send_at.is_set() || !waiting)
    });
    cases
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn pause_schedule_matches_the_model(pool: MySqlPool) {
    let cases = cases(&[
        ScheduleStatus::Running,
        ScheduleStatus::Finished,
        ScheduleStatus::Paused,
        ScheduleStatus::Cancelled,
        ScheduleStatus::Missed,
    ]);
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    let mut connection = table.db.acquire().await.unwrap();
    for (index, case) in expected.iter_mut().enumerate() {
        rules::pause(&mut case.schedule);
        // A pause by an operator and one by the system are the same for a cut schedule.
        if index % 2 == 0 {
            moves::pause_schedule(&mut connection, table.ids[index], None, table.now)
                .await
                .unwrap();
        } else {
            lifecycle::pause_schedule(&mut connection, table.ids[index], "why", table.now)
                .await
                .unwrap();
        }
    }
    drop(connection);
    table.expect(&cases, &expected).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn resume_cut_schedule_matches_the_model(pool: MySqlPool) {
    let cases = cases(&[ScheduleStatus::Paused]);
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    let mut connection = table.db.acquire().await.unwrap();
    for (index, case) in expected.iter_mut().enumerate() {
        rules::resume(
            &mut case.schedule,
            std::slice::from_mut(&mut case.batch),
            Due::Now,
            case.row.status == Status::Pending,
        );
        let pause = moves::Pause {
            paused_at: table.now,
            now: table.now,
            from: table.now,
        };
        moves::resume_cut_schedule(&mut connection, table.ids[index], pause)
            .await
            .unwrap();
    }
    drop(connection);
    table.expect(&cases, &expected).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn cancel_schedule_matches_the_model(pool: MySqlPool) {
    let cases = cases(&[
        ScheduleStatus::Running,
        ScheduleStatus::Paused,
        ScheduleStatus::Missed,
    ]);
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    let mut connection = table.db.acquire().await.unwrap();
    for (index, case) in expected.iter_mut().enumerate() {
        let pending = case.pending();
        let batches = std::slice::from_mut(&mut case.batch);
        rules::cancel(&mut case.schedule, batches, pending);
        moves::cancel_schedule(&mut connection, table.ids[index], None, table.now)
            .await
            .unwrap();
    }
    drop(connection);
    table.expect(&cases, &expected).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn send_held_now_matches_the_model(pool: MySqlPool) {
    let mut cases = cases(&[
        ScheduleStatus::Running,
        ScheduleStatus::Missed,
        ScheduleStatus::Finished,
    ]);
    cases.retain(|case| rules::may_send_now(&case.schedule));
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    let mut connection = table.db.acquire().await.unwrap();
    for (index, case) in expected.iter_mut().enumerate() {
        let pending = case.pending();
        let batches = std::slice::from_mut(&mut case.batch);
        let sent = rules::send_now(&mut case.schedule, batches, pending);
        let released = moves::send_held_now(&mut connection, table.ids[index], table.now)
            .await
            .unwrap();
        assert_eq!(released, u64::from(sent), "{case:?}");
    }
    drop(connection);
    table.expect(&cases, &expected).await;
}
