//! Permissions, and the roles that combine them.
//!
//! A user has a role, an API key has its own permissions. The API's table of routes names the
//! permission that each route requires.

pub mod audit;
pub mod users;

use chrono::TimeDelta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How long the API remembers an `Idempotency-Key`. Retention deletes its row after that.
pub const IDEMPOTENCY_RETENTION: TimeDelta = TimeDelta::hours(24);

/// A permission of a caller.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema, Serialize, Deserialize,
)]
pub enum Permission {
    /// See schedules, their recipients and batches.
    #[serde(rename = "schedules:read")]
    SchedulesRead,
    /// Create, change and move schedules.
    #[serde(rename = "schedules:write")]
    SchedulesWrite,
    /// Create schedules of priority high, and give schedules that priority.
    #[serde(rename = "schedules:high")]
    SchedulesHigh,
    /// Approve and reject schedules of others that wait for an approval.
    #[serde(rename = "schedules:approve")]
    SchedulesApprove,
    /// See what needs attention.
    #[serde(rename = "attention:read")]
    AttentionRead,
    /// Act on it: send missed messages, resend, retry, redrive.
    #[serde(rename = "attention:write")]
    AttentionWrite,
    /// See suppressed numbers.
    #[serde(rename = "suppressions:read")]
    SuppressionsRead,
    /// Add suppressed numbers.
    #[serde(rename = "suppressions:write")]
    SuppressionsWrite,
    /// Remove suppressed numbers: they get messages again.
    #[serde(rename = "suppressions:delete")]
    SuppressionsDelete,
    /// See everything that is known of one number.
    #[serde(rename = "people:read")]
    PeopleRead,
    /// Erase everything that is known of one number.
    #[serde(rename = "people:erase")]
    PeopleErase,
    /// See webhooks and their deliveries.
    #[serde(rename = "webhooks:read")]
    WebhooksRead,
    /// Create, change, test and remove webhooks, and repeat deliveries.
    #[serde(rename = "webhooks:write")]
    WebhooksWrite,
    /// The same for webhooks of its own, which get only events of schedules that the caller has
    /// created; and callbacks of these schedules.
    #[serde(rename = "webhooks:own")]
    WebhooksOwn,
    /// Choose any sender for a schedule, not only a registered one.
    #[serde(rename = "senders:any")]
    SendersAny,
    /// Register and remove senders.
    #[serde(rename = "senders:write")]
    SendersWrite,
    /// See the limits of the carriers, and what waits for them.
    #[serde(rename = "carriers:read")]
    CarriersRead,
    /// Change the limits of the carriers.
    #[serde(rename = "carriers:write")]
    CarriersWrite,
    /// Stop and resume all sending.
    #[serde(rename = "system:stop")]
    SystemStop,
    /// Import prices, and set budgets.
    #[serde(rename = "money")]
    Money,
    /// See the audit log.
    #[serde(rename = "audit:read")]
    AuditRead,
    /// List, create, change and disable users.
    #[serde(rename = "users")]
    Users,
    /// List, create and revoke API keys.
    #[serde(rename = "api-keys")]
    ApiKeys,
}

impl Permission {
    /// Each permission.
    pub const ALL: [Self; 23] = [
        Self::SchedulesRead,
        Self::SchedulesWrite,
        Self::SchedulesHigh,
        Self::SchedulesApprove,
        Self::AttentionRead,
        Self::AttentionWrite,
        Self::SuppressionsRead,
        Self::SuppressionsWrite,
        Self::SuppressionsDelete,
        Self::PeopleRead,
        Self::PeopleErase,
        Self::WebhooksRead,
        Self::WebhooksWrite,
        Self::WebhooksOwn,
        Self::SendersAny,
        Self::SendersWrite,
        Self::CarriersRead,
        Self::CarriersWrite,
        Self::SystemStop,
        Self::Money,
        Self::AuditRead,
        Self::Users,
        Self::ApiKeys,
    ];
    /// The permissions that an API key may have. A key approves nothing, because an approval is the
    /// decision of a person. It creates neither users nor keys, and its own
    /// webhooks are disabled when it is revoked, so nothing that is done with a stolen key survives
    /// its revocation.
    pub const GRANTABLE: [Self; 17] = [
        Self::SchedulesRead,
        Self::SchedulesWrite,
        Self::SchedulesHigh,
        Self::AttentionRead,
        Self::AttentionWrite,
        Self::SuppressionsRead,
        Self::SuppressionsWrite,
        Self::SuppressionsDelete,
        Self::PeopleRead,
        Self::PeopleErase,
        Self::WebhooksRead,
        Self::WebhooksOwn,
        Self::SendersAny,
        Self::CarriersRead,
        Self::CarriersWrite,
        Self::SystemStop,
        Self::AuditRead,
    ];

