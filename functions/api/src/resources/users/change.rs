//! `PATCH /v1/users/{id}`: another role, disabled or not, a new temporary password. Who is disabled, or gets another password, has no
//! session left.

use axum::{Json, body::Body, extract::State, http::HeaderMap};
use serde_json::json;
use shared::{
    access::{
        Role,
        users::{User, change_password, change_user, end_sessions},
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
    },
    resources::{
        sessions::login::hash,
        users::{
            Handed, TEMPORARY, handed_example, logged, no_such_user, parse_id,
            store::{count_other_admins, lock_user},
        },
    },
};

#[derive(Default)]
struct Wanted {
    role: Option<Role>,
    disabled: Option<bool>,
    reset_password: bool,
}

impl Wanted {
    fn read(body: &[u8]) -> Result<Self, ApiError> {
        let mut fields = Fields::read(body)?;
        let role = fields.choice("role", &Role::ALL, Role::as_str);
        let disabled = fields.read_as("disabled", "true or false");
        let reset_password = fields
            .read_as("reset_password", "true or false")
            .unwrap_or(false);
        let mut errors = fields.finish();
        if errors.is_empty() && role.is_none() && disabled.is_none() && !reset_password {
            errors.push(FieldError::new(
                "",
                "nothing-to-change",
                "expected one of: role, disabled, reset_password",
            ));
        }
        if errors.is_empty() {
            Ok(Self {
                role,
                disabled,
                reset_password,
            })
        } else {
            Err(ApiError::invalid(errors))
        }
    }
}

/// 200 with the user, and the new password where one was asked for.
pub async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
    request: (HeaderMap, Body),
) -> Result<Json<Handed>, ApiError> {
    query.finish()?;
    let id = parse_id(&id)?;
    let wanted = Wanted::read(&body::read_small_json(&request.0, request.1).await?)?;
    let temporary_password = wanted.reset_password.then(|| random_text(20));
    let hash = match &temporary_password {
        Some(password) => Some(hash(password.clone().into()).await?),
        None => None,
    };
    let (app, wanted, hash) = (&app, &wanted, hash.as_deref());
    let user = audited_transaction(&app.db, &caller, |transaction| {
        Box::pin(write(app, transaction, id, wanted, hash))
    });
    Ok(Json(Handed {
        user: user.await?.into(),
        temporary_password,
    }))
}

/// For the document.
pub fn change_doc() -> Operation {
    let role = json!({"type": "string", "enum": Role::ALL.map(Role::as_str)});
    let fields = json!({
        "role": or_null(role.clone()),
        "disabled": {"type": ["boolean", "null"], "description": "Whether to keep him out. Ends his sessions."},
        "reset_password": {"type": ["boolean", "null"], "default": false,
            "description": "Gives a new temporary password. Ends his sessions."},
    });
    let one = [
        ("role", role),
        ("disabled", json!({"type": "boolean"})),
        ("reset_password", json!({"const": true})),
    ];
    Operation::new(
        "changeUser",
        "users",
        "Another role, out or in again, another password",
    )
    .text("What is left out stays. The last admin stays one.")
    .body(Takes::json(
        one_of_these(object(fields, &[]), &one),
        json!({"role": "viewer", "reset_password": true}),
    ))
    .answers::<Handed>(
        200,
        "The user, and the new password where one was asked for.",
        handed_example(),
    )
    .problems(&["not-found", "last-admin"])
}

async fn write(
    app: &App,
    mut transaction: AuditedTransaction<'_, '_>,
    id: Uuid,
    wanted: &Wanted,
    hash: Option<&str>,
) -> Result<(User, Change<'static>), ApiError> {
    let now = app.db.now();
    // In one order always, the others first: two admins who disable each other would else wait for each other.
    let others = count_other_admins(&mut transaction, id).await?;
    let before = lock_user(&mut transaction, id)
        .await?
        .ok_or_else(no_such_user)?;
    let mut user = before.clone();
    user.role = wanted.role.unwrap_or(before.role);
    user.disabled_at = match wanted.disabled {
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
    if hash.is_some() || user.disabled_at.is_some() {
        end_sessions(&mut transaction, id, now).await?;
    }
    let mut after = logged(&user);
    if hash.is_some() {
        after["password_reset"] = json!(true);
    }
    let change = Change {
        action: "user.change",
        resource: format!("user:{id}"),
        before: Some(logged(&before)),
        after: Some(after),
    };
    Ok((user, change))
}
