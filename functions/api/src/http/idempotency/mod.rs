//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a POST that comes twice with one key is carried out once, and answered
//! alike for 24 hours. Between the guard, which knows the caller, and the handler, whose change is committed together with the note
//! that it was made ([`Caller::record`]).

pub mod store;

use crate::http::idempotency::store::{
    Attempt, KeptAnswer, Known, begin_attempt, forget_attempt, keep_answer,
};
use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use ring::digest;
use shared::platform::{db::describe::describe_one, secret::hash_token};
use uuid::Uuid;

use crate::{
    App,
    auth::Caller,
    http::{
        body::read_any,
        error::{ApiError, FieldError},
    },
};

/// The header.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// In an answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// A longer answer is not kept: none of ours is.
const LONGEST_ANSWER: usize = 1024 * 1024;

/// What is kept of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// All of it.
    Answer,
    /// That it was given: it holds a secret, which stands nowhere.
    Nothing,
}

/// Lets a request through, unless its key is known.
pub async fn once(
    State((app, keep)): State<(App, Keep)>,
    request: Request,
    next: Next,
) -> Response {
    if !request.headers().contains_key(IDEMPOTENCY_KEY) {
        return next.run(request).await;
    }
    match carry_out(&app, keep, request, next).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

async fn carry_out(
    app: &App,
    keep: Keep,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    let key = read_key(&parts.headers)?;
    let body = read_any(body).await?;
    let caller = parts
        .extensions
        .get_mut::<Caller>()
        .ok_or_else(|| ApiError::Internal("no caller".to_owned()))?;
    let attempt = Attempt {
        id: hash_token(&format!("{} {key}", caller.actor())),
        token: Uuid::now_v7(),
    };
    caller.attempt = Some(attempt.clone());
    let fingerprint = fingerprint(&parts, &body);
    let known = begin_attempt(
        &mut *app.db.pool.acquire().await?,
        &attempt,
        &fingerprint,
        app.db.now(),
    )
    .await?;
    match known {
        Known::New => {}
        Known::OtherRequest => return Err(ApiError::KeyReused),
        Known::InProgress => {
            let detail = "this request is being carried out; try again in a few seconds".to_owned();
            return Err(ApiError::Refused("idempotency-in-progress", detail));
        }
        Known::Done(resource) => {
            let detail =
                format!("this request was carried out, on {resource}; its answer was lost");
            return Err(ApiError::Refused("idempotency-answer-lost", detail));
        }
        Known::Answered(answer) => return repeat_answer(answer),
    }
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    let (head, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX)
        .await
        .map_err(|error| ApiError::Internal(error.to_string()))?;
    if let Err(error) = finish(app, keep, &attempt, (head.status, &head.headers, &body)).await {
        // What was done is noted with the change; only this answer can't be given again.
        tracing::warn!(error = describe_one(&error), "an answer was not kept");
    }
    Ok(Response::from_parts(head, Body::from(body)))
}

/// 1 to 255 visible ASCII characters, once.
fn read_key(headers: &HeaderMap) -> Result<String, ApiError> {
    let mut given = headers.get_all(IDEMPOTENCY_KEY).iter();
    let key = given
        .next()
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let good = (1..=255).contains(&key.len())
        && key.bytes().all(|byte| byte.is_ascii_graphic())
        && given.next().is_none();
    let expected = "expected one key of 1 to 255 ASCII characters without blanks, such as a UUID";
    let error = || {
        ApiError::invalid(vec![FieldError::new(
            "Idempotency-Key",
            "not-a-key",
            expected,
        )])
    };
    good.then(|| key.to_owned()).ok_or_else(error)
}

fn fingerprint(parts: &Parts, body: &Bytes) -> Vec<u8> {
    let content_type = parts
        .headers
        .get(header::CONTENT_TYPE)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    let mut digest = digest::Context::new(&digest::SHA256);
    for part in [
        parts.method.as_str().as_bytes(),
        parts.uri.to_string().as_bytes(),
        content_type,
        body,
    ] {
        digest.update(&part.len().to_be_bytes());
        digest.update(part);
    }
    digest.finish().as_ref().to_vec()
}

/// What failed here, or came too early, may succeed another time; every other answer is the answer.
async fn finish(
    app: &App,
    keep: Keep,
    attempt: &Attempt,
    (status, headers, body): (StatusCode, &HeaderMap, &Bytes),
) -> sqlx::Result<()> {
    let mut connection = app.db.pool.acquire().await?;
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return forget_attempt(&mut connection, attempt).await;
    }
    let text = |name| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    let kept = (keep == Keep::Answer || !status.is_success()) && body.len() <= LONGEST_ANSWER;
    let answer = KeptAnswer {
        status: status.as_u16(),
        content_type: text(header::CONTENT_TYPE),
        location: text(header::LOCATION),
        body: kept.then(|| body.to_vec()),
    };
    keep_answer(&mut connection, attempt, &answer).await
}

fn repeat_answer(answer: KeptAnswer) -> Result<Response, ApiError> {
    let Some(body) = answer.body else {
        let detail = "this request was carried out and answered; the answer held a secret, which is shown once".to_owned();
        return Err(ApiError::Refused("idempotency-answer-not-kept", detail));
    };
    let status = StatusCode::from_u16(answer.status)
        .map_err(|error| ApiError::Internal(error.to_string()))?;
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    for (name, value) in [
        (header::CONTENT_TYPE, answer.content_type),
        (header::LOCATION, answer.location),
    ] {
        headers.extend(
            value
                .and_then(|value| HeaderValue::try_from(value).ok())
                .map(|value| (name, value)),
        );
    }
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}
