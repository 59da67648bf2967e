//! `POST /v1/auth/login`. A wrong name and a wrong password are one answer after the same time. Every attempt is counted before the
//! password is looked at, by name and by address, whether the name exists or not.

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
    platform::secret::{hash_password, is_password},
};
use sqlx::MySqlConnection;

use crate::{
    App,
    auth::{
        Caller, Identity,
        caller::Change,
        limits::{ADDRESS_GUARD, USER_GUARD, count_login_attempt},
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
            SESSION, Tokens, issue, new_password, new_password_schema, secret, secret_schema,
            store::{NewSession, insert_session},
            tokens_example,
        },
        users::store::{lock_user, note_login},
    },
};

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

/// 200 with tokens.
pub async fn login(
    State(app): State<App>,
    caller: Caller,
    query: Query,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Tokens>, ApiError> {
    query.finish()?;
    let request = LoginRequest::read(&body::read_small_json(&headers, body).await?)?;
    let subjects = Subjects::of(&request.username, &caller);
    subjects.charge(&app).await?;
    // What can't be a username is nobody's; the column could not even be compared with it.
    let user = if is_username(&request.username) {
        find_user(&mut *app.db.pool.acquire().await?, &request.username).await?
    } else {
        None
    };
    let user = verify(&app, user, request.password.clone()).await?;
    let Some(user) = user else {
        let change = Change {
            action: "login.fail",
            resource: format!(
                "username:{}",
                request.username.chars().take(64).collect::<String>()
            ),
            ..Change::default()
        };
        caller
            .record(&mut *app.db.pool.acquire().await?, app.db.now(), change)
            .await?;
        return Err(ApiError::WrongCredentials(
            "the username or the password is wrong",
        ));
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
    subjects.absolve(&app).await?;
    Ok(Json(tokens))
}

/// For the document.
pub fn login_doc() -> Operation {
    let fields = json!({
        "username": secret_schema(),
        "password": secret_schema(),
        "new_password": or_null(new_password_schema()),
    });
    let example = json!({"username": "ana", "password": "correct horse battery staple"});
    Operation::new("logIn", "auth", "Log in with a password")
        .text(
            "A temporary password needs `new_password` in the same call. After four failed logins of a username each further one has to wait, \
             whether the name exists or not.",
        )
        .body(Takes::json(object(fields, &["username", "password"]), example))
        .answers::<Tokens>(200, "A session has begun.", tokens_example())
        .problems(&["wrong-credentials", "password-change-required", "login-locked"])
}

/// The user, if the password is his, still holds, and he is not disabled.
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

/// Makes the session. The user is read anew under a lock: a password that was changed meanwhile opens nothing.
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
        return Err(ApiError::WrongCredentials(
            "the username or the password is wrong",
        ));
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
        (user.id, &user.username, user.role),
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

/// Who logged in, for the log.
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

/// Hashes a password that was chosen.
pub async fn hash(password: SecretString) -> Result<String, ApiError> {
    hash_password(password)
        .await
        .map_err(|error| ApiError::Internal(format!("{error:#}")))
}

/// 422: the new password is the old one.
pub(super) fn same_password(field: &str) -> ApiError {
    ApiError::invalid(vec![FieldError::new(
        field,
        "not-new",
        "expected another password than the old one",
    )])
}

/// What failed logins are counted by.
pub(super) struct Subjects {
    user: String,
    address: String,
}

impl Subjects {
    pub(super) fn of(username: &str, caller: &Caller) -> Self {
        Self {
            user: user_subject(username),
            address: format!("address:{}", caller.origin.address),
        }
    }

    /// Counts an attempt, which may have to wait instead.
    pub(super) async fn charge(&self, app: &App) -> Result<(), ApiError> {
        let now = app.db.now();
        let mut connection = app.db.pool.acquire().await?;
        for (subject, guard) in [(&self.address, ADDRESS_GUARD), (&self.user, USER_GUARD)] {
            if let Some(until) = count_login_attempt(&mut connection, subject, guard, now).await? {
                return Err(locked(until, now));
            }
        }
        Ok(())
    }

    /// The password was right. The address only gets this attempt back: else whoever has one account could guess others' passwords.
    pub(super) async fn absolve(&self, app: &App) -> Result<(), ApiError> {
        let now = app.db.now();
        let mut connection = app.db.pool.acquire().await?;
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
