//! What may befall the queues.

use std::time::Duration;

use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use chrono::TimeDelta;
use serde_json::json;
use uuid::Uuid;

use super::{Everything, Fault, How, One, World, world::until};

pub(super) fn faults() -> Vec<Fault> {
    vec![
        Fault {
            name: "delivered-thrice",
            what: "every message comes two or three times, at once, late and out of order",
            recipients: 1200,
            lead_s: 4,
            uncertain: Some(0),
            how: How::Each(|one| Box::pin(thrice(one))),
        },
        Fault {
            name: "queues-purged",
            what: "all queues are purged, again and again",
            recipients: 1200,
            lead_s: 4,
            uncertain: Some(0),
            how: How::All(|everything| Box::pin(purge(everything))),
        },
        Fault {
            name: "dead-letters",
            what: "the messages are in the dead-letter queues, and a person brings them back",
            recipients: 600,
            lead_s: 4,
            uncertain: Some(0),
            how: How::All(|everything| Box::pin(dead_letters(everything))),
        },
    ]
}

/// Puts a message for every batch of the schedule on both queues.
pub(super) async fn deliver_again(world: &World, id: Uuid) -> anyhow::Result<()> {
    for queue in ["SEND_QUEUE_URL", "RECHECK_QUEUE_URL"] {
        put(world, id, queue).await?;
    }
    Ok(())
}

async fn put(world: &World, id: Uuid, queue: &str) -> anyhow::Result<()> {
    for batches in world.batches(id).await?.chunks(10) {
        let entry = |batch: &u32| {
            let body = json!({ "schedule_id": id, "batch_no": batch }).to_string();
            SendMessageBatchRequestEntry::builder()
                .id(batch.to_string())
                .message_body(body)
                .build()
        };
        let entries = batches.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
        world
            .sqs
            .send_message_batch()
            .queue_url(world.stack.value(queue)?)
            .set_entries(Some(entries))
            .send()
            .await?;
    }
    Ok(())
}

async fn thrice(one: One) -> anyhow::Result<()> {
    let One {
        world,
        id,
        mut random,
        ..
    } = one;
    world.step(id, "activate").await?;
    world.wait_for(id, "s.status = 'running'").await?;
    for _ in 0..8 {
        deliver_again(&world, id).await?;
        if random.bool() {
            deliver_again(&world, id).await?;
        }
        tokio::time::sleep(Duration::from_millis(random.u64(0..1500))).await;
    }
    Ok(())
}

async fn purge(everything: Everything) -> anyhow::Result<()> {
    let Everything { world, run_at, .. } = everything;
    until(run_at - TimeDelta::seconds(2)).await;
    while chrono::Utc::now() < run_at + TimeDelta::seconds(3) {
        for queue in ["DISPATCH_QUEUE_URL", "SEND_QUEUE_URL", "RECHECK_QUEUE_URL"] {
            world
                .sqs
                .purge_queue()
                .queue_url(world.stack.value(queue)?)
                .send()
                .await?;
        }
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    Ok(())
}

async fn dead_letters(everything: Everything) -> anyhow::Result<()> {
    let Everything {
        world, ids, run_at, ..
    } = everything;
    for &id in &ids {
        world.wait_for(id, "s.status = 'running'").await?;
    }
    for queue in ["SEND_QUEUE_URL", "RECHECK_QUEUE_URL"] {
        world
            .sqs
            .purge_queue()
            .queue_url(world.stack.value(queue)?)
            .send()
            .await?;
    }
    for &id in &ids {
        put(&world, id, "SEND_DLQ_URL").await?;
        put(&world, id, "RECHECK_DLQ_URL").await?;
    }
    until(run_at + TimeDelta::seconds(1)).await;
    let (status, answer) = world
        .call(
            reqwest::Method::POST,
            "/v1/attention/dead-letters/redrive",
            None,
        )
        .await?;
    anyhow::ensure!(status == 200, "redrive answered {status}: {answer}");
    Ok(())
}
