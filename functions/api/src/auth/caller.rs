//! A caller: who it is, what it may do, and how its changes get into the audit log.

use crate::{
    http::idempotency::store::{Attempt, note_done},
    resources::api_keys::store::{DailyAllowance, use_allowance},
};
use axum::{extract::FromRequestParts, http::request::Parts};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use shared::{
    access::{
        Permission, Role,
        audit::{Entry, insert_entry, new_id},
    },
    platform::secret::hash_token,
};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::http::{error::ApiError, origin::Origin};

/// Who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// A person who logged in here.
    User {
        /// `users.id`
        id: Uuid,
        /// `sessions.id`
        session: Uuid,
    },
    /// A machine.
    Key {
        /// `api_keys.id`
        id: Uuid,
        /// `api_keys.hash`
        hash: Vec<u8>,
        /// Recipients that it may add in a day.
        messages_per_day: Option<u32>,
    },
    /// A person, or a machine, of the outside issuer.
    Outsider {
        /// The token's `sub`.
        subject: String,
    },
    /// Nobody: a call that needs no login.
    Nobody,
}

/// Somebody who was let in.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who it is.
    pub identity: Identity,
    /// Its name, for people.
    pub name: String,
    /// A person's.
    pub role: Option<Role>,
    /// What it may do.
    pub permissions: Vec<Permission>,
    /// Where it calls from.
    pub origin: Origin,
    /// Where the request has an `Idempotency-Key`: what its change is committed with.
    pub attempt: Option<Attempt>,
}

/// What a change did, for the log.
#[derive(Debug, Default)]
pub struct Change<'a> {
    /// Such as `schedule.cancel`.
    pub action: &'a str,
    /// Such as `schedule:ID`.
    pub resource: String,
    /// What of it changes, as it was.
    pub before: Option<Value>,
    /// The same, as it is now.
    pub after: Option<Value>,
}

impl<'a> Change<'a> {
    /// A change of a schedule.
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
    /// Nobody, from there.
    pub fn nobody(origin: Origin) -> Self {
        Self {
            identity: Identity::Nobody,
            name: "nobody".to_owned(),
            role: None,
            permissions: Vec::new(),
            origin,
            attempt: None,
        }
    }

    /// As the audit log names it.
    pub fn actor(&self) -> String {
        match &self.identity {
            Identity::User { id, .. } => format!("user:{id}"),
            Identity::Key { id, .. } => format!("key:{id}"),
            // Subjects may be longer than the column; their hash says as surely who it is.
            Identity::Outsider { subject } if subject.len() > 70 => {
                let hash = hash_token(subject);
                format!(
                    "issuer:#{}",
                    Uuid::from_slice(&hash[..16]).unwrap_or_default().simple()
                )
            }
            Identity::Outsider { subject } => format!("issuer:{subject}"),
            Identity::Nobody => "nobody".to_owned(),
        }
    }

    /// What its request rate is counted by.
    pub fn counted_by(&self) -> Vec<u8> {
        match &self.identity {
            Identity::Key { hash, .. } => hash.clone(),
            Identity::Nobody => hash_token(&format!("address:{}", self.origin.address)),
            _ => hash_token(&self.actor()),
        }
    }

    /// Writes a change down, in the transaction that makes it.
    pub async fn record(
        &self,
        transaction: &mut MySqlConnection,
        now: DateTime<Utc>,
        change: Change<'_>,
    ) -> sqlx::Result<()> {
        if let Some(attempt) = &self.attempt
            && !note_done(transaction, attempt, &change.resource).await?
        {
            return Err(sqlx::Error::Protocol(
                "another attempt at this request has taken over".to_owned(),
            ));
        }
        let entry = Entry {
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

    /// Counts recipients against a key's day, in the transaction that adds them.
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
        let allowance = DailyAllowance {
            day,
            messages: allowed,
        };
        let Some(left) = use_allowance(transaction, id, allowance, messages).await? else {
            return Ok(());
        };
        let midnight = day
            .succ_opt()
            .and_then(|next| next.and_hms_opt(0, 0, 0))
            .map_or(now, |midnight| midnight.and_utc());
        Err(ApiError::TooMany {
            slug: "daily-limit",
            detail: format!(
                "expected at most {left} more recipients today (UTC) with this key, which may add {allowed} a day; nothing was written"
            ),
            wait_s: (midnight - now).num_seconds().max(1) as u64,
        })
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| ApiError::Internal("a handler runs without its guard".to_owned()))
    }
}
