//! `POST /v1/auth/login`. A wrong name and a wrong password get the same answer after the same
//! time. Every attempt is counted before the password is checked, by name and by address, whether
//! the name exists or not.

use axum::{Json, body::Body, extract::State, http::HeaderMap};
use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use shared::{
    access::{
        audit::new_id,
        is_username,
        users::{
            User, change_password, end_sessions, find_user, reset_failed_logins, user_subject,
        },
    },
    platform::secret::is_password,
};
use sqlx::MySqlConnection;

use crate::{
    App,
    auth::{
        Caller, Identity,
        caller::Change,
        limits::{ADDRESS_GUARD, USER_GUARD, count_login_attempt},
        password::hash,
    },
    http::{
        body,
        error::{ApiError, FieldError},
        fields::Fields,
        problems,
        query::Query,
        transaction::transaction,
    },
    openapi::{
        Operation, Takes,
        operation::{object, or_null},
    },
    resources::{
        sessions::{
            SESSION, TokenUser, Tokens, issue, new_password, new_password_schema, secret,
            secret_schema,
            store::{NewSession, insert_session},
            tokens_example,
        },
        users::store::{lock_user, note_login},
    },
};

const WRONG_CREDENTIALS: &str = "the username or the password is wrong";

struct LoginRequest {
    username: String,
    password: SecretString,
    new_password: Option<SecretString>,
}

impl LoginRequest {
    fn read(body: &[u8]) -> Result<Self, ApiError> {
        let mut fields = Fields::read(body)?;
        let username = secret(&mut fields, "username");
        let password = secret(&mut fields, "password");
        let new_password = new_password(&mut fields, "new_password");
        let errors = fields.finish();
        match (username, password) {
            (Some(username), Some(password)) if errors.is_empty() => Ok(Self {
                username: username.expose_secret().to_ascii_lowercase(),
                password,
                new_password,
            }),
            _ => Err(ApiError::invalid(errors)),
        }
    }
}

