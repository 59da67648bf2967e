//! What can go wrong, and how it is told: RFC 9457 problem documents that name the field, the position and what was expected.

use axum::{
    Json,
    http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use shared::{access::Permission, schedule::status::ScheduleStatus};

use crate::{http::problems::problem, resources::receipts::Received};

/// One thing that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct FieldError {
    /// The field, the query parameter or the header.
    pub field: String,
    /// In a list: the index of the entry from 0 (JSON), or its line from 1 (NDJSON, CSV).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u32>,
    /// What was expected, for people.
    pub detail: String,
    /// The same for programs; stable.
    pub code: &'static str,
}

impl FieldError {
    /// Something wrong with a field outside of any list.
    pub fn new(field: impl Into<String>, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            position: None,
            detail: detail.into(),
            code,
        }
    }
}

/// Every way in which a request ends without what it asked for.
#[derive(Debug)]
pub enum ApiError {
    /// Not even readable: JSON, CSV, gzip.
    Malformed(String),
    /// No token, or, with the reason, one that does not hold.
    Unauthenticated(Option<&'static str>),
    /// A callback that is not signed as it has to be, and what was expected.
    BadSignature(&'static str),
    /// Receipts for messages whose answers are still to be recorded; what became of the others.
    TooEarly(Box<Received>),
    /// A login, or a refresh, that is refused.
    WrongCredentials(&'static str),
    /// A temporary password, which is good for choosing another only.
    PasswordChangeRequired,
    /// The caller may not; the permission that it lacks, or none where only a person's own session will do.
    Forbidden(Option<Permission>),
    /// Too often, or too much for a day.
    TooMany {
        /// Last part of the problem's type.
        slug: &'static str,
        /// What was expected.
        detail: String,
        /// Seconds until it may be tried again.
        wait_s: u64,
    },
    /// The keys that a token is verified with can't be had.
    KeysUnavailable(String),
    /// No such route, or no such schedule.
    NotFound(String),
    /// A known route, another method.
    WrongMethod(String),
    /// The schedule's state does not allow it.
    Conflict(Conflict),
    /// What is there already, or must stay, does not allow it: last part of the type, and what was expected.
    Refused(&'static str, String),
    /// An `Idempotency-Key` that came with another request before.
    KeyReused,
    /// More than a call may bring.
    TooLarge(String),
    /// A content type, or an encoding, that isn't read here.
    UnsupportedType(String),
    /// Readable, but wrong: the first of the errors, and how many there are in all.
    Invalid(Vec<FieldError>, usize),
    /// The database is away for now.
    Unhealthy {
        /// The commit that answers.
        commit: String,
    },
    /// A statement failed.
    Database(sqlx::Error),
    /// A fault of our own.
    Internal(String),
}

/// Why a schedule can't be moved.
#[derive(Debug)]
pub struct Conflict {
    /// Last part of the problem's type.
    pub slug: &'static str,
    /// What was expected.
    pub detail: String,
    /// The state that it is in.
    pub status: ScheduleStatus,
    /// The calls that are possible in it.
    pub possible: &'static [&'static str],
}

impl ApiError {
    /// A request of which these fields are wrong.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let total = errors.len();
        Self::Invalid(errors, total)
    }

    /// A schedule that does not exist.
    pub fn no_such_schedule() -> Self {
        Self::NotFound("there is no schedule with this id".to_owned())
    }

    /// Status, last part of the type, title.
    fn kind(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Malformed(_) => (
                StatusCode::BAD_REQUEST,
                "malformed-body",
                "The body can't be read",
            ),
            Self::Unauthenticated(_) => (
                StatusCode::UNAUTHORIZED,
                "unauthenticated",
                "Who calls is not known",
            ),
            Self::BadSignature(_) => (
                StatusCode::UNAUTHORIZED,
                "bad-signature",
                "This is not signed as it has to be",
            ),
            Self::TooEarly(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "receipt-too-early",
                "Some messages are not known yet",
            ),
            Self::WrongCredentials(_) => (
                StatusCode::UNAUTHORIZED,
                "wrong-credentials",
                "These credentials are not right",
            ),
            Self::PasswordChangeRequired => (
                StatusCode::FORBIDDEN,
                "password-change-required",
                "The password has to be changed",
            ),
            Self::Forbidden(_) => (
                StatusCode::FORBIDDEN,
                "forbidden",
                "The caller may not do this",
            ),
            Self::TooMany { slug, .. } => (StatusCode::TOO_MANY_REQUESTS, slug, "Too many"),
            Self::KeysUnavailable(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "Tokens can't be verified",
            ),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "not-found", "Not found"),
            Self::WrongMethod(_) => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "Method not allowed",
            ),
            Self::Conflict(conflict) => (
                StatusCode::CONFLICT,
                conflict.slug,
                "The state of the schedule does not allow it",
            ),
            Self::Refused(slug, _) => (
                StatusCode::CONFLICT,
                slug,
                "What there is does not allow it",
            ),
            Self::KeyReused => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency-key-reused",
                "This key belongs to another request",
            ),
            Self::TooLarge(_) => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "too-large",
                "More than one call may bring",
            ),
            Self::UnsupportedType(_) => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-content-type",
                "The content type is not read here",
            ),
            Self::Invalid(..) => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid-request",
                "The request is not valid",
            ),
            Self::Unhealthy { .. } => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "The database does not answer",
            ),
            Self::Database(error) if is_away(error) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "The database does not answer",
            ),
            Self::Database(_) | Self::Internal(_) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "Something failed here",
            ),
        }
    }

    /// Headers beside the usual ones: how to log in (RFC 6750, section 3), when to come again.
    fn headers(&self) -> Option<(HeaderName, HeaderValue)> {
        const REALM: &str = "Bearer realm=\"sms\"";
        let value = match self {
            Self::Unauthenticated(Some(reason)) => {
                format!("{REALM}, error=\"invalid_token\", error_description=\"{reason}\"")
            }
            Self::Unauthenticated(None) | Self::WrongCredentials(_) => REALM.to_owned(),
            Self::BadSignature(_) => "HMAC-SHA256 realm=\"callbacks\"".to_owned(),
            Self::Forbidden(Some(permission)) => {
                format!(
                    "{REALM}, error=\"insufficient_scope\", scope=\"{}\"",
                    permission.as_str()
                )
            }
            Self::Forbidden(None) => format!("{REALM}, error=\"insufficient_scope\""),
            Self::TooMany { wait_s, .. } => {
                return Some((header::RETRY_AFTER, HeaderValue::from(*wait_s)));
            }
            _ => return None,
        };
        Some((header::WWW_AUTHENTICATE, HeaderValue::try_from(value).ok()?))
    }

    /// The sentence, and members of its own.
    fn detail(self) -> (String, Value) {
        match self {
            Self::Malformed(detail)
            | Self::NotFound(detail)
            | Self::WrongMethod(detail)
            | Self::TooLarge(detail)
            | Self::UnsupportedType(detail)
            | Self::Refused(_, detail) => (detail, json!({})),
            Self::Unauthenticated(None) => {
                ("expected `Authorization: Bearer` with an API key or an access token".to_owned(), json!({}))
            }
            Self::TooEarly(received) => {
                ("the others are recorded; send the same again after Retry-After".to_owned(), json!(received))
            }
            Self::Unauthenticated(Some(reason)) | Self::WrongCredentials(reason) | Self::BadSignature(reason) => {
                (reason.to_owned(), json!({}))
            }
            Self::KeyReused => {
                ("expected a new Idempotency-Key: this one came with another request within 24 hours".to_owned(), json!({}))
            }
            Self::PasswordChangeRequired => ("this password is temporary: log in with `new_password`".to_owned(), json!({})),
            Self::Forbidden(Some(permission)) => {
                (format!("expected a caller with the permission {}", permission.as_str()), json!({"permission": permission}))
            }
            Self::Forbidden(None) => ("expected the access token of a person who logged in here".to_owned(), json!({})),
            Self::TooMany { detail, wait_s, .. } => (detail, json!({"retry_after_s": wait_s})),
            Self::KeysUnavailable(_) => ("try again in a few seconds".to_owned(), json!({})),
            Self::Conflict(conflict) => {
                (conflict.detail, json!({"schedule_status": conflict.status, "possible": conflict.possible}))
            }
            Self::Invalid(errors, total) => {
                let shown = if total > errors.len() { format!(", the first {} shown", errors.len()) } else { String::new() };
                let wrong = if total == 1 { "1 thing is wrong".to_owned() } else { format!("{total} things are wrong") };
                (format!("{wrong}{shown}; nothing was written"), json!({"errors": errors, "errors_total": total}))
            }
            Self::Unhealthy { commit } => (
                "try again in a few seconds".to_owned(),
                json!({"version": env!("CARGO_PKG_VERSION"), "commit": commit, "database": "unavailable"}),
            ),
            Self::Database(error) if is_away(&error) => ("try again in a few seconds".to_owned(), json!({})),
            Self::Database(_) | Self::Internal(_) => ("it is logged; nothing was written".to_owned(), json!({})),
        }
    }
}

