//! The overhead of metrics and of traces on the send path: the same list is sent with and without
//! them, in the order without, with, with, without, so that a drift of the machine's speed affects
//! both alike. The carrier answers at once, so that all time is that of the functions and the
//! database.

use std::time::Duration;

use serde_json::json;

use super::sending::{self, NO_RECHECK};
use crate::{
    bench::Bench,
    collector::Collector,
    figure::Figure,
    load::{
        Packing::{self, Hundred, Single},
        Rate,
    },
    stage::{Play, Stage},
};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// The line of metrics that an invocation writes.
    Metrics,
    /// The spans that an invocation exports to a collector on the same machine, whose work counts as
    /// well.
    Traces,
}

/// A list with and without what is measured.
struct Comparison {
    name: &'static str,
    packing: Packing,
    messages: u64,
    figure: [&'static str; 2],
    peer: &'static str,
}

impl Of {
    /// Requests of a hundred numbers have few spans per message, requests of one number have most.
    const fn comparisons(self) -> &'static [Comparison] {
        match self {
            Self::Metrics => &[Comparison {
                name: "metrics",
                packing: Hundred,
                messages: 200_000,
                figure: [
                    "accepted and recorded, with metrics",
                    "CPU of send for 1,000,000 messages, with metrics",
                ],
                peer: "without metrics",
            }],
            Self::Traces => &[
                Comparison {
                    name: "traces",
                    packing: Hundred,
                    messages: 200_000,
                    figure: [
                        "accepted and recorded, with traces",
                        "CPU of send for 1,000,000 messages, with traces",
                    ],
                    peer: "without traces",
                },
                Comparison {
                    name: "traces",
                    packing: Single,
                    messages: 60_000,
                    figure: [
                        "one number a request, with traces",
                        "CPU of send for 1,000,000 messages of one request each, with traces",
                    ],
                    peer: "without traces",
                },
            ],
        }
    }
}

/// The time and the CPU time of send for some messages.
#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    messages: u64,
    took: Duration,
    cpu_s: f64,
}

impl Spent {
    fn add(&mut self, other: Self) {
        self.messages += other.messages;
        self.took += other.took;
        self.cpu_s += other.cpu_s;
    }

    fn rate(self) -> f64 {
        let Self { messages, took, .. } = self;
        Rate { messages, took }.per_second()
    }

    fn cpu_s_per_million(self) -> f64 {
        self.cpu_s * 1e6 / self.messages.max(1) as f64
    }
}

/// Sends the lists.
pub async fn run(bench: &Bench, of: Of) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for comparison in of.comparisons() {
        let mut spent = [Spent::default(); 2];
        for is_with in [false, true, true, false] {
            spent[usize::from(is_with)].add(send(bench, of, comparison, is_with).await?);
        }
        let [without, with] = spent;
        let Comparison { figure, peer, .. } = comparison;
        let rate = Figure::new(figure[0], with.rate(), "messages/s");
        figures.push(rate.against(peer, without.rate()).goal("≥ 0.98"));
        let cpu = Figure::new(figure[1], with.cpu_s_per_million(), "s");
        figures.push(cpu.against(peer, without.cpu_s_per_million()));
    }
    Ok(figures)
}

async fn send(
    bench: &Bench,
    of: Of,
    comparison: &Comparison,
    is_with: bool,
) -> anyhow::Result<Spent> {
    let collector = Collector::start().await?;
    let own = match of {
        Of::Metrics => ("METRICS_NAMESPACE", if is_with { "bench" } else { "" }),
        Of::Traces => ("OTLP_ENDPOINT", if is_with { collector.url() } else { "" }),
    };
    let settings = [comparison.packing.settings(), &[NO_RECHECK, own]].concat();
    let play = Play {
        name: comparison.name,
        settings: &settings,
        carrier: json!({}),
    };
    let mut stage = Stage::start(bench, play).await?;
    stage.carrier.set_latency(Duration::ZERO).await?;
    let messages = bench.options.messages(comparison.messages);
    let before = cpu_s(&stage);
    let rate = sending::send(bench, &mut stage, messages).await?;
    let cpu_s = cpu_s(&stage) - before;
    stage.stop(bench).await?;
    let exports = collector.stop().await;
    let is_traced = of == Of::Traces && is_with;
    anyhow::ensure!((exports > 0) == is_traced, "{exports} exports of spans");
    let Rate { messages, took } = rate;
    Ok(Spent {
        messages,
        took,
        cpu_s,
    })
}

fn cpu_s(stage: &Stage) -> f64 {
    let usage = stage.driver.usage();
    usage.get("send").map_or(0.0, |send| send.cpu_s)
}
