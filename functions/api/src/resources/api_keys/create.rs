//! `POST /v1/api-keys`: creates a key.

use std::ops::RangeInclusive;

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use shared::{
    access::{Permission, audit::new_id},
    platform::secret::{hash_token, random_text},
};

use crate::{
    App,
    auth::{Caller, audit::audited_transaction, caller::Change, guard::KEY_PREFIX, store::ApiKey},
    http::{body, error::ApiError, fields::Fields, query::Query},
    openapi::{Operation, Takes, operation::object},
    resources::api_keys::{KeyView, store::insert_api_key},
};

/// Characters of a name.
const LONGEST_NAME: usize = 64;
/// Recipients per day.
const PER_DAY: RangeInclusive<u32> = 1..=100_000_000;

/// A new key.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "NewApiKey")]
pub struct Created {
    #[serde(flatten)]
    row: KeyView,
    /// The key itself: it is stored nowhere, and is not shown again.
    key: String,
}

/// A key to create.
#[derive(Clone, Debug, Default)]
#[expect(
    missing_docs,
    reason = "named as the columns, which are commented in the migration"
)]
pub struct KeyRequest {
    pub name: String,
    pub permissions: Vec<Permission>,
    pub messages_per_day: Option<u32>,
    pub expires_at: Option<DateTime<Utc>>,
}

/// Returns a key's row, and the key itself, of which the row holds only the beginning.
pub fn new_key(request: &KeyRequest, created_by: String, now: DateTime<Utc>) -> (ApiKey, String) {
    let prefix = random_text(8);
    let key = format!("{KEY_PREFIX}{prefix}_{}", random_text(52));
    let row = ApiKey {
        id: new_id(now),
        name: request.name.clone(),
        prefix,
        permissions: Permission::to_list(&request.permissions),
        messages_per_day: request.messages_per_day,
        created_by,
        created_at: now,
        expires_at: request.expires_at,
        revoked_at: None,
        last_used_at: None,
    };
    (row, key)
}

/// Returns 201 with the key.
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    query: Query,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Created>), ApiError> {
    query.finish()?;
    let now = app.db.now();
    let request = KeyRequest::read(&body::read_small_json(&headers, body).await?, now)?;
    let (row, key) = new_key(&request, caller.actor(), now);
    let (new, hash) = (&row, &hash_token(&key));
    audited_transaction(&app.db, &caller, |mut transaction| {
        Box::pin(async move {
            insert_api_key(&mut transaction, new, hash).await?;
            let after = json!({"name": new.name, "permissions": new.permissions,
                "messages_per_day": new.messages_per_day, "expires_at": new.expires_at});
            let change = Change {
                action: "key.create",
                resource: format!("key:{}", new.id),
                after: Some(after),
                ..Change::default()
            };
            Ok(((), change))
        })
    })
    .await?;
    Ok((
        StatusCode::CREATED,
        Json(Created {
            row: row.into(),
            key,
        }),
    ))
}

/// Describes `POST /v1/api-keys` in the OpenAPI document.
pub fn create_doc() -> Operation {
    let fields = json!({
        "name": {"type": "string", "minLength": 1, "maxLength": LONGEST_NAME, "pattern": r"\S"},
        "permissions": permissions_schema(),
        "messages_per_day": {"type": ["integer", "null"], "minimum": PER_DAY.start(), "maximum": PER_DAY.end(),
            "description": "Recipients that it may add per day (UTC); null: any number."},
        "expires_at": {"type": ["string", "null"], "format": "date-time", "description": "A time in the future; null: never."},
    });
    let example = json!({"name": "shop", "permissions": ["schedules:read", "schedules:write"], "messages_per_day": 10_000});
    let mut created = super::example();
    created["key"] = json!("sms_k7m2p4q6_k7m2p4q6r8s3t5v7w9x2y4z6a8b3c5d7e9f2g4h6j8k3m5n7p9q2");
    Operation::new("createApiKey", "api-keys", "Create an API key")
        .text("The key is shown once; only its hash is stored.")
        .body(Takes::json(
            object(fields, &["name", "permissions"]),
            example,
        ))
        .answers::<Created>(201, "The key.", created)
}

impl KeyRequest {
    fn read(body: &[u8], now: DateTime<Utc>) -> Result<Self, ApiError> {
        let mut fields = Fields::read(body)?;
        let name = fields.text("name");
        fields.require("name", "a string");
        if name
            .as_ref()
            .is_some_and(|name| name.trim().is_empty() || name.chars().count() > LONGEST_NAME)
        {
            fields.complain(
                "name",
                "out-of-range",
                format!("expected 1 to {LONGEST_NAME} characters"),
            );
        }
        let permissions = permissions(&mut fields);
        let messages_per_day = fields.number("messages_per_day", PER_DAY);
        let expires_at = expires_at(&mut fields, now);
        let errors = fields.finish();
        match (name, permissions) {
            (Some(name), Some(permissions)) if errors.is_empty() => Ok(Self {
                name,
                permissions,
                messages_per_day,
                expires_at,
            }),
            _ => Err(ApiError::invalid(errors)),
        }
    }
}

/// Returns the schema of the field `permissions`.
pub fn permissions_schema() -> Value {
    json!({"type": "array", "minItems": 1, "items": {"title": "GrantablePermission", "type": "string", "enum": Permission::GRANTABLE.map(Permission::as_str)}})
}

/// Reads the field `permissions`, which is required.
pub fn permissions(fields: &mut Fields) -> Option<Vec<Permission>> {
    let names = Permission::GRANTABLE.map(Permission::as_str).join(", ");
    let given: Option<Vec<String>> =
        fields.read_as("permissions", &format!("an array of: {names}"));
    fields.require("permissions", &format!("an array of: {names}"));
    let known = |name: String| {
        Permission::GRANTABLE
            .into_iter()
            .find(|permission| permission.as_str() == name)
    };
    let mut permissions: Vec<_> = given?
        .into_iter()
        .map(known)
        .collect::<Option<_>>()
        .unwrap_or_default();
    permissions.sort_unstable();
    permissions.dedup();
    if permissions.is_empty() {
        fields.complain(
            "permissions",
            "not-a-choice",
            format!("expected at least one, and only: {names}"),
        );
        return None;
    }
    Some(permissions)
}

fn expires_at(fields: &mut Fields, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    const EXPECTED: &str = "a time in the future with an offset from UTC (RFC 3339), such as 2030-01-31T09:00:00+08:00";
    let given: String = fields.read_as("expires_at", EXPECTED)?;
    match DateTime::parse_from_rfc3339(&given) {
        Ok(time) if time > now => Some(time.to_utc()),
        Ok(_) => {
            fields.complain("expires_at", "in-the-past", format!("expected {EXPECTED}"));
            None
        }
        Err(_) => {
            fields.complain("expires_at", "not-a-time", format!("expected {EXPECTED}"));
            None
        }
    }
}
