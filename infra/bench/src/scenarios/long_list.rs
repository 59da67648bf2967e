//! A list of ten million recipients: its import, its cut, also with one message per second, and the
//! memory that they take. Nothing is sent: the stage ends before the schedule's time.

use std::time::Duration;

use anyhow::{Context, bail};
use chrono::{TimeDelta, Utc};
use reqwest::Method;
use serde_json::json;
use sqlx::MySqlPool;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    bench::Bench,
    figure::Figure,
    load::Rate,
    scenarios::sending::NO_RECHECK,
    stage::{Play, Stage},
};

const MESSAGES: u64 = 10_000_000;
/// From the change of the time to the time: the cut has to end before it.
const AHEAD: TimeDelta = TimeDelta::seconds(240);

/// Imports and cuts a list, without a rate and with the slowest one.
pub async fn run(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for rate in [None, Some(1)] {
        figures.extend(cut(bench, rate).await?);
    }
    Ok(figures)
}

async fn cut(bench: &Bench, rate: Option<u32>) -> anyhow::Result<Vec<Figure>> {
    let messages = bench.options.messages(MESSAGES);
    let play = Play {
        name: "long-list",
        settings: &[NO_RECHECK, ("DISPATCH_LEAD_S", "240")],
        carrier: json!({}),
    };
    let stage = Stage::start(bench, play).await?;
    let posted = stage.import(bench, messages).await?;
    let (id, took) = (posted.schedule.id, posted.took);
    if let Some(rate) = rate {
        let path = format!("/v1/schedules/{id}");
        let call = stage.api.request(Method::PATCH, &path);
        let answer = call.json(&json!({ "rate": rate })).send().await?;
        anyhow::ensure!(answer.status().is_success(), "{}", answer.text().await?);
    }
    let begun = Instant::now();
    stage.move_to(id, Utc::now() + AHEAD).await?;
    let batches = wait_for_cut(&stage.pool, id).await?;
    let cut_s = begun.elapsed().as_secs_f64();
    let usage = stage.driver.usage();
    stage.stop(bench).await?;
    let with = rate.map_or_else(String::new, |rate| format!(" with rate {rate}"));
    let imported = Rate { messages, took }.per_second();
    let mut figures = vec![
        Figure::new(
            format!("{messages} recipients{with}: imported"),
            imported,
            "recipients/s",
        ),
        Figure::new(format!("{messages} recipients{with}: cut"), cut_s, "s"),
        Figure::new(
            format!("{messages} recipients{with}: batches"),
            f64::from(batches),
            "",
        ),
    ];
    for function in ["api", "dispatch"] {
        let peak_kb = usage.get(function).map_or(0, |used| used.peak_kb);
        let name = format!("{messages} recipients{with}: peak memory of {function}");
        figures.push(Figure::new(name, peak_kb as f64 / 1024.0, "MB").goal("< 64 MB"));
    }
    Ok(figures)
}

/// Waits until the schedule is cut; returns the number of its batches.
async fn wait_for_cut(pool: &MySqlPool, id: Uuid) -> anyhow::Result<u32> {
    let until = Instant::now() + Duration::from_secs(180);
    while Instant::now() < until {
        let count = sqlx::query_scalar("SELECT batch_count FROM schedules WHERE id = ?")
            .bind(id)
            .fetch_one(pool);
        if let Some(count) = count.await.context("reading the schedule")? {
            return Ok(count);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    bail!("the list was not cut within three minutes")
}
