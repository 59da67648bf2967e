//! `POST /v1/auth/second-factor/confirm`: enables a second factor with its first right code.

use axum::{Json, body::Body, extract::State, http::HeaderMap};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::{
    App,
    auth::{
        Caller,
        audit::{AuditedTransaction, audited_transaction},
        caller::Change,
        second_factor::{
            DIGITS, new_recovery_codes,
            store::{confirm_factor, lock_factor},
            try_step,
        },
    },
    http::{
        body,
        error::{ApiError, FieldError},
        fields::Fields,
        problems,
        query::Query,
    },
    openapi::{Operation, Takes, operation::object},
    resources::second_factor::{CODE, LONGEST_CODE, person},
};

/// Codes for a login without the app.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "RecoveryCodes")]
pub struct Confirmed {
    /// Each is accepted once. They are not shown again.
    recovery_codes: Vec<String>,
}

/// Returns 200 with the recovery codes. The next login needs a code.
pub async fn confirm(
    State(app): State<App>,
    caller: Caller,
    query: Query,
    request: (HeaderMap, Body),
) -> Result<Json<Confirmed>, ApiError> {
    query.finish()?;
    let id = person(&caller)?;
    let code = read(&body::read_small_json(&request.0, request.1).await?)?;
    let (texts, hashes): (Vec<_>, Vec<_>) = new_recovery_codes().into_iter().unzip();
    let (app, code, hashes) = (&app, code.as_str(), hashes.as_slice());
    audited_transaction(&app.db, &caller, |transaction| {
        Box::pin(write(app, transaction, id, code, hashes))
    })
    .await?;
    Ok(Json(Confirmed {
        recovery_codes: texts,
    }))
}

/// Describes `POST /v1/auth/second-factor/confirm` in the OpenAPI document.
pub fn confirm_doc() -> Operation {
    let fields = json!({CODE: {"type": "string", "pattern": format!("^[0-9]{{{DIGITS}}}$"), "description": "The code that the app shows now."}});
    let answer = json!({"recovery_codes": ["k7m2-p4q6-r8s3-t5v7"]});
    Operation::new("confirmSecondFactor", "auth", "Enable the second factor")
        .text(
            "From the next login on, a code is needed. Returns ten recovery codes, each of which is accepted once in place of a code of the app. They \
             are shown once.",
        )
        .body(Takes::json(object(fields, &[CODE]), json!({CODE: "287082"})))
        .answers::<Confirmed>(200, "The recovery codes.", answer)
        .problems(&["second-factor-set", "second-factor-not-begun"])
}

fn read(body: &[u8]) -> Result<String, ApiError> {
    let mut fields = Fields::read(body)?;
    let code = fields.text(CODE);
    fields.require(CODE, "the code that the app shows");
    let is_code = |code: &String| {
        code.len() <= LONGEST_CODE && code.bytes().filter(u8::is_ascii_digit).count() == DIGITS
    };
    if code.as_ref().is_some_and(|code| !is_code(code)) {
        fields.complain(CODE, "wrong", format!("expected {DIGITS} digits"));
    }
    let errors = fields.finish();
    code.filter(|_| errors.is_empty())
        .ok_or_else(|| ApiError::invalid(errors))
}

async fn write(
    app: &App,
    mut transaction: AuditedTransaction<'_, '_>,
    user_id: Uuid,
    code: &str,
    hashes: &[Vec<u8>],
) -> Result<((), Change<'static>), ApiError> {
    let now = app.db.now();
    let Some(row) = lock_factor(&mut transaction, user_id).await? else {
        return Err(ApiError::Refused(
            &problems::SECOND_FACTOR_NOT_BEGUN,
            "expected a call of POST /v1/auth/second-factor before".to_owned(),
        ));
    };
    if row.confirmed_at.is_some() {
        return Err(ApiError::Refused(
            &problems::SECOND_FACTOR_SET,
            "expected a second factor that is not enabled yet".to_owned(),
        ));
    }
    if !try_step(
        &app.webhook_keys,
        &mut transaction,
        user_id,
        &row,
        code,
        now,
    )
    .await?
    {
        let expected = "expected the code that the app shows now; check the clock of the phone";
        return Err(ApiError::invalid(vec![FieldError::new(
            CODE, "wrong", expected,
        )]));
    }
    confirm_factor(&mut transaction, user_id, hashes, now).await?;
    let change = Change {
        action: "second-factor.enable",
        resource: format!("user:{user_id}"),
        ..Change::default()
    };
    Ok(((), change))
}
