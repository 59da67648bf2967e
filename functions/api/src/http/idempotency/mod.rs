//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a POST that is repeated with the
//! same key is executed once, and answered alike for 24 hours.
//!
//! This layer runs between the guard, which identifies the caller, and the handler. The handler
//! commits its change together with the mark that the request was executed
//! ([`store::mark_executed`]).

pub mod store;

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use ring::digest;
use shared::platform::{
    db::{Db, describe::describe_one},
    secret::hash_token,
};
use uuid::Uuid;

use crate::http::{
    body::read_any,
    error::{ApiError, FieldError},
    idempotency::store::{
        Attempt, KeyState, SavedAnswer, begin_attempt, delete_attempt, save_answer,
    },
    origin::Actor,
    problems,
};

/// The header that contains the key.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The header of an answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Bytes of an answer that is stored; no answer of this API is longer.
const LONGEST_ANSWER: usize = 1024 * 1024;

/// The part of an answer that is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredAnswer {
    /// All of it.
    Full,
    /// Its status and headers only: the body contains a secret, which is stored nowhere.
    StatusOnly,
}

/// The state of the layer on one route.
#[derive(Clone)]
pub struct Idempotency {
    /// The database.
    pub db: Db,
    /// The part of the route's answers that is stored.
    pub stored_answer: StoredAnswer,
}

/// Executes a request unless its key is known. A request without the header passes through.
pub async fn idempotency(
    State(idempotency): State<Idempotency>,
    request: Request,
    next: Next,
) -> Response {
    if !request.headers().contains_key(IDEMPOTENCY_KEY) {
        return next.run(request).await;
    }
    match idempotency.execute_once(request, next).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

impl Idempotency {
    async fn execute_once(&self, request: Request, next: Next) -> Result<Response, ApiError> {
        let (mut parts, body) = request.into_parts();
        let key = read_key(&parts.headers)?;
        let body = read_any(body).await?;
        let attempt = new_attempt(&parts, &key)?;
        parts.extensions.insert(attempt.clone());
        if let Some(answer) = self.begin(&attempt, &fingerprint(&parts, &body)).await? {
            return replay(answer);
        }
        let response = next.run(Request::from_parts(parts, Body::from(body))).await;
        let (head, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX)
            .await
            .map_err(|error| ApiError::Internal(error.to_string()))?;
        let answer = self.answer_to_save(head.status, &head.headers, &body);
        if let Err(error) = self.finish(&attempt, answer).await {
            // The mark is committed with the change; only this answer cannot be replayed.
            tracing::warn!(error = describe_one(&error), "an answer was not stored");
        }
        Ok(Response::from_parts(head, Body::from(body)))
    }

    /// Begins an attempt. Returns the stored answer if the request was already answered, and an
    /// error if it must not be executed for another reason.
    async fn begin(
        &self,
        attempt: &Attempt,
        fingerprint: &[u8],
    ) -> Result<Option<SavedAnswer>, ApiError> {
        let mut connection = self.db.acquire().await?;
        let refused = |problem, detail: String| Err(ApiError::Refused(problem, detail));
        match begin_attempt(&mut connection, attempt, fingerprint, self.db.now()).await? {
            KeyState::New => Ok(None),
            KeyState::Answered(answer) => Ok(Some(answer)),
            KeyState::OtherRequest => refused(
                &problems::IDEMPOTENCY_KEY_REUSED,
                "expected a new Idempotency-Key: this one was used for another request within 24 hours".to_owned(),
            ),
            KeyState::InProgress => refused(
                &problems::IDEMPOTENCY_IN_PROGRESS,
                "this request is being executed; retry after a few seconds".to_owned(),
            ),
            KeyState::Executed(resource) => refused(
                &problems::IDEMPOTENCY_ANSWER_LOST,
                format!("this request was executed, on {resource}; its answer was lost"),
            ),
        }
    }

    /// Returns what is stored of an answer; `None` if the same request may succeed later: after an
    /// error of the server, or a request that came too early.
    fn answer_to_save(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Option<SavedAnswer> {
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return None;
        }
        let text = |name| {
            let value = headers.get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        let with_body = self.stored_answer == StoredAnswer::Full || !status.is_success();
        let body = (with_body && body.len() <= LONGEST_ANSWER).then(|| body.to_vec());
        Some(SavedAnswer {
            status: status.as_u16(),
            content_type: text(header::CONTENT_TYPE),
            location: text(header::LOCATION),
            body,
        })
    }

    /// Stores the answer of an attempt, or deletes the attempt if there is none to store.
    async fn finish(&self, attempt: &Attempt, answer: Option<SavedAnswer>) -> sqlx::Result<()> {
        let mut connection = self.db.acquire().await?;
        match answer {
            Some(answer) => save_answer(&mut connection, attempt, &answer).await,
            None => delete_attempt(&mut connection, attempt).await,
        }
    }
}

/// Reads the key: 1 to 255 visible ASCII characters, in one header.
fn read_key(headers: &HeaderMap) -> Result<String, ApiError> {
    let mut given = headers.get_all(IDEMPOTENCY_KEY).iter();
    let key = given
        .next()
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let valid = (1..=255).contains(&key.len())
        && key.bytes().all(|byte| byte.is_ascii_graphic())
        && given.next().is_none();
    if valid {
        return Ok(key.to_owned());
    }
    let expected = "expected one key of 1 to 255 ASCII characters without spaces, such as a UUID";
    Err(ApiError::invalid(vec![FieldError::new(
        "Idempotency-Key",
        "not-a-key",
        expected,
    )]))
}

/// Returns a new attempt at the request of this key. Keys of different callers do not collide.
fn new_attempt(parts: &Parts, key: &str) -> Result<Attempt, ApiError> {
    let actor = parts.extensions.get::<Actor>();
    let Actor(actor) = actor.ok_or_else(|| ApiError::Internal("no caller".to_owned()))?;
    Ok(Attempt {
        id: hash_token(&format!("{actor} {key}")),
        token: Uuid::now_v7(),
    })
}

/// Returns a SHA-256 of everything that makes two requests equal.
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

/// Returns the response of a stored answer, marked as such.
fn replay(answer: SavedAnswer) -> Result<Response, ApiError> {
    let Some(body) = answer.body else {
        let detail = "this request was executed and answered; the answer contained a secret, which is shown once".to_owned();
        return Err(ApiError::Refused(
            &problems::IDEMPOTENCY_ANSWER_NOT_KEPT,
            detail,
        ));
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
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            headers.insert(name, value);
        }
    }
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}
