//! Word to dispatch, after the rows are committed. If it gets lost, nothing is: the sweep finds the row within a minute. So a
//! failure here is logged and the call still succeeds.

use chrono::{DateTime, TimeDelta, Utc};
use shared::platform::queue::{DeliveryMessage, DispatchMessage, Outgoing};

use crate::{App, ENQUEUE_TIMEOUT};

/// A one-time schedule closer than this could miss its time; the queue takes it instead.
const TOO_SOON_FOR_EVENTBRIDGE: TimeDelta = TimeDelta::seconds(5);

/// Has the schedule dispatched ahead of `run_at`.
pub async fn announce(app: &App, message: DispatchMessage, run_at: DateTime<Utc>) {
    let fire_at = run_at - app.dispatch_lead;
    if fire_at <= app.db.now() + TOO_SOON_FOR_EVENTBRIDGE {
        return enqueue(app, message).await;
    }
    let created =
        tokio::time::timeout(ENQUEUE_TIMEOUT, app.scheduler.create(message, fire_at)).await;
    match created.map_err(anyhow::Error::from).flatten() {
        Ok(()) => {}
        Err(error) => warn(message, &format!("{error:#}")),
    }
}

/// Has the schedule dispatched at once.
pub async fn enqueue(app: &App, message: DispatchMessage) {
    match tokio::time::timeout(
        ENQUEUE_TIMEOUT,
        app.dispatch_queue.send(&[Outgoing::dispatch(message)]),
    )
    .await
    {
        Ok(failed) if failed.is_empty() => {}
        _ => warn(message, "the dispatch queue did not take it"),
    }
}

/// Has dispatch sweep at once: batches have been made due, and nobody should wait for the minute.
pub async fn sweep(app: &App) {
    match tokio::time::timeout(
        ENQUEUE_TIMEOUT,
        app.dispatch_queue.send(&[Outgoing::sweep()]),
    )
    .await
    {
        Ok(failed) if failed.is_empty() => {}
        _ => tracing::warn!("no sweep was asked for; the next one comes within a minute"),
    }
}

/// Has deliveries posted at once, which their rows say are due now.
pub async fn deliver(app: &App, deliveries: &[DeliveryMessage]) {
    if deliveries.is_empty() {
        return;
    }
    let now = app.db.now();
    let messages: Vec<_> = deliveries
        .iter()
        .map(|delivery| Outgoing::delivery(*delivery, now, now))
        .collect();
    match tokio::time::timeout(ENQUEUE_TIMEOUT, app.notify_queue.send(&messages)).await {
        Ok(failed) if failed.is_empty() => {}
        _ => tracing::warn!(
            deliveries = messages.len(),
            "not all were enqueued; the next sweep does it"
        ),
    }
}

/// Takes back the one-time schedule of a time that no longer holds. One that fires all the same finds nothing to do.
pub async fn withdraw(app: &App, message: DispatchMessage) {
    let deleted = tokio::time::timeout(ENQUEUE_TIMEOUT, app.scheduler.delete(message)).await;
    if let Err(error) = deleted.map_err(anyhow::Error::from).flatten() {
        warn(message, &format!("{error:#}"));
    }
}

fn warn(message: DispatchMessage, error: &str) {
    let DispatchMessage {
        schedule_id,
        version,
    } = message;
    tracing::warn!(schedule.id = %schedule_id, schedule.version = version, error, "not announced; the sweep will find it");
}
