//! `record_status_updates` (the status updates of a recheck), `StatusesInPlace`, `record_receipts`, `record_late_receipts`.

use api::resources::receipts::store::{ReceiptRow, record_late_receipts, record_receipts};
use model::rules::{self, StatusUpdate};
use shared::{
    batch::{in_place::StatusesInPlace, rows},
    message::status::Status,
};
use sqlx::MySqlPool;

use crate::{
    cases::{Case, pairs, rows_and_tokens, with_earlier_attempt},
    table::Table,
};

/// The statuses that a recheck records.
const RECHECKED: [Status; 6] = [
    Status::Pending,
    Status::Acceptd,
    Status::Enroute,
    Status::Delivrd,
    Status::Undeliv,
    Status::Unknown,
];

/// The statuses that a receipt records.
const PUSHED: [Status; 5] = [
    Status::Acceptd,
    Status::Enroute,
    Status::Delivrd,
    Status::Undeliv,
    Status::Rejectd,
];

/// Returns each case without a resend with each of these statuses.
fn updates(statuses: &[Status]) -> (Vec<Case>, Vec<Status>) {
    let all = pairs(&rows_and_tokens(), statuses)
        .into_iter()
        .filter(|(case, _)| case.row.resends == 0);
    all.unzip()
}

/// Returns a receipt for attempt 1.
fn receipt(table: &Table, index: usize, status: Status) -> ReceiptRow {
    ReceiptRow {
        schedule_id: table.ids[index],
        seq: 1,
        attempt: 1,
        status,
        carrier_status: "X".into(),
        message_id: "own".into(),
        is_final: u8::from(status.is_final()),
        sent_at: None,
    }
}

/// Returns the same receipt in the model.
fn model_receipt(status: Status) -> StatusUpdate {
    StatusUpdate {
        attempt: 1,
        status,
        ids: 1,
    }
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn record_status_updates_matches_the_model(pool: MySqlPool) {
    let (cases, statuses) = updates(&RECHECKED);
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    let mut connection = table.db.acquire().await.unwrap();
    for (index, (case, status)) in expected.iter_mut().zip(statuses).enumerate() {
        let owns = case.owns();
        let ids = u8::from(case.row.ids == 0 && status != Status::Pending);
        let update = StatusUpdate {
            attempt: 1,
            status,
            ids,
        };
        let matched = rules::record_status_update(&mut case.row, owns, &update);
        let row = rows::StatusUpdate {
            seq: 1,
            attempt: 1,
            status,
            carrier_status: Some("X".into()),
            message_id: (ids != 0).then(|| "own".to_owned()),
            is_final: u8::from(status.is_final()),
        };
        let claim = table.claim(index);
        let recorded = rows::record_status_updates(&mut connection, &claim, &[row], table.now)
            .await
            .unwrap();
        assert_eq!(recorded, u64::from(matched), "{case:?} {status:?}");
    }
    drop(connection);
    table.expect(&cases, &expected).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn statuses_in_place_match_the_model(pool: MySqlPool) {
    let all = pairs(&rows_and_tokens(), &RECHECKED)
        .into_iter()
        // A row without an id gets one from its update, which is not written in place.
        .filter(|(case, status)| case.row.ids != 0 && *status != Status::Pending);
    let (cases, statuses): (Vec<_>, Vec<_>) = all.unzip();
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    for (index, (case, status)) in expected.iter_mut().zip(statuses).enumerate() {
        let owns = case.owns();
        let update = StatusUpdate {
            attempt: 1,
            status,
            ids: 0,
        };
        let matched = rules::record_status_in_place(&mut case.row, owns, &update);
        let rows = [rows::StatusUpdate {
            seq: 1,
            attempt: 1,
            status,
            carrier_status: Some("X".into()),
            message_id: None,
            is_final: u8::from(status.is_final()),
        }];
        let in_place = StatusesInPlace::of(&rows).unwrap();
        let recorded = in_place
            .write(&table.db, &table.claim(index), table.now)
            .await
            .unwrap();
        assert_eq!(recorded, u64::from(matched), "{case:?} {status:?}");
    }
    table.expect(&cases, &expected).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn record_receipts_matches_the_model(pool: MySqlPool) {
    let (cases, statuses) = updates(&PUSHED);
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    let mut connection = table.db.acquire().await.unwrap();
    for (index, (case, status)) in expected.iter_mut().zip(statuses).enumerate() {
        let matched = rules::record_receipt(&mut case.row, &model_receipt(status));
        let receipts = [receipt(&table, index, status)];
        let recorded = record_receipts(&mut connection, &receipts, table.now)
            .await
            .unwrap();
        assert_eq!(recorded, u64::from(matched), "{case:?} {status:?}");
    }
    drop(connection);
    table.expect(&cases, &expected).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn record_late_receipts_matches_the_model(pool: MySqlPool) {
    let earlier = with_earlier_attempt(&[
        Status::Uncertain,
        Status::Acceptd,
        Status::Enroute,
        Status::Undeliv,
        Status::Expired,
        Status::Unknown,
    ]);
    let (cases, statuses): (Vec<_>, Vec<_>) = pairs(&earlier, &PUSHED).into_iter().unzip();
    let table = Table::of(pool, &cases).await;
    let mut expected = cases.clone();
    let mut connection = table.db.acquire().await.unwrap();
    for (index, (case, status)) in expected.iter_mut().zip(statuses).enumerate() {
        let matched = rules::record_late_receipt(&mut case.row, &model_receipt(status));
        let receipts = [receipt(&table, index, status)];
        let recorded = record_late_receipts(&mut connection, &receipts, table.now)
            .await
            .unwrap();
        assert_eq!(recorded, u64::from(matched), "{case:?} {status:?}");
    }
    drop(connection);
    table.expect(&cases, &expected).await;
}
