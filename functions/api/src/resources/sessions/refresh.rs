//! `POST /v1/auth/refresh`: exchanges a refresh token. If it is used again later, another party has
//! it too, so the whole session ends. Within [`REFRESH_GRACE`] of its first use it is exchanged once
//! more, unless a token that was issued for it has been used: the client did not get the answer.

use axum::{
    Json,
    body::Body,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use secrecy::ExposeSecret;
use serde_json::json;
use shared::platform::secret::hash_token;
use sqlx::MySqlConnection;

use crate::{
    App,
    auth::{Caller, Identity, caller::Change},
    http::{body, error::ApiError, fields::Fields, query::Query, transaction::transaction},
    openapi::{
        Operation, Takes,
        operation::{object, one_of_these, or_null},
    },
    resources::sessions::{
        REFRESH_GRACE, REFRESH_TOKEN, TokenUser, Tokens, cookie, issue, secret, secret_schema,
        store::{RefreshToken, end_session, lock_refresh_token, use_refresh_tokens},
        tokens_example,
    },
};

const REFUSED: ApiError = ApiError::WrongCredentials(
    "the refresh token does not exist, was used, or its session has ended",
);

/// Returns 200 with the next pair.
pub async fn refresh(
    State(app): State<App>,
    caller: Caller,
    query: Query,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    query.finish()?;
    app.gate.require_local_login()?;
    let bytes = body::read_small_json(&headers, body).await?;
    let mut fields = Fields::read(&bytes)?;
    let from_cookie = fields
        .read_as("cookie", "true or false")
        .unwrap_or_default();
    let token = if from_cookie && fields.is_absent("refresh_token") {
        fields.raw("refresh_token");
        None
    } else {
        secret(&mut fields, "refresh_token")
    };
    if from_cookie && token.is_some() {
        fields.complain(
            "cookie",
            "not-both",
            "expected refresh_token or cookie, not both",
        );
    }
    let errors = fields.finish();
    if !errors.is_empty() {
        return Err(ApiError::invalid(errors));
    }
    let token = if from_cookie {
        cookie::require_same_origin(&headers)?;
        cookie::read(&headers, cookie::REFRESH)
    } else {
        token
    };
    let token = token.ok_or(REFUSED)?;
    let hash = hash_token(token.expose_secret());
    let (app, caller, hash) = (&app, &caller, &hash);
    // A refusal that ends the session returns `Ok`, because that change has to be committed.
    let tokens = transaction(&app.db, |transaction| {
        Box::pin(exchange(app, transaction, caller, hash))
    });
    let tokens = tokens.await?.ok_or(REFUSED)?;
    Ok(if from_cookie {
        cookie::answer(&headers, tokens)
    } else {
        Json(tokens).into_response()
    })
}

/// Describes `POST /v1/auth/refresh` in the OpenAPI document.
pub fn refresh_doc() -> Operation {
    let fields =
        json!({"refresh_token": secret_schema(), "cookie": or_null(json!({"type": "boolean"}))});
    let either = [
        ("refresh_token", secret_schema()),
        ("cookie", json!({"const": true})),
    ];
    let fields = one_of_these(object(fields, &[]), &either);
    let example = json!({"refresh_token": "k7m2p4q6r8s3t5v7w9x2y4z6a8b3c5d7e9f2g4h6j8k3m5n7p9q2"});
    Operation::new("refreshTokens", "auth", "Exchange a refresh token for the next pair")
        .text("A refresh token is used within 7 days, once: if it is used again later, its session ends. Within 10 seconds it may be repeated, if the answer was lost. A session ends after 30 days. Expected is `refresh_token`, or `cookie: true` from a page of this origin, whose browser has the token in a cookie.")
        .body(Takes::json(fields, example))
        .answers::<Tokens>(200, "The next pair.", tokens_example())
        .problems(&["wrong-credentials", "local-login-off", "forbidden"])
}

/// Returns the next pair; `None` if the token is refused.
async fn exchange(
    app: &App,
    transaction: &mut MySqlConnection,
    caller: &Caller,
    hash: &[u8],
) -> Result<Option<Tokens>, ApiError> {
    let now = app.db.now();
    let Some(token) = lock_refresh_token(transaction, hash).await? else {
        return Ok(None);
    };
    let is_repeated = token.used_at.is_some_and(|at| now < at + REFRESH_GRACE);
    if token.used_at.is_some() && (!is_repeated || token.successor_used) {
        if end_session(transaction, token.session_id, now).await? {
            let resource = format!("user:{}", token.user_id);
            let change = Change {
                action: "session.revoke",
                resource,
                after: Some(json!({"reason": "a refresh token was used twice"})),
                ..Change::default()
            };
            as_user(caller, &token)
                .record(transaction, now, change)
                .await?;
        }
        return Ok(None);
    }
    let is_valid =
        token.ended_at.is_none() && token.disabled_at.is_none() && token.session_expires_at > now;
    if !is_valid || token.issued_at + REFRESH_TOKEN <= now {
        return Ok(None);
    }
    if !is_repeated {
        use_refresh_tokens(transaction, token.session_id, now).await?;
    }
    issue(
        app,
        transaction,
        token.session_id,
        TokenUser {
            id: token.user_id,
            username: token.username,
            role: token.role,
        },
        now,
    )
    .await
    .map(Some)
}

fn as_user(caller: &Caller, token: &RefreshToken) -> Caller {
    let identity = Identity::User {
        id: token.user_id,
        session: token.session_id,
    };
    Caller {
        identity,
        name: token.username.clone(),
        role: Some(token.role),
        ..caller.clone()
    }
}
