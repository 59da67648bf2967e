//! A carrier that pushes receipts, and recipients whose messages it has given ids.

use axum::{body::Body, http::Request};
use chrono::Utc;
use ring::hmac;
use serde_json::{Value, json};
use shared::platform::queue::{BatchMessage, Outgoing};
use sqlx::MySqlPool;
use uuid::Uuid;

use super::{Answer, Api, phones, rows};

pub const SECRET: &str = "the carrier's secret, of more than thirty-two bytes";
pub const SECRETS: &str = r#"{"sim": ["the carrier's secret, of more than thirty-two bytes", "the one before it, of more than thirty-two bytes"]}"#;
pub const PATH: &str = "/v1/carrier/callbacks/sim";

/// Returns the signature header of a body at a time.
pub fn sign(secret: &str, timestamp: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, &[timestamp.as_bytes(), b".", body].concat());
    let hex = tag
        .as_ref()
        .iter()
        .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    format!("v1={hex}")
}

/// Pushes a body as the carrier does: signed, without a login.
pub async fn push(api: &Api, body: &Value) -> Answer {
    let body = body.to_string();
    let timestamp = Utc::now().timestamp().to_string();
    let request = Request::post(PATH).header("x-callback-timestamp", &timestamp);
    let request = request.header(
        "x-callback-signature",
        sign(SECRET, &timestamp, body.as_bytes()),
    );
    api.with("")
        .call(request.body(Body::from(body)).unwrap())
        .await
}

/// Returns `recorded`, `unchanged`, `unknown`, `too_early`, and the number of invalid receipts.
pub fn tally(answer: &Answer) -> [u64; 5] {
    let count = |name: &str| {
        answer.body[name]
            .as_u64()
            .unwrap_or_else(|| panic!("{}: {}", answer.status, answer.body))
    };
    let invalid = answer.body["invalid"].as_array().unwrap().len() as u64;
    [
        count("recorded"),
        count("unchanged"),
        count("unknown"),
        count("too_early"),
        invalid,
    ]
}

/// Returns a receipt for the recipient with this sequence number in [`rows::cut`].
pub fn receipt(seq: u32, message_id: &str, status: &str) -> Value {
    json!({"message_id": message_id, "dnis": &phones(seq - 1..seq)[0][1..], "status": status})
}

/// Creates a running schedule of batches of five whose messages were accepted with the ids `m1`,
/// `m2`, …. Their rechecks are due in one hour.
pub async fn accepted(api: &Api, pool: &MySqlPool, batches: u32) -> Uuid {
    let id = rows::cut(api, pool, batches).await;
    let sql = "UPDATE recipients SET status = 'ACCEPTD', attempt = 1, id_start = CONCAT('m', seq),
        sent_at = UTC_TIMESTAMP(3) - INTERVAL 60 SECOND WHERE schedule_id = ?";
    sqlx::query(sql).bind(id).execute(pool).await.unwrap();
    for no in 1..=batches {
        rows::batch(
            pool,
            id,
            no,
            "check_at = now(3600), sweep_at = now(3600), pending = 0, acceptd = 5",
        )
        .await;
    }
    id
}

/// Updates the row of a recipient.
pub async fn row(pool: &MySqlPool, id: Uuid, seq: u32, assignments: &str) {
    let sql = format!("UPDATE recipients SET {assignments} WHERE schedule_id = ? AND seq = ?");
    sqlx::query(&sql)
        .bind(id)
        .bind(seq)
        .execute(pool)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// Returns the recipients as lines: `seq STATUS attempt ids carrier_status`, and `final`.
pub async fn lines(pool: &MySqlPool, id: Uuid) -> Vec<String> {
    let sql = "SELECT CONCAT_WS(' ', seq, status, attempt, message_id, carrier_status, IF(final_at IS NULL, NULL, 'final'))
        FROM recipients WHERE schedule_id = ? ORDER BY seq";
    sqlx::query_scalar(sql)
        .bind(id)
        .fetch_all(pool)
        .await
        .unwrap()
}

/// Removes the messages from the recheck queue, and returns batch number and delay in seconds.
pub fn rechecks(api: &Api) -> Vec<(u32, u32)> {
    let read = |message: Outgoing| {
        let batch: BatchMessage = serde_json::from_str(&message.body).unwrap();
        (batch.batch_no, message.delay_s)
    };
    api.fakes.rechecks.take().into_iter().map(read).collect()
}