/// Returns 200 with tokens.
pub async fn login(
    State(app): State<App>,
    caller: Caller,
    query: Query,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Tokens>, ApiError> {
    query.finish()?;
    let request = LoginRequest::read(&body::read_small_json(&headers, body).await?)?;
    let subjects = LoginSubjects::of(&request.username, &caller);
    subjects.count_attempt(&app).await?;
    // A text that is no valid username belongs to no user, and cannot be compared with the column.
    let user = if is_username(&request.username) {
        find_user(&mut *app.db.acquire().await?, &request.username).await?
    } else {
        None
    };
    let Some(user) = verify(&app, user, request.password.clone()).await? else {
        record_failure(&app, &caller, &request.username).await?;
        return Err(ApiError::WrongCredentials(WRONG_CREDENTIALS));
    };
    if user.password_expires_at.is_some() && request.new_password.is_none() {
        return Err(ApiError::PasswordChangeRequired);
    }
    let hash = match request.new_password {
        Some(new) if new.expose_secret() == request.password.expose_secret() => {
            return Err(same_password("new_password"));
        }
        Some(new) => Some(hash(new).await?),
        None => None,
    };
    let tokens = {
        let (app, caller, user, hash) = (&app, &caller, &user, hash.as_deref());
        transaction(&app.db, |transaction| {
            Box::pin(begin(app, transaction, caller, user, hash))
        })
        .await?
    };
    subjects.reset_failed(&app).await?;
    Ok(Json(tokens))
}

/// Describes `POST /v1/auth/login` in the OpenAPI document.
pub fn login_doc() -> Operation {
    let fields = json!({
        "username": secret_schema(),
        "password": secret_schema(),
        "new_password": or_null(new_password_schema()),
    });
    let example = json!({"username": "ana", "password": "correct horse battery staple"});
    Operation::new("logIn", "auth", "Log in with a password")
        .text(
            "A temporary password requires `new_password` in the same call. After four failed logins with a username each further one has to wait, \
             whether the name exists or not.",
        )
        .body(Takes::json(object(fields, &["username", "password"]), example))
        .answers::<Tokens>(200, "The tokens of a new session.", tokens_example())
        .problems(&["wrong-credentials", "password-change-required", "login-locked"])
}

/// Records a failed login in the audit log.
async fn record_failure(app: &App, caller: &Caller, username: &str) -> sqlx::Result<()> {
    let username: String = username.chars().take(64).collect();
    let change = Change {
        action: "login.fail",
        resource: format!("username:{username}"),
        ..Change::default()
    };
    let mut connection = app.db.acquire().await?;
    caller.record(&mut connection, app.db.now(), change).await
}

/// Returns the user, if the password is right and has not expired, and the user is not disabled.
async fn verify(
    app: &App,
    user: Option<User>,
    password: SecretString,
) -> Result<Option<User>, ApiError> {
    let hash = user.as_ref().map(|user| user.password_hash.clone());
    let right = is_password(password, hash)
        .await
        .map_err(|error| ApiError::Internal(format!("{error:#}")))?;
    let now = app.db.now();
    let holds = |user: &User| {
        user.disabled_at.is_none() && user.password_expires_at.is_none_or(|end| end > now)
    };
    Ok(user.filter(|user| right && holds(user)))
}

/// Creates the session. The user is read again under a lock, so that a password that was changed
/// meanwhile is refused.
async fn begin(
    app: &App,
    transaction: &mut MySqlConnection,
    caller: &Caller,
    seen: &User,
    new_hash: Option<&str>,
) -> Result<Tokens, ApiError> {
    let now = app.db.now();
    let user = lock_user(transaction, seen.id).await?;
    let same =
        user.filter(|user| user.password_hash == seen.password_hash && user.disabled_at.is_none());
    let Some(user) = same else {
        return Err(ApiError::WrongCredentials(WRONG_CREDENTIALS));
    };
    if let Some(hash) = new_hash {
        change_password(transaction, user.id, hash, None).await?;
        end_sessions(transaction, user.id, now).await?;
    }
    let session = NewSession {
        id: new_id(now),
        user_id: user.id,
        address: caller.origin.address.clone(),
        created_at: now,
        expires_at: now + SESSION,
    };
    insert_session(transaction, &session).await?;
    note_login(transaction, user.id, now).await?;
    let tokens = issue(
        app,
        transaction,
        session.id,
        TokenUser {
            id: user.id,
            username: user.username.clone(),
            role: user.role,
        },
        now,
    )
    .await?;
    let person = as_user(caller, &user, session.id);
    let after = json!({"session": session.id, "password_changed": new_hash.is_some()});
    let change = Change {
        action: "login",
        resource: format!("user:{}", user.id),
        after: Some(after),
        ..Change::default()
    };
    person.record(transaction, now, change).await?;
    Ok(tokens)
}

/// Returns the user as the caller, for the audit log.
fn as_user(caller: &Caller, user: &User, session: uuid::Uuid) -> Caller {
    Caller {
        identity: Identity::User {
            id: user.id,
            session,
        },
        name: user.username.clone(),
        role: Some(user.role),
        ..caller.clone()
    }
}

/// Returns 422: the new password is the old one.
pub(super) fn same_password(field: &str) -> ApiError {
    ApiError::invalid(vec![FieldError::new(
        field,
        "not-new",
        "expected a password that differs from the old one",
    )])
}

/// The subjects by which failed logins are counted.
pub(super) struct LoginSubjects {
    user: String,
    address: String,
}

impl LoginSubjects {
    pub(super) fn of(username: &str, caller: &Caller) -> Self {
        Self {
            user: user_subject(username),
            address: format!("address:{}", caller.origin.address),
        }
    }

    /// Counts an attempt. Returns an error if the caller has to wait.
    pub(super) async fn count_attempt(&self, app: &App) -> Result<(), ApiError> {
        let now = app.db.now();
        let mut connection = app.db.acquire().await?;
        for (subject, guard) in [(&self.address, ADDRESS_GUARD), (&self.user, USER_GUARD)] {
            if let Some(until) = count_login_attempt(&mut connection, subject, guard, now).await? {
                return Err(locked(until, now));
            }
        }
        Ok(())
    }

    /// Resets the counters after a right password. For the address only this attempt is subtracted;
    /// otherwise the owner of one account could try passwords of others without limit.
    pub(super) async fn reset_failed(&self, app: &App) -> Result<(), ApiError> {
        let now = app.db.now();
        let mut connection = app.db.acquire().await?;
        reset_failed_logins(&mut connection, &self.user, true, now).await?;
        reset_failed_logins(&mut connection, &self.address, false, now).await?;
        Ok(())
    }
}

fn locked(until: DateTime<Utc>, now: DateTime<Utc>) -> ApiError {
    let wait_s = ((until - now).num_milliseconds().max(1) as u64).div_ceil(1000);
    let detail = format!("too many failed logins; try again in {wait_s} s");
    ApiError::TooMany {
        problem: &problems::LOGIN_LOCKED,
        detail,
        wait_s,
    }
}
