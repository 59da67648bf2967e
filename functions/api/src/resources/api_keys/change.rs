//! `PATCH /v1/api-keys/{id}`: changes the permissions of a key. A key that loses `webhooks:own` loses
//! its webhooks too: they are disabled.

use axum::{Json, body::Body, extract::State, http::HeaderMap};
use serde_json::json;
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
    http::{body, error::ApiError, fields::Fields, path::Path, query::Query},
    openapi::{Operation, Takes, operation::object},
    resources::api_keys::{
        KeyView,
        create::{permissions, permissions_schema},
        example, no_such_key, parse_id,
        store::{change_permissions, disable_own_webhooks, load_api_key},
    },
};

/// Returns 200 with the key's row. The new permissions apply to the next call with the key.
pub async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
    request: (HeaderMap, Body),
) -> Result<Json<KeyView>, ApiError> {
    query.finish()?;
    let id = parse_id(&id)?;
    let permissions = read(&body::read_small_json(&request.0, request.1).await?)?;
    let (app, permissions) = (&app, permissions.as_slice());
    let key = audited_transaction(&app.db, &caller, |transaction| {
        Box::pin(write(app, transaction, id, permissions))
    });
    Ok(Json(key.await?.into()))
}

/// Describes `PATCH /v1/api-keys/{id}` in the OpenAPI document.
pub fn change_doc() -> Operation {
    let fields = json!({"permissions": permissions_schema()});
    let body = json!({"permissions": ["schedules:read", "schedules:write", "webhooks:own"]});
    let mut changed = example();
    changed["permissions"] = body["permissions"].clone();
    Operation::new("changeApiKey", "api-keys", "Change the permissions of an API key")
        .text("The key has these permissions from its next call on. If it loses `webhooks:own`, the webhooks that it owns are disabled.")
        .body(Takes::json(object(fields, &["permissions"]), body))
        .answers::<KeyView>(200, "The key's row.", changed)
        .problems(&["not-found"])
}

fn read(body: &[u8]) -> Result<Vec<Permission>, ApiError> {
    let mut fields = Fields::read(body)?;
    let permissions = permissions(&mut fields);
    let errors = fields.finish();
    permissions
        .filter(|_| errors.is_empty())
        .ok_or_else(|| ApiError::invalid(errors))
}

async fn write(
    app: &App,
    mut transaction: AuditedTransaction<'_, '_>,
    id: Uuid,
    permissions: &[Permission],
) -> Result<(ApiKey, Change<'static>), ApiError> {
    let before = load_api_key(&mut transaction, id)
        .await?
        .ok_or_else(no_such_key)?;
    let list = Permission::to_list(permissions);
    if !change_permissions(&mut transaction, id, &list).await? {
        return Err(ApiError::NotFound(
            "there is no API key with this id that is not revoked".to_owned(),
        ));
    }
    let mut after = json!({"permissions": list});
    if !permissions.contains(&Permission::WebhooksOwn) {
        let now = app.db.now();
        let disabled =
            disable_own_webhooks(&mut transaction, id, "permission-removed", now).await?;
        after["disabled_webhooks"] = json!(disabled);
    }
    let key = ApiKey {
        permissions: list,
        ..before.clone()
    };
    let change = Change {
        action: "key.change",
        resource: format!("key:{id}"),
        before: Some(json!({"permissions": before.permissions})),
        after: Some(after),
    };
    Ok((key, change))
}
