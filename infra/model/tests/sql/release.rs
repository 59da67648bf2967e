//! `release`, `finish_schedule`.

use std::time::Duration;

use chrono::TimeDelta;
use model::{
    rows::{Age, Batch, Due, Row},
    rules::{self, Release},
};
use shared::message::status::Status;
use shared::{
    batch::{SeqRange, release},
    schedule::lifecycle,
};
use sqlx::MySqlPool;

use crate::{
    cases::{Case, TOKENS, pairs, schedules_with},
    table::Table,
};

/// Returns all inputs of a release that the rule distinguishes.
fn releases() -> Vec<Release> {
    let mut all = Vec::new();
    for ((max_resends, resend_uncertain), waits) in pairs(
        &pairs(&[0, 1], &[false, true]),
        &[None, Some(false), Some(true)],
    ) {
        for (ask_uncertain, (send_at, check_at)) in pairs(
            &[false, true],
            &[(Due::Now, Due::Later), (Due::Later, Due::Now)],
        ) {
            all.push(Release {
                max_resends,
                resend_uncertain,
                ask_uncertain,
                waits,
                send_at,
                check_at,
            });
        }
    }
    all
}

/// Returns all rows and batches that a release distinguishes.
fn cases() -> Vec<Case> {
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
        &pairs(
            &[Age::Fresh, Age::PastQuietTime, Age::PastDeadline],
            &[0, 1],
        ),
    )
    .into_iter()
    .map(row)
    .chain([Row {
        status: Status::Expired,
        attempt: 1,
        ended: true,
        ..Row::NEW
    }])
    .collect();
    let batch = |((token, lease_over), (missed, waiting))| Batch {
        token,
        lease_over,
        missed,
        waiting,
        crashes: 2,
        ..Case::SENDING.batch
    };
    let flags = pairs(&[false, true], &[false, true]);
    let batches: Vec<_> = pairs(&TOKENS[..4], &flags).into_iter().map(batch).collect();
    let case = |(row, batch)| Case {
        row,
        batch,
        ..Case::SENDING
    };
    pairs(&rows, &batches).into_iter().map(case).collect()
}

/// Converts the model's input to that of the statement.
fn as_release(table: &Table, input: &Release) -> release::Release {
    let soon = table.now + TimeDelta::seconds(120);
    release::Release {
        max_resends: input.max_resends.into(),
        resend_uncertain: input.resend_uncertain,
        ask_uncertain_since: input
            .ask_uncertain
            .then(|| table.now - TimeDelta::hours(23)),
        send_at: table.time(input.send_at).unwrap(),
        check_at: table.time(input.check_at).unwrap(),
        sweep_send_at: soon,
        sweep_check_at: soon,
        result: result_of(input),
    }
}

fn result_of(input: &Release) -> release::PassResult {
    match input.waits {
        None => release::PassResult::Checked {
            least_delay: TimeDelta::zero(),
        },
        Some(back_to_waiting) => release::PassResult::Sent {
            accepted: false,
            refused: false,
            was_busy: false,
            back_to_waiting,
            wait: Duration::ZERO,
        },
    }
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn release_matches_the_model(pool: MySqlPool) {
    let (cases, inputs): (Vec<_>, Vec<_>) = pairs(&cases(), &releases()).into_iter().unzip();
    let table = Table::of(pool, &cases).await;
    let mut connection = table.db.acquire().await.unwrap();
    let mut expected = cases.clone();
    for (index, (case, input)) in expected.iter_mut().zip(inputs).enumerate() {
        let owns = case.owns();
        let matched = rules::release(&mut case.batch, &[case.row], owns, &input);
        let claim = table.claim(index);
        let input = as_release(&table, &input);
        let released =
            release::write_release(&mut *connection, &claim, SeqRange::new(1, 1), &input)
                .await
                .unwrap();
        assert_eq!(released, matched, "{case:?}");
    }
    drop(connection);
    table.expect(&cases, &expected).await;
    expect_counts_of_rows(&table).await;
}

/// Checks that the counts of each released batch match its row.
async fn expect_counts_of_rows(table: &Table) {
    let wrong = "SELECT COUNT(*)
        FROM batches b JOIN recipients r ON r.schedule_id = b.schedule_id
        WHERE b.crashes = 0 AND r.status <> 'INVALID'
          AND (b.pending <> (r.status = 'PENDING') OR b.uncertain <> (r.status = 'UNCERTAIN')
            OR b.acceptd <> (r.status = 'ACCEPTD') OR b.delivrd <> (r.status = 'DELIVRD')
            OR b.undeliv <> (r.status = 'UNDELIV') OR b.unknown <> (r.status = 'UNKNOWN'))";
    let wrong: i64 = sqlx::query_scalar(wrong)
        .fetch_one(&table.db)
        .await
        .unwrap();
    assert_eq!(wrong, 0, "the counts match the rows");
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn finish_schedule_matches_the_model(pool: MySqlPool) {
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
    let cases = schedules_with(&batches);
    let table = Table::of(pool, &cases).await;
    let mut connection = table.db.acquire().await.unwrap();
    let mut expected = cases.clone();
    for (index, case) in expected.iter_mut().enumerate() {
        let may = rules::may_finish(&case.schedule, &[case.batch]);
        rules::finish(&mut case.schedule, &[case.batch]);
        assert_eq!(
            lifecycle::finish_schedule(&mut connection, table.ids[index], table.now)
                .await
                .unwrap(),
            may,
            "{case:?}"
        );
    }
    drop(connection);
    table.expect(&cases, &expected).await;
}
