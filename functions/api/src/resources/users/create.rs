//! `POST /v1/users`: creates a user.

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use serde_json::json;
use shared::{
    access::{
        Role, USERNAME, USERNAME_PATTERN,
        audit::new_id,
        is_username,
        users::{User, insert_user},
    },
    platform::secret::random_text,
};

use crate::{
    App,
    auth::{
        Caller,
        audit::{AuditedTransaction, audited_transaction},
        caller::Change,
        password::hash,
    },
    http::{body, error::ApiError, fields::Fields, problems, query::Query},
    openapi::{Operation, Takes, operation::object, schemas::derived},
    resources::users::{TEMPORARY, UserWithPassword, audit_state, user_with_password_example},
};

/// Returns 201 with the user and a temporary password.
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    query: Query,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<UserWithPassword>), ApiError> {
    query.finish()?;
    let (username, role) = read(&body::read_small_json(&headers, body).await?)?;
    let password = random_text(20);
    let now = app.db.now();
    let user = User {
        id: new_id(now),
        username,
        role,
        password_hash: hash(password.clone().into()).await?,
        password_expires_at: Some(now + TEMPORARY),
        disabled_at: None,
        created_at: now,
        last_login_at: None,
        second_factor: false,
    };
    let new = &user;
    audited_transaction(&app.db, &caller, |transaction| {
        Box::pin(write(transaction, new))
    })
    .await?;
    Ok((
        StatusCode::CREATED,
        Json(UserWithPassword {
            user: user.into(),
            temporary_password: Some(password),
        }),
    ))
}

/// Describes `POST /v1/users` in the OpenAPI document.
pub fn create_doc() -> Operation {
    let fields = json!({
        "username": {"type": "string", "pattern": USERNAME_PATTERN, "description": "Kept in lower case."},
        "role": derived::<Role>(),
    });
    Operation::new("createUser", "users", "Create a user")
        .text("The temporary password is shown once. It is valid for 7 days, and only for setting another password at the first login.")
        .body(Takes::json(object(fields, &["username", "role"]), json!({"username": "ana", "role": "operator"})))
        .answers::<UserWithPassword>(201, "The user, and the temporary password.", user_with_password_example())
        .problems(&["username-taken"])
}

async fn write(
    mut transaction: AuditedTransaction<'_, '_>,
    user: &User,
) -> Result<((), Change<'static>), ApiError> {
    insert_user(&mut transaction, user)
        .await
        .map_err(|error| match error {
            sqlx::Error::Database(error) if error.is_unique_violation() => ApiError::Refused(
                &problems::USERNAME_TAKEN,
                "expected a username that no user has".to_owned(),
            ),
            error => error.into(),
        })?;
    let change = Change {
        action: "user.create",
        resource: format!("user:{}", user.id),
        after: Some(audit_state(user)),
        ..Change::default()
    };
    Ok(((), change))
}

fn read(body: &[u8]) -> Result<(String, Role), ApiError> {
    let mut fields = Fields::read(body)?;
    let username = fields
        .text("username")
        .map(|username| username.to_ascii_lowercase());
    fields.require("username", USERNAME);
    if username
        .as_ref()
        .is_some_and(|username| !is_username(username))
    {
        fields.complain("username", "not-a-username", format!("expected {USERNAME}"));
    }
    let role = fields.choice("role", &Role::ALL, Role::as_str);
    fields.require("role", "one of: viewer, operator, admin");
    let errors = fields.finish();
    match (username, role) {
        (Some(username), Some(role)) if errors.is_empty() => Ok((username, role)),
        _ => Err(ApiError::invalid(errors)),
    }
}
