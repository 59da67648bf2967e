//! `/v1/api-keys`: keys with which machines call the API. A key is shown once; only its hash is
//! stored. It has permissions of its own, and may expire. A revoked key stays in the list, because
//! the audit log names it.

pub mod change;
pub mod create;
mod fields;
pub mod person;
pub mod routes;
pub mod store;

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use shared::access::Permission;
use uuid::Uuid;

use crate::{
    App,
    auth::{Caller, audit::audited_transaction, caller::Change, store::ApiKey},
    http::{
        error::ApiError,
        path::Path,
        query::{LIMIT, Query},
    },
    openapi::{Operation, parameters},
    resources::api_keys::store::{
        disable_own_webhooks, load_api_key, page_of_api_keys, revoke_api_key,
    },
};

/// A key in an answer.
#[derive(JsonSchema, Serialize)]
#[expect(
    missing_docs,
    reason = "named as the columns, which are commented in the migration"
)]
#[schemars(rename = "ApiKey")]
pub struct KeyView {
    pub id: Uuid,
    pub name: String,
    /// The beginning of the key.
    pub prefix: String,
    pub permissions: Vec<Permission>,
    pub messages_per_day: Option<u32>,
    pub created_by: String,
    pub created_at: DateTime<Utc>,
    pub expires_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
    pub last_used_at: Option<DateTime<Utc>>,
    /// The networks from which it may be used; null: any address.
    pub allowed_addresses: Option<Vec<String>>,
    /// The only senders that it may choose; null: those that are registered.
    pub allowed_senders: Option<Vec<String>>,
    /// The person whose key it is; null: the key of a program.
    pub user_id: Option<Uuid>,
}

impl From<ApiKey> for KeyView {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id,
            name: key.name,
            prefix: format!("sms_{}", key.prefix),
            permissions: Permission::parse_list(&key.permissions),
            messages_per_day: key.messages_per_day,
            created_by: key.created_by,
            created_at: key.created_at,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
            last_used_at: key.last_used_at,
            allowed_addresses: key
                .allowed_addresses
                .map(|list| list.split(' ').map(str::to_owned).collect()),
            allowed_senders: key
                .allowed_senders
                .map(|list| list.split(',').map(str::to_owned).collect()),
            user_id: key.user_id,
        }
    }
}

/// A page of keys.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "ApiKeyPage")]
pub struct Page {
    api_keys: Vec<KeyView>,
    /// The cursor of the next page; null on the last page.
    next_cursor: Option<String>,
}

/// Returns 200 with a page, in the order of creation.
pub async fn list(State(app): State<App>, mut query: Query) -> Result<Json<Page>, ApiError> {
    let limit = query.limit(LIMIT);
    let after = query
        .cursor(|cursor| Uuid::try_parse(cursor.strip_prefix('k')?).ok())
        .unwrap_or(Uuid::nil());
    query.finish()?;
    let keys = page_of_api_keys(&mut *app.db.acquire().await?, after, limit).await?;
    let last = keys.last().filter(|_| keys.len() == limit as usize);
    let next_cursor = last.map(|last| format!("k{}", last.id.simple()));
    Ok(Json(Page {
        api_keys: keys.into_iter().map(KeyView::from).collect(),
        next_cursor,
    }))
}

/// Returns 200 with the key's row.
pub async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
    query: Query,
) -> Result<Json<KeyView>, ApiError> {
    query.finish()?;
    let key = load_api_key(&mut *app.db.acquire().await?, parse_id(&id)?).await?;
    Ok(Json(key.ok_or_else(no_such_key)?.into()))
}

/// Returns 200 with the key's row. Calls with the key are refused from now on. A second call
/// changes nothing.
pub async fn revoke(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
) -> Result<Json<KeyView>, ApiError> {
    query.finish()?;
    let id = parse_id(&id)?;
    let app = &app;
    let key = audited_transaction(&app.db, &caller, |mut transaction| {
        Box::pin(async move {
            let revoked = revoke_api_key(&mut transaction, id, app.db.now()).await?;
            let disabled =
                disable_own_webhooks(&mut transaction, id, "key-revoked", app.db.now()).await?;
            let change = revoked.then(|| Change {
                action: "key.revoke",
                resource: format!("key:{id}"),
                before: Some(json!({"revoked": false})),
                after: Some(json!({"revoked": true, "disabled_webhooks": disabled})),
            });
            let key = load_api_key(&mut transaction, id)
                .await?
                .ok_or_else(no_such_key)?;
            Ok((key, change))
        })
    });
    Ok(Json(key.await?.into()))
}

fn parse_id(id: &str) -> Result<Uuid, ApiError> {
    Uuid::try_parse(id).map_err(|_| no_such_key())
}

fn no_such_key() -> ApiError {
    ApiError::NotFound("there is no API key with this id".to_owned())
}

/// Returns an example of a key.
fn example() -> Value {
    json!({
        "id": "0190a0b0-c0d0-7080-8000-00000000000f",
        "name": "shop",
        "prefix": "sms_k7m2p4q6",
        "permissions": ["schedules:read", "schedules:write"],
        "messages_per_day": 10_000,
        "created_by": "user:0190a0b0-c0d0-7080-8000-00000000000e",
        "created_at": "2026-12-01T01:00:00Z",
        "expires_at": "2027-12-01T01:00:00Z",
        "revoked_at": null,
        "last_used_at": null,
        "allowed_addresses": null,
        "allowed_senders": null,
        "user_id": null,
    })
}

/// Describes `GET /v1/api-keys` in the OpenAPI document.
pub fn list_doc() -> Operation {
    Operation::new("listApiKeys", "api-keys", "List API keys")
        .text("In the order of their creation, including revoked ones. The keys themselves are not stored.")
        .queries(parameters::page(LIMIT))
        .answers::<Page>(200, "A page.", json!({"api_keys": [example()], "next_cursor": null}))
}

/// Describes `GET /v1/api-keys/{id}` in the OpenAPI document.
pub fn show_doc() -> Operation {
    Operation::new("getApiKey", "api-keys", "Get an API key")
        .answers::<KeyView>(200, "The key's row.", example())
        .problems(&["not-found"])
}

/// Describes `DELETE /v1/api-keys/{id}` in the OpenAPI document.
pub fn revoke_doc() -> Operation {
    let mut revoked = example();
    revoked["revoked_at"] = json!("2026-12-02T01:00:00Z");
    Operation::new("revokeApiKey", "api-keys", "Revoke an API key")
        .text("Calls with the key are refused from now on, and the webhooks that it owns are disabled. A second call changes nothing.")
        .answers::<KeyView>(200, "The key's row.", revoked)
        .problems(&["not-found"])
}
