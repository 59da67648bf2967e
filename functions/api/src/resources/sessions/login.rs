//! `POST /v1/auth/login`. A wrong name and a wrong password get the same answer after the same
//! time. Every attempt is counted before the password is checked, whether the name exists or not
//! ([`login_limits`](super::login_limits)).

use axum::{
    Json,
    body::Body,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use shared::{
    access::{
        audit::new_id,
        is_username,
        users::{User, change_password, end_sessions, find_user},
    },
    platform::secret::is_password,
};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::{
    App,
    auth::{Caller, Identity, caller::Change, password::hash, second_factor::use_code},
    http::{
        body,
        error::{ApiError, FieldError},
        fields::Fields,
        query::Query,
        transaction::transaction,
    },
    openapi::{
        Operation, Takes,
        operation::{object, or_null},
    },
    resources::{
        sessions::{
            SESSION, TokenUser, Tokens, cookie,
            devices::note_device,
            issue,
            login_limits::LoginSubjects,
            new_password, new_password_schema, optional_secret, require_unguessable, secret,
            secret_schema,
            store::{NewSession, insert_session},
            tokens_example,
        },
        users::store::{lock_user, note_login},
    },
};

const WRONG_CREDENTIALS: &str = "the username or the password is wrong";
const WRONG_CODE: &str = "the code is wrong, or was used already";

struct LoginRequest {
    username: String,
    password: SecretString,
    new_password: Option<SecretString>,
    device_token: Option<SecretString>,
    code: Option<SecretString>,
    cookie: bool,
}

impl LoginRequest {
    fn read(body: &[u8]) -> Result<Self, ApiError> {
        let mut fields = Fields::read(body)?;
        let username = secret(&mut fields, "username");
        let password = secret(&mut fields, "password");
        let new_password = new_password(&mut fields, "new_password");
        let device_token = optional_secret(&mut fields, "device_token");
        let code = optional_secret(&mut fields, "code");
        let cookie = fields
            .read_as("cookie", "true or false")
            .unwrap_or_default();
        let errors = fields.finish();
        match (username, password) {
            (Some(username), Some(password)) if errors.is_empty() => Ok(Self {
                username: username.expose_secret().to_ascii_lowercase(),
                password,
                new_password,
                device_token,
                code,
                cookie,
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
) -> Result<Response, ApiError> {
    query.finish()?;
    app.gate.require_local_login()?;
    let mut request = LoginRequest::read(&body::read_small_json(&headers, body).await?)?;
    if request.cookie {
        cookie::require_same_origin(&headers)?;
        let known = cookie::read(&headers, cookie::DEVICE);
        request.device_token = request.device_token.or(known);
    }
    let in_cookies = request.cookie;
    let tokens = log_in(&app, &caller, request).await?;
    Ok(if in_cookies {
        cookie::answer(&headers, tokens)
    } else {
        Json(tokens).into_response()
    })
}

/// Uses a code of the person's second factor. Returns whether it was right.
async fn is_right_code(app: &App, user_id: Uuid, code: &SecretString) -> Result<bool, ApiError> {
    let now = app.db.now();
    let code = code.expose_secret();
    transaction(&app.db, |transaction| {
        Box::pin(use_code(&app.webhook_keys, transaction, user_id, code, now))
    })
    .await
}

/// Checks the password and begins a session.
async fn log_in(app: &App, caller: &Caller, request: LoginRequest) -> Result<Tokens, ApiError> {
    let device = request
        .device_token
        .as_ref()
        .map(ExposeSecret::expose_secret);
    let subjects = LoginSubjects::of_login(app, &request.username, caller, device).await?;
    subjects.count_attempt(app).await?;
    // A text that is no valid username belongs to no user, and cannot be compared with the column.
    let user = if is_username(&request.username) {
        find_user(&mut *app.db.acquire().await?, &request.username).await?
    } else {
        None
    };
    let known = user.as_ref().map(|user| user.id);
    let Some(user) = verify(app, user, request.password.clone()).await? else {
        record_failure(app, caller, known).await?;
        return Err(ApiError::WrongCredentials(WRONG_CREDENTIALS));
    };
    if user.second_factor && request.code.is_none() {
        // The count stays: otherwise calls without a code would allow any number of wrong codes.
        return Err(ApiError::SecondFactorRequired);
    }
    if user.password_expires_at.is_some() && request.new_password.is_none() {
        // The password was right, and a page asks for the new one only now.
        if !user.second_factor {
            subjects.reset_failed(app).await?;
        }
        return Err(ApiError::PasswordChangeRequired);
    }
    if let (true, Some(code)) = (user.second_factor, &request.code)
        && !is_right_code(app, user.id, code).await?
    {
        record_failure(app, caller, known).await?;
        return Err(ApiError::WrongCredentials(WRONG_CODE));
    }
    let hash = match request.new_password {
        Some(new) if new.expose_secret() == request.password.expose_secret() => {
            return Err(same_password("new_password"));
        }
        Some(new) => {
            require_unguessable("new_password", &new, &user.username)?;
            Some(hash(new).await?)
        }
        None => None,
    };
    let tokens = {
        let (app, login) = (
            app,
            &Login {
                caller,
                seen: &user,
                new_hash: hash.as_deref(),
                device_token: request.device_token.as_ref(),
            },
        );
        transaction(&app.db, |transaction| {
            Box::pin(begin(app, transaction, login))
        })
        .await?
    };
    subjects.reset_failed(app).await?;
    Ok(tokens)
}

/// Describes `POST /v1/auth/login` in the OpenAPI document.
pub fn login_doc() -> Operation {
    let fields = json!({
        "username": secret_schema(),
        "password": secret_schema(),
        "new_password": or_null(new_password_schema()),
        "device_token": or_null(secret_schema()),
        "code": or_null(secret_schema()),
        "cookie": or_null(json!({"type": "boolean"})),
    });
    let example = json!({"username": "ana", "password": "correct horse battery staple"});
    Operation::new("logIn", "auth", "Log in with a password")
        .text(
            "A temporary password requires `new_password` in the same call. An account with a second factor requires `code`: that of the authenticator \
             app, or a recovery code; each is accepted once. After four failed logins with a username from one network each further one \
             has to wait, whether the name exists or not. A client that keeps the `device_token` of the last login and sends it with the next one is not \
             delayed by the failed logins of others. With `cookie: true`, which is for pages of this origin in a browser, the refresh token and the \
             device token are set as cookies that scripts cannot read, and are not in the answer.",
        )
        .body(Takes::json(object(fields, &["username", "password"]), example))
        .answers::<Tokens>(200, "The tokens of a new session.", tokens_example())
        .problems(&["wrong-credentials", "password-change-required", "second-factor-required", "local-login-off", "login-locked", "forbidden"])
}

/// Records a failed login in the audit log, with the id of the user if one has this name. The name
/// itself is not recorded, because people type passwords there.
async fn record_failure(app: &App, caller: &Caller, user_id: Option<Uuid>) -> sqlx::Result<()> {
    let user = user_id.map_or_else(|| "unknown".to_owned(), |id| id.to_string());
    let change = Change {
        action: "login.fail",
        resource: format!("user:{user}"),
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

/// A login whose password is right.
#[derive(Clone, Copy)]
struct Login<'a> {
    caller: &'a Caller,
    /// The user as it was read when the password was checked.
    seen: &'a User,
    /// The hash of the new password, if the login changes it.
    new_hash: Option<&'a str>,
    device_token: Option<&'a SecretString>,
}

/// Creates the session. The user is read again under a lock, so that a password that was changed
/// meanwhile is refused.
async fn begin(
    app: &App,
    transaction: &mut MySqlConnection,
    login: &Login<'_>,
) -> Result<Tokens, ApiError> {
    let Login {
        caller,
        seen,
        new_hash,
        device_token,
    } = *login;
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
    let device_token = note_device(transaction, user.id, device_token, now).await?;
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
    Ok(Tokens {
        device_token: Some(device_token),
        ..tokens
    })
}

/// Returns the user as the caller, for the audit log.
fn as_user(caller: &Caller, user: &User, session: Uuid) -> Caller {
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
