//! The functions against a straightforward service: a message, a request, an UPDATE.

use std::time::Duration;

use crate::{
    bench::Bench,
    figure::Figure,
    load::{Packing, rows::Results, straightforward},
    scenarios::sending::{send, stage},
};

const MESSAGES: u64 = 100_000;
/// The straightforward service gets fewer, because it is slow.
const FEWER: u64 = 3_000;
const LATENCY: Duration = Duration::from_millis(50);

/// Runs both.
pub async fn run(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let messages = bench.options.messages(MESSAGES);
    let mut stage = stage(bench, "straightforward", Packing::Hundred).await?;
    stage.carrier.set_latency(LATENCY).await?;
    let fewer = messages.min(FEWER);
    let first = bench.numbers(fewer);
    let database = "sms_bench_results";
    let url = bench.server.create(database).await?;
    let results = Results::create(&url, straightforward::IN_FLIGHT as u32).await?;
    results.fill(first, fewer).await?;
    let carrier = Packing::Hundred.client(&stage.carrier.api_url())?;
    let rate = straightforward::send(&carrier, &results, first, fewer).await?;
    let recorded = results.recorded().await? as u64;
    results.close().await;
    anyhow::ensure!(
        recorded == fewer,
        "the service recorded {recorded} of {fewer}"
    );
    bench.server.drop_database(database).await?;
    stage.carrier.reset().await?;
    let sent = send(bench, &mut stage, messages).await?;
    stage.stop(bench).await?;
    let figure = Figure::new("accepted and recorded", sent.per_second(), "messages/s");
    let figure = figure.against("straightforward service", rate.per_second());
    Ok(vec![figure.goal("≥ 50")])
}
