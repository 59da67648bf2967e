//! The authorization matrix: every route of the API's own table with every credential, on the running stack. What is expected is computed
//! from the table; so a route that lets in who may not, or keeps out who may, is found without being named here.
#![allow(missing_docs, clippy::unwrap_used)]

use api::routes::{Access, table};
use reqwest::Method;
use security::{PASSWORD, Target};
use serde_json::json;
use shared::access::{Permission, Role};

/// Who calls.
struct Credential {
    name: String,
    authorization: String,
    /// `None`: it opens nothing.
    permissions: Option<Vec<Permission>>,
    is_person: bool,
}

impl Credential {
    fn bad(name: &str, authorization: impl Into<String>) -> Self {
        Self { name: name.to_owned(), authorization: authorization.into(), permissions: None, is_person: false }
    }

    /// 401, 403, or neither.
    fn expected(&self, access: Access) -> u16 {
        let allowed = match (access, &self.permissions) {
            (Access::Public, _) => true,
            (_, None) => return 401,
            (Access::Anyone, _) => true,
            (Access::Person, _) => self.is_person,
            (Access::Needs(permission), Some(held)) => held.contains(&permission),
        };
        if allowed { 200 } else { 403 }
    }
}

async fn credentials(target: &Target) -> Vec<Credential> {
    let mut all = vec![
        Credential::bad("none", ""),
        Credential::bad("no scheme", "abc"),
        Credential::bad("basic", "Basic eHg6eHg="),
        Credential::bad("empty bearer", "Bearer "),
        Credential::bad("two blanks", "Bearer  abc"),
        Credential::bad("three words", "Bearer a b"),
        Credential::bad("no token", "Bearer abc"),
        Credential::bad("three parts", "Bearer a.b.c"),
        Credential::bad("alg none", "Bearer eyJhbGciOiJub25lIiwia2lkIjoibG9jYWwifQ.eyJpc3MiOiJzbXMiLCJhdWQiOiJzbXMifQ."),
        Credential::bad("very long", format!("Bearer {}", "a".repeat(7_000))),
        Credential::bad("unknown key", format!("Bearer sms_aaaaaaaa_{}", "a".repeat(52))),
        Credential::bad("another's key", "Bearer sk_live_123456"),
    ];
    let tampered: String = target
        .admin()
        .chars()
        .rev()
        .enumerate()
        .map(|(at, c)| if at == 5 { if c == 'A' { 'B' } else { 'A' } } else { c })
        .collect();
    all.push(Credential::bad("tampered", format!("Bearer {}", tampered.chars().rev().collect::<String>())));
    for permission in Permission::GRANTABLE {
        let (_, key) = target.key(&[permission.as_str()]).await.unwrap();
        let permissions = Some(vec![permission]);
        let name = format!("key {}", permission.as_str());
        all.push(Credential { name, authorization: format!("Bearer {key}"), permissions, is_person: false });
    }
    let (id, revoked) = target.key(&["schedules:read", "schedules:write"]).await.unwrap();
    let done = target.call(&format!("Bearer {}", target.admin()), Method::DELETE, &format!("/v1/api-keys/{id}")).await.unwrap();
    assert_eq!(done.status(), 200);
    all.push(Credential::bad("revoked key", format!("Bearer {revoked}")));
    for role in Role::ALL {
        let (_, token) = target.user(&format!("matrix-{}", role.as_str()), role.as_str()).await.unwrap();
        let permissions = Some(role.permissions().to_vec());
        let name = role.as_str().to_owned();
        all.push(Credential { name, authorization: format!("Bearer {token}"), permissions, is_person: true });
    }
    let (_, ended) = target.user("matrix-logged-out", "admin").await.unwrap();
    let ended = format!("Bearer {ended}");
    assert_eq!(target.call(&ended, Method::POST, "/v1/auth/logout").await.unwrap().status(), 204);
    all.push(Credential::bad("logged out", ended));
    all
}

/// A path with an id that nobody has.
fn filled(path: &str) -> String {
    path.replace("{id}", "018f0000-0000-7000-8000-000000000000")
        .replace("{no}", "1")
        .replace("{seq}", "1")
        .replace("{kind}", "paused")
}

#[tokio::test]
#[ignore = "needs the local stack: make security"]
async fn every_route_lets_in_who_may_and_nobody_else() {
    let target = Target::enter().await.unwrap();
    let credentials = credentials(&target).await;
    let (mut wrong, mut checked) = (Vec::new(), 0);
    for route in table() {
        for credential in &credentials {
            let mut authorization = credential.authorization.clone();
            let expected = credential.expected(route.access);
            // The call that ends a session gets one of its own.
            if route.path == "/v1/auth/logout" && expected == 200 {
                authorization = format!("Bearer {}", target.log_in(&format!("matrix-{}", credential.name)).await.unwrap());
            }
            let answer = target.call(&authorization, route.method.clone(), &filled(route.path)).await.unwrap();
            let status = answer.status().as_u16();
            let challenge = answer.headers().contains_key("www-authenticate");
            let refused = matches!(status, 401 | 403);
            checked += 1;
            let right = if expected == 200 { !refused && status < 500 } else { status == expected && challenge };
            if !right {
                wrong.push(format!("{} {} with `{}`: {status}, expected {expected}", route.method, route.path, credential.name));
            }
        }
    }
    println!("{checked} pairs of a route and a credential");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked > 700, "{checked}");
}

#[tokio::test]
#[ignore = "needs the local stack: make security"]
async fn a_disabled_user_is_out_at_once() {
    let target = Target::enter().await.unwrap();
    let (id, token) = target.user("matrix-disabled", "operator").await.unwrap();
    let token = format!("Bearer {token}");
    assert_eq!(target.call(&token, Method::GET, "/v1/auth/me").await.unwrap().status(), 200);
    let admin = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = std::fs::read_to_string(std::env::var("STACK_ENV").unwrap()).unwrap();
    let url = url.lines().find_map(|line| line.strip_prefix("API_URL=")).unwrap().trim_matches('\'').to_owned();
    let patch = admin.patch(format!("{url}/v1/users/{id}")).bearer_auth(target.admin()).json(&json!({"disabled": true}));
    assert_eq!(patch.send().await.unwrap().status(), 200);
    assert_eq!(target.call(&token, Method::GET, "/v1/auth/me").await.unwrap().status(), 401);
    let login = target.post("", "/v1/auth/login", &json!({"username": "matrix-disabled", "password": PASSWORD})).await;
    assert!(login.unwrap_err().to_string().contains("401"));
}
