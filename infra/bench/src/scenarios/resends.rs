//! Sends a list of which some messages are not delivered, so that they are sent again while the
//! list is still being sent: the rate of the first messages to each number, by the carrier's ledger,
//! against the bare loop, which sends each number once.

use std::{collections::HashSet, time::Duration};

use anyhow::Context;
use chrono::{DateTime, Utc};
use serde_json::json;

use crate::{
    bench::Bench,
    carrier::Acceptance,
    figure::Figure,
    load::{Packing, Rate},
    scenarios::sending::bare_loop,
    stage::{Play, Stage},
};

const MESSAGES: u64 = 200_000;
const LATENCY_MS: u64 = 50;
/// The share of messages that end UNDELIV.
const UNDELIVERED: f64 = 0.02;

/// Runs the bare loop and the functions.
pub async fn run(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let messages = bench.options.messages(MESSAGES);
    let play = Play {
        name: "resends",
        settings: &[
            ("RECHECK_DELAYS_S", "2,2,3,5,5,10"),
            ("RESEND_DELAY_S", "2"),
        ],
        carrier: json!({
            "latency_ms": LATENCY_MS,
            "delivery_delay_ms_min": 500,
            "delivery_delay_ms_max": 4000,
            "undeliv": UNDELIVERED,
        }),
    };
    let mut stage = Stage::start(bench, play).await?;
    let packing = Packing::Hundred;
    let (bare, _) = bare_loop(bench, &stage, packing, messages)?
        .submit()
        .await?;
    stage.carrier.reset().await?;
    stage.driver.map("recheck").await?;
    let id = stage.import(bench, messages).await?.schedule.id;
    let run_at = Stage::soon_after_cut(messages);
    stage.move_to(id, run_at).await?;
    stage.wait_finished().await?;
    let ledger = stage.carrier.ledger().await?;
    stage.stop(bench).await?;
    let sent = Rate {
        messages,
        took: until_all_once(&ledger, run_at, messages)?,
    };
    let again = ledger.len() as u64 - messages;
    Ok(vec![
        Figure::new("first messages accepted", sent.per_second(), "messages/s")
            .against("bare loop", bare.per_second()),
        Figure::new("messages sent again", again as f64, ""),
    ])
}

/// Returns the time from `run_at` to the acceptance that reached the last number for the first time.
fn until_all_once(
    ledger: &[Acceptance],
    run_at: DateTime<Utc>,
    numbers: u64,
) -> anyhow::Result<Duration> {
    let mut seen = HashSet::new();
    let mut last = None;
    for acceptance in ledger {
        if seen.insert(acceptance.number.as_str()) {
            last = last.max(Some(acceptance.at));
        }
    }
    let reached = seen.len() as u64;
    anyhow::ensure!(reached == numbers, "{reached} of {numbers} numbers");
    let last = last.context("nothing was accepted")?;
    Ok((last - run_at).to_std()?)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn a_message_that_is_sent_again_does_not_count() {
        let run_at = DateTime::UNIX_EPOCH;
        let acceptance = |number: &str, seconds| Acceptance {
            number: number.to_owned(),
            text: String::new(),
            at: run_at + TimeDelta::seconds(seconds),
        };
        let ledger = [acceptance("1", 1), acceptance("2", 3), acceptance("1", 9)];
        let took = until_all_once(&ledger, run_at, 2).unwrap();
        assert_eq!(took, Duration::from_secs(3));
        assert!(until_all_once(&ledger, run_at, 3).is_err());
    }
}
