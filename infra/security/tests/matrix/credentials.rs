//! The credentials of the matrix: valid ones with their permissions, and invalid ones.

use api::auth::access::Access;
use reqwest::Method;
use security::Target;
use serde_json::json;
use shared::access::{Permission, Role};

use super::forged_tokens::forged;

/// A caller of a route.
pub struct Credential {
    pub name: String,
    pub authorization: String,
    /// The permissions; `None` if the credential is invalid.
    permissions: Option<Vec<Permission>>,
    is_person: bool,
}

impl Credential {
    pub fn invalid(name: &str, authorization: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            authorization: authorization.into(),
            permissions: None,
            is_person: false,
        }
    }

    /// Returns the expected status of a call: 401, 403, or 200 for any other status.
    pub fn expected(&self, access: Access) -> u16 {
        let allowed = match (access, &self.permissions) {
            (Access::Public, _) => true,
            // No login is accepted: receipt_signatures.rs tests these routes.
            (Access::Signed, _) | (_, None) => return 401,
            (Access::Authenticated, _) => true,
            (Access::Session, _) => self.is_person,
            (Access::Requires(permission), Some(held)) => held.contains(&permission),
            (Access::RequiresOrOwn(all, own), Some(held)) => {
                held.contains(&all) || held.contains(&own)
            }
        };
        if allowed { 200 } else { 403 }
    }
}

/// Creates all credentials on the stack.
pub async fn credentials(target: &Target) -> Vec<Credential> {
    let mut all = malformed();
    all.extend(forged(target));
    all.push(tampered(target));
    all.extend(valid_keys(target).await);
    all.push(revoked_key(target).await);
    all.push(expired_key(target).await);
    all.push(disabled_user(target).await);
    all.extend(users_of_each_role(target).await);
    all.push(logged_out_user(target).await);
    all
}

/// Returns values of the header that contain no token of the API.
fn malformed() -> Vec<Credential> {
    vec![
        Credential::invalid("none", ""),
        Credential::invalid("no scheme", "abc"),
        Credential::invalid("basic", "Basic eHg6eHg="),
        Credential::invalid("empty bearer", "Bearer "),
        Credential::invalid("two blanks", "Bearer  abc"),
        Credential::invalid("three words", "Bearer a b"),
        Credential::invalid("no token", "Bearer abc"),
        Credential::invalid("three parts", "Bearer a.b.c"),
        Credential::invalid(
            "alg none",
            "Bearer eyJhbGciOiJub25lIiwia2lkIjoibG9jYWwifQ.eyJpc3MiOiJzbXMiLCJhdWQiOiJzbXMifQ.",
        ),
        Credential::invalid("very long", format!("Bearer {}", "a".repeat(7_000))),
        Credential::invalid(
            "unknown key",
            format!("Bearer sms_aaaaaaaa_{}", "a".repeat(52)),
        ),
        Credential::invalid("another service's key", "Bearer sk_live_123456"),
    ]
}

/// Returns the admin's token with one character of the signature changed.
fn tampered(target: &Target) -> Credential {
    let change = |(at, c): (usize, char)| match (at, c) {
        (5, 'A') => 'B',
        (5, _) => 'A',
        _ => c,
    };
    let reversed: String = target
        .admin()
        .chars()
        .rev()
        .enumerate()
        .map(change)
        .collect();
    let token: String = reversed.chars().rev().collect();
    Credential::invalid("tampered", format!("Bearer {token}"))
}

/// Creates one API key per permission.
async fn valid_keys(target: &Target) -> Vec<Credential> {
    let mut keys = Vec::new();
    for permission in Permission::GRANTABLE {
        let (_, key) = target.key(&[permission.as_str()]).await.unwrap();
        keys.push(Credential {
            name: format!("key {}", permission.as_str()),
            authorization: format!("Bearer {key}"),
            permissions: Some(vec![permission]),
            is_person: false,
        });
    }
    keys
}

async fn revoked_key(target: &Target) -> Credential {
    let (id, revoked) = target
        .key(&["schedules:read", "schedules:write"])
        .await
        .unwrap();
    let done = target
        .call(
            &format!("Bearer {}", target.admin()),
            Method::DELETE,
            &format!("/v1/api-keys/{id}"),
        )
        .await
        .unwrap();
    assert_eq!(done.status(), 200);
    Credential::invalid("revoked key", format!("Bearer {revoked}"))
}

/// Creates a key that expires after a second, and waits until it has expired.
async fn expired_key(target: &Target) -> Credential {
    let soon = (chrono::Utc::now() + chrono::TimeDelta::seconds(1)).to_rfc3339();
    let expiring = json!({"name": "expired", "permissions": ["schedules:read", "schedules:write"], "expires_at": soon});
    let expired = target
        .post(target.admin(), "/v1/api-keys", &expiring)
        .await
        .unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    Credential::invalid(
        "expired key",
        format!("Bearer {}", expired["key"].as_str().unwrap()),
    )
}

async fn disabled_user(target: &Target) -> Credential {
    let (id, disabled) = target.user("matrix-disabled-admin", "admin").await.unwrap();
    let patch = target
        .request(Method::PATCH, &format!("/v1/users/{id}"))
        .bearer_auth(target.admin())
        .json(&json!({"disabled": true}));
    assert_eq!(patch.send().await.unwrap().status(), 200);
    Credential::invalid("disabled user", format!("Bearer {disabled}"))
}

async fn users_of_each_role(target: &Target) -> Vec<Credential> {
    let mut users = Vec::new();
    for role in Role::ALL {
        let username = format!("matrix-{}", role.as_str());
        let (_, token) = target.user(&username, role.as_str()).await.unwrap();
        users.push(Credential {
            name: role.as_str().to_owned(),
            authorization: format!("Bearer {token}"),
            permissions: Some(role.permissions().to_vec()),
            is_person: true,
        });
    }
    users
}

async fn logged_out_user(target: &Target) -> Credential {
    let (_, token) = target.user("matrix-logged-out", "admin").await.unwrap();
    let authorization = format!("Bearer {token}");
    let logged_out = target
        .call(&authorization, Method::POST, "/v1/auth/logout")
        .await
        .unwrap();
    assert_eq!(logged_out.status(), 204);
    Credential::invalid("logged out", authorization)
}
