//! The events about a budget: for the webhooks of everything, and for those of whom it holds for.

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::MySqlConnection;
use uuid::Uuid;

use super::{
    Budget,
    store::{note_reached, note_warning},
};
use crate::{
    events::{
        EventType,
        record::{NewEvent, insert_deliveries},
    },
    platform::{
        db::{Db, transaction::transaction},
        queue::DeliveryMessage,
    },
};

/// Notes that a budget warns, and records the event. Returns the deliveries to enqueue, or `None` if
/// it has warned before in its period.
pub async fn warn(db: &Db, budget: &Budget) -> sqlx::Result<Option<Vec<DeliveryMessage>>> {
    transaction(db, |transaction| {
        Box::pin(async move {
            let now = db.now();
            if !note_warning(transaction, budget, now).await? {
                return Ok(None);
            }
            record(transaction, EventType::BudgetWarning, budget, now)
                .await
                .map(Some)
        })
    })
    .await
}

/// Notes that a message did not fit into a budget, and records the event. Returns the deliveries to
/// enqueue, or `None` if that has happened before in its period.
pub async fn report_reached(
    db: &Db,
    budget: &Budget,
) -> sqlx::Result<Option<Vec<DeliveryMessage>>> {
    transaction(db, |transaction| {
        Box::pin(async move {
            let now = db.now();
            if !note_reached(transaction, budget, now).await? {
                return Ok(None);
            }
            record(transaction, EventType::BudgetReached, budget, now)
                .await
                .map(Some)
        })
    })
    .await
}

async fn record(
    connection: &mut MySqlConnection,
    kind: EventType,
    budget: &Budget,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<DeliveryMessage>> {
    let webhooks = webhooks_for(connection, kind, budget, now).await?;
    if webhooks.is_empty() {
        return Ok(Vec::new());
    }
    let event = NewEvent {
        id: Uuid::now_v7(),
        kind,
        schedule_id: None,
        range: None,
        data: Some(json!({
            "budget_id": budget.id,
            "scope": budget.scope,
            "period": budget.period,
            "unit": budget.unit,
            "amount": budget.unit.show(budget.amount),
            "used": budget.unit.show(budget.used.unwrap_or(0)),
            "period_end": format!("{}T00:00:00Z", budget.span.end),
        })),
    };
    insert_deliveries(connection, &webhooks, &event, now).await
}

/// Returns the webhooks that get an event about a budget: those without an owner, and those of the
/// creator for whom it holds. One with labels gets only events of schedules, and so does a callback.
async fn webhooks_for(
    connection: &mut MySqlConnection,
    kind: EventType,
    budget: &Budget,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Uuid>> {
    let ids = sqlx::query_scalar!(
        r#"SELECT id AS "id: Uuid" FROM webhooks FORCE INDEX (by_owner)
           WHERE (owner = ? OR owner IS NULL) AND callback_hash IS NULL AND labels IS NULL AND disabled_at IS NULL
             AND (expires_at IS NULL OR expires_at > ?) AND FIND_IN_SET(?, COALESCE(selected_events, events)) > 0"#,
        budget.scope,
        now,
        kind.as_str()
    );
    ids.fetch_all(connection).await
}
