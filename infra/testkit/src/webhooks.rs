//! Inserts webhooks, reads their deliveries, and verifies signatures as a receiver does.

use base64::{Engine, prelude::BASE64_STANDARD};
use ring::hmac;
use shared::{
    events::{keys::SharedKeys, secret::WebhookKeys},
    platform::{config::KeySource, db::Db},
};
use uuid::Uuid;

/// The keys from which the secrets of tests are derived, in the format of `WEBHOOK_KEYS`.
pub const KEYS: &str = r#"{"kid":"test","key":"a key of at least thirty-two characters"}"#;

/// Opens the keys, as a function does.
pub async fn keys() -> SharedKeys {
    SharedKeys::open(KeySource::Fixed(KEYS.to_owned().into()))
        .await
        .unwrap()
}

/// Returns the secret that the API has shown to the webhook's owner.
pub fn secret(webhook: Uuid, secret_no: u32) -> String {
    WebhookKeys::read(KEYS)
        .unwrap()
        .secret("test", webhook, secret_no)
        .unwrap()
        .reveal()
}

/// Inserts a webhook that subscribes to `events`, which are separated by commas.
pub async fn insert(db: &Db, url: &str, events: &str) -> Uuid {
    let id = Uuid::now_v7();
    let sql = "INSERT INTO webhooks (id, url, events, key_id, created_at, created_by) VALUES (?, ?, ?, 'test', ?, 'test')";
    sqlx::query(sql)
        .bind(id)
        .bind(url)
        .bind(events)
        .bind(db.now())
        .execute(db)
        .await
        .unwrap();
    id
}

/// Returns the deliveries of a webhook as lines `type status tries http_status error`, in the order
/// of the events.
pub async fn deliveries(db: &Db, webhook: Uuid) -> Vec<String> {
    let sql =
        "SELECT CONCAT_WS(' ', type, status, tries, http_status, error) FROM webhook_deliveries
               WHERE webhook_id = ? ORDER BY event_id";
    sqlx::query_scalar(sql)
        .bind(webhook)
        .fetch_all(db)
        .await
        .unwrap()
}

/// Returns the types of a webhook's events, in their order.
pub async fn events(db: &Db, webhook: Uuid) -> Vec<String> {
    let sql = "SELECT type FROM webhook_deliveries WHERE webhook_id = ? ORDER BY event_id";
    sqlx::query_scalar(sql)
        .bind(webhook)
        .fetch_all(db)
        .await
        .unwrap()
}

/// Returns whether one of the signatures matches this body and secret (`whsec_…`). Follows
/// docs/api/webhooks.md and uses none of the signing code.
pub fn is_signed(secret: &str, headers: (&str, &str, &str), body: &[u8]) -> bool {
    let (id, timestamp, signatures) = headers;
    let key = BASE64_STANDARD
        .decode(secret.strip_prefix("whsec_").unwrap())
        .unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let signed = [id.as_bytes(), timestamp.as_bytes(), body].join(&b'.');
    let candidates = signatures
        .split(' ')
        .filter_map(|signature| signature.strip_prefix("v1,"));
    candidates
        .filter_map(|candidate| BASE64_STANDARD.decode(candidate).ok())
        .any(|tag| hmac::verify(&key, &signed, &tag).is_ok())
}
