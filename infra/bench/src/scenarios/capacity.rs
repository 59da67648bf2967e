//! A carrier with a limit, and two schedules that are due at the same time: how much of the limit is
//! used, how many requests are refused, and whether both get the same share.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use crate::{
    bench::Bench,
    carrier::Acceptance,
    figure::Figure,
    scenarios::sending::NO_RECHECK,
    stage::{Play, Stage},
};

/// The carrier's limit in requests per second.
const REQUESTS: u64 = 10;
/// The same in message parts.
const PARTS: u64 = REQUESTS * 100;
/// Forty seconds of the limit.
const MESSAGES: u64 = 40 * PARTS;
const TEXTS: [&str; 2] = ["The first schedule", "The second schedule"];

/// Sends both schedules.
pub async fn run(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let each = bench.options.messages(MESSAGES) / 2;
    let parts = PARTS.to_string();
    let play = Play {
        name: "capacity",
        settings: &[NO_RECHECK, ("CARRIER_PARTS_PER_SECOND", &parts)],
        carrier: json!({"capacity_rps": REQUESTS}),
    };
    let mut stage = Stage::start(bench, play).await?;
    let limit =
        "UPDATE carrier_limits SET per_second = ?, requests_per_second = ? WHERE kind = 'submit'";
    let limit = sqlx::query(limit).bind(PARTS).bind(REQUESTS);
    limit.execute(&stage.pool).await?;
    let mut ids = Vec::new();
    for text in TEXTS {
        let posted = stage.import_text(bench, each, text).await?;
        ids.push(posted.schedule.id);
    }
    let run_at = Stage::soon_after_cut(2 * each);
    for id in ids {
        stage.move_to(id, run_at).await?;
    }
    stage.wait_sent(run_at).await?;
    stage.expect("ACCEPTD", 2 * each).await?;
    let stats = stage.carrier.stats().await?;
    let ledger = stage.carrier.ledger().await?;
    stage.stop(bench).await?;
    let refused = (stats.requests - stats.accepted_requests) as f64 / stats.requests.max(1) as f64;
    let (used, fairness) = (used(&ledger), fairness(&ledger));
    Ok(vec![
        Figure::new("share of the limit that is used", used, "").goal("≥ 0.97"),
        Figure::new("share of requests refused", refused, "").goal("≤ 0.01"),
        Figure::new(
            "fairness: least share of two equal schedules, of half",
            fairness,
            "",
        )
        .goal("≥ 0.9"),
    ])
}

fn span(ledger: &[Acceptance]) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let times = || ledger.iter().map(|acceptance| acceptance.at);
    times().min().zip(times().max())
}

/// Returns the accepted messages as a share of what the limit allows in their time.
fn used(ledger: &[Acceptance]) -> f64 {
    let Some((first, last)) = span(ledger) else {
        return 0.0;
    };
    // The last request uses its slot too.
    let slot = TimeDelta::milliseconds(1000 / REQUESTS as i64);
    let seconds = (last - first + slot).num_milliseconds() as f64 / 1000.0;
    ledger.len() as f64 / (seconds * PARTS as f64)
}

/// Returns the smaller number of messages of the two schedules in the first half of the time, divided
/// by half of all messages of that time.
fn fairness(ledger: &[Acceptance]) -> f64 {
    let Some((first, last)) = span(ledger) else {
        return 0.0;
    };
    let half = first + (last - first) / 2;
    let early: Vec<_> = ledger.iter().filter(|entry| entry.at <= half).collect();
    let of = |text: &str| early.iter().filter(|entry| entry.text == text).count();
    let fewest = TEXTS.map(of).into_iter().min().unwrap_or_default();
    2.0 * fewest as f64 / early.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn use_and_fairness_are_computed_from_the_ledger() {
        let at = |request: i32, text: &str| {
            let at = DateTime::UNIX_EPOCH + TimeDelta::milliseconds(100) * request;
            (0..100)
                .map(move |_| Acceptance {
                    number: String::new(),
                    text: text.to_owned(),
                    at,
                })
                .collect::<Vec<_>>()
        };
        let alternating: Vec<_> = (0..10).flat_map(|n| at(n, TEXTS[n as usize % 2])).collect();
        assert!((used(&alternating) - 1.0).abs() < 1e-9);
        assert!(fairness(&alternating) > 0.7);
        let one_by_one: Vec<_> = (0..10)
            .flat_map(|n| at(2 * n, TEXTS[n as usize / 5]))
            .collect();
        assert!((used(&one_by_one) - 10.0 / 19.0).abs() < 1e-9);
        assert!(fairness(&one_by_one) < 1e-9);
    }
}
