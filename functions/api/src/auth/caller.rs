//! A caller: its identity, its permissions, and the audit entries of its changes.

use axum::{extract::FromRequestParts, http::request::Parts};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use shared::{
    access::{
        Permission, Role,
        audit::{AuditEntry, insert_entry, new_id},
    },
    platform::secret::hash_token,
};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::{
    auth::store::{DailyLimit, use_daily_limit},
    http::{
        error::ApiError,
        idempotency::store::{Attempt, mark_executed},
        origin::Origin,
        problems,
    },
};

/// The length of `audit_log.actor`.
const MAX_ACTOR: usize = 80;

/// How a caller was authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// A user who logged in here.
    User {
        /// `users.id`
        id: Uuid,
        /// `sessions.id`
        session: Uuid,
    },
    /// A program with an API key.
    Key {
        /// `api_keys.id`
        id: Uuid,
        /// `api_keys.hash`
        hash: Vec<u8>,
        /// Recipients that it may add per day.
        messages_per_day: Option<u32>,
    },
    /// A user or a program of the outside issuer.
    Outsider {
        /// The issuer, without a trailing slash.
        issuer: String,
        /// The token's `sub`, which is unique for this issuer.
        subject: String,
    },
    /// None: the route needs no login.
    Anonymous,
}

/// The caller of a request.
#[derive(Clone, Debug)]
pub struct Caller {
    /// How it was authenticated.
    pub identity: Identity,
    /// Its name as text.
    pub name: String,
    /// The role of a user.
    pub role: Option<Role>,
    /// Its permissions.
    pub permissions: Vec<Permission>,
    /// The origin of the request.
    pub origin: Origin,
    /// The attempt that is committed with the change, if the request has an `Idempotency-Key`.
    pub attempt: Option<Attempt>,
}

/// A change, for the audit log.
#[derive(Debug, Default)]
pub struct Change<'a> {
    /// Such as `schedule.cancel`.
    pub action: &'a str,
    /// Such as `schedule:ID`.
    pub resource: String,
    /// The changed values before the change.
    pub before: Option<Value>,
    /// The same values after the change.
    pub after: Option<Value>,
}

impl<'a> Change<'a> {
    /// Returns a change of a schedule.
    pub fn of_schedule(
        action: &'a str,
        id: Uuid,
        before: impl Serialize,
        after: impl Serialize,
    ) -> Self {
        let json = |value: serde_json::Result<Value>| value.ok().filter(|value| !value.is_null());
        Self {
            action,
            resource: format!("schedule:{id}"),
            before: json(serde_json::to_value(before)),
            after: json(serde_json::to_value(after)),
        }
    }
}

impl Caller {
    /// Returns the caller of a route that needs no login.
    pub fn anonymous(origin: Origin) -> Self {
        Self {
            identity: Identity::Anonymous,
            name: "nobody".to_owned(),
            role: None,
            permissions: Vec::new(),
            origin,
            attempt: None,
        }
    }

    /// Returns the name of the caller in the audit log.
    pub fn actor(&self) -> String {
        match &self.identity {
            Identity::User { id, .. } => format!("user:{id}"),
            Identity::Key { id, .. } => format!("key:{id}"),
            Identity::Outsider { issuer, subject } => outsider_actor(issuer, subject),
            Identity::Anonymous => "nobody".to_owned(),
        }
    }

    /// Returns the key under which its requests are counted.
    pub fn rate_key(&self) -> Vec<u8> {
        match &self.identity {
            Identity::Key { hash, .. } => hash.clone(),
            Identity::Anonymous => hash_token(&format!("address:{}", self.origin.address)),
            _ => hash_token(&self.actor()),
        }
    }

    /// Inserts the audit entry of a change, in the transaction of the change.
    pub async fn record(
        &self,
        transaction: &mut MySqlConnection,
        now: DateTime<Utc>,
        change: Change<'_>,
    ) -> sqlx::Result<()> {
        if let Some(attempt) = &self.attempt
            && !mark_executed(transaction, attempt, &change.resource).await?
        {
            return Err(sqlx::Error::Protocol(
                "another attempt at this request has taken over".to_owned(),
            ));
        }
        let entry = AuditEntry {
            id: new_id(now),
            actor: self.actor(),
            actor_name: self.name.chars().take(128).collect(),
            address: self.origin.address.clone(),
            request_id: self.origin.request_id.clone(),
            action: change.action.to_owned(),
            resource: change.resource,
            state_before: change.before.map(|value| value.to_string()),
            state_after: change.after.map(|value| value.to_string()),
        };
        insert_entry(transaction, &entry).await
    }

    /// Counts recipients towards the daily limit of an API key, in the transaction that adds them.
    pub async fn use_messages(
        &self,
        transaction: &mut MySqlConnection,
        now: DateTime<Utc>,
        messages: u32,
    ) -> Result<(), ApiError> {
        let Identity::Key {
            id,
            messages_per_day: Some(allowed),
            ..
        } = self.identity
        else {
            return Ok(());
        };
        let day = now.date_naive();
        let limit = DailyLimit {
            key_id: id,
            day,
            messages: allowed,
        };
        let Some(left) = use_daily_limit(transaction, limit, messages).await? else {
            return Ok(());
        };
        let midnight = day
            .succ_opt()
            .and_then(|next| next.and_hms_opt(0, 0, 0))
            .map_or(now, |midnight| midnight.and_utc());
        Err(ApiError::TooMany {
            problem: &problems::DAILY_LIMIT,
            detail: format!(
                "expected at most {left} more recipients today (UTC) with this key, which may add {allowed} per day; nothing was written"
            ),
            wait_s: (midnight - now).num_seconds().max(1) as u64,
        })
    }
}

/// Returns the actor of an outside issuer: two issuers may have the same subject. A name that is
/// longer than the column is replaced by its hash, which identifies it as well.
fn outsider_actor(issuer: &str, subject: &str) -> String {
    let issuer = issuer.strip_prefix("https://").unwrap_or(issuer);
    let actor = format!("issuer:{issuer}#{subject}");
    if actor.len() <= MAX_ACTOR {
        return actor;
    }
    let hash = hash_token(&actor);
    let id = Uuid::from_slice(&hash[..16]).unwrap_or_default();
    format!("issuer:#{}", id.simple())
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let caller = parts.extensions.get::<Self>().cloned();
        let caller =
            caller.ok_or_else(|| ApiError::Internal("the route has no guard".to_owned()))?;
        let attempt = parts.extensions.get::<Attempt>().cloned();
        Ok(Self { attempt, ..caller })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actors_of_two_issuers_differ_and_fit_the_column() {
        let (one, other) = ("https://a.example/realms/x", "https://b.example");
        assert_eq!(outsider_actor(one, "7"), "issuer:a.example/realms/x#7");
        assert_eq!(outsider_actor(other, "7"), "issuer:b.example#7");
        let long = "x".repeat(255);
        let hashed = [one, other].map(|issuer| outsider_actor(issuer, &long));
        assert!(hashed[0] != hashed[1] && hashed.iter().all(|actor| actor.len() <= MAX_ACTOR));
        assert!(hashed[0].starts_with("issuer:#"));
    }
}
