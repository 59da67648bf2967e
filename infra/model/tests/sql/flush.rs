//! `flush` with each step, `FlushInPlace`, `keep_attempts`, `record_late_answers`, `mark_owner_lost`,
//! `close_pending`, `expire_pending`.

use model::rules::{self, Flush};
use send::store;
use shared::{
    batch::{
        SeqRange,
        in_place::FlushInPlace,
        rows::{self, BatchRow, FlushRow, FlushTimes, Step},
    },
    message::status::Status,
};
use sqlx::MySqlPool;

use crate::{
    cases::{Case, OURS, pairs, rows_and_tokens, schedules, with_earlier_attempt},
    table::Table,
};

/// Returns the rows of a flush for attempt 1.
fn flushes() -> Vec<Flush> {
    let flush = |(step, status, resend, ids)| Flush {
        step,
        attempt: 1,
        status,
        resend,
        ids,
        by: OURS,
    };
    let rows = [
        (Step::Mark, Status::Sending, false, 0),
        (Step::Mark, Status::Sending, true, 0),
        (Step::Answer, Status::Acceptd, false, 1),
        (Step::Answer, Status::Uncertain, false, 0),
        (Step::Answer, Status::Pending, false, 0),
        (Step::Answer, Status::Rejectd, false, 0),
        (Step::Skip, Status::Suppressed, false, 0),
        (Step::Unmark, Status::Pending, false, 0),
    ];
    rows.map(flush).to_vec()
}

/// Converts a flush of the model to the row of the statement.
fn as_row(flush: &Flush) -> FlushRow {
    FlushRow {
        seq: 1,
        attempt: u32::from(flush.attempt),
        step: flush.step,
        resend: u8::from(flush.resend),
        status: flush.status,
        message_id: (flush.ids != 0).then(|| "b".to_owned()),
        error: None,
        is_final: u8::from(flush.status.is_final()),
    }
}

