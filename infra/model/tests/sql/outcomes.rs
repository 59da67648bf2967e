//! `flush` with each step, `keep_attempts`, `record_late_answers`, `record_status_updates`, `record_receipts`, `record_late_receipts`, `mark_owner_lost`, `close_pending`.

use api::resources::receipts::store::{Receipt, record_late_receipts, record_receipts};
use model::{
    database::{Batch, Row},
    rules::{self, Flush, StatusUpdate},
};
use shared::{
    batch::rows::{self, FlushRow, Step},
    message::status::Status,
};
use sqlx::MySqlPool;

use crate::table::{Case, TOKENS, Table, pairs, rows, schedules};

/// Every row under every token; the schedule is running.
fn cases() -> Vec<Case> {
    let case = |(row, (token, lease_over))| Case {
        row,
        batch: Batch {
            token,
            lease_over,
            ..Case::SENDING.batch
        },
        ..Case::SENDING
    };
    let mut cases: Vec<_> = pairs(&rows(), &TOKENS).into_iter().map(case).collect();
    cases.retain(Case::is_allowed);
    cases
}

/// What a flush of attempt 1 may say.
fn flushes() -> Vec<Flush> {
    let flush = |(step, status, resend, ids)| Flush {
        step,
        attempt: 1,
        status,
        resend,
        ids,
    };
    let said = [
        (Step::Mark, Status::Sending, false, 0),
        (Step::Mark, Status::Sending, true, 0),
        (Step::Answer, Status::Acceptd, false, 1),
        (Step::Answer, Status::Uncertain, false, 0),
        (Step::Answer, Status::Pending, false, 0),
        (Step::Answer, Status::Rejectd, false, 0),
        (Step::Skip, Status::Suppressed, false, 0),
        (Step::Unmark, Status::Pending, false, 0),
    ];
    said.map(flush).to_vec()
}

fn as_row(said: &Flush) -> FlushRow {
    FlushRow {
        seq: 1,
        attempt: u32::from(said.attempt),
        step: said.step,
        resend: u8::from(said.resend),
        status: said.status,
        message_id: (said.ids != 0).then(|| "b".to_owned()),
        error: None,
        is_final: u8::from(said.status.is_final()),
    }
}

