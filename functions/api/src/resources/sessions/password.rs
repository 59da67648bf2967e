//! `POST /v1/auth/password`: changes the password. All sessions end, this one too, so that a
//! session that was opened with the old password by someone else ends.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use shared::{
    access::users::{change_password, end_sessions},
    platform::secret::is_password,
};
use uuid::Uuid;

use crate::{
    App,
    auth::{
        Caller, Identity,
        audit::{AuditedTransaction, audited_transaction},
        caller::Change,
        password::hash,
    },
    http::{
        body,
        error::{ApiError, FieldError},
        fields::Fields,
        problems,
        query::Query,
    },
    openapi::{Operation, Takes, operation::object},
    resources::{
        sessions::{
            login::same_password, login_limits::LoginSubjects, new_password, new_password_schema,
            require_unguessable, secret, secret_schema,
        },
        users::store::lock_user,
    },
};

/// Returns 204. A wrong current password counts as a failed login.
pub async fn change(
    State(app): State<App>,
    caller: Caller,
    query: Query,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, ApiError> {
    query.finish()?;
    let Identity::User { id, .. } = caller.identity else {
        return Err(ApiError::Forbidden(None));
    };
    let (current, new) = read(&body::read_small_json(&headers, body).await?)?;
    let old_hash = require_password(&app, id, current.clone()).await?;
    if current.expose_secret() == new.expose_secret() {
        return Err(same_password("new_password"));
    }
    require_unguessable("new_password", &new, &caller.name)?;
    let hash = hash(new).await?;
    let (app, hashes) = (
        &app,
        Hashes {
            old: old_hash.as_deref(),
            new: &hash,
        },
    );
    audited_transaction(&app.db, &caller, |transaction| {
        Box::pin(write(app, transaction, id, hashes))
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Checks the current password of a person. Returns its hash. A wrong one counts as a failed login.
pub async fn require_password(
    app: &App,
    id: Uuid,
    current: SecretString,
) -> Result<Option<String>, ApiError> {
    let subjects = LoginSubjects::of_change(id);
    subjects.count_attempt(app).await?;
    let user = lock_user(&mut *app.db.acquire().await?, id).await?;
    let old_hash = user.map(|user| user.password_hash);
    let right = is_password(current, old_hash.clone())
        .await
        .map_err(|error| ApiError::Internal(format!("{error:#}")))?;
    if !right {
        let error = FieldError::new(
            "current_password",
            "wrong",
            "expected the password with which you log in",
        );
        return Err(ApiError::invalid(vec![error]));
    }
    subjects.reset_failed(app).await?;
    Ok(old_hash)
}

fn read(body: &[u8]) -> Result<(SecretString, SecretString), ApiError> {
    let mut fields = Fields::read(body)?;
    let current = secret(&mut fields, "current_password");
    let new = new_password(&mut fields, "new_password");
    fields.require("new_password", "a string");
    let errors = fields.finish();
    match (current, new) {
        (Some(current), Some(new)) if errors.is_empty() => Ok((current, new)),
        _ => Err(ApiError::invalid(errors)),
    }
}

/// Describes `POST /v1/auth/password` in the OpenAPI document.
pub fn change_doc() -> Operation {
    let fields =
        json!({"current_password": secret_schema(), "new_password": new_password_schema()});
    let example = json!({"current_password": "correct horse battery staple", "new_password": "another staple of some length"});
    Operation::new("changePassword", "auth", "Change the password")
        .text("All sessions end, this one too. A wrong current password counts as a failed login.")
        .body(Takes::json(
            object(fields, &["current_password", "new_password"]),
            example,
        ))
        .answers_nothing("The password is changed.")
        .problems(&["login-locked", "password-changed"])
}

/// The password that was checked, if any, and the one that replaces it.
#[derive(Clone, Copy)]
struct Hashes<'a> {
    old: Option<&'a str>,
    new: &'a str,
}

async fn write(
    app: &App,
    mut transaction: AuditedTransaction<'_, '_>,
    id: Uuid,
    hashes: Hashes<'_>,
) -> Result<((), Change<'static>), ApiError> {
    let now = app.db.now();
    let user = lock_user(&mut transaction, id).await?;
    if user.map(|user| user.password_hash).as_deref() != hashes.old {
        return Err(ApiError::Refused(
            &problems::PASSWORD_CHANGED,
            "expected the password to be unchanged; another call changed it".to_owned(),
        ));
    }
    change_password(&mut transaction, id, hashes.new, None).await?;
    let ended = end_sessions(&mut transaction, id, now).await?;
    let change = Change {
        action: "password.change",
        resource: format!("user:{id}"),
        after: Some(json!({ "sessions_ended": ended })),
        ..Change::default()
    };
    Ok(((), change))
}
