//! The webhooks that a call concerns: all of them, or those that the caller owns. Others do not exist
//! for the caller: 404.

use shared::access::Permission::{self, WebhooksRead, WebhooksWrite};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::{
    auth::Caller,
    http::error::ApiError,
    resources::webhooks::{
        no_such_webhook,
        store::{Webhook, load_webhook, lock_webhook},
    },
};

/// The webhooks that a call concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Only those of this owner.
    pub owner: Option<String>,
}

impl Scope {
    /// Returns the webhooks that a caller may see.
    pub fn to_read(caller: &Caller) -> Self {
        Self::of(caller, WebhooksRead)
    }

    /// Returns the webhooks that a caller may create, change, test and delete.
    pub fn to_write(caller: &Caller) -> Self {
        Self::of(caller, WebhooksWrite)
    }

    fn of(caller: &Caller, all: Permission) -> Self {
        Self {
            owner: (!caller.permissions.contains(&all)).then(|| caller.actor()),
        }
    }

    /// Returns a webhook.
    pub async fn load(
        &self,
        connection: &mut MySqlConnection,
        id: Uuid,
    ) -> Result<Webhook, ApiError> {
        self.admit(load_webhook(connection, id).await?)
    }

    /// Returns a webhook, and locks it against changes until the transaction ends.
    pub async fn lock(
        &self,
        connection: &mut MySqlConnection,
        id: Uuid,
    ) -> Result<Webhook, ApiError> {
        self.admit(lock_webhook(connection, id).await?)
    }

    fn admit(&self, webhook: Option<Webhook>) -> Result<Webhook, ApiError> {
        webhook
            .filter(|webhook| self.owner.is_none() || self.owner == webhook.owner)
            .ok_or_else(no_such_webhook)
    }
}
