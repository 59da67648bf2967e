//! `PATCH /v1/api-keys/{id}`: changes the permissions of a key, its end of validity, the networks
//! from which it may be used, and its senders. A key that loses `webhooks:own` loses its webhooks too: they are
//! disabled.

use axum::{Json, body::Body, extract::State, http::HeaderMap};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use shared::access::Permission;
use uuid::Uuid;

use crate::{
    App,
    auth::{
        Caller,
        audit::{AuditedTransaction, audited_transaction},
        caller::Change,
        store::ApiKey,
    },
    http::{
        body,
        error::{ApiError, FieldError},
        fields::Fields,
        path::Path,
        query::Query,
    },
    openapi::{Operation, Takes, operation::object},
    resources::api_keys::{
        KeyView, example,
        fields::{
            ALLOWED_ADDRESSES, ALLOWED_SENDERS, EXPIRES_AT, PERMISSIONS, allowed_addresses,
            allowed_addresses_schema, allowed_senders, allowed_senders_schema, expires_at,
            expires_at_schema, permissions, permissions_schema,
        },
        no_such_key, parse_id,
        store::{change_api_key, disable_own_webhooks, expire_own_webhooks, load_api_key},
    },
};

/// What to change; `None` leaves it as it is.
#[derive(Debug)]
#[expect(
    clippy::option_option,
    reason = "null removes a limit, which differs from leaving it out"
)]
struct KeyEdit {
    permissions: Option<Vec<Permission>>,
    expires_at: Option<Option<DateTime<Utc>>>,
    allowed_addresses: Option<Option<String>>,
    allowed_senders: Option<Option<String>>,
}

impl KeyEdit {
    fn read(body: &[u8], now: DateTime<Utc>) -> Result<Self, ApiError> {
        let mut fields = Fields::read(body)?;
        let edit = Self {
            permissions: permissions(&mut fields),
            expires_at: expires_at(&mut fields, now),
            allowed_addresses: allowed_addresses(&mut fields),
            allowed_senders: allowed_senders(&mut fields),
        };
        let mut errors = fields.finish();
        let is_empty = edit.permissions.is_none()
            && edit.expires_at.is_none()
            && edit.allowed_addresses.is_none()
            && edit.allowed_senders.is_none();
        if errors.is_empty() && is_empty {
            let expected = format!(
                "expected at least one of: {PERMISSIONS}, {EXPIRES_AT}, {ALLOWED_ADDRESSES}, {ALLOWED_SENDERS}"
            );
            errors.push(FieldError::new("", "nothing-to-change", expected));
        }
        if errors.is_empty() {
            Ok(edit)
        } else {
            Err(ApiError::invalid(errors))
        }
    }

    /// Returns the key after the change.
    fn apply(&self, key: &ApiKey) -> ApiKey {
        let permissions = self.permissions.as_deref().map(Permission::to_list);
        let allowed = self.allowed_addresses.clone();
        let senders = self.allowed_senders.clone();
        ApiKey {
            permissions: permissions.unwrap_or_else(|| key.permissions.clone()),
            expires_at: self.expires_at.unwrap_or(key.expires_at),
            allowed_addresses: allowed.unwrap_or_else(|| key.allowed_addresses.clone()),
            allowed_senders: senders.unwrap_or_else(|| key.allowed_senders.clone()),
            ..key.clone()
        }
    }

    /// Returns the fields that this edit changes, for the audit log.
    fn changed_fields(&self, key: &ApiKey) -> Value {
        let fields = [
            (
                PERMISSIONS,
                self.permissions.is_some(),
                json!(key.permissions),
            ),
            (EXPIRES_AT, self.expires_at.is_some(), json!(key.expires_at)),
            (
                ALLOWED_ADDRESSES,
                self.allowed_addresses.is_some(),
                json!(key.allowed_addresses),
            ),
            (
                ALLOWED_SENDERS,
                self.allowed_senders.is_some(),
                json!(key.allowed_senders),
            ),
        ];
        let changed = fields.into_iter().filter(|(_, changed, _)| *changed);
        Value::Object(
            changed
                .map(|(name, _, value)| (name.to_owned(), value))
                .collect(),
        )
    }
}

/// Returns 200 with the key's row. The change applies to the next call with the key.
pub async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
    request: (HeaderMap, Body),
) -> Result<Json<KeyView>, ApiError> {
    query.finish()?;
    let id = parse_id(&id)?;
    let body = body::read_small_json(&request.0, request.1).await?;
    let edit = KeyEdit::read(&body, app.db.now())?;
    let (app, edit) = (&app, &edit);
    let key = audited_transaction(&app.db, &caller, |transaction| {
        Box::pin(write(app, transaction, id, edit))
    });
    Ok(Json(key.await?.into()))
}

/// Describes `PATCH /v1/api-keys/{id}` in the OpenAPI document.
pub fn change_doc() -> Operation {
    let fields = json!({
        PERMISSIONS: permissions_schema(),
        EXPIRES_AT: expires_at_schema("as it is"),
        ALLOWED_ADDRESSES: allowed_addresses_schema(),
        ALLOWED_SENDERS: allowed_senders_schema(),
    });
    let mut schema = object(fields, &[]);
    schema["minProperties"] = json!(1);
    let permissions = json!({PERMISSIONS: ["schedules:read", "schedules:write", "webhooks:own"]});
    let mut changed = example();
    changed[PERMISSIONS] = permissions[PERMISSIONS].clone();
    let examples = vec![
        ("permissions", permissions),
        (
            "office",
            json!({ALLOWED_ADDRESSES: ["203.0.113.0/24", "2001:db8::/32"]}),
        ),
        ("extended", json!({EXPIRES_AT: "2031-01-31T00:00:00Z"})),
    ];
    Operation::new("changeApiKey", "api-keys", "Change an API key")
        .text("A field that is left out stays as it is. The change applies to the key's next call. If it loses `webhooks:own`, the webhooks that it owns are disabled.")
        .body(Takes::json_with(schema, examples))
        .answers::<KeyView>(200, "The key's row.", changed)
        .problems(&["not-found"])
}

async fn write(
    app: &App,
    mut transaction: AuditedTransaction<'_, '_>,
    id: Uuid,
    edit: &KeyEdit,
) -> Result<(ApiKey, Change<'static>), ApiError> {
    let before = load_api_key(&mut transaction, id)
        .await?
        .ok_or_else(no_such_key)?;
    let key = edit.apply(&before);
    if !change_api_key(&mut transaction, &key).await? {
        return Err(ApiError::NotFound(
            "there is no API key with this id that is not revoked".to_owned(),
        ));
    }
    let mut after = edit.changed_fields(&key);
    if key.expires_at != before.expires_at {
        expire_own_webhooks(&mut transaction, &key).await?;
    }
    let loses_webhooks = edit
        .permissions
        .as_ref()
        .is_some_and(|permissions| !permissions.contains(&Permission::WebhooksOwn));
    if loses_webhooks {
        let now = app.db.now();
        let disabled =
            disable_own_webhooks(&mut transaction, id, "permission-removed", now).await?;
        after["disabled_webhooks"] = json!(disabled);
    }
    let change = Change {
        action: "key.change",
        resource: format!("key:{id}"),
        before: Some(edit.changed_fields(&before)),
        after: Some(after),
    };
    Ok((key, change))
}
