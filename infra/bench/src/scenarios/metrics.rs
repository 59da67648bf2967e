//! The overhead of metrics on the send path: the same list is sent with and without them, in the
//! order without, with, with, without, so that a drift of the machine's speed affects both alike. The
//! carrier answers at once, so that all time is that of the functions and the database.

use std::time::Duration;

use serde_json::json;

use super::sending::{self, NO_RECHECK};
use crate::{
    bench::Bench,
    figure::Figure,
    load::{Packing::Hundred, Rate},
    stage::{Play, Stage},
};

const MESSAGES: u64 = 200_000;

/// Sends the lists.
pub async fn run(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let messages = bench.options.messages(MESSAGES);
    let mut took = [Duration::ZERO; 2];
    for has_metrics in [false, true, true, false] {
        took[usize::from(has_metrics)] += send(bench, has_metrics, messages).await?.took;
    }
    let [without, with] = took.map(|took| {
        let messages = 2 * messages;
        Rate { messages, took }.per_second()
    });
    let figure = Figure::new("accepted and recorded, with metrics", with, "messages/s");
    Ok(vec![
        figure.against("without metrics", without).goal("≥ 0.98"),
    ])
}

async fn send(bench: &Bench, has_metrics: bool, messages: u64) -> anyhow::Result<Rate> {
    let namespace = if has_metrics { "bench" } else { "" };
    let own = [NO_RECHECK, ("METRICS_NAMESPACE", namespace)];
    let settings = [Hundred.settings(), &own].concat();
    let play = Play {
        name: "metrics",
        settings: &settings,
        carrier: json!({}),
    };
    let mut stage = Stage::start(bench, play).await?;
    stage.carrier.set_latency(Duration::ZERO).await?;
    let rate = sending::send(bench, &mut stage, messages).await?;
    stage.stop(bench).await?;
    Ok(rate)
}
