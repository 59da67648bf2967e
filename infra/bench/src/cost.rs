//! The cost of messages on AWS, from what was measured and the list prices of `prices.json`. The
//! database is not included: it costs the same per hour whatever is sent.

use std::collections::BTreeMap;

use anyhow::Context;
use serde::Deserialize;

use crate::{
    deployment::Deployment,
    driver::{function::Totals, queue::QueueRequests},
};

/// The list prices in dollars.
#[derive(Clone, Debug, Deserialize)]
pub struct Prices {
    /// Where they are from.
    pub source: String,
    lambda_gb_s: f64,
    lambda_request: f64,
    sqs_request: f64,
}

impl Prices {
    /// Reads `prices.json`.
    pub fn read() -> anyhow::Result<Self> {
        serde_json::from_str(include_str!("../prices.json")).context("prices.json")
    }

    /// Returns the cost of invocations and queue requests.
    pub fn cost(
        &self,
        deployment: &Deployment,
        totals: &BTreeMap<String, Totals>,
        queues: &BTreeMap<String, QueueRequests>,
    ) -> f64 {
        let functions: f64 = totals
            .iter()
            .map(|(name, totals)| {
                let memory_mb = deployment.functions.get(name).map_or(0, |f| f.memory_mb);
                self.invocations(totals.invocations, totals.billed_ms, memory_mb)
            })
            .sum();
        functions + requests(queues) as f64 * self.sqs_request
    }

    /// Returns the cost of a service with one queue message and one invocation per message: the
    /// invocation lasts as long as the carrier's answer, in the least memory.
    pub fn straightforward(&self, messages: u64, latency_ms: u64) -> f64 {
        const MEMORY_MB: u32 = 128;
        const REQUESTS_PER_MESSAGE: u64 = 3;
        self.invocations(messages, messages * latency_ms, MEMORY_MB)
            + (messages * REQUESTS_PER_MESSAGE) as f64 * self.sqs_request
    }

    fn invocations(&self, count: u64, billed_ms: u64, memory_mb: u32) -> f64 {
        let gb_s = billed_ms as f64 / 1000.0 * f64::from(memory_mb) / 1024.0;
        gb_s * self.lambda_gb_s + count as f64 * self.lambda_request
    }
}

/// Returns the number of requests to all queues.
pub fn requests(queues: &BTreeMap<String, QueueRequests>) -> u64 {
    let requests = queues.values().flat_map(|queue| queue.by_action.values());
    requests.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_invocations_cost_their_time_and_their_requests() {
        let prices = Prices::read().unwrap();
        let cost = prices.straightforward(1_000_000, 50);
        // 6,250 GB-s, a million invocations, three million queue requests.
        assert!((cost - (0.104_17 + 0.2 + 1.2)).abs() < 0.001, "{cost}");
        assert!(prices.source.contains("list prices"));
    }
}