    /// Returns the value in the database, in the API, and as an OAuth scope.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SchedulesRead => "schedules:read",
            Self::SchedulesWrite => "schedules:write",
            Self::SchedulesHigh => "schedules:high",
            Self::SchedulesApprove => "schedules:approve",
            Self::AttentionRead => "attention:read",
            Self::AttentionWrite => "attention:write",
            Self::SuppressionsRead => "suppressions:read",
            Self::SuppressionsWrite => "suppressions:write",
            Self::SuppressionsDelete => "suppressions:delete",
            Self::PeopleRead => "people:read",
            Self::PeopleErase => "people:erase",
            Self::WebhooksRead => "webhooks:read",
            Self::WebhooksWrite => "webhooks:write",
            Self::WebhooksOwn => "webhooks:own",
            Self::SendersAny => "senders:any",
            Self::SendersWrite => "senders:write",
            Self::CarriersRead => "carriers:read",
            Self::CarriersWrite => "carriers:write",
            Self::SystemStop => "system:stop",
            Self::Money => "money",
            Self::AuditRead => "audit:read",
            Self::Users => "users",
            Self::ApiKeys => "api-keys",
        }
    }

    /// Parses a list separated by spaces, as the row of a key contains it. An unknown value is no
    /// permission.
    pub fn parse_list(list: &str) -> Vec<Self> {
        let known = |value| {
            Self::ALL
                .into_iter()
                .find(|permission| permission.as_str() == value)
        };
        list.split(' ').filter_map(known).collect()
    }

    /// Writes a list that [`Permission::parse_list`] reads.
    pub fn to_list(permissions: &[Self]) -> String {
        let values: Vec<_> = permissions
            .iter()
            .map(|permission| permission.as_str())
            .collect();
        values.join(" ")
    }
}

/// The role of a user.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    JsonSchema,
    Serialize,
    Deserialize,
    sqlx::Type,
)]
#[serde(rename_all = "lowercase")]
#[sqlx(rename_all = "lowercase")]
pub enum Role {
    /// Sees everything about messages.
    Viewer,
    /// Also sends, and acts on what needs attention.
    Operator,
    /// Also manages users, keys and webhooks.
    Admin,
}

impl Role {
    /// Each role, from the fewest permissions to the most.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// Returns the value in the database, the API and tokens.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// Returns the role with that value.
    pub fn parse(value: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == value)
    }

    /// Returns the permissions of a role; each role includes those of the role before it.
    pub const fn permissions(self) -> &'static [Permission] {
        use Permission::{
            AttentionRead, AttentionWrite, CarriersRead, CarriersWrite, SchedulesApprove,
            SchedulesHigh, SchedulesRead, SchedulesWrite, SuppressionsRead, SuppressionsWrite,
            WebhooksRead,
        };
        match self {
            Self::Viewer => &[SchedulesRead, AttentionRead, SuppressionsRead, CarriersRead],
            Self::Operator => &[
                SchedulesRead,
                SchedulesWrite,
                SchedulesHigh,
                SchedulesApprove,
                AttentionRead,
                AttentionWrite,
                SuppressionsRead,
                SuppressionsWrite,
                WebhooksRead,
                CarriersRead,
                CarriersWrite,
            ],
            Self::Admin => &Permission::ALL,
        }
    }
}

/// The form of a username, for error messages.
pub const USERNAME: &str = "3 to 64 characters of a-z 0-9 . _ - @";

/// The form of a username as a regular expression; the API converts it to lower case first.
pub const USERNAME_PATTERN: &str = "^[A-Za-z0-9._@-]{3,64}$";

/// Whether `name` is a valid username.
pub fn is_username(name: &str) -> bool {
    let letter =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-@".contains(&byte);
    (3..=64).contains(&name.len()) && name.bytes().all(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_username_contains_only_harmless_characters() {
        for (name, good) in [
            ("ana", true),
            ("ana.b_c-d@example.com", true),
            ("an", false),
            ("Ana", false),
            ("a b", false),
            ("a'--", false),
        ] {
            assert_eq!(is_username(name), good, "{name}");
        }
        assert!(is_username(&"a".repeat(64)) && !is_username(&"a".repeat(65)));
    }

    #[test]
    fn each_role_includes_the_permissions_of_the_role_before_it() {
        for pair in Role::ALL.windows(2) {
            assert!(
                pair[0]
                    .permissions()
                    .iter()
                    .all(|permission| pair[1].permissions().contains(permission))
            );
        }
    }

    #[test]
    fn neither_a_key_nor_an_operator_creates_lasting_access() {
        for permission in [
            Permission::Users,
            Permission::ApiKeys,
            Permission::WebhooksWrite,
        ] {
            assert!(
                !Permission::GRANTABLE.contains(&permission),
                "{permission:?}"
            );
            assert!(
                !Role::Operator.permissions().contains(&permission),
                "{permission:?}"
            );
        }
        let approve = Permission::SchedulesApprove;
        assert!(
            !Permission::GRANTABLE.contains(&approve),
            "only people approve"
        );
        let delete = Permission::SuppressionsDelete;
        assert!(
            !Role::Operator.permissions().contains(&delete),
            "an opt-out is the person's"
        );
        assert!(
            Permission::GRANTABLE.contains(&Permission::WebhooksRead)
                && !Role::Viewer
                    .permissions()
                    .contains(&Permission::WebhooksRead)
        );
        let own = Permission::WebhooksOwn;
        assert!(
            Permission::GRANTABLE.contains(&own) && !Role::Operator.permissions().contains(&own),
            "only a key has webhooks of its own"
        );
    }

    #[test]
    fn the_permissions_of_a_key_fit_their_column() {
        let longest = Permission::to_list(&Permission::GRANTABLE);
        assert!(longest.len() <= 255, "{}", longest.len());
    }

    #[test]
    fn permissions_and_roles_are_read_as_they_are_written() {
        for permission in Permission::ALL {
            assert_eq!(Permission::parse_list(permission.as_str()), [permission]);
            assert_eq!(
                serde_json::to_value(permission).unwrap(),
                permission.as_str()
            );
        }
        let two = [Permission::SchedulesRead, Permission::AuditRead];
        assert_eq!(Permission::parse_list(&Permission::to_list(&two)), two);
        assert_eq!(
            Permission::parse_list("schedules:read everything"),
            [Permission::SchedulesRead]
        );
        assert!(
            Role::ALL
                .into_iter()
                .all(|role| Role::parse(role.as_str()) == Some(role))
        );
    }
}
