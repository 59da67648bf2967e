//! The lateness of many small schedules: from a schedule's time to the acceptance of its first and
//! of its last message, by the carrier's ledger. A tenth of them are due at the same time.

use std::collections::HashMap;

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use crate::{
    bench::Bench,
    carrier::Acceptance,
    figure::{Figure, percentile},
    scenarios::sending::NO_RECHECK,
    stage::{Play, Stage},
};

const SCHEDULES: u64 = 200;
const RECIPIENTS: u64 = 5;
/// The schedules that are not due together follow each other at this distance.
const DISTANCE: TimeDelta = TimeDelta::milliseconds(170);
/// From the last call to the first schedule: far enough for a one-time schedule in EventBridge.
const AHEAD: TimeDelta = TimeDelta::seconds(15);

/// Creates the schedules, and reads the ledger when all are sent.
pub async fn run(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let schedules = bench.options.messages(SCHEDULES * RECIPIENTS) / RECIPIENTS;
    let schedules = schedules.clamp(1, SCHEDULES);
    let play = Play {
        name: "lateness",
        settings: &[NO_RECHECK, ("DISPATCH_LEAD_S", "10")],
        carrier: json!({}),
    };
    let mut stage = Stage::start(bench, play).await?;
    let mut ids = Vec::new();
    for at in 0..schedules {
        let text = text(at);
        let posted = stage.import_text(bench, RECIPIENTS, &text).await?;
        ids.push(posted.schedule.id);
    }
    // The time of the calls, which move each schedule to its time.
    let first = Utc::now() + AHEAD + TimeDelta::milliseconds(schedules as i64 * 20);
    let due = |at: u64| first + DISTANCE * at.saturating_sub(schedules / 10) as i32;
    for (at, id) in (0..).zip(ids) {
        stage.move_to(id, due(at)).await?;
    }
    let last = due(schedules - 1);
    stage.wait_sent(last).await?;
    stage.expect("ACCEPTD", schedules * RECIPIENTS).await?;
    let ledger = stage.carrier.ledger().await?;
    stage.stop(bench).await?;
    let mut figures = figures("first", &ledger, due, schedules, DateTime::min)?;
    figures.extend(self::figures(
        "last",
        &ledger,
        due,
        schedules,
        DateTime::max,
    )?);
    Ok(figures)
}

fn text(schedule: u64) -> String {
    format!("Reminder {schedule}")
}

/// Returns the percentiles of the lateness of each schedule's message that `choose` chooses.
fn figures(
    which: &str,
    ledger: &[Acceptance],
    due: impl Fn(u64) -> DateTime<Utc>,
    schedules: u64,
    choose: fn(DateTime<Utc>, DateTime<Utc>) -> DateTime<Utc>,
) -> anyhow::Result<Vec<Figure>> {
    let mut chosen: HashMap<&str, DateTime<Utc>> = HashMap::new();
    for Acceptance { text, at, .. } in ledger {
        let entry = chosen.entry(text).or_insert(*at);
        *entry = choose(*entry, *at);
    }
    let mut lateness_ms = Vec::new();
    for at in 0..schedules {
        let accepted = chosen.get(text(at).as_str());
        let accepted = accepted.with_context(|| format!("schedule {at} was not sent"))?;
        let late = *accepted - due(at);
        anyhow::ensure!(late >= TimeDelta::milliseconds(-1), "sent {late} early");
        lateness_ms.push(late.num_milliseconds() as f64);
    }
    let goal = if which == "first" { "≤ 100" } else { "" };
    let of = [(50, "p50", ""), (99, "p99", goal), (100, "highest", "")];
    let figure = |(percent, name, goal)| {
        let value = percentile(&mut lateness_ms, percent).unwrap_or_default();
        Figure::new(
            format!("lateness of the {which} message: {name}"),
            value,
            "ms",
        )
        .goal(goal)
    };
    Ok(of.map(figure).into())
}
