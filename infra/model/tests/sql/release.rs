//! `release`, `finish_schedule`.

use chrono::TimeDelta;
use model::{
    database::{Age, Batch, Due, Row},
    rules::{self, Release},
};
use shared::message::status::Status;
use shared::{batch::release, schedule::lifecycle};
use sqlx::MySqlPool;

use crate::table::{Case, TOKENS, Table, pairs, schedules};

fn releases() -> Vec<Release> {
    let mut all = Vec::new();
    for (max_resends, resend_uncertain) in pairs(&[0, 1], &[false, true]) {
        for (ask_uncertain, (send_at, check_at)) in pairs(
            &[false, true],
            &[(Due::Now, Due::Later), (Due::Later, Due::Now)],
        ) {
            all.push(Release {
                max_resends,
                resend_uncertain,
                ask_uncertain,
                send_at,
                check_at,
            });
        }
    }
    all
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_release_is_as_the_model_says(pool: MySqlPool) {
    let row = |(status, (age, resends))| Row {
        status,
        attempt: 1,
        resends,
        age,
        ids: 1,
        ..Row::NEW
    };
    let rows: Vec<_> = pairs(
        &Status::ALL,
        &pairs(&[Age::Fresh, Age::Quiet, Age::Old], &[0, 1]),
    )
    .into_iter()
    .map(row)
    .collect();
    let batch = |((token, lease_over), missed)| Batch {
        token,
        lease_over,
        missed,
        crashes: 2,
        ..Case::SENDING.batch
    };
    let batches: Vec<_> = pairs(&TOKENS[..4], &[false, true])
        .into_iter()
        .map(batch)
        .collect();
    let case = |(row, batch)| Case {
        row,
        batch,
        ..Case::SENDING
    };
    let cases: Vec<_> = pairs(&rows, &batches).into_iter().map(case).collect();
    let (cases, told): (Vec<_>, Vec<_>) = pairs(&cases, &releases()).into_iter().unzip();
    let table = Table::of(pool, &cases).await;
    let mut connection = table.db.pool.acquire().await.unwrap();
    let mut expected = cases.clone();
    for (at, (case, told)) in expected.iter_mut().zip(told).enumerate() {
        let (owns, soon) = (case.owns(), table.now + TimeDelta::seconds(120));
        let released = rules::release(&mut case.batch, &[case.row], owns, &told);
        let release = release::Release {
            max_resends: told.max_resends.into(),
            resend_uncertain: told.resend_uncertain,
            ask_uncertain_since: told.ask_uncertain.then(|| table.now - TimeDelta::hours(23)),
            send_at: table.time(told.send_at).unwrap(),
            check_at: table.time(told.check_at).unwrap(),
            sweep_send_at: soon,
            sweep_check_at: soon,
            accepted: false,
            refused: false,
        };
        assert_eq!(
            release::write_release(&mut connection, &table.claim(at), (1, 1), &release)
                .await
                .unwrap(),
            released,
            "{case:?}"
        );
    }
    drop(connection);
    table.expect(&cases, &expected).await;
    let wrong = "SELECT COUNT(*) FROM batches b JOIN recipients r ON r.schedule_id = b.schedule_id WHERE b.crashes = 0 AND r.status <> 'INVALID'
        AND (b.pending <> (r.status = 'PENDING') OR b.uncertain <> (r.status = 'UNCERTAIN') OR b.acceptd <> (r.status = 'ACCEPTD')
          OR b.delivrd <> (r.status = 'DELIVRD') OR b.undeliv <> (r.status = 'UNDELIV') OR b.unknown <> (r.status = 'UNKNOWN'))";
    let wrong: i64 = sqlx::query_scalar(wrong)
        .fetch_one(&table.db.pool)
        .await
        .unwrap();
    assert_eq!(wrong, 0, "counts are the rows'");
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_finish_is_as_the_model_says(pool: MySqlPool) {
    let idle = Batch {
        send_at: Due::Never,
        token: None,
        crashes: 0,
        ..Case::SENDING.batch
    };
    let batch = |(missed, sweep_at)| Batch {
        missed,
        sweep_at,
        ..idle
    };
    let batches: Vec<_> = pairs(&[false, true], &[Due::Never, Due::Now, Due::Later])
        .into_iter()
        .map(batch)
        .collect();
    let case = |(schedule, batch)| Case {
        schedule,
        batch,
        ..Case::SENDING
    };
    let mut cases: Vec<_> = pairs(&schedules(), &batches)
        .into_iter()
        .map(case)
        .collect();
    cases.retain(Case::is_allowed);
    let table = Table::of(pool, &cases).await;
    let mut connection = table.db.pool.acquire().await.unwrap();
    let mut expected = cases.clone();
    for (at, case) in expected.iter_mut().enumerate() {
        let may = rules::may_finish(&case.schedule, &[case.batch]);
        rules::finish(&mut case.schedule, &[case.batch]);
        assert_eq!(
            lifecycle::finish_schedule(&mut connection, table.ids[at], table.now)
                .await
                .unwrap(),
            may,
            "{case:?}"
        );
    }
    drop(connection);
    table.expect(&cases, &expected).await;
}
