//! One number a request to a carrier that answers at once, against Kannel where it is installed, else
//! against the bare loop.

use crate::{
    bench::Bench,
    figure::Figure,
    load::{
        Packing, Rate,
        kannel::{Kannel, installed},
    },
    scenarios::sending::{bare_loop, send, stage},
    stage::Stage,
};

const MESSAGES: u64 = 100_000;

/// Runs the peer and the functions.
pub async fn run(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let messages = bench.options.messages(MESSAGES);
    let mut stage = stage(bench, "single-0", Packing::Single).await?;
    let (peer, rate) = if let Some(rate) = kannel(bench, &stage, messages).await? {
        ("Kannel", rate)
    } else {
        let bare = bare_loop(bench, &stage, Packing::Single, messages)?;
        let (rate, _) = bare.submit().await?;
        ("bare loop (Kannel is not installed)", rate)
    };
    stage.carrier.reset().await?;
    let sent = send(bench, &mut stage, messages).await?;
    stage.stop(bench).await?;
    let figure = Figure::new("accepted and recorded", sent.per_second(), "messages/s");
    let figure = figure.against(peer, rate.per_second());
    Ok(vec![figure.goal("≥ 1.0 × Kannel")])
}

async fn kannel(bench: &Bench, stage: &Stage, messages: u64) -> anyhow::Result<Option<Rate>> {
    let Some(programs) = installed() else {
        return Ok(None);
    };
    let in_flight = Packing::Single.requests_in_flight(bench.senders()?);
    let kannel = Kannel::start(&programs, &bench.state, &stage.carrier, in_flight).await?;
    let first = bench.numbers(messages);
    let rate = kannel.send(&stage.carrier, first, messages).await;
    kannel.stop().await;
    rate.map(Some)
}
