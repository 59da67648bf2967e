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
use serde_json::json;
use shared::{
    access::{Permission, audit::new_id},
    platform::secret::{hash_token, random_text},
};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::{
    App,
    auth::{Caller, audit::audited_transaction, caller::Change, guard::KEY_PREFIX, store::ApiKey},
    http::{
        body,
        error::{ApiError, FieldError},
        fields::Fields,
        query::Query,
    },
    openapi::{Operation, Takes, operation::object},
    resources::api_keys::{
        KeyView,
        fields::{
            ALLOWED_ADDRESSES, ALLOWED_SENDERS, EXPIRES_AT, PERMISSIONS, VALIDITY,
            allowed_addresses, allowed_addresses_schema, allowed_senders, allowed_senders_schema,
            expires_at, expires_at_schema, permissions, permissions_schema,
        },
        store::{insert_api_key, lock_person},
    },
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
    pub allowed_addresses: Option<String>,
    pub allowed_senders: Option<String>,
    pub user_id: Option<Uuid>,
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
        allowed_addresses: request.allowed_addresses.clone(),
        allowed_senders: request.allowed_senders.clone(),
        user_id: request.user_id,
        last_used_at: None,
        role: None,
        user_disabled: false,
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
            require_person(&mut transaction, new.user_id).await?;
            insert_api_key(&mut transaction, new, hash).await?;
            let after = json!({"name": new.name, "permissions": new.permissions,
                "messages_per_day": new.messages_per_day, "expires_at": new.expires_at,
                "allowed_addresses": new.allowed_addresses, "allowed_senders": new.allowed_senders, "user_id": new.user_id});
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
        PERMISSIONS: permissions_schema(),
        "messages_per_day": {"type": ["integer", "null"], "minimum": PER_DAY.start(), "maximum": PER_DAY.end(),
            "description": "Recipients that it may add per day (UTC); null: any number."},
        EXPIRES_AT: expires_at_schema("a year from now"),
        ALLOWED_ADDRESSES: allowed_addresses_schema(),
        ALLOWED_SENDERS: allowed_senders_schema(),
        "user_id": {"type": ["string", "null"], "format": "uuid", "description": "The person whose key it is: it has at most the permissions of the person's role, and ends with the account. null: the key of a program."},
    });
    let example = json!({"name": "shop", "permissions": ["schedules:read", "schedules:write"], "messages_per_day": 10_000});
    let mut created = super::example();
    created["key"] = json!("sms_k7m2p4q6_k7m2p4q6r8s3t5v7w9x2y4z6a8b3c5d7e9f2g4h6j8k3m5n7p9q2");
    Operation::new("createApiKey", "api-keys", "Create an API key")
        .text("The key is shown once; only its hash is stored. It is valid for a year unless `expires_at` says otherwise.")
        .body(Takes::json(
            object(fields, &["name", "permissions"]),
            example,
        ))
        .answers::<Created>(201, "The key.", created)
}

/// Returns an error if the person has no account, or the account is disabled.
async fn require_person(
    transaction: &mut MySqlConnection,
    user_id: Option<Uuid>,
) -> Result<(), ApiError> {
    let Some(id) = user_id else {
        return Ok(());
    };
    if lock_person(transaction, id).await? {
        return Ok(());
    }
    let expected = "expected the id of a user whose account is not disabled";
    let error = FieldError::new("user_id", "not-found", expected);
    Err(ApiError::invalid(vec![error]))
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
        fields.require(PERMISSIONS, "an array");
        let messages_per_day = fields.number("messages_per_day", PER_DAY);
        let expires_at = expires_at(&mut fields, now).unwrap_or(Some(now + VALIDITY));
        let allowed_addresses = allowed_addresses(&mut fields).flatten();
        let allowed_senders = allowed_senders(&mut fields).flatten();
        let user_id = fields.read_as("user_id", "the id of a user");
        let errors = fields.finish();
        match (name, permissions) {
            (Some(name), Some(permissions)) if errors.is_empty() => Ok(Self {
                name,
                permissions,
                messages_per_day,
                expires_at,
                allowed_addresses,
                allowed_senders,
                user_id,
            }),
            _ => Err(ApiError::invalid(errors)),
        }
    }
}
