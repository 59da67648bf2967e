//! The keys of a person, when the person's account is disabled or changes its role.

use chrono::{DateTime, Utc};
use serde::Serialize;
use shared::access::{Permission, users::User};
use sqlx::MySqlConnection;

use crate::resources::api_keys::store::{
    disable_own_webhooks, lock_keys_of_person, revoke_api_key,
};

/// What a change of an account has ended, for the audit log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ended {
    /// Keys that were revoked.
    pub keys: u64,
    /// Webhooks of the person's keys that were disabled.
    pub webhooks: u64,
}

/// Revokes the keys of a person whose account is disabled, and disables the webhooks that the keys
/// own if the role no longer permits any. In the transaction that changes the account.
pub async fn follow_person(
    transaction: &mut MySqlConnection,
    user: &User,
    now: DateTime<Utc>,
) -> sqlx::Result<Ended> {
    let mut ended = Ended::default();
    let disabled = user.disabled_at.is_some();
    let keeps_webhooks = user.role.permissions().contains(&Permission::WebhooksOwn);
    if !disabled && keeps_webhooks {
        return Ok(ended);
    }
    let reason = if disabled {
        "key-revoked"
    } else {
        "permission-removed"
    };
    for id in lock_keys_of_person(transaction, user.id).await? {
        if disabled && revoke_api_key(transaction, id, now).await? {
            ended.keys += 1;
        }
        ended.webhooks += disable_own_webhooks(transaction, id, reason, now).await?;
    }
    Ok(ended)
}
