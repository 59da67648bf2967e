//! The errors of the API as RFC 9457 problem documents, which name the field, its position and
//! what was expected.

use axum::{
    Json,
    http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use shared::{
    access::Permission,
    message::status::Status,
    platform::db::{is_lock_conflict, is_statement_limit},
    schedule::status::ScheduleStatus,
};

use crate::http::{
    origin::LoggedProblem,
    problems::{self, ProblemType, find_problem},
};

/// One error in a request.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct FieldError {
    /// The field, the query parameter or the header.
    pub field: String,
    /// In a list: the index of the entry from 0 (JSON), or its line from 1 (NDJSON, CSV).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u32>,
    /// What was expected, as text.
    pub detail: String,
    /// What was expected, as a stable code for programs.
    pub code: &'static str,
    /// In a list: the number that was probably meant, such as one whose plus sign is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

impl FieldError {
    /// Returns an error of a field outside of any list.
    pub fn new(field: impl Into<String>, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            position: None,
            detail: detail.into(),
            code,
            suggestion: None,
        }
    }
}

/// The reasons for which a request fails.
#[derive(Debug)]
pub enum ApiError {
    /// The body is not valid JSON, CSV or gzip.
    Malformed(String),
    /// There is no token; or, with the reason, the token is not valid.
    Unauthenticated(Option<&'static str>),
    /// A callback is not signed correctly; what was expected.
    BadSignature(&'static str),
    /// Some receipts belong to messages whose ids are not recorded yet; the result of the others,
    /// whose members are added to the problem document.
    TooEarly(Value),
    /// A login or a refresh is refused.
    WrongCredentials(&'static str),
    /// The password is temporary: it only allows choosing another.
    PasswordChangeRequired,
    /// The account has a second factor, and the login has no code.
    SecondFactorRequired,
    /// The account needs a second factor, and has none.
    SecondFactorMissing,
    /// The caller is not authorized. The permission that it lacks; `None` if the route requires
    /// the session of a user.
    Forbidden(Option<Permission>),
    /// A rate or a daily limit is exceeded.
    TooMany {
        /// The type of the problem.
        problem: &'static ProblemType,
        /// What was expected.
        detail: String,
        /// Seconds until the call may be retried.
        wait_s: u64,
    },
    /// The keys that verify tokens are unavailable.
    KeysUnavailable(String),
    /// The route or the resource does not exist.
    NotFound(String),
    /// The route exists, but not for this method.
    WrongMethod(String),
    /// The state of the schedule does not allow the call.
    Conflict(Conflict),
    /// The call contradicts existing data, or cannot be answered as requested: the type of the
    /// problem, and what was expected.
    Refused(&'static ProblemType, String),
    /// A recipient can be neither cancelled nor changed any more; its place in the list and its state.
    RecipientTooLate(u32, Status),
    /// The body exceeds a limit of one call.
    TooLarge(String),
    /// The content type or the encoding is not supported.
    UnsupportedType(String),
    /// The request is readable, but wrong: the first errors, and the number of all errors.
    Invalid(Vec<FieldError>, usize),
    /// The health check found that the database is unavailable.
    Unhealthy {
        /// The commit from which the function was built.
        commit: String,
    },
    /// A statement failed.
    Database(sqlx::Error),
    /// An internal error.
    Internal(String),
}

/// Why a schedule cannot be changed in its present state.
#[derive(Debug)]
pub struct Conflict {
    /// The type of the problem.
    pub problem: &'static ProblemType,
    /// What was expected.
    pub detail: String,
    /// The state of the schedule.
    pub status: ScheduleStatus,
    /// The calls that this state allows.
    pub possible: &'static [&'static str],
}

impl ApiError {
    /// Returns the error for a request with these wrong fields.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let total = errors.len();
        Self::Invalid(errors, total)
    }

    /// Returns the error for a schedule that does not exist.
    pub fn no_such_schedule() -> Self {
        Self::NotFound("there is no schedule with this id".to_owned())
    }

    /// Returns the error of the database that ended the request, if one did.
    pub fn database(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Database(error) => Some(error),
            _ => None,
        }
    }

    /// Returns the type of the problem.
    fn problem(&self) -> &'static ProblemType {
        match self {
            Self::Malformed(_) => &problems::MALFORMED_BODY,
            Self::Unauthenticated(_) => &problems::UNAUTHENTICATED,
            Self::BadSignature(_) => &problems::BAD_SIGNATURE,
            Self::TooEarly(_) => &problems::RECEIPT_TOO_EARLY,
            Self::WrongCredentials(_) => &problems::WRONG_CREDENTIALS,
            Self::PasswordChangeRequired => &problems::PASSWORD_CHANGE_REQUIRED,
            Self::SecondFactorRequired => &problems::SECOND_FACTOR_REQUIRED,
            Self::SecondFactorMissing => &problems::SECOND_FACTOR_MISSING,
            Self::Forbidden(_) => &problems::FORBIDDEN,
            Self::NotFound(_) => &problems::NOT_FOUND,
            Self::WrongMethod(_) => &problems::METHOD_NOT_ALLOWED,
            Self::TooMany { problem, .. } | Self::Refused(problem, _) => problem,
            Self::Conflict(conflict) => conflict.problem,
            Self::RecipientTooLate(..) => &problems::RECIPIENT_TOO_LATE,
            Self::TooLarge(_) => &problems::TOO_LARGE,
            Self::UnsupportedType(_) => &problems::UNSUPPORTED_CONTENT_TYPE,
            Self::Invalid(..) => &problems::INVALID_REQUEST,
            Self::KeysUnavailable(_) | Self::Unhealthy { .. } => &problems::UNAVAILABLE,
            Self::Database(error) if is_unavailable(error) => &problems::UNAVAILABLE,
            Self::Database(_) | Self::Internal(_) => &problems::INTERNAL,
        }
    }

