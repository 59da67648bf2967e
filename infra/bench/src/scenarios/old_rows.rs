//! A list on a database with many old rows, against the same list on an empty one. The old rows are
//! copies of the first list after its end, under other schedules.

use chrono::Utc;
use serde_json::json;
use uuid::Uuid;

use crate::{
    bench::Bench,
    figure::Figure,
    load::{
        Rate,
        copies::{copy, settle},
    },
    stage::{Play, Stage},
};

/// The length of a list, and the rows of a copy.
pub(super) const LIST: u64 = 100_000;
/// The old rows.
pub(super) const OLD_ROWS: u64 = 50_000_000;

/// Runs a list, copies it, and runs another list.
pub async fn run(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let old_rows = bench.options.messages(OLD_ROWS);
    let list = LIST.min(old_rows);
    let play = Play {
        name: "old-rows",
        settings: &[("RECHECK_DELAYS_S", "1")],
        carrier: json!({}),
    };
    let mut stage = Stage::start(bench, play).await?;
    stage.driver.map("recheck").await?;
    let (id, before) = send(bench, &mut stage, list).await?;
    stage.expect("DELIVRD", list).await?;
    for _ in 0..old_rows / list {
        let mut connection = stage.pool.acquire().await?;
        copy(&mut connection, id).await?;
    }
    settle(&stage.pool).await?;
    stage.carrier.reset().await?;
    let (_, after) = send(bench, &mut stage, list).await?;
    stage.expect_accepted(list).await?;
    stage.stop(bench).await?;
    let name = format!("messages sent and rechecked, with {old_rows} old rows");
    let figure = Figure::new(name, after.per_second(), "messages/s");
    let figure = figure.against("without old rows", before.per_second());
    Ok(vec![figure.goal("≥ 0.91")])
}

/// Sends a list and waits until its schedule is finished.
pub(super) async fn send(
    bench: &Bench,
    stage: &mut Stage,
    messages: u64,
) -> anyhow::Result<(Uuid, Rate)> {
    let id = stage.import(bench, messages).await?.schedule.id;
    let run_at = Stage::soon_after_cut(messages);
    stage.move_to(id, run_at).await?;
    tokio::time::sleep((run_at - Utc::now()).to_std().unwrap_or_default()).await;
    stage.wait_finished().await?;
    let took = stage.since(run_at, "recheck")?;
    Ok((id, Rate { messages, took }))
}
