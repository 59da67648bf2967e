//! The whole life of messages, with one recheck: what it takes per 1,000 messages, the CPU time of
//! each process, and the cost on AWS.

use std::collections::BTreeMap;

use serde_json::json;

use crate::{
    bench::Bench,
    cost::{self, Prices},
    figure::Figure,
    process::Usage,
    server::Counters,
    stage::{Play, Stage},
};

const MESSAGES: u64 = 100_000;
/// The unit of the CPU times, that of the first measurement.
const CPU_UNIT: f64 = 300_000.0;
const LATENCY_MS: u64 = 50;

/// Sends and rechecks a list until its schedule is finished.
pub async fn run(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let messages = bench.options.messages(MESSAGES);
    let play = Play {
        name: "life",
        settings: &[("RECHECK_DELAYS_S", "10")],
        carrier: json!({"latency_ms": LATENCY_MS}),
    };
    let mut stage = Stage::start(bench, play).await?;
    stage.driver.map("recheck").await?;
    let id = stage.import(bench, messages).await?.schedule.id;
    let (counters, usage) = (bench.server.counters().await?, usage(bench, &stage));
    stage.move_to(id, Stage::soon_after_cut(messages)).await?;
    stage.wait_finished().await?;
    let counters = bench.server.counters().await?.since(&counters);
    stage.expect("DELIVRD", messages).await?;
    let mut figures = per_thousand(&counters, &stage, messages);
    for (process, used) in self::usage(bench, &stage) {
        let earlier = usage.get(&process).copied().unwrap_or_default();
        let cpu_s = used.since(earlier).cpu_s * CPU_UNIT / messages as f64;
        let name = format!("CPU per 300,000 messages: {process}");
        figures.push(Figure::new(name, cpu_s, "s"));
    }
    figures.push(cost(bench, &stage, messages)?);
    stage.stop(bench).await?;
    Ok(figures)
}

fn per_thousand(counters: &Counters, stage: &Stage, messages: u64) -> Vec<Figure> {
    let per = |count: u64| count as f64 * 1000.0 / messages as f64;
    let requests = cost::requests(&stage.driver.queue_requests());
    let figure = |name: &str, count, unit, goal| {
        Figure::new(format!("per 1,000 messages: {name}"), per(count), unit).goal(goal)
    };
    vec![
        figure("statements", counters.statements(), "", "≤ 15"),
        figure("pings", counters.pings(), "", "0"),
        figure("commits", counters.commits(), "", "≤ 8"),
        figure("redo log", counters.redo_bytes() / 1024, "KB", "≤ 1,024"),
        figure("rows read", counters.rows_read(), "", ""),
        figure("scans, also of JSON", counters.scans(), "", ""),
        figure("queue requests", requests, "", "≤ 12"),
    ]
}

/// Returns the usage of each process, by name.
fn usage(bench: &Bench, stage: &Stage) -> BTreeMap<String, Usage> {
    let mut usage = stage.driver.usage();
    usage.insert("carrier".to_owned(), stage.carrier.usage());
    let driver = Usage::of(std::process::id()).unwrap_or_default();
    usage.insert("driver".to_owned(), driver);
    if let Some(database) = bench.server.usage() {
        usage.insert("database".to_owned(), database);
    }
    usage
}

fn cost(bench: &Bench, stage: &Stage, messages: u64) -> anyhow::Result<Figure> {
    const MILLION: u64 = 1_000_000;
    let prices = Prices::read()?;
    let totals = stage.driver.totals();
    let ours = prices.cost(&bench.deployment, &totals, &stage.driver.queue_requests());
    let ours = ours * MILLION as f64 / messages as f64;
    let peer = prices.straightforward(MILLION, LATENCY_MS);
    let figure = Figure::new("cost of 1,000,000 messages on AWS", ours, "$");
    Ok(figure
        .against("a queue message and an invocation per message", peer)
        .goal("≤ $0.10"))
}
