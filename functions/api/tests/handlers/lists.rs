//! Lists page by page, and counts that equal the rows.

use std::collections::BTreeMap;

use crate::common::{Api, phones, walk};
use shared::{message::status::Status, platform::db::MIGRATOR};
use sqlx::MySqlPool;

#[sqlx::test(migrator = "MIGRATOR")]
async fn schedules_are_listed_newest_first(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let mut ids = Vec::new();
    for n in 0..7 {
        ids.insert(0, serde_json::json!(api.schedule(&phones(0..n % 3)).await));
    }
    for limit in [1, 3, 7, 50] {
        assert_eq!(
            walk(
                &api,
                &format!("/v1/schedules?limit={limit}"),
                "schedules",
                "id"
            )
            .await,
            ids,
            "{limit}"
        );
    }
    let drafts = walk(
        &api,
        "/v1/schedules?status=draft&limit=2",
        "schedules",
        "status",
    )
    .await;
    assert_eq!(drafts, ["draft"; 3]);
    assert!(
        walk(&api, "/v1/schedules?status=missed", "schedules", "id")
            .await
            .is_empty()
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn recipients_are_listed_in_input_order(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let mut given = phones(0..2_500);
    given.reverse();
    let id = api.schedule(&given).await;
    for limit in [7, 1_000] {
        let path = format!("/v1/schedules/{id}/recipients?limit={limit}");
        assert!(
            walk(&api, &path, "recipients", "phone").await == given,
            "{limit}"
        );
    }
    let path = format!("/v1/schedules/{id}/recipients?status=DELIVRD&limit=1");
    assert!(walk(&api, &path, "recipients", "seq").await.is_empty());
    sqlx::query("UPDATE recipients SET status = 'CANCELLED', final_at = UTC_TIMESTAMP(3) WHERE seq % 100 = 0")
        .execute(&pool)
        .await
        .unwrap();
    let path = format!("/v1/schedules/{id}/recipients?status=CANCELLED&limit=4");
    let seqs: Vec<_> = (1..=25).map(|n| n * 100).collect();
    assert_eq!(walk(&api, &path, "recipients", "seq").await, seqs);
}

/// Gives the recipients all statuses in turn.
async fn spread_statuses(pool: &MySqlPool) {
    let sql =
        "UPDATE recipients SET status = ?, attempt = 1, sent_at = UTC_TIMESTAMP(3), id_start = 'm',
        final_at = IF(?, UTC_TIMESTAMP(3), NULL) WHERE seq % 13 = ? AND status = 'PENDING'";
    for (n, status) in Status::ALL[..13].iter().enumerate() {
        sqlx::query(sql)
            .bind(status.as_str())
            .bind(status.is_final())
            .bind(n as u32)
            .execute(pool)
            .await
            .unwrap();
    }
}

/// Inserts batches of fifty with the counts of their rows. Two are claimed, and their counts are
/// outdated.
async fn insert_batches(pool: &MySqlPool) {
    let sums: Vec<_> = Status::ALL[..13]
        .iter()
        .map(|status| format!("SUM(status = '{}')", status.as_str()))
        .collect();
    let columns: Vec<_> = Status::ALL[..13]
        .iter()
        .map(|status| status.as_str().to_lowercase())
        .collect();
    let batches = format!(
        "INSERT INTO batches (schedule_id, batch_no, first_seq, last_seq, planned_at, {}) SELECT schedule_id, (seq - 1) DIV 50 + 1,
         MIN(seq), MAX(seq), UTC_TIMESTAMP(3), {} FROM recipients GROUP BY schedule_id, (seq - 1) DIV 50 + 1",
        columns.join(", "),
        sums.join(", ")
    );
    sqlx::query(&batches).execute(pool).await.unwrap();
    sqlx::query(
        "UPDATE batches SET pending = 999, sweep_at = UTC_TIMESTAMP(3), claim_token = UNHEX(REPEAT('0F', 16)),
         claimed_until = UTC_TIMESTAMP(3) WHERE batch_no IN (2, 9)",
    )
    .execute(pool)
    .await
    .unwrap();
    sqlx::query("UPDATE schedules SET status = 'running', batch_count = 9, dispatched_at = UTC_TIMESTAMP(3)")
        .execute(pool)
        .await
        .unwrap();
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn counts_equal_the_rows(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = api.schedule(&phones(0..400)).await;
    api.append(id, "?on_invalid=skip", "text/csv", "x\ny\nz")
        .await;
    spread_statuses(&pool).await;
    insert_batches(&pool).await;
    let rows: Vec<(String, i64)> =
        sqlx::query_as("SELECT status, COUNT(*) FROM recipients GROUP BY status")
            .fetch_all(&pool)
            .await
            .unwrap();
    let rows: BTreeMap<_, _> = rows.into_iter().collect();
    let shown = api.get(&format!("/v1/schedules/{id}")).await.body;
    let shown: BTreeMap<String, i64> = serde_json::from_value(shown["counts"].clone()).unwrap();
    assert_eq!(shown, rows);
    assert_eq!(rows.len(), Status::ALL.len());
}
