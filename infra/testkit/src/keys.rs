//! Webhook keys for tests.

use shared::{events::keys::SharedKeys, platform::config::KeySource};

/// The keys, in the format of `WEBHOOK_KEYS`.
pub const WEBHOOK_KEYS: &str = r#"{"kid":"test","key":"a key of at least thirty-two characters"}"#;

/// Opens these keys.
pub async fn webhook_keys() -> SharedKeys {
    SharedKeys::open(KeySource::Fixed(WEBHOOK_KEYS.to_owned().into()))
        .await
        .unwrap()
}
