//! Arranges that dispatch runs, after the rows are committed. If the message or the one-time
//! schedule is lost, the sweep finds the row within a minute. So a failure here is logged, and the
//! call still succeeds.

use chrono::{DateTime, TimeDelta, Utc};
use shared::platform::queue::{DeliveryMessage, DispatchMessage, Outgoing};

use crate::{App, ENQUEUE_TIMEOUT};

/// A one-time schedule closer than this could miss its time; the queue takes it instead.
const TOO_SOON_FOR_EVENTBRIDGE: TimeDelta = TimeDelta::seconds(5);

/// Arranges that the schedule is dispatched ahead of its start: through the queue if that is soon,
/// otherwise with a one-time schedule.
pub async fn arrange_dispatch(app: &App, message: DispatchMessage, starts_at: DateTime<Utc>) {
    let fire_at = starts_at - app.dispatch_lead;
    if fire_at <= app.db.now() + TOO_SOON_FOR_EVENTBRIDGE {
        return dispatch_now(app, message).await;
    }
    let created =
        tokio::time::timeout(ENQUEUE_TIMEOUT, app.scheduler.create(message, fire_at)).await;
    match created.map_err(anyhow::Error::from).flatten() {
        Ok(()) => {}
        Err(error) => warn_not_arranged(message, &format!("{error:#}")),
    }
}

/// Enqueues the schedule, so that it is dispatched at once.
pub async fn dispatch_now(app: &App, message: DispatchMessage) {
    match tokio::time::timeout(
        ENQUEUE_TIMEOUT,
        app.dispatch_queue.send(&[Outgoing::dispatch(message)]),
    )
    .await
    {
        Ok(failed) if failed.is_empty() => {}
        _ => warn_not_arranged(message, "the dispatch queue did not accept the message"),
    }
}

/// Enqueues a sweep: batches have become due, and should not wait for the next minute.
pub async fn request_sweep(app: &App) {
    match tokio::time::timeout(
        ENQUEUE_TIMEOUT,
        app.dispatch_queue.send(&[Outgoing::sweep()]),
    )
    .await
    {
        Ok(failed) if failed.is_empty() => {}
        _ => tracing::warn!("no sweep was enqueued; the next one runs within a minute"),
    }
}

/// Enqueues deliveries to webhooks whose rows are due now.
pub async fn enqueue_deliveries(app: &App, deliveries: &[DeliveryMessage]) {
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
            "not all deliveries were enqueued; the next sweep enqueues them"
        ),
    }
}

/// Deletes the one-time schedule of a time that no longer holds. If it fires all the same, dispatch
/// finds nothing to do.
pub async fn cancel_dispatch(app: &App, message: DispatchMessage) {
    let deleted = tokio::time::timeout(ENQUEUE_TIMEOUT, app.scheduler.delete(message)).await;
    if let Err(error) = deleted.map_err(anyhow::Error::from).flatten() {
        warn_not_arranged(message, &format!("{error:#}"));
    }
}

fn warn_not_arranged(message: DispatchMessage, error: &str) {
    let DispatchMessage {
        schedule_id,
        version,
    } = message;
    tracing::warn!(schedule.id = %schedule_id, schedule.version = version, error, "dispatch was not arranged; the sweep will find the schedule");
}
