//! `PATCH` and `DELETE /v1/budgets/{id}`. A changed amount holds with the next reservation; what was
//! paused waits for `resume`.

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use serde_json::json;
use shared::money::budgets::store::all_budgets;

use crate::{
    App,
    auth::{Caller, audit::audited_transaction, caller::Change},
    http::{body, error::ApiError, fields::Fields, path::Path, query::Query},
    openapi::{Operation, Takes, operation::object},
    resources::budgets::{
        create::read,
        request::{amount_schema, parse_amount},
        store::{delete_budget, delete_spending, set_amount},
        view::{BudgetView, example, no_such_budget, parse_id},
    },
};

/// Returns 200 with the budget.
pub async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
    request: (HeaderMap, Body),
) -> Result<Json<BudgetView>, ApiError> {
    query.finish()?;
    let id = parse_id(&id)?;
    let given = &read_amount(&body::read_small_json(&request.0, request.1).await?)?;
    let now = app.db.now();
    let view = audited_transaction(&app.db, &caller, |mut transaction| {
        Box::pin(async move {
            let budgets = all_budgets(&mut transaction, now).await?;
            let before = budgets.iter().find(|budget| budget.id == id);
            let before = before.ok_or_else(no_such_budget)?;
            let given = parse_amount(given, before.unit);
            let given = given.map_err(|error| ApiError::invalid(vec![error]))?;
            set_amount(&mut transaction, id, given, now).await?;
            let change = Change {
                action: "budget.change",
                resource: format!("budget:{id}"),
                before: Some(json!({"amount": before.unit.show(before.amount)})),
                after: Some(json!({"amount": before.unit.show(given)})),
            };
            Ok((read(&mut transaction, id, now).await?, change))
        })
    });
    view.await.map(Json)
}

/// Reads the only field. Its form follows from the unit of the budget.
fn read_amount(body: &[u8]) -> Result<String, ApiError> {
    let mut fields = Fields::read(body)?;
    let amount = fields.text("amount");
    fields.require("amount", "a string");
    let errors = fields.finish();
    amount
        .filter(|_| errors.is_empty())
        .ok_or_else(|| ApiError::invalid(errors))
}

/// Returns 204.
pub async fn remove(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
) -> Result<StatusCode, ApiError> {
    query.finish()?;
    let id = parse_id(&id)?;
    audited_transaction(&app.db, &caller, |mut transaction| {
        Box::pin(async move {
            if !delete_budget(&mut transaction, id).await? {
                return Err(no_such_budget());
            }
            delete_spending(&mut transaction, id).await?;
            let change = Change {
                action: "budget.delete",
                resource: format!("budget:{id}"),
                ..Change::default()
            };
            Ok(((), change))
        })
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Describes `PATCH /v1/budgets/{id}` in the OpenAPI document.
pub fn change_doc() -> Operation {
    let body = json!({"amount": "100000"});
    Operation::new("changeBudget", "money", "Change the amount of a budget")
        .text("Passes in progress keep what they have reserved. Schedules that were paused at the budget wait for `resume`.")
        .body(Takes::json(object(json!({"amount": amount_schema()}), &["amount"]), body))
        .answers::<BudgetView>(200, "The budget.", example())
        .problems(&["not-found"])
}

/// Describes `DELETE /v1/budgets/{id}` in the OpenAPI document.
pub fn remove_doc() -> Operation {
    Operation::new("deleteBudget", "money", "Remove a budget")
        .text("What was counted of it is removed too. Schedules that were paused at it wait for `resume`.")
        .answers_nothing("It is removed.")
        .problems(&["not-found"])
}
