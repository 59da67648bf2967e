//! The bare loops: the functions' client, packing and number of requests in flight against the same
//! carrier, without queues, and without a database or with the least writes.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt, stream};
use shared::carrier::{Carrier, Submit};
use tokio::task::JoinSet;

use super::{Packing, Rate, TEXT, rows::Results};

/// A loop over the numbers from index `first`.
#[derive(Clone)]
pub struct BareLoop {
    /// The client.
    pub carrier: Arc<dyn Carrier>,
    /// How numbers are packed.
    pub packing: Packing,
    /// Requests in flight.
    pub in_flight: usize,
    /// The index of the first number.
    pub first: u64,
    /// The number of messages.
    pub messages: u64,
}

impl BareLoop {
    /// Submits all numbers. Returns the rate and the message ids.
    pub async fn submit(&self) -> anyhow::Result<(Rate, Vec<String>)> {
        let (next, begun) = (Arc::new(AtomicU64::new(0)), Instant::now());
        let ids = Arc::new(Mutex::new(Vec::new()));
        let mut workers = JoinSet::new();
        for _ in 0..self.in_flight {
            let (this, next, ids) = (self.clone(), next.clone(), ids.clone());
            workers.spawn(async move {
                let step = this.packing.numbers() as u64;
                loop {
                    let at = next.fetch_add(step, Ordering::Relaxed);
                    if at >= this.messages {
                        return anyhow::Ok(());
                    }
                    let answered = this.request(at, step.min(this.messages - at)).await?;
                    ids.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .extend(answered);
                }
            });
        }
        join(workers).await?;
        let rate = self.rate(begun);
        let ids = std::mem::take(&mut *ids.lock().unwrap_or_else(PoisonError::into_inner));
        anyhow::ensure!(ids.len() as u64 == self.messages, "{} ids", ids.len());
        Ok((rate, ids))
    }

    /// Submits all numbers in batches, with one statement per batch that records its results.
    pub async fn submit_and_record(
        &self,
        results: &Results,
        batch: u64,
        workers: usize,
    ) -> anyhow::Result<Rate> {
        let (next, begun) = (Arc::new(AtomicU64::new(0)), Instant::now());
        let mut tasks = JoinSet::new();
        for _ in 0..workers {
            let (this, next, results) = (self.clone(), next.clone(), results.clone());
            let at_once = (self.in_flight / workers).max(1);
            tasks.spawn(async move {
                loop {
                    let at = next.fetch_add(batch, Ordering::Relaxed);
                    if at >= this.messages {
                        return anyhow::Ok(());
                    }
                    let count = batch.min(this.messages - at);
                    let ids = this.batch(at, count, at_once).await?;
                    results.record(at, &ids).await?;
                }
            });
        }
        join(tasks).await?;
        Ok(self.rate(begun))
    }

    async fn batch(&self, at: u64, count: u64, at_once: usize) -> anyhow::Result<Vec<String>> {
        let step = self.packing.numbers();
        let requests = (at..at + count)
            .step_by(step)
            .map(|first| self.request(first, (step as u64).min(at + count - first)));
        let answers: Vec<Vec<String>> = stream::iter(requests)
            .buffered(at_once)
            .try_collect()
            .await?;
        Ok(answers.concat())
    }

    async fn request(&self, at: u64, count: u64) -> anyhow::Result<Vec<String>> {
        let first = self.first + at;
        let numbers: Vec<String> = (first..first + count).map(demo::numbers::number).collect();
        let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
        let own_id = format!("bench-{first}");
        let submit = Submit {
            numbers: &numbers,
            text: TEXT,
            sender: None,
            own_id: (self.packing == Packing::Single).then_some(own_id.as_str()),
            parts: 1,
        };
        let ids = self.carrier.submit(submit).await?;
        let ids: Option<Vec<String>> = ids.into_iter().collect();
        ids.context("the carrier left a number out")
    }

    fn rate(&self, begun: Instant) -> Rate {
        Rate {
            messages: self.messages,
            took: begun.elapsed(),
        }
    }
}

/// Asks for the status of each message, with `in_flight` queries in flight. Returns the rate.
pub async fn ask(
    carrier: &Arc<dyn Carrier>,
    ids: &[String],
    in_flight: usize,
) -> anyhow::Result<Rate> {
    let begun = Instant::now();
    let mut workers = JoinSet::new();
    for part in ids.chunks(ids.len().div_ceil(in_flight).max(1)) {
        let (carrier, part) = (carrier.clone(), part.to_vec());
        workers.spawn(async move {
            for id in part {
                carrier.status(&id).await?;
            }
            anyhow::Ok(())
        });
    }
    join(workers).await?;
    Ok(Rate {
        messages: ids.len() as u64,
        took: begun.elapsed(),
    })
}

/// Waits for all tasks; returns the first error.
pub(super) async fn join(mut tasks: JoinSet<anyhow::Result<()>>) -> anyhow::Result<()> {
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}
