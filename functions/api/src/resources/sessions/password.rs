//! `POST /v1/auth/password`: another password. All sessions end, this one too: whoever had the old one is out.

use crate::resources::users::store::lock_user;
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

use crate::resources::sessions::{
    login::{Subjects, hash, same_password},
    new_password, new_password_schema, secret, secret_schema,
};
use crate::{
    App,
    auth::{Caller, Identity, caller::Change},
    http::{
        body,
        error::{ApiError, FieldError},
        fields::Fields,
        problems,
        query::Query,
        transaction::{repeat, settle},
    },
    openapi::{Operation, Takes, operation::object},
};

/// 204. A wrong current password counts as a failed login.
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
    let subjects = Subjects::of(&caller.name, &caller);
    subjects.charge(&app).await?;
    let user = lock_user(&mut *app.db.pool.acquire().await?, id).await?;
    let old_hash = user.map(|user| user.password_hash);
    let right = is_password(current.clone(), old_hash.clone())
        .await
        .map_err(|error| ApiError::Internal(format!("{error:#}")))?;
    if !right {
        let error = FieldError::new(
            "current_password",
            "wrong",
            "expected the password that you log in with",
        );
        return Err(ApiError::invalid(vec![error]));
    }
    subjects.absolve(&app).await?;
    if current.expose_secret() == new.expose_secret() {
        return Err(same_password("new_password"));
    }
    let hash = hash(new).await?;
    repeat(|| write(&app, &caller, id, (old_hash.as_deref(), &hash))).await?;
    Ok(StatusCode::NO_CONTENT)
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

/// For the document.
pub fn change_doc() -> Operation {
    let fields =
        json!({"current_password": secret_schema(), "new_password": new_password_schema()});
    let example = json!({"current_password": "correct horse battery staple", "new_password": "another staple of some length"});
    Operation::new("changePassword", "auth", "Choose another password")
        .text("All sessions end, this one too. A wrong current password counts as a failed login.")
        .body(Takes::json(
            object(fields, &["current_password", "new_password"]),
            example,
        ))
        .answers_nothing("It is changed.")
        .problems(&["login-locked", "password-changed"])
}

async fn write(
    app: &App,
    caller: &Caller,
    id: Uuid,
    (old, new): (Option<&str>, &str),
) -> Result<(), ApiError> {
    let now = app.db.now();
    let mut transaction = app.db.pool.begin().await?;
    let written = async {
        let user = lock_user(&mut transaction, id).await?;
        if user.map(|user| user.password_hash).as_deref() != old {
            return Err(ApiError::Refused(
                &problems::PASSWORD_CHANGED,
                "expected the password to be still the same; somebody changed it".to_owned(),
            ));
        }
        change_password(&mut transaction, id, new, None).await?;
        let ended = end_sessions(&mut transaction, id, now).await?;
        let after = Some(json!({ "sessions_ended": ended }));
        let change = Change {
            action: "password.change",
            resource: format!("user:{id}"),
            after,
            ..Change::default()
        };
        caller.record(&mut transaction, now, change).await?;
        Ok(())
    };
    let written = written.await;
    settle(transaction, written).await
}
