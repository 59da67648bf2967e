//! Who may do what: the permissions that routes need, and the roles that bundle them. A person has a role; an API key has permissions of
//! its own. Which route needs which is the table of the API's routes.

pub mod audit;
pub mod users;

use chrono::TimeDelta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How long the API remembers an `Idempotency-Key`. Retention deletes its row after that.
pub const IDEMPOTENCY_RETENTION: TimeDelta = TimeDelta::hours(24);

/// What a caller may do.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema, Serialize, Deserialize,
)]
pub enum Permission {
    /// See schedules, their recipients and batches.
    #[serde(rename = "schedules:read")]
    SchedulesRead,
    /// Make, change, move schedules.
    #[serde(rename = "schedules:write")]
    SchedulesWrite,
    /// See what needs a person.
    #[serde(rename = "attention:read")]
    AttentionRead,
    /// Decide about it: send after all, send again, retry, redrive.
    #[serde(rename = "attention:write")]
    AttentionWrite,
    /// See who has opted out.
    #[serde(rename = "suppressions:read")]
    SuppressionsRead,
    /// Add and take off numbers that nobody sends to.
    #[serde(rename = "suppressions:write")]
    SuppressionsWrite,
    /// See webhooks and what was posted to them.
    #[serde(rename = "webhooks:read")]
    WebhooksRead,
    /// Make, change, try out, repeat, remove webhooks.
    #[serde(rename = "webhooks:write")]
    WebhooksWrite,
    /// See who changed what.
    #[serde(rename = "audit:read")]
    AuditRead,
    /// List, make, change, disable users.
    #[serde(rename = "users")]
    Users,
    /// List, make, revoke API keys.
    #[serde(rename = "api-keys")]
    ApiKeys,
}

impl Permission {
    /// Every one.
    pub const ALL: [Self; 11] = [
        Self::SchedulesRead,
        Self::SchedulesWrite,
        Self::AttentionRead,
        Self::AttentionWrite,
        Self::SuppressionsRead,
        Self::SuppressionsWrite,
        Self::WebhooksRead,
        Self::WebhooksWrite,
        Self::AuditRead,
        Self::Users,
        Self::ApiKeys,
    ];
    /// What a key may have: a machine makes neither people nor keys nor webhooks, so what a stolen one does can't outlive its revocation.
    pub const GRANTABLE: [Self; 8] = [
        Self::SchedulesRead,
        Self::SchedulesWrite,
        Self::AttentionRead,
        Self::AttentionWrite,
        Self::SuppressionsRead,
        Self::SuppressionsWrite,
        Self::WebhooksRead,
        Self::AuditRead,
    ];

    /// The word in the database, in the API, and as an OAuth scope.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SchedulesRead => "schedules:read",
            Self::SchedulesWrite => "schedules:write",
            Self::AttentionRead => "attention:read",
            Self::AttentionWrite => "attention:write",
            Self::SuppressionsRead => "suppressions:read",
            Self::SuppressionsWrite => "suppressions:write",
            Self::WebhooksRead => "webhooks:read",
            Self::WebhooksWrite => "webhooks:write",
            Self::AuditRead => "audit:read",
            Self::Users => "users",
            Self::ApiKeys => "api-keys",
        }
    }

    /// Words, separated by blanks, as a key's row holds them. What isn't known any more is no permission.
    pub fn parse_list(words: &str) -> Vec<Self> {
        let known = |word| {
            Self::ALL
                .into_iter()
                .find(|permission| permission.as_str() == word)
        };
        words.split(' ').filter_map(known).collect()
    }

    /// The reverse of [`Permission::parse_list`].
    pub fn to_list(permissions: &[Self]) -> String {
        let words: Vec<_> = permissions
            .iter()
            .map(|permission| permission.as_str())
            .collect();
        words.join(" ")
    }
}

/// What a person is.
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
    /// Also sends, and decides.
    Operator,
    /// Also says who may.
    Admin,
}

impl Role {
    /// Each, from the least to the most.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// The word in the database, the API and tokens.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// The role of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }

    /// What it may do; each role may what the one before it may.
    pub const fn permissions(self) -> &'static [Permission] {
        use Permission::{
            AttentionRead, AttentionWrite, SchedulesRead, SchedulesWrite, SuppressionsRead,
            SuppressionsWrite, WebhooksRead,
        };
        match self {
            Self::Viewer => &[SchedulesRead, AttentionRead, SuppressionsRead],
            Self::Operator => &[
                SchedulesRead,
                SchedulesWrite,
                AttentionRead,
                AttentionWrite,
                SuppressionsRead,
                SuppressionsWrite,
                WebhooksRead,
            ],
            Self::Admin => &Permission::ALL,
        }
    }
}

/// What a username is made of, for people.
pub const USERNAME: &str = "3 to 64 characters of a-z 0-9 . _ - @";

/// The same as a regular expression; it is put into lower case first.
pub const USERNAME_PATTERN: &str = "^[A-Za-z0-9._@-]{3,64}$";

/// Whether it is a username.
pub fn is_username(name: &str) -> bool {
    let letter =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-@".contains(&byte);
    (3..=64).contains(&name.len()) && name.bytes().all(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_username_can_do_no_harm() {
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
    fn each_role_may_what_the_one_before_it_may() {
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
    fn no_key_and_no_operator_makes_what_outlives_it() {
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
        assert!(
            Permission::GRANTABLE.contains(&Permission::WebhooksRead)
                && !Role::Viewer
                    .permissions()
                    .contains(&Permission::WebhooksRead)
        );
    }

    #[test]
    fn words_are_read_as_they_are_written() {
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