    /// Returns the header that belongs to this error: how to authenticate (RFC 6750, section 3),
    /// or when to retry.
    fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        const REALM: &str = "Bearer realm=\"sms\"";
        let value = match self {
            Self::Unauthenticated(Some(reason)) => {
                format!("{REALM}, error=\"invalid_token\", error_description=\"{reason}\"")
            }
            Self::Unauthenticated(None) | Self::WrongCredentials(_) => REALM.to_owned(),
            Self::BadSignature(_) => "HMAC-SHA256 realm=\"callbacks\"".to_owned(),
            Self::Forbidden(Some(permission)) => {
                let scope = permission.as_str();
                format!("{REALM}, error=\"insufficient_scope\", scope=\"{scope}\"")
            }
            Self::Forbidden(None) | Self::SecondFactorMissing => {
                format!("{REALM}, error=\"insufficient_scope\"")
            }
            Self::TooMany { wait_s, .. } => {
                return Some((header::RETRY_AFTER, HeaderValue::from(*wait_s)));
            }
            _ => return None,
        };
        Some((header::WWW_AUTHENTICATE, HeaderValue::try_from(value).ok()?))
    }

    /// Returns the `detail` of the problem document.
    fn detail(&self) -> String {
        match self {
            Self::Malformed(detail)
            | Self::NotFound(detail)
            | Self::WrongMethod(detail)
            | Self::TooLarge(detail)
            | Self::UnsupportedType(detail)
            | Self::Refused(_, detail)
            | Self::TooMany { detail, .. }
            | Self::Conflict(Conflict { detail, .. }) => detail.clone(),
            Self::Unauthenticated(Some(reason))
            | Self::WrongCredentials(reason)
            | Self::BadSignature(reason) => (*reason).to_owned(),
            Self::Unauthenticated(None) => {
                "expected `Authorization: Bearer` with an API key or an access token".to_owned()
            }
            Self::TooEarly(_) => {
                "the others are recorded; send the same request again after Retry-After".to_owned()
            }
            Self::SecondFactorRequired => {
                "this account has a second factor: log in with `code`".to_owned()
            }
            Self::SecondFactorMissing => {
                "expected an account with a second factor; set one up with POST /v1/auth/second-factor"
                    .to_owned()
            }
            Self::PasswordChangeRequired => {
                "this password is temporary: log in with `new_password`".to_owned()
            }
            Self::Forbidden(Some(permission)) => {
                let permission = permission.as_str();
                format!("expected a caller with the permission {permission}")
            }
            Self::Forbidden(None) => {
                "expected the access token of a user who logged in here".to_owned()
            }
            Self::RecipientTooLate(seq, status) => {
                format!("expected a recipient that was not sent to; recipient {seq} is {status}", status = status.as_str())
            }
            Self::Invalid(errors, total) => count_errors(errors.len(), *total),
            Self::KeysUnavailable(_) | Self::Unhealthy { .. } => RETRY_SOON.to_owned(),
            Self::Database(error) if is_statement_limit(error) => {
                "the database did not complete the request in time, and nothing was written; retry, \
                 with a smaller page or list if it happens again"
                    .to_owned()
            }
            Self::Database(error) if is_unavailable(error) => RETRY_SOON.to_owned(),
            Self::Database(_) | Self::Internal(_) => {
                "the error is logged; nothing was written".to_owned()
            }
        }
    }

    /// Returns the members that this type adds to the problem document.
    fn members(self) -> Value {
        match self {
            Self::TooEarly(received) => received,
            Self::Forbidden(Some(permission)) => json!({"permission": permission}),
            Self::TooMany { wait_s, .. } => json!({"retry_after_s": wait_s}),
            Self::Conflict(Conflict {
                status, possible, ..
            }) => json!({"schedule_status": status, "possible": possible}),
            Self::RecipientTooLate(seq, status) => {
                json!({"seq": seq, "in_time": false, "recipient_status": status})
            }
            Self::Invalid(errors, total) => json!({"errors": errors, "errors_total": total}),
            Self::Unhealthy { commit } => json!({
                "version": env!("CARGO_PKG_VERSION"),
                "commit": commit,
                "database": "unavailable",
            }),
            _ => json!({}),
        }
    }
}

