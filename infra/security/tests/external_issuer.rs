//! Tokens of the external issuer that the stack is configured for, on the running stack: which
//! tokens are accepted, and with which role. `functions/api/tests/handlers/issuer.rs` tests all
//! reasons for refusal; this test includes the configuration, from the template's parameters on.
#![allow(missing_docs, clippy::unwrap_used)]

use demo::stack::Stack;
use reqwest::Method;
use security::{
    Target,
    forge::{self, seconds_from_now},
};
use serde_json::{Value, json};
use testkit::issuer::{MockIssuer, Signer, base64url};

/// The calls whose statuses each token's case lists. The schedule has no fields, so that an
/// authorized call gets 422.
const CALLS: [(Method, &str); 5] = [
    (Method::GET, "/v1/auth/me"),
    (Method::GET, "/v1/schedules"),
    (Method::GET, "/v1/users"),
    (Method::POST, "/v1/schedules"),
    (Method::POST, "/v1/auth/logout"),
];

const OPERATOR: [u16; 5] = [200, 200, 403, 422, 403];
const VIEWER: [u16; 5] = [200, 200, 403, 403, 403];
const ADMIN: [u16; 5] = [200, 200, 200, 422, 403];
const NO_ROLE: [u16; 5] = [200, 403, 403, 403, 403];
const REFUSED: [u16; 5] = [401; 5];

/// A token with the expected statuses of [`CALLS`].
struct Case {
    name: &'static str,
    token: String,
    expected: [u16; 5],
}

impl Case {
    fn new(name: &'static str, token: String, expected: [u16; 5]) -> Self {
        Self {
            name,
            token,
            expected,
        }
    }

    fn refused(name: &'static str, token: String) -> Self {
        Self::new(name, token, REFUSED)
    }
}

/// The issuer's keys and the stack's configuration of the issuer.
struct Issuer {
    url: String,
    audience: String,
    rsa: Signer,
    ec: Signer,
    /// A key that the issuer doesn't publish.
    unpublished: Signer,
}

impl Issuer {
    fn of_stack() -> Self {
        let stack = Stack::from_environment().unwrap();
        Self {
            url: stack.value("OIDC_ISSUER").unwrap().to_owned(),
            audience: stack.value("OIDC_AUDIENCE").unwrap().to_owned(),
            rsa: Signer::rsa(),
            ec: Signer::ec(),
            unpublished: Signer::ec(),
        }
    }

    /// Starts the issuer at the address that the stack is configured with.
    async fn start(&self) -> MockIssuer {
        let address = self.url.strip_prefix("http://").unwrap();
        let address = address.split('/').next().unwrap();
        let keys = [self.rsa.jwk("r"), self.ec.jwk("e")];
        let mock = MockIssuer::start_at(address, &keys).await;
        assert_eq!(mock.url, self.url);
        mock
    }

    /// Returns the claims of an operator, with some of them replaced.
    fn claims(&self, changes: &Value) -> Value {
        let mut claims = json!({"iss": self.url, "aud": self.audience, "sub": "outsider-1", "preferred_username": "olga",
            "iat": seconds_from_now(-5), "exp": seconds_from_now(300), "scope": "sms", "roles": ["operator"]});
        let changes = changes.as_object().unwrap().clone();
        claims.as_object_mut().unwrap().extend(changes);
        claims
    }

    fn signed_by_rsa(&self, changes: &Value) -> String {
        self.rsa.token("r", &self.claims(changes))
    }

    fn signed_by_ec(&self, changes: &Value) -> String {
        self.ec.token("e", &self.claims(changes))
    }