/// Each case with each flush, and, for a mark, with each schedule.
fn flush_cases() -> Vec<(Case, Flush)> {
    let mut all = pairs(&cases(), &flushes());
    let marks: Vec<_> = all
        .iter()
        .copied()
        .filter(|(case, said)| said.step == Step::Mark && case.row.resends == 0)
        .collect();
    for (case, said) in marks {
        all.extend(
            schedules()
                .into_iter()
                .map(|schedule| (Case { schedule, ..case }, said)),
        );
    }
    all.retain(|(case, _)| case.is_allowed());
    all
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_flush_is_as_the_model_says(pool: MySqlPool) {
    let (cases, said): (Vec<_>, Vec<_>) = flush_cases().into_iter().unzip();
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    let mut connection = table.db.pool.acquire().await.unwrap();
    for (at, (case, said)) in expected.iter_mut().zip(&said).enumerate() {
        let owns = case.owns();
        let matched = rules::flush(&mut case.row, &case.schedule, owns, said);
        let flushed = rows::flush(
            &mut connection,
            &table.claim(at),
            &[as_row(said)],
            table.now,
        )
        .await
        .unwrap();
        assert_eq!(flushed, u64::from(matched), "{case:?} {said:?}");
    }
    drop(connection);
    table.expect(&cases, &expected).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn what_a_mark_overwrites_is_kept_as_the_model_says(pool: MySqlPool) {
    let all = flush_cases()
        .into_iter()
        .filter(|(_, said)| said.step != Step::Mark || !said.resend);
    let (cases, said): (Vec<_>, Vec<_>) = all.unzip();
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    let mut connection = table.db.pool.acquire().await.unwrap();
    for (at, (case, said)) in expected.iter_mut().zip(&said).enumerate() {
        let owns = case.owns();
        if said.step == Step::Mark {
            rules::keep(&mut case.row, &case.schedule, owns, said.attempt);
        }
        rows::keep_attempts(&mut connection, &table.claim(at), &[as_row(said)])
            .await
            .unwrap();
    }
    drop(connection);
    table.expect(&cases, &expected).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_late_answer_is_as_the_model_says(pool: MySqlPool) {
    let statuses = [
        Status::Uncertain,
        Status::Acceptd,
        Status::Undeliv,
        Status::Expired,
        Status::Unknown,
    ]
    .map(Some);
    let with_kept = |(status, at): (Option<Status>, usize)| {
        let mut row = Row {
            status: Status::Sending,
            attempt: 3,
            ..Row::NEW
        };
        row.kept[at] = status;
        Case {
            row,
            ..Case::SENDING
        }
    };
    let kept: Vec<_> = pairs(&statuses, &[1, 2])
        .into_iter()
        .map(with_kept)
        .collect();
    let (cases, said): (Vec<_>, Vec<_>) = pairs(&kept, &flushes()).into_iter().unzip();
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    let mut connection = table.db.pool.acquire().await.unwrap();
    for (at, (case, said)) in expected.iter_mut().zip(&said).enumerate() {
        rules::late_answer(&mut case.row, said);
        rows::record_late_answers(&mut connection, table.claim(at).batch, &[as_row(said)])
            .await
            .unwrap();
    }
    drop(connection);
    table.expect(&cases, &expected).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_verdict_is_as_the_model_says(pool: MySqlPool) {
    let words = [
        Status::Pending,
        Status::Acceptd,
        Status::Enroute,
        Status::Delivrd,
        Status::Undeliv,
        Status::Unknown,
    ];
    let all = pairs(&cases(), &words)
        .into_iter()
        .filter(|(case, _)| case.row.resends == 0);
    let (cases, words): (Vec<_>, Vec<_>) = all.unzip();
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    for (at, (case, status)) in expected.iter_mut().zip(words).enumerate() {
        let owns = case.owns();
        let ids = u8::from(case.row.ids == 0 && status != Status::Pending);
        let matched = rules::verdict(
            &mut case.row,
            owns,
            &StatusUpdate {
                attempt: 1,
                status,
                ids,
            },
        );
        let (message_id, is_final) = (
            (ids != 0).then(|| "own".to_owned()),
            u8::from(status.is_final()),
        );
        let said = rows::StatusUpdate {
            seq: 1,
            attempt: 1,
            status,
            carrier_status: Some("X".into()),
            message_id,
            is_final,
        };
        let mut connection = table.db.pool.acquire().await.unwrap();
        let recorded =
            rows::record_status_updates(&mut connection, &table.claim(at), &[said], table.now)
                .await
                .unwrap();
        drop(connection);
        assert_eq!(recorded, u64::from(matched), "{case:?} {status:?}");
    }
    table.expect(&cases, &expected).await;
}

fn pushed(table: &Table, at: usize, status: Status) -> Receipt {
    Receipt {
        schedule_id: table.ids[at],
        seq: 1,
        attempt: 1,
        status,
        carrier_status: "X".into(),
        message_id: "own".into(),
        is_final: u8::from(status.is_final()),
    }
}

const PUSHED: [Status; 5] = [
    Status::Acceptd,
    Status::Enroute,
    Status::Delivrd,
    Status::Undeliv,
    Status::Rejectd,
];

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_receipt_is_as_the_model_says(pool: MySqlPool) {
    let all = pairs(&cases(), &PUSHED)
        .into_iter()
        .filter(|(case, _)| case.row.resends == 0);
    let (cases, words): (Vec<_>, Vec<_>) = all.unzip();
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    let mut connection = table.db.pool.acquire().await.unwrap();
    for (at, (case, status)) in expected.iter_mut().zip(words).enumerate() {
        let matched = rules::receipt(
            &mut case.row,
            &StatusUpdate {
                attempt: 1,
                status,
                ids: 1,
            },
        );
        let recorded = record_receipts(&mut connection, &[pushed(&table, at, status)], table.now)
            .await
            .unwrap();
        assert_eq!(recorded, u64::from(matched), "{case:?} {status:?}");
    }
    drop(connection);
    table.expect(&cases, &expected).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_late_receipt_is_as_the_model_says(pool: MySqlPool) {
    let statuses = [
        Status::Uncertain,
        Status::Acceptd,
        Status::Enroute,
        Status::Undeliv,
        Status::Expired,
        Status::Unknown,
    ]
    .map(Some);
    let with_kept = |(status, at): (Option<Status>, usize)| {
        let mut row = Row {
            status: Status::Sending,
            attempt: 3,
            ..Row::NEW
        };
        row.kept[at] = status;
        Case {
            row,
            ..Case::SENDING
        }
    };
    let kept: Vec<_> = pairs(&statuses, &[1, 2])
        .into_iter()
        .map(with_kept)
        .collect();
    let (cases, words): (Vec<_>, Vec<_>) = pairs(&kept, &PUSHED).into_iter().unzip();
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    let mut connection = table.db.pool.acquire().await.unwrap();
    for (at, (case, status)) in expected.iter_mut().zip(words).enumerate() {
        let matched = rules::late_receipt(
            &mut case.row,
            &StatusUpdate {
                attempt: 1,
                status,
                ids: 1,
            },
        );
        let recorded =
            record_late_receipts(&mut connection, &[pushed(&table, at, status)], table.now)
                .await
                .unwrap();
        assert_eq!(recorded, u64::from(matched), "{case:?} {status:?}");
    }
    drop(connection);
    table.expect(&cases, &expected).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn leftovers_are_as_the_model_says(pool: MySqlPool) {
    let cases = cases();
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    for (at, case) in expected.iter_mut().enumerate() {
        let owns = case.owns();
        let matched = rules::owner_lost(&mut case.row, owns);
        let marked = rows::mark_owner_lost(&table.db, &table.claim(at), (1, 1))
            .await
            .unwrap();
        assert_eq!(marked, u64::from(matched), "{case:?}");
    }
    table.expect(&cases, &expected).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn closing_is_as_the_model_says(pool: MySqlPool) {
    let cases = cases();
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    for (at, case) in expected.iter_mut().enumerate() {
        let owns = case.owns();
        let matched = rules::close(&mut case.row, owns);
        let closed = rows::close_pending(&table.db, &table.claim(at), (1, 1), table.now)
            .await
            .unwrap();
        assert_eq!(closed, u64::from(matched), "{case:?}");
    }
    table.expect(&cases, &expected).await;
}