/// Returns each case with each flush. Marks are also combined with each schedule.
fn flush_cases() -> Vec<(Case, Flush)> {
    let mut all = pairs(&rows_and_tokens(), &flushes());
    let marks: Vec<_> = all
        .iter()
        .copied()
        .filter(|(case, flush)| flush.step == Step::Mark && case.row.resends == 0)
        .collect();
    for (case, flush) in marks {
        all.extend(
            schedules()
                .into_iter()
                .map(|schedule| (Case { schedule, ..case }, flush)),
        );
    }
    all.retain(|(case, _)| case.is_allowed());
    all
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn flush_matches_the_model(pool: MySqlPool) {
    let (cases, flushes): (Vec<_>, Vec<_>) = flush_cases().into_iter().unzip();
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    let mut connection = table.db.acquire().await.unwrap();
    for (index, (case, flush)) in expected.iter_mut().zip(&flushes).enumerate() {
        let owns = case.owns();
        let matched = rules::flush(&mut case.row, &case.schedule, owns, flush);
        let flushed = rows::flush(
            &mut connection,
            &table.claim(index),
            &[as_row(flush)],
            FlushTimes {
                marked_at: table.marked_at(),
                now: table.now,
            },
        )
        .await
        .unwrap();
        assert_eq!(flushed, u64::from(matched), "{case:?} {flush:?}");
    }
    drop(connection);
    table.expect(&cases, &expected).await;
}

/// Returns the row as a pass sees it that marks it.
fn open_row() -> BatchRow {
    BatchRow {
        seq: 1,
        phone: String::new(),
        status: Status::Pending,
        attempt: 1,
        resends: 0,
        message_id: None,
        carrier_status: None,
        sent_at: None,
        final_at: None,
        suppressed: false,
    }
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_flush_in_place_matches_the_model(pool: MySqlPool) {
    let all = flush_cases().into_iter().filter_map(|(case, flush)| {
        let row = [as_row(&flush)];
        let in_place = match flush.step {
            Step::Mark => FlushInPlace::of(&[], &row, &[open_row()]),
            _ => FlushInPlace::of(&row, &[], &[]),
        };
        Some((case, (flush, in_place?)))
    });
    let (cases, flushes): (Vec<_>, Vec<_>) = all.unzip();
    let steps: Vec<_> = flushes.iter().map(|(flush, _)| flush.step).collect();
    assert!(steps.contains(&Step::Mark) && steps.contains(&Step::Answer));
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    for (index, (case, (flush, in_place))) in expected.iter_mut().zip(&flushes).enumerate() {
        let owns = case.owns();
        let matched = rules::flush_in_place(&mut case.row, &case.schedule, owns, flush);
        let written = in_place
            .write(&table.db, &table.claim(index), table.marked_at())
            .await
            .unwrap();
        assert_eq!(written, u64::from(matched), "{case:?} {flush:?}");
    }
    table.expect(&cases, &expected).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn keep_attempts_matches_the_model(pool: MySqlPool) {
    let all = flush_cases()
        .into_iter()
        .filter(|(_, flush)| flush.step != Step::Mark || !flush.resend);
    let (cases, flushes): (Vec<_>, Vec<_>) = all.unzip();
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    let mut connection = table.db.acquire().await.unwrap();
    for (index, (case, flush)) in expected.iter_mut().zip(&flushes).enumerate() {
        let owns = case.owns();
        if flush.step == Step::Mark {
            rules::keep_attempt(&mut case.row, &case.schedule, owns, flush.attempt);
        }
        rows::keep_attempts(&mut connection, &table.claim(index), &[as_row(flush)])
            .await
            .unwrap();
    }
    drop(connection);
    table.expect(&cases, &expected).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn record_late_answers_matches_the_model(pool: MySqlPool) {
    let earlier = with_earlier_attempt(&[
        Status::Uncertain,
        Status::Acceptd,
        Status::Undeliv,
        Status::Expired,
        Status::Unknown,
    ]);
    let (cases, flushes): (Vec<_>, Vec<_>) = pairs(&earlier, &flushes()).into_iter().unzip();
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    let mut connection = table.db.acquire().await.unwrap();
    for (index, (case, flush)) in expected.iter_mut().zip(&flushes).enumerate() {
        rules::record_late_answer(&mut case.row, flush);
        rows::record_late_answers(&mut connection, table.claim(index).batch, &[as_row(flush)])
            .await
            .unwrap();
    }
    drop(connection);
    table.expect(&cases, &expected).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn mark_owner_lost_matches_the_model(pool: MySqlPool) {
    let cases = rows_and_tokens();
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    for (index, case) in expected.iter_mut().enumerate() {
        let owns = case.owns();
        let matched = rules::mark_owner_lost(&mut case.row, owns);
        let marked = rows::mark_owner_lost(&table.db, &table.claim(index), SeqRange::new(1, 1))
            .await
            .unwrap();
        assert_eq!(marked, u64::from(matched), "{case:?}");
    }
    table.expect(&cases, &expected).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn expire_pending_matches_the_model(pool: MySqlPool) {
    let cases = rows_and_tokens();
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    for (index, case) in expected.iter_mut().enumerate() {
        let owns = case.owns();
        let matched = rules::expire_pending(&mut case.row, owns);
        let (claim, range) = (table.claim(index), SeqRange::new(1, 1));
        let expired = store::expire_pending(&table.db, &claim, range, table.now)
            .await
            .unwrap();
        assert_eq!(expired, u64::from(matched), "{case:?}");
    }
    table.expect(&cases, &expected).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn close_pending_matches_the_model(pool: MySqlPool) {
    let cases = rows_and_tokens();
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    for (index, case) in expected.iter_mut().enumerate() {
        let owns = case.owns();
        let matched = rules::close_pending(&mut case.row, owns);
        let closed = rows::close_pending(
            &table.db,
            &table.claim(index),
            SeqRange::new(1, 1),
            table.now,
        )
        .await
        .unwrap();
        assert_eq!(closed, u64::from(matched), "{case:?}");
    }
    table.expect(&cases, &expected).await;
}
