//! `POST /v1/budgets`: sets a budget.

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header},
};
use serde_json::json;
use shared::{
    access::audit::new_id,
    money::{
        budgets::{Unit, period::Period, store::all_budgets},
        prices::current_list,
    },
};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::{
    App,
    auth::{Caller, audit::audited_transaction, caller::Change},
    http::{body, error::ApiError, problems, query::Query},
    openapi::{Operation, Takes, operation::object},
    resources::budgets::{
        request::{BudgetRequest, amount_schema, scope_schema},
        store::insert_budget,
        view::{BudgetView, example, no_such_budget},
    },
};

/// Returns 201 with the budget.
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    query: Query,
    request: (HeaderMap, Body),
) -> Result<
    (
        StatusCode,
        [(header::HeaderName, String); 1],
        Json<BudgetView>,
    ),
    ApiError,
> {
    query.finish()?;
    let new = BudgetRequest::read(&body::read_small_json(&request.0, request.1).await?)?;
    let now = app.db.now();
    let (new, id) = (&new, new_id(now));
    let view = audited_transaction(&app.db, &caller, |mut transaction| {
        Box::pin(async move {
            if new.unit == Unit::Money && current_list(&mut transaction).await?.is_none() {
                let detail = "expected prices, without which no message costs anything".to_owned();
                return Err(ApiError::Refused(&problems::NO_PRICES, detail));
            }
            insert_budget(&mut transaction, id, new, now)
                .await
                .map_err(refused_twice)?;
            let view = read(&mut transaction, id, now).await?;
            let change = Change {
                action: "budget.create",
                resource: format!("budget:{id}"),
                after: Some(json!({"scope": new.scope, "period": new.period, "unit": new.unit, "amount": new.unit.show(new.amount)})),
                ..Change::default()
            };
            Ok((view, change))
        })
    })
    .await?;
    let location = [(header::LOCATION, format!("/v1/budgets/{id}"))];
    Ok((StatusCode::CREATED, location, Json(view)))
}

fn refused_twice(error: sqlx::Error) -> ApiError {
    let is_twice = error
        .as_database_error()
        .is_some_and(sqlx::error::DatabaseError::is_unique_violation);
    if !is_twice {
        return error.into();
    }
    let detail = "expected a scope, period and unit that no budget has: change that budget";
    ApiError::Refused(&problems::BUDGET_EXISTS, detail.to_owned())
}

/// Reads a budget as it is shown.
pub async fn read(
    connection: &mut MySqlConnection,
    id: Uuid,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<BudgetView, ApiError> {
    let budgets = all_budgets(connection, now).await?;
    let found = budgets.iter().find(|budget| budget.id == id);
    found.map(BudgetView::from).ok_or_else(no_such_budget)
}

/// Describes `POST /v1/budgets` in the OpenAPI document.
pub fn create_doc() -> Operation {
    let fields = json!({
        "scope": scope_schema(),
        "period": {"type": "string", "enum": Period::ALL.map(Period::as_str), "description": "A day or a month, UTC."},
        "unit": {"type": "string", "enum": Unit::ALL.map(Unit::as_str), "description": "Message parts, or their cost in the currency of the prices."},
        "amount": amount_schema(),
    });
    let body = json!({"scope": "system", "period": "day", "unit": "parts", "amount": "100000"});
    Operation::new("createBudget", "money", "Set a budget")
        .text(
            "Holds at the time of sending: what would exceed it is not sent, and its schedule is paused. Resends count again. It counts from when it is set.",
        )
        .body(Takes::json(object(fields, &["scope", "period", "unit", "amount"]), body))
        .makes::<BudgetView>("The budget.", example())
        .problems(&["budget-exists", "no-prices"])
}