    fn valid_tokens(&self) -> Vec<Case> {
        let audiences = json!({"aud": ["x", self.audience]});
        let roles = |roles: &[&str]| self.signed_by_ec(&json!({"roles": roles}));
        vec![
            Case::new("RS256", self.signed_by_rsa(&json!({})), OPERATOR),
            Case::new("ES256", self.signed_by_ec(&json!({})), OPERATOR),
            Case::new("viewer", roles(&["viewer"]), VIEWER),
            Case::new("admin among others", roles(&["x", "admin"]), ADMIN),
            Case::new("no role", roles(&[]), NO_ROLE),
            Case::new("an unknown role", roles(&["root"]), NO_ROLE),
            Case::new(
                "several audiences",
                self.signed_by_rsa(&audiences),
                OPERATOR,
            ),
        ]
    }

    fn tokens_with_wrong_claims(&self) -> Vec<Case> {
        let token = |changes: &Value| self.signed_by_rsa(changes);
        let expired = json!({"exp": seconds_from_now(-120)});
        let not_yet_valid = json!({"nbf": seconds_from_now(120)});
        let other_issuer = json!({"iss": "https://example.com"});
        let own_issuer = json!({"iss": "sms", "aud": "sms"});
        vec![
            Case::refused("expired", token(&expired)),
            Case::refused("not yet valid", token(&not_yet_valid)),
            Case::refused("another audience", token(&json!({"aud": "x"}))),
            Case::refused(
                "an ID token",
                token(&json!({"scope": null, "nonce": "n", "at_hash": "h"})),
            ),
            Case::refused("an ID token of Cognito", token(&json!({"token_use": "id"}))),
            Case::refused("another issuer", token(&other_issuer)),
            Case::refused("the API's own issuer", token(&own_issuer)),
        ]
    }

    fn tokens_with_wrong_signatures(&self) -> Vec<Case> {
        let claims = self.claims(&json!({}));
        let modulus = modulus(&self.rsa.jwk("r"));
        let text = base64url(&modulus);
        let hs256 = |key: &[u8]| forge::sign(key, &json!({"alg": "HS256", "kid": "r"}), &claims);
        let unsigned = format!(
            "{}.{}.",
            base64url(r#"{"alg":"none","kid":"r"}"#),
            base64url(claims.to_string())
        );
        vec![
            Case::refused("unknown key id", self.rsa.token("x", &claims)),
            Case::refused("another key's id", self.ec.token("r", &claims)),
            Case::refused("an unpublished key", self.unpublished.token("e", &claims)),
            Case::refused("alg none", unsigned),
            Case::refused("HS256 with the public key", hs256(&modulus)),
            Case::refused("HS256 with the public key's text", hs256(text.as_bytes())),
        ]
    }
}

#[tokio::test]
#[ignore = "needs the local stack: make security"]
async fn tokens_of_the_external_issuer_have_their_roles_and_other_tokens_are_refused() {
    let target = Target::log_in_admin().await.unwrap();
    let issuer = Issuer::of_stack();
    let _mock = issuer.start().await;
    let cases = issuer
        .valid_tokens()
        .into_iter()
        .chain(issuer.tokens_with_wrong_claims())
        .chain(issuer.tokens_with_wrong_signatures());
    for case in cases {
        check(&target, &case).await;
    }
    let token = issuer.signed_by_ec(&json!({}));
    let me = target
        .call(&format!("Bearer {token}"), Method::GET, "/v1/auth/me")
        .await
        .unwrap();
    let me: Value = me.json().await.unwrap();
    assert_eq!(
        (&me["kind"], &me["name"], &me["role"]),
        (&json!("issuer"), &json!("olga"), &json!("operator"))
    );
}

async fn check(target: &Target, case: &Case) {
    let Case { name, token, .. } = case;
    for ((method, path), expected) in CALLS.into_iter().zip(case.expected) {
        let answer = target
            .call(&format!("Bearer {token}"), method.clone(), path)
            .await
            .unwrap();
        assert_eq!(
            answer.status().as_u16(),
            expected,
            "{name}: {method} {path}: {}",
            answer.text().await.unwrap()
        );
    }
}

/// Returns the modulus of a public key, as the issuer publishes it.
fn modulus(jwk: &Value) -> Vec<u8> {
    forge::decode(jwk["n"].as_str().unwrap()).unwrap()
}
