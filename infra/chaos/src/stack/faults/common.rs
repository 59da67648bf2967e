//! Building blocks that several faults share.

use std::time::Duration;

use anyhow::ensure;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use shared::platform::fault::Point;
use uuid::Uuid;

use crate::{
    server::Server,
    stack::{
        GlobalRun, ScheduleRun, StackClient,
        points::{Action, Order},
        settings::Change,
    },
};

/// What a crash may leave UNCERTAIN: two requests of a hundred recipients, of the five of a batch.
pub const IN_FLIGHT: u64 = 200;
/// Later than the lead of the chaos settings, 20 s. Only then a one-time schedule is created.
pub const EVENTBRIDGE_LEAD_S: i64 = 28;

/// Sleeps until that time.
pub async fn until(at: DateTime<Utc>) {
    if let Ok(wait) = (at - Utc::now()).to_std() {
        tokio::time::sleep(wait).await;
    }
}

/// Sleeps until a random moment at which send functions work.
pub async fn until_sending(run: &GlobalRun) {
    let after_ms = run.rng.clone().i64(200..900);
    until(run.run_at + TimeDelta::milliseconds(after_ms)).await;
}

/// Executes one action at a fault point of the schedule.
pub fn once_at(
    run: ScheduleRun,
    point: Point,
    action: Action,
) -> BoxFuture<'static, anyhow::Result<()>> {
    let order = Order::once(point, action);
    run.client.points.order(run.id, order);
    Box::pin(async move { run.client.step(run.id, "activate").await.map(drop) })
}

/// Changes the carrier's settings from one second before the schedules' time to `seconds` after it.
pub fn with_carrier(
    run: GlobalRun,
    settings: Value,
    seconds: i64,
) -> BoxFuture<'static, anyhow::Result<()>> {
    let change = Change::Carrier(settings);
    Box::pin(async move { during(&run, change, seconds).await })
}

/// Holds a change from one second before the schedules' time to `seconds` after it.
pub async fn during(run: &GlobalRun, change: Change, seconds: i64) -> anyhow::Result<()> {
    until(run.run_at - TimeDelta::seconds(1)).await;
    let end = async {
        until(run.run_at + TimeDelta::seconds(seconds)).await;
        Ok(())
    };
    run.client.settings.during(change, end).await
}

/// Closes a server's port, and resets its connections, until `end`.
pub async fn refuse_until(
    client: &StackClient,
    server: Server,
    end: DateTime<Utc>,
) -> anyhow::Result<()> {
    let refuse = Change::Network(server, json!({ "refuse": true }));
    let outage = async {
        client.settings.cut_connections(server).await?;
        until(end).await;
        Ok(())
    };
    client.settings.during(refuse, outage).await
}

/// Puts another message for each batch of the schedule on the send and the recheck queue.
pub async fn deliver_again(client: &StackClient, id: Uuid) -> anyhow::Result<()> {
    for queue in ["SEND_QUEUE_URL", "RECHECK_QUEUE_URL"] {
        enqueue_batches(client, id, queue).await?;
    }
    Ok(())
}

/// Puts a message for each batch of the schedule on a queue.
pub async fn enqueue_batches(client: &StackClient, id: Uuid, queue: &str) -> anyhow::Result<()> {
    for batches in client.batches(id).await?.chunks(10) {
        let entry = |batch: &u32| {
            let body = json!({ "schedule_id": id, "batch_no": batch }).to_string();
            SendMessageBatchRequestEntry::builder()
                .id(batch.to_string())
                .message_body(body)
                .build()
        };
        let entries = batches.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
        client
            .sqs
            .send_message_batch()
            .queue_url(client.stack.value(queue)?)
            .set_entries(Some(entries))
            .send()
            .await?;
    }
    Ok(())
}

/// Deletes all messages of a queue.
pub async fn purge(client: &StackClient, queue: &str) -> anyhow::Result<()> {
    client
        .sqs
        .purge_queue()
        .queue_url(client.stack.value(queue)?)
        .send()
        .await?;
    Ok(())
}

/// Deletes the one-time schedule of a schedule.
pub async fn delete_one_time_schedule(client: &StackClient, id: Uuid) -> anyhow::Result<()> {
    let group = client.stack.value("SCHEDULE_GROUP")?;
    let suffix = format!("-{id}-1");
    for _ in 0..50 {
        let found = client
            .scheduler
            .list_schedules()
            .group_name(group)
            .max_results(100)
            .send()
            .await?;
        let name = found
            .schedules()
            .iter()
            .filter_map(|schedule| schedule.name())
            .find(|name| name.ends_with(&suffix));
        if let Some(name) = name {
            let delete = client.scheduler.delete_schedule();
            delete.group_name(group).name(name).send().await?;
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    anyhow::bail!("there is no one-time schedule")
}

/// Counts rows of a schedule.
pub async fn count(client: &StackClient, id: Uuid, sql: &str) -> sqlx::Result<i64> {
    sqlx::query_scalar(sql)
        .bind(id)
        .fetch_one(&client.pool)
        .await
}

/// Changes the schedule's time. A refusal because it is too late is fine if `may_be_late`.
pub async fn reschedule(
    run: &ScheduleRun,
    run_at: DateTime<Utc>,
    may_be_late: bool,
) -> anyhow::Result<()> {
    let path = format!("/v1/schedules/{}", run.id);
    let body = json!({ "run_at": run_at });
    let (status, answer) = run
        .client
        .call(reqwest::Method::PATCH, &path, Some(body))
        .await?;
    ensure!(
        status == 200 || (may_be_late && status == 409),
        "the change answered {status}: {answer}"
    );
    Ok(())
}

/// Locks recipients from the last to the first and then the batches, which is the opposite order of
/// the functions, 12 times for about `hold_ms`.
pub async fn lock_rows(run: &mut GlobalRun, hold_ms: u64) -> anyhow::Result<()> {
    until(run.run_at).await;
    for _ in 0..12 {
        let id = run.ids[run.rng.usize(0..run.ids.len())];
        let mut transaction = run.client.pool.begin().await?;
        for sql in [
            "SELECT seq FROM recipients WHERE schedule_id = ? AND seq <= 300
             ORDER BY seq DESC FOR UPDATE",
            "SELECT batch_no FROM batches WHERE schedule_id = ? ORDER BY batch_no DESC FOR UPDATE",
            "SELECT id FROM schedules WHERE id = ? FOR UPDATE",
        ] {
            // The purpose is a deadlock, which the server may resolve by an error here.
            if sqlx::query(sql)
                .bind(id)
                .execute(&mut *transaction)
                .await
                .is_err()
            {
                break;
            }
            tokio::time::sleep(Duration::from_millis(hold_ms / 3)).await;
        }
        transaction.rollback().await?;
        tokio::time::sleep(Duration::from_millis(run.rng.u64(20..200))).await;
    }
    Ok(())
}
