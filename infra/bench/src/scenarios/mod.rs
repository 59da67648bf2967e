//! The scenarios. Each module measures one thing; its function is called once per run.

mod capacity;
mod cold_start;
mod import;
mod lateness;
mod life;
mod long_list;
mod memory;
mod old_rows;
mod overhead;
mod resends;
mod retention;
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
    options::Options,
    scenarios::sending::{Case, Writes},
};

type Run = for<'a> fn(&'a Bench) -> BoxFuture<'a, anyhow::Result<Vec<Figure>>>;

/// A scenario.
pub struct Scenario {
    /// Its name, for `ONLY`.
    pub name: &'static str,
    /// When it runs.
    pub when: When,
    /// Runs it once.
    pub run: Run,
}

/// When a scenario runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Always.
    Always,
    /// Once, however many runs are requested, and not in a smoke test: with few messages, another
    /// scenario is the same.
    Once,
    /// Only if `ONLY` names it: it takes long.
    Named,
}

impl Scenario {
    /// Returns whether the options select it.
    pub fn is_selected(&self, options: &Options) -> bool {
        let named = options.only.iter().any(|name| name == self.name);
        let by_default = match self.when {
            When::Always => true,
            When::Once => !options.smoke,
            When::Named => false,
        };
        named || by_default && options.selects(self.name)
    }

    /// Returns how often it runs.
    pub fn runs(&self, options: &Options) -> u32 {
        match self.when {
            When::Once => 1,
            When::Always | When::Named => options.runs,
        }
    }
}

const HUNDRED_THOUSAND: u64 = 100_000;
const MILLION: u64 = 1_000_000;

/// All scenarios, in the order of the report.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "packed-50",
        when: When::Always,
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
        when: When::Always,
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
        when: When::Once,
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
        when: When::Once,
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
        when: When::Always,
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
        when: When::Always,
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
        name: "resends",
        when: When::Always,
        run: |bench| Box::pin(resends::run(bench)),
    },
    Scenario {
        name: "single-0",
        when: When::Always,
        run: |bench| Box::pin(single_at_once::run(bench)),
    },
    Scenario {
        name: "straightforward",
        when: When::Always,
        run: |bench| Box::pin(straightforward::run(bench)),
    },
    Scenario {
        name: "import",
        when: When::Always,
        run: |bench| Box::pin(import::run(bench)),
    },
    Scenario {
        name: "status",
        when: When::Always,
        run: |bench| Box::pin(status::run(bench)),
    },
    Scenario {
        name: "life",
        when: When::Always,
        run: |bench| Box::pin(life::run(bench)),
    },
    Scenario {
        name: "lateness",
        when: When::Always,
        run: |bench| Box::pin(lateness::run(bench)),
    },
    Scenario {
        name: "capacity",
        when: When::Always,
        run: |bench| Box::pin(capacity::run(bench)),
    },
    Scenario {
        name: "memory",
        when: When::Always,
        run: |bench| Box::pin(memory::run(bench)),
    },
    Scenario {
        name: "metrics",
        when: When::Always,
        run: |bench| Box::pin(overhead::run(bench, overhead::Of::Metrics)),
    },
    Scenario {
        name: "traces",
        when: When::Always,
        run: |bench| Box::pin(overhead::run(bench, overhead::Of::Traces)),
    },
    Scenario {
        name: "long-list",
        when: When::Named,
        run: |bench| Box::pin(long_list::run(bench)),
    },
    Scenario {
        name: "old-rows",
        when: When::Named,
        run: |bench| Box::pin(old_rows::run(bench)),
    },
    Scenario {
        name: "retention",
        when: When::Named,
        run: |bench| Box::pin(retention::run(bench)),
    },
    Scenario {
        name: "cold-start",
        when: When::Always,
        run: |bench| Box::pin(cold_start::run(bench)),
    },
    Scenario {
        name: "sizes",
        when: When::Always,
        run: |bench| Box::pin(sizes::run(bench)),
    },
];
