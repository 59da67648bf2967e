//! `GET /v1/budgets` and `GET /v1/budgets/{id}`. An administrator sees all budgets, any other caller
//! those that hold for it.

use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use shared::{
    access::Permission,
    money::budgets::{
        Budget,
        store::{all_budgets, budgets_of, scopes_of},
    },
};

use crate::{
    App,
    auth::Caller,
    http::{error::ApiError, path::Path, query::Query},
    openapi::Operation,
    resources::budgets::view::{BudgetView, example, no_such_budget, parse_id},
};

/// The budgets that the caller may see.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "BudgetList")]
pub struct Budgets {
    /// In the order of their scopes.
    budgets: Vec<BudgetView>,
}

/// Returns 200 with the budgets.
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    query: Query,
) -> Result<Json<Budgets>, ApiError> {
    query.finish()?;
    let budgets = seen_by(&app, &caller).await?;
    Ok(Json(Budgets {
        budgets: budgets.iter().map(BudgetView::from).collect(),
    }))
}

/// Returns 200 with a budget.
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
) -> Result<Json<BudgetView>, ApiError> {
    query.finish()?;
    let id = parse_id(&id)?;
    let budgets = seen_by(&app, &caller).await?;
    let found = budgets.iter().find(|budget| budget.id == id);
    found
        .map(|budget| Json(budget.into()))
        .ok_or_else(no_such_budget)
}

async fn seen_by(app: &App, caller: &Caller) -> Result<Vec<Budget>, ApiError> {
    let connection = &mut *app.db.acquire().await?;
    let now = app.db.now();
    if caller.permissions.contains(&Permission::Money) {
        return Ok(all_budgets(connection, now).await?);
    }
    let scopes = scopes_of(connection, Some(&caller.actor())).await?;
    Ok(budgets_of(connection, &scopes, now).await?)
}

/// Describes `GET /v1/budgets` in the OpenAPI document.
pub fn list_doc() -> Operation {
    Operation::new("listBudgets", "money", "List budgets")
        .text("With the permission `money` all of them, else those that hold for what the caller sends.")
        .answers::<Budgets>(200, "The budgets.", json!({"budgets": [example()]}))
}

/// Describes `GET /v1/budgets/{id}` in the OpenAPI document.
pub fn show_doc() -> Operation {
    Operation::new("getBudget", "money", "Get a budget")
        .answers::<BudgetView>(200, "The budget.", example())
        .problems(&["not-found"])
}
