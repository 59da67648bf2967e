//! A deployment whose people log in through an OpenID provider only.

use api::{
    App,
    auth::{
        Gate,
        issuer::{Issuer, IssuerConfig},
    },
    routes::router,
};
use axum::http::StatusCode;
use serde_json::json;
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;
use testkit::issuer::{MockIssuer, Signer};

use crate::common::Api;

#[sqlx::test(migrator = "MIGRATOR")]
async fn without_local_logins_only_tokens_of_the_issuer_and_keys_are_accepted(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let admin = api.admin().await;
    assert_eq!(admin.get("/v1/schedules").await.status, StatusCode::OK);

    let signer = Signer::rsa();
    let mock = MockIssuer::start(&[signer.jwk("r")]).await;
    let config = IssuerConfig {
        issuer: mock.url.clone(),
        audience: "sms".to_owned(),
        roles_claim: "roles".to_owned(),
        roles: Vec::new(),
    };
    let app = App {
        gate: Gate {
            issuer: Some(Issuer::new(config).unwrap()),
            local_login: false,
            ..api.app.gate.clone()
        },
        ..api.app.clone()
    };
    let api = Api {
        router: router(app),
        ..api
    };
    let anonymous = api.with("");
    for (path, body) in [
        (
            "/v1/auth/login",
            json!({"username": "ana", "password": "p"}),
        ),
        ("/v1/auth/refresh", json!({"refresh_token": "t"})),
    ] {
        let answer = anonymous.post_json(path, &body).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(answer.problem(), "local-login-off");
        let detail = answer.text("detail");
        assert!(detail.ends_with(&mock.url), "{detail}");
    }
    let session = api.with(&admin.token).get("/v1/schedules").await;
    assert_eq!(session.status, StatusCode::UNAUTHORIZED);
    assert_eq!(api.get("/v1/schedules").await.status, StatusCode::OK, "key");
    let now = api.db.now().timestamp();
    let claims = json!({"iss": mock.url, "aud": "sms", "sub": "u1", "iat": now, "nbf": now,
        "exp": now + 600, "scope": "sms", "roles": ["operator"]});
    let outsider = api.with(&signer.token("r", &claims));
    let answer = outsider.get("/v1/schedules").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
}
