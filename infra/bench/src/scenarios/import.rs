//! The import of a list over the API, against multi-row INSERTs of the same rows.

use crate::{
    bench::Bench,
    figure::Figure,
    load::{Packing, Rate, rows::Results},
    scenarios::sending::stage,
};

const MESSAGES: u64 = 1_000_000;

/// Inserts the rows in both ways.
pub async fn run(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let messages = bench.options.messages(MESSAGES);
    let stage = stage(bench, "import", Packing::Hundred).await?;
    let database = "sms_bench_results";
    let url = bench.server.create(database).await?;
    let results = Results::create(&url, 1).await?;
    let rows = results.fill(bench.numbers(messages), messages).await?;
    results.close().await;
    bench.server.drop_database(database).await?;
    let posted = stage.import(bench, messages).await?;
    let took = posted.took;
    let statuses = stage.statuses().await?;
    let pending = statuses.get("PENDING").copied().unwrap_or_default();
    anyhow::ensure!(pending as u64 == messages, "{statuses:?}");
    stage.stop(bench).await?;
    let imported = Rate { messages, took }.per_second();
    let figure = Figure::new("imported over the API", imported, "recipients/s");
    let figure = figure.against("multi-row INSERTs", rows.per_second());
    Ok(vec![figure.goal("≥ 0.7, and ≥ 150,000/s")])
}
