//! Keys of webhooks that are nobody's secret.

use shared::{events::keys::SharedKeys, platform::config::KeySource};

/// As `WEBHOOK_KEYS` takes them.
pub const WEBHOOK_KEYS: &str = r#"{"kid":"test","key":"a key of at least thirty-two characters"}"#;

/// These keys, open.
pub async fn webhook_keys() -> SharedKeys {
    SharedKeys::open(KeySource::Fixed(WEBHOOK_KEYS.to_owned().into()))
        .await
        .unwrap()
}
