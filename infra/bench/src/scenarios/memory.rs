//! The peak memory of each function at a long list against a short one.

use std::collections::BTreeMap;

use serde_json::json;

use crate::{
    bench::Bench,
    figure::Figure,
    process::Usage,
    stage::{Play, Stage},
};

const LONG: u64 = 1_000_000;
const SHORT: u64 = 1_000;

/// Runs both lists, each on new processes.
pub async fn run(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let long = bench.options.messages(LONG);
    let short = peak(bench, SHORT.min(long)).await?;
    let long = peak(bench, long).await?;
    let figures = long.into_iter().map(|(name, used)| {
        let megabytes = |usage: Usage| usage.peak_kb as f64 / 1024.0;
        let peer = short.get(&name).copied().unwrap_or_default();
        let figure = Figure::new(format!("peak memory of {name}"), megabytes(used), "MB");
        figure
            .against("short list", megabytes(peer))
            .goal("≤ 1.2, and < 64 MB")
    });
    Ok(figures.collect())
}

async fn peak(bench: &Bench, messages: u64) -> anyhow::Result<BTreeMap<String, Usage>> {
    let play = Play {
        name: "memory",
        settings: &[("RECHECK_DELAYS_S", "5")],
        carrier: json!({}),
    };
    let mut stage = Stage::start(bench, play).await?;
    stage.driver.map("recheck").await?;
    let id = stage.import(bench, messages).await?.schedule.id;
    stage.move_to(id, Stage::soon_after_cut(messages)).await?;
    stage.wait_finished().await?;
    stage.expect("DELIVRD", messages).await?;
    let usage = stage.driver.usage();
    stage.stop(bench).await?;
    Ok(usage)
}
