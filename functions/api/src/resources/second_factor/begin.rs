//! `POST /v1/auth/second-factor`: begins to set up a second factor.

use axum::{Json, body::Body, extract::State, http::HeaderMap};
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Serialize;
use serde_json::json;
use shared::access::audit::new_id;
use uuid::Uuid;

use crate::{
    App,
    auth::{
        Caller,
        audit::{AuditedTransaction, audited_transaction},
        caller::Change,
        second_factor::{
            Secret,
            store::{insert_factor, lock_factor},
        },
    },
    http::{body, error::ApiError, fields::Fields, problems, query::Query},
    openapi::{Operation, Takes, operation::object},
    resources::{
        second_factor::person,
        sessions::{password::require_password, secret, secret_schema},
    },
};

/// What an authenticator app needs.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "NewSecondFactor")]
pub struct Begun {
    /// The secret in base32, to be typed.
    secret: String,
    /// The address that the app reads, mostly from a QR code.
    uri: String,
    /// That QR code.
    qr: QrImage,
}

/// A QR code as the outline of its dark squares.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "QrCode")]
struct QrImage {
    /// Squares on each side, with four light ones around.
    size: i32,
    /// The attribute `d` of a path of SVG, in a `viewBox` of this size.
    path: String,
}

/// Returns 200 with the secret. Logins need no code until [`super::confirm`] has got a right one.
pub async fn begin(
    State(app): State<App>,
    caller: Caller,
    query: Query,
    request: (HeaderMap, Body),
) -> Result<Json<Begun>, ApiError> {
    query.finish()?;
    let id = person(&caller)?;
    let password = read(&body::read_small_json(&request.0, request.1).await?)?;
    require_password(&app, id, password).await?;
    let key_id = app.webhook_keys.current().newest().to_owned();
    let factor = new_id(app.db.now());
    let secret = Secret::of(&app.webhook_keys, &key_id, factor, app.db.now()).await?;
    let secret = secret.ok_or_else(|| ApiError::Internal("the newest key is gone".to_owned()))?;
    let (app, key_id) = (&app, key_id.as_str());
    audited_transaction(&app.db, &caller, |transaction| {
        Box::pin(write(app, transaction, id, factor, key_id))
    })
    .await?;
    let uri = secret.uri("Bulk SMS", &caller.name);
    Ok(Json(Begun {
        secret: secret.base32(),
        qr: QrImage::of(&uri)?,
        uri,
    }))
}

/// Describes `POST /v1/auth/second-factor` in the OpenAPI document.
pub fn begin_doc() -> Operation {
    let fields = json!({"current_password": secret_schema()});
    let body = json!({"current_password": "correct horse battery staple"});
    let answer = json!({
        "secret": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
        "uri": "otpauth://totp/Bulk%20SMS:ana?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Bulk%20SMS&algorithm=SHA1&digits=6&period=30",
        "qr": {"size": 41, "path": "M4 4h7v1h-7z"},
    });
    Operation::new("beginSecondFactor", "auth", "Begin to set up a second factor")
        .text(
            "For an authenticator app that shows codes of six digits (TOTP, RFC 6238). A login needs a code only after `confirm`. A repeated call makes \
             a new secret. A wrong password counts as a failed login.",
        )
        .body(Takes::json(object(fields, &["current_password"]), body))
        .answers::<Begun>(200, "What the app needs.", answer)
        .problems(&["login-locked", "second-factor-set"])
}

fn read(body: &[u8]) -> Result<SecretString, ApiError> {
    let mut fields = Fields::read(body)?;
    let password = secret(&mut fields, "current_password");
    let errors = fields.finish();
    password
        .filter(|_| errors.is_empty())
        .ok_or_else(|| ApiError::invalid(errors))
}

async fn write(
    app: &App,
    mut transaction: AuditedTransaction<'_, '_>,
    user_id: Uuid,
    factor: Uuid,
    key_id: &str,
) -> Result<((), Change<'static>), ApiError> {
    let before = lock_factor(&mut transaction, user_id).await?;
    if before.is_some_and(|row| row.confirmed_at.is_some()) {
        return Err(ApiError::Refused(
            &problems::SECOND_FACTOR_SET,
            "expected no second factor; remove yours first".to_owned(),
        ));
    }
    insert_factor(&mut transaction, user_id, factor, key_id, app.db.now()).await?;
    let change = Change {
        action: "second-factor.begin",
        resource: format!("user:{user_id}"),
        ..Change::default()
    };
    Ok(((), change))
}

impl QrImage {
    fn of(text: &str) -> Result<Self, ApiError> {
        const BORDER: i32 = 4;
        let code = qrcodegen::QrCode::encode_text(text, qrcodegen::QrCodeEcc::Medium);
        let code = code.map_err(|error| ApiError::Internal(format!("a QR code: {error}")))?;
        let dark = (0..code.size())
            .flat_map(|y| (0..code.size()).map(move |x| (x, y)))
            .filter(|(x, y)| code.get_module(*x, *y));
        let path = dark.map(|(x, y)| format!("M{} {}h1v1h-1z", x + BORDER, y + BORDER));
        Ok(Self {
            size: code.size() + 2 * BORDER,
            path: path.collect(),
        })
    }
}