const RETRY_SOON: &str = "retry after a few seconds";

fn count_errors(shown: usize, total: usize) -> String {
    let errors = if total == 1 {
        "1 error".to_owned()
    } else {
        format!("{total} errors")
    };
    if total > shown {
        format!("{errors}, the first {shown} shown; nothing was written")
    } else {
        format!("{errors}; nothing was written")
    }
}

/// Returns whether the database was unavailable or busy, as opposed to a statement that it
/// rejected.
fn is_unavailable(error: &sqlx::Error) -> bool {
    matches!(
        error,
        sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
    ) || is_lock_conflict(error)
        || is_statement_limit(error)
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

/// A problem document (RFC 9457, section 3).
#[derive(Serialize)]
struct ProblemDocument {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: String,
    #[serde(flatten)]
    members: Value,
}

/// Logs errors of the server. A message of the database may quote a value, and so a phone number
/// or a text: only its code is logged.
fn log(error: &ApiError) {
    match error {
        ApiError::Database(sqlx::Error::Database(error)) => {
            tracing::error!(db.code = error.code().as_deref(), db.kind = ?error.kind(), "a statement failed");
        }
        ApiError::Database(error) => tracing::error!(%error, "the database failed"),
        ApiError::KeysUnavailable(error) => {
            tracing::error!(error, "the keys that verify tokens are unavailable");
        }
        ApiError::Internal(error) => tracing::error!(error, "request failed"),
        _ => {}
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        log(&self);
        let problem = self.problem();
        let slug = problem.slug;
        debug_assert!(find_problem(slug).is_some(), "PROBLEMS lacks {slug}");
        let status =
            StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let own_header = self.header();
        let document = ProblemDocument {
            r#type: format!("/problems/{slug}"),
            title: problem.title,
            status: problem.status,
            detail: self.detail(),
            members: self.members(),
        };
        let mut response = (status, Json(document)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        headers.extend(own_header);
        response.extensions_mut().insert(LoggedProblem(slug));
        response
    }
}

/// Answers 404 for a path that no route has.
pub async fn no_such_route(uri: Uri) -> ApiError {
    ApiError::NotFound(format!("there is nothing at {}", uri.path()))
}

/// Answers 405; axum adds the header `Allow`.
pub async fn wrong_method(method: Method, uri: Uri) -> ApiError {
    ApiError::WrongMethod(format!(
        "{method} is not supported at {}; the header Allow lists the supported methods",
        uri.path()
    ))
}