/// Whether the server could not be reached, as against a statement that it refused.
fn is_away(error: &sqlx::Error) -> bool {
    matches!(
        error,
        sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
    ) || shared::platform::db::is_lock_conflict(error)
}

impl ApiError {
    /// Returns the error of the database that ended the request, if one did.
    pub fn database(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Database(error) => Some(error),
            _ => None,
        }
    }
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

/// RFC 9457, section 3.
#[derive(Serialize)]
struct Problem {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: String,
    #[serde(flatten)]
    members: Value,
}

/// A server's message may quote a value, and so a number or a text: of its errors only the code is logged.
fn log(error: &ApiError) {
    match error {
        ApiError::Database(sqlx::Error::Database(error)) => {
            tracing::error!(db.code = error.code().as_deref(), db.kind = ?error.kind(), "a statement failed");
        }
        ApiError::Database(error) => tracing::error!(%error, "the database failed"),
        ApiError::KeysUnavailable(error) => {
            tracing::error!(error, "the keys of tokens can't be read")
        }
        ApiError::Internal(error) => tracing::error!(error, "request failed"),
        _ => {}
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        log(&self);
        let (status, slug, title) = self.kind();
        debug_assert!(problem(slug).is_some(), "the problem {slug} has no page");
        let own = self.headers();
        let (detail, members) = self.detail();
        let problem = Problem {
            r#type: format!("/problems/{slug}"),
            title,
            status: status.as_u16(),
            detail,
            members,
        };
        let mut response = (status, Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        headers.extend(own);
        response
    }
}

/// 404 for a path that isn't one of ours.
pub async fn no_such_route(uri: Uri) -> ApiError {
    ApiError::NotFound(format!("there is nothing at {}", uri.path()))
}

/// 405; axum adds `Allow`.
pub async fn wrong_method(method: Method, uri: Uri) -> ApiError {
    ApiError::WrongMethod(format!(
        "{method} is not possible at {}; the header Allow says what is",
        uri.path()
    ))
}
