//! The scenarios. Each module measures one thing; its function is called once per run.

mod capacity;
mod cold_start;
mod import;
mod lateness;
mod life;
mod memory;
mod sending;
mod single_at_once;
mod sizes;
mod status;
mod straightforward;

use futures_util::future::BoxFuture;

use crate::{
    bench::Bench,
    figure::Figure,
    load::Packing::{Hundred, Single},
    scenarios::sending::{Case, Writes},
};

type Run = for<'a> fn(&'a Bench) -> BoxFuture<'a, anyhow::Result<Vec<Figure>>>;

/// A scenario.
pub struct Scenario {
    /// Its name, for `ONLY`.
    pub name: &'static str,
    /// Runs it once.
    pub run: Run,
}

const HUNDRED_THOUSAND: u64 = 100_000;
const MILLION: u64 = 1_000_000;

/// All scenarios, in the order of the report.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "packed-50",
        run: |bench| {
            Box::pin(sending::run(
                bench,
                Case {
                    name: "packed-50",
                    packing: Hundred,
                    latency_ms: 50,
                    messages: HUNDRED_THOUSAND,
                    writes: Writes::None,
                    goal: "≥ 0.90",
                },
            ))
        },
    },
    Scenario {
        name: "packed-300",
        run: |bench| {
            Box::pin(sending::run(
                bench,
                Case {
                    name: "packed-300",
                    packing: Hundred,
                    latency_ms: 300,
                    messages: HUNDRED_THOUSAND,
                    writes: Writes::None,
                    goal: "≥ 0.90",
                },
            ))
        },
    },
    Scenario {
        name: "million-50",
        run: |bench| {
            Box::pin(sending::run(
                bench,
                Case {
                    name: "million-50",
                    packing: Hundred,
                    latency_ms: 50,
                    messages: MILLION,
                    writes: Writes::None,
                    goal: "≥ 0.90",
                },
            ))
        },
    },
    Scenario {
        name: "million-300",
        run: |bench| {
            Box::pin(sending::run(
                bench,
                Case {
                    name: "million-300",
                    packing: Hundred,
                    latency_ms: 300,
                    messages: MILLION,
                    writes: Writes::None,
                    goal: "≥ 0.90",
                },
            ))
        },
    },
    Scenario {
        name: "million-0",
        run: |bench| {
            Box::pin(sending::run(
                bench,
                Case {
                    name: "million-0",
                    packing: Hundred,
                    latency_ms: 0,
                    messages: MILLION,
                    writes: Writes::Least,
                    goal: "≥ 0.60",
                },
            ))
        },
    },
    Scenario {
        name: "single-200",
        run: |bench| {
            Box::pin(sending::run(
                bench,
                Case {
                    name: "single-200",
                    packing: Single,
                    latency_ms: 200,
                    messages: HUNDRED_THOUSAND,
                    writes: Writes::None,
                    goal: "≥ 0.90",
                },
            ))
        },
    },
    Scenario {
        name: "single-0",
        run: |bench| Box::pin(single_at_once::run(bench)),
    },
    Scenario {
        name: "straightforward",
        run: |bench| Box::pin(straightforward::run(bench)),
    },
    Scenario {
        name: "import",
        run: |bench| Box::pin(import::run(bench)),
    },
    Scenario {
        name: "status",
        run: |bench| Box::pin(status::run(bench)),
    },
    Scenario {
        name: "life",
        run: |bench| Box::pin(life::run(bench)),
    },
    Scenario {
        name: "lateness",
        run: |bench| Box::pin(lateness::run(bench)),
    },
    Scenario {
        name: "capacity",
        run: |bench| Box::pin(capacity::run(bench)),
    },
    Scenario {
        name: "memory",
        run: |bench| Box::pin(memory::run(bench)),
    },
    Scenario {
        name: "cold-start",
        run: |bench| Box::pin(cold_start::run(bench)),
    },
    Scenario {
        name: "sizes",
        run: |bench| Box::pin(sizes::run(bench)),
    },
];
