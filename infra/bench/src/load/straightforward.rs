//! A straightforward service: per message one request and one UPDATE, 16 messages at a time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use anyhow::Context;
use shared::carrier::{Carrier, Submit};
use tokio::task::JoinSet;

use super::{Rate, TEXT, bare::join, rows::Results};

/// Messages at a time.
pub const IN_FLIGHT: usize = 16;

/// Sends `messages` messages to the numbers from index `first`. Returns the rate.
pub async fn send(
    carrier: &Arc<dyn Carrier>,
    results: &Results,
    first: u64,
    messages: u64,
) -> anyhow::Result<Rate> {
    let (next, begun) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let mut workers = JoinSet::new();
    for _ in 0..IN_FLIGHT {
        let (carrier, results, next) = (carrier.clone(), results.clone(), next.clone());
        workers.spawn(async move {
            loop {
                let seq = next.fetch_add(1, Ordering::Relaxed);
                if seq >= messages {
                    return anyhow::Ok(());
                }
                let number = demo::numbers::number(first + seq);
                let submit = Submit {
                    numbers: &[&number],
                    text: TEXT,
                    sender: None,
                    own_id: None,
                    parts: 1,
                };
                let ids = carrier.submit(submit).await?;
                let id = ids.into_iter().next().flatten();
                let id = id.context("the carrier left the number out")?;
                results.record_one(seq, &id).await?;
            }
        });
    }
    join(workers).await?;
    Ok(Rate {
        messages,
        took: begun.elapsed(),
    })
}
