//! `POST /v1/auth/second-factor/remove`: removes the own second factor.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use secrecy::SecretString;
use serde_json::json;
use shared::access::users::remove_second_factor;
use uuid::Uuid;

use crate::{
    App,
    auth::{
        Caller,
        audit::{AuditedTransaction, audited_transaction},
        caller::Change,
        second_factor::use_code,
    },
    http::{
        body,
        error::{ApiError, FieldError},
        fields::Fields,
        query::Query,
    },
    openapi::{Operation, Takes, operation::object},
    resources::{
        second_factor::{CODE, LONGEST_CODE, person},
        sessions::{
            login_limits::LoginSubjects, password::require_password, secret, secret_schema,
        },
    },
};

/// Returns 204. Logins need no code any more. A person whose role has to have a second factor can
/// only set up another one afterwards.
pub async fn remove(
    State(app): State<App>,
    caller: Caller,
    query: Query,
    request: (HeaderMap, Body),
) -> Result<StatusCode, ApiError> {
    query.finish()?;
    let id = person(&caller)?;
    let (password, code) = read(&body::read_small_json(&request.0, request.1).await?)?;
    require_password(&app, id, password).await?;
    // A right password does not reset the count of wrong codes.
    let subjects = LoginSubjects::of_code(id);
    subjects.count_attempt(&app).await?;
    let (app, code) = (&app, code.as_str());
    audited_transaction(&app.db, &caller, |transaction| {
        Box::pin(write(app, transaction, id, code))
    })
    .await?;
    subjects.reset_failed(app).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Describes `POST /v1/auth/second-factor/remove` in the OpenAPI document.
pub fn remove_doc() -> Operation {
    let code = json!({"type": "string", "minLength": 1, "maxLength": LONGEST_CODE, "description": "A code of the app, or a recovery code."});
    let fields = json!({"current_password": secret_schema(), CODE: code});
    let body = json!({"current_password": "correct horse battery staple", CODE: "287082"});
    Operation::new("removeSecondFactor", "auth", "Remove the second factor")
        .text("Needs the password and a code. An administrator can reset that of another person (`changeUser`).")
        .body(Takes::json(object(fields, &["current_password", CODE]), body))
        .answers_nothing("Logins need no code any more.")
        .problems(&["login-locked"])
}

fn read(body: &[u8]) -> Result<(SecretString, String), ApiError> {
    let mut fields = Fields::read(body)?;
    let password = secret(&mut fields, "current_password");
    let code = fields.text(CODE);
    fields.require(CODE, "a code of the app, or a recovery code");
    let fits = |code: &String| (1..=LONGEST_CODE).contains(&code.chars().count());
    if code.as_ref().is_some_and(|code| !fits(code)) {
        let expected = format!("expected 1 to {LONGEST_CODE} characters");
        fields.complain(CODE, "out-of-range", expected);
    }
    let errors = fields.finish();
    match (password, code) {
        (Some(password), Some(code)) if errors.is_empty() => Ok((password, code)),
        _ => Err(ApiError::invalid(errors)),
    }
}

async fn write(
    app: &App,
    mut transaction: AuditedTransaction<'_, '_>,
    user_id: Uuid,
    code: &str,
) -> Result<((), Change<'static>), ApiError> {
    if !use_code(
        &app.webhook_keys,
        &mut transaction,
        user_id,
        code,
        app.db.now(),
    )
    .await?
    {
        let expected = "expected a code of the app that was not used, or a recovery code";
        return Err(ApiError::invalid(vec![FieldError::new(
            CODE, "wrong", expected,
        )]));
    }
    remove_second_factor(&mut transaction, user_id).await?;
    let change = Change {
        action: "second-factor.remove",
        resource: format!("user:{user_id}"),
        ..Change::default()
    };
    Ok(((), change))
}
