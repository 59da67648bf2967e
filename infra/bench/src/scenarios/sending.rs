//! Sends a list, and measures the rate at which its messages are accepted and recorded, from the
//! schedule's time to the end of the last invocation, against the bare loop: the same client, packing
//! and numbers in flight.

use std::time::Duration;

use serde_json::json;

use crate::{
    bench::Bench,
    figure::Figure,
    load::{Packing, Rate, bare::BareLoop, rows::Results},
    stage::{Play, Stage},
};

/// Recheck is not measured here.
pub(super) const NO_RECHECK: (&str, &str) = ("RECHECK_DELAYS_S", "3600");

/// What the bare loop writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writes {
    /// Nothing.
    None,
    /// One multi-row statement per batch.
    Least,
}

/// A list.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// The scenario's name.
    pub name: &'static str,
    /// How numbers are packed into requests.
    pub packing: Packing,
    /// The carrier's response time.
    pub latency_ms: u64,
    /// The length of the list.
    pub messages: u64,
    /// What the bare loop writes.
    pub writes: Writes,
    /// The goal of the ratio.
    pub goal: &'static str,
}

/// Runs the bare loop and the functions.
pub async fn run(bench: &Bench, case: Case) -> anyhow::Result<Vec<Figure>> {
    let messages = bench.options.messages(case.messages);
    let mut stage = stage(bench, case.name, case.packing).await?;
    stage
        .carrier
        .set_latency(Duration::from_millis(case.latency_ms))
        .await?;
    let bare = bare(bench, &stage, case, messages).await?;
    stage.carrier.reset().await?;
    let sent = send(bench, &mut stage, messages).await?;
    stage.stop(bench).await?;
    let peer = match case.writes {
        Writes::None => "bare loop",
        Writes::Least => "bare loop with the least writes",
    };
    let figure = Figure::new("accepted and recorded", sent.per_second(), "messages/s");
    Ok(vec![
        figure.against(peer, bare.per_second()).goal(case.goal),
    ])
}

/// Starts a stage whose messages are not rechecked.
pub(super) async fn stage(bench: &Bench, name: &str, packing: Packing) -> anyhow::Result<Stage> {
    let settings = [packing.settings(), &[NO_RECHECK]].concat();
    let play = Play {
        name,
        settings: &settings,
        carrier: json!({}),
    };
    Stage::start(bench, play).await
}

/// Returns the bare loop of a packing against a stage's carrier.
pub(super) fn bare_loop(
    bench: &Bench,
    stage: &Stage,
    packing: Packing,
    messages: u64,
) -> anyhow::Result<BareLoop> {
    Ok(BareLoop {
        carrier: packing.client(&stage.carrier.api_url())?,
        packing,
        in_flight: packing.requests_in_flight(bench.senders()?),
        first: bench.numbers(messages),
        messages,
    })
}

/// Imports and sends a list; checks that each message was accepted once and recorded.
pub(super) async fn send(bench: &Bench, stage: &mut Stage, messages: u64) -> anyhow::Result<Rate> {
    let id = stage.import(bench, messages).await?.schedule.id;
    let run_at = Stage::soon_after_cut(messages);
    let took = stage.send(id, run_at).await?;
    stage.expect("ACCEPTD", messages).await?;
    Ok(Rate { messages, took })
}

async fn bare(bench: &Bench, stage: &Stage, case: Case, messages: u64) -> anyhow::Result<Rate> {
    let bare = bare_loop(bench, stage, case.packing, messages)?;
    if case.writes == Writes::None {
        return Ok(bare.submit().await?.0);
    }
    let database = "sms_bench_results";
    let url = bench.server.create(database).await?;
    let workers = bench.senders()?;
    let results = Results::create(&url, workers as u32).await?;
    results.fill(bare.first, messages).await?;
    let batch = bench.deployment.number("dispatch", "BATCH_SIZE")? as u64;
    let rate = bare.submit_and_record(&results, batch, workers).await?;
    let recorded = results.recorded().await? as u64;
    results.close().await;
    anyhow::ensure!(recorded == messages, "the bare loop recorded {recorded}");
    bench.server.drop_database(database).await?;
    Ok(rate)
}
