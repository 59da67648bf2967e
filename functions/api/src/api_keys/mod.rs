//! `/v1/api-keys`: machines that call the API. A key is shown once; kept is its hash. It has permissions of its own, and may expire; it can
//! be revoked, and then stays in the list, as the audit log names it.

pub mod create;

use axum::{
    Json,
    extract::{Path, State},
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use shared::{
    access::Permission,
    db::api_keys::{ApiKey, load_api_key, page_of_api_keys, revoke_api_key},
};
use uuid::Uuid;

use crate::{
    App,
    auth::{Caller, caller::Change},
    error::ApiError,
    query::Query,
    transaction::{repeat, settle},
};

/// A key as an admin sees it.
#[derive(Serialize)]
#[expect(missing_docs, reason = "named as the columns, which are commented in the migration")]
pub struct KeyView {
    pub id: Uuid,
    pub name: String,
    /// Its beginning.
    pub prefix: String,
    pub permissions: Vec<Permission>,
    pub messages_per_day: Option<u32>,
    pub created_by: String,
    pub created_at: DateTime<Utc>,
    pub expires_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
    pub last_used_at: Option<DateTime<Utc>>,
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
        }
    }
}

/// A page.
#[derive(Serialize)]
pub struct Page {
    api_keys: Vec<KeyView>,
    /// Where the next page begins; null: this is the last.
    next_cursor: Option<String>,
}

/// 200 with a page, in the order of their making.
pub async fn list(State(app): State<App>, mut query: Query) -> Result<Json<Page>, ApiError> {
    let limit = query.number("limit", 1..=200, 50);
    let after = query.cursor(|cursor| Uuid::try_parse(cursor.strip_prefix('k')?).ok()).unwrap_or(Uuid::nil());
    query.finish()?;
    let keys = page_of_api_keys(&mut *app.db.pool.acquire().await?, after, limit).await?;
    let last = keys.last().filter(|_| keys.len() == limit as usize);
    let next_cursor = last.map(|last| format!("k{}", last.id.simple()));
    Ok(Json(Page { api_keys: keys.into_iter().map(KeyView::from).collect(), next_cursor }))
}

/// 200 with the key's row.
pub async fn show(State(app): State<App>, Path(id): Path<String>, query: Query) -> Result<Json<KeyView>, ApiError> {
    query.finish()?;
    let key = load_api_key(&mut *app.db.pool.acquire().await?, parse_id(&id)?).await?;
    Ok(Json(key.ok_or_else(no_such_key)?.into()))
}

/// 200 with the key's row: it opens nothing any more. A second call changes nothing.
pub async fn revoke(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
) -> Result<Json<KeyView>, ApiError> {
    query.finish()?;
    let id = parse_id(&id)?;
    let key = repeat(|| async {
        let mut transaction = app.db.pool.begin().await?;
        let now = app.db.now();
        let revoked = async {
            if revoke_api_key(&mut transaction, id, now).await? {
                let change = Change {
                    action: "key.revoke",
                    thing: format!("key:{id}"),
                    before: Some(json!({"revoked": false})),
                    after: Some(json!({"revoked": true})),
                };
                caller.record(&mut transaction, now, change).await?;
            }
            load_api_key(&mut transaction, id).await?.ok_or_else(no_such_key)
        };
        let revoked = revoked.await;
        settle(transaction, revoked).await
    });
    Ok(Json(key.await?.into()))
}

fn parse_id(id: &str) -> Result<Uuid, ApiError> {
    Uuid::try_parse(id).map_err(|_| no_such_key())
}

fn no_such_key() -> ApiError {
    ApiError::NotFound("there is no API key with this id".to_owned())
}
