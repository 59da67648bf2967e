//! `PATCH /v1/users/{id}`: changes the role, disables or enables the user, or sets a new temporary
//! password. All sessions of the user end if it is disabled or gets another password; the API keys of
//! a disabled user are revoked.

use axum::{Json, body::Body, extract::State, http::HeaderMap};
use serde_json::json;
use shared::{
    access::{
        Role,
        users::{User, change_password, change_user, end_sessions, remove_second_factor},
    },
    platform::secret::random_text,
};
use uuid::Uuid;

use crate::{
    App,
    auth::{
        Caller,
        audit::{AuditedTransaction, audited_transaction},
        caller::Change,
        password::hash,
    },
    http::{
        body,
        error::{ApiError, FieldError},
        fields::Fields,
        path::Path,
        problems,
        query::Query,
    },
    openapi::{
        Operation, Takes,
        operation::{object, one_of_these, or_null},
        schemas::derived,
    },
    resources::{
        api_keys::person::{Ended, follow_person},
        users::{
            TEMPORARY, UserWithPassword, audit_state, no_such_user, parse_id,
            store::{count_other_admins, lock_user},
            user_with_password_example,
        },
    },
};

#[derive(Default)]
struct UserEdit {
    role: Option<Role>,
    disabled: Option<bool>,
    reset_password: bool,
    reset_second_factor: bool,
}

impl UserEdit {
    fn read(body: &[u8]) -> Result<Self, ApiError> {
        let mut fields = Fields::read(body)?;
        let role = fields.choice("role", &Role::ALL, Role::as_str);
        let disabled = fields.read_as("disabled", "true or false");
        let reset_password = fields
            .read_as("reset_password", "true or false")
            .unwrap_or(false);
        let reset_second_factor = fields
            .read_as("reset_second_factor", "true or false")
            .unwrap_or(false);
        let mut errors = fields.finish();
        let resets = reset_password || reset_second_factor;
        if errors.is_empty() && role.is_none() && disabled.is_none() && !resets {
            errors.push(FieldError::new(
                "",
                "nothing-to-change",
                "expected one of: role, disabled, reset_password, reset_second_factor",
            ));
        }
        if errors.is_empty() {
            Ok(Self {
                role,
                disabled,
                reset_password,
                reset_second_factor,
            })
        } else {
            Err(ApiError::invalid(errors))
        }
    }
}

/// Returns 200 with the user, and with the new password if one was requested.
pub async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
    request: (HeaderMap, Body),
) -> Result<Json<UserWithPassword>, ApiError> {
    query.finish()?;
    let id = parse_id(&id)?;
    let edit = UserEdit::read(&body::read_small_json(&request.0, request.1).await?)?;
    let temporary_password = edit.reset_password.then(|| random_text(20));
    let hash = match &temporary_password {
        Some(password) => Some(hash(password.clone().into()).await?),
        None => None,
    };
    let (app, edit, hash) = (&app, &edit, hash.as_deref());
    let user = audited_transaction(&app.db, &caller, |transaction| {
        Box::pin(write(app, transaction, id, edit, hash))
    });
    Ok(Json(UserWithPassword {
        user: user.await?.into(),
        temporary_password,
    }))
}

/// Describes `PATCH /v1/users/{id}` in the OpenAPI document.
pub fn change_doc() -> Operation {
    let role = derived::<Role>();
    let fields = json!({
        "role": or_null(role.clone()),
        "disabled": {"type": ["boolean", "null"], "description": "Whether the user is refused. Ends the user's sessions."},
        "reset_password": {"type": ["boolean", "null"], "default": false,
            "description": "Sets a new temporary password. Ends the user's sessions."},
        "reset_second_factor": {"type": ["boolean", "null"], "default": false,
            "description": "Removes the second factor, for a person who has lost it. Ends the user's sessions."},
    });
    let one = [
        ("role", role),
        ("disabled", json!({"type": "boolean"})),
        ("reset_password", json!({"const": true})),
        ("reset_second_factor", json!({"const": true})),
    ];
    Operation::new(
        "changeUser",
        "users",
        "Change the role, disable or enable, or reset the password",
    )
    .text("A field that is left out stays as it is. The last administrator cannot be disabled or lose the role.")
    .body(Takes::json(
        one_of_these(object(fields, &[]), &one),
        json!({"role": "viewer", "reset_password": true}),
    ))
    .answers::<UserWithPassword>(
        200,
        "The user, and the new password if one was requested.",
        user_with_password_example(),
    )
    .problems(&["not-found", "last-admin"])
}

async fn write(
    app: &App,
    mut transaction: AuditedTransaction<'_, '_>,
    id: Uuid,
    edit: &UserEdit,
    hash: Option<&str>,
) -> Result<(User, Change<'static>), ApiError> {
    let now = app.db.now();
    // The order is always the same, the others first; otherwise two administrators who disable each
    // other would wait for each other.
    let others = count_other_admins(&mut transaction, id).await?;
    let before = lock_user(&mut transaction, id)
        .await?
        .ok_or_else(no_such_user)?;
    let mut user = before.clone();
    user.role = edit.role.unwrap_or(before.role);
    user.disabled_at = match edit.disabled {
        Some(true) => before.disabled_at.or(Some(now)),
        Some(false) => None,
        None => before.disabled_at,
    };
    let was_admin = before.role == Role::Admin && before.disabled_at.is_none();
    if was_admin && others == 0 && (user.role != Role::Admin || user.disabled_at.is_some()) {
        return Err(ApiError::Refused(
            &problems::LAST_ADMIN,
            "expected another admin who can log in; this one is the last".to_owned(),
        ));
    }
    change_user(&mut transaction, id, user.role, user.disabled_at).await?;
    if let Some(hash) = hash {
        user.password_expires_at = Some(now + TEMPORARY);
        change_password(&mut transaction, id, hash, user.password_expires_at).await?;
    }
    let factor_removed =
        edit.reset_second_factor && remove_second_factor(&mut transaction, id).await?;
    user.second_factor &= !factor_removed;
    if hash.is_some() || factor_removed || user.disabled_at.is_some() {
        end_sessions(&mut transaction, id, now).await?;
    }
    let ended = follow_person(&mut transaction, &user, now).await?;
    let mut after = audit_state(&user);
    if ended != Ended::default() {
        after["ended"] = json!(ended);
    }
    if factor_removed {
        after["second_factor_reset"] = json!(true);
    }
    if hash.is_some() {
        after["password_reset"] = json!(true);
    }
    let change = Change {
        action: "user.change",
        resource: format!("user:{id}"),
        before: Some(audit_state(&before)),
        after: Some(after),
    };
    Ok((user, change))
}
