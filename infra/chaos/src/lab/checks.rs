//! Checks of a finished run against its plan, beyond those of [`crate::verification`].

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    evidence,
    function::Function,
    plan::{Plan, UncertainLimit},
    production::IN_FLIGHT,
    state::State,
    world::World,
};
use crate::{outcome::Outcome, server::Server};

/// Reports more UNCERTAIN recipients than the plan can explain.
pub fn excess_uncertain(world: &World, outcome: &Outcome) -> Option<String> {
    let most = match world.plan.uncertain {
        UncertainLimit::Unlimited => return None,
        UncertainLimit::Zero => 0,
        UncertainLimit::InFlight => {
            u64::from(world.hooks.kills()) * (IN_FLIGHT * world.plan.numbers_per_request()) as u64
        }
    };
    (outcome.uncertain > most).then(|| {
        format!(
            "{} are UNCERTAIN; at most {most} were in flight in environments that were killed",
            outcome.uncertain
        )
    })
}

/// Reports dead letters if nothing but the carrier failed, however long its outage was. Also
/// reports that there are none if every message failed: a fault that did not happen proves nothing.
pub fn unexpected_dead_letters(world: &World) -> Option<String> {
    let dead: u32 = Function::ALL
        .into_iter()
        .map(|function| world.queue(function).dead_letters())
        .sum();
    let Plan {
        queues,
        kills,
        traps,
        ..
    } = &world.plan;
    let kills = kills.at_points > 0.0 || kills.at_any_moment > 0.0 || !traps.is_empty();
    let only_carrier_fails = queues.failed == 0.0
        && !kills
        && !world.plan.disconnects(Server::Database)
        && !world.plan.keeps_from_database();
    if dead == 0 && queues.failed >= 1.0 {
        Some("every message failed, but none became a dead letter".to_owned())
    } else if dead > 0 && only_carrier_fails {
        Some(format!(
            "{dead} dead letters, although nothing but the carrier failed"
        ))
    } else {
        None
    }
}

/// Reports the recipients that are not DELIVRD if the plan requires all to be.
pub async fn undelivered(world: &World, schedules: &[Uuid]) -> sqlx::Result<Option<String>> {
    let sql = "SELECT GROUP_CONCAT(CONCAT_WS(' ', seq, status, error) SEPARATOR ', ')
        FROM recipients WHERE status <> 'DELIVRD'";
    let rows: Option<String> = sqlx::query_scalar(sql).fetch_one(&world.pool).await?;
    let Some(rows) = rows.filter(|_| world.plan.all_delivered) else {
        return Ok(None);
    };
    let state = State::read(world, schedules).await?.describe();
    Ok(Some(format!(
        "not every recipient is DELIVRD: {rows}; {state}"
    )))
}

/// Reports acceptances of numbers that no recipient has, such as one that was replaced before.
pub async fn sent_to_nobody(world: &World) -> sqlx::Result<Option<String>> {
    let sql = "SELECT TRIM(LEADING '+' FROM phone) FROM recipients WHERE phone IS NOT NULL";
    let phones: Vec<String> = sqlx::query_scalar(sql).fetch_all(&world.pool).await?;
    let known: HashSet<_> = phones.into_iter().collect();
    let ledger = world.simulator.carrier().ledger();
    let strangers = ledger
        .iter()
        .filter(|line| !known.contains(line.dnis.trim_start_matches('+')))
        .count();
    Ok(
        (strangers > 0)
            .then(|| format!("{strangers} acceptances of numbers that no recipient has")),
    )
}

/// Reports what the plan expects of the times at which the schedules are sent, and is not so.
pub async fn unmet_expectations(
    world: &World,
    schedules: &[Uuid],
    run_at: DateTime<Utc>,
) -> anyhow::Result<Vec<String>> {
    let expectations = &world.plan.expectations;
    if expectations.is_empty() {
        return Ok(Vec::new());
    }
    let evidence = evidence::read(world, schedules, run_at).await?;
    let problems = expectations
        .iter()
        .filter_map(|expectation| expectation.problem(&evidence));
    Ok(problems.collect())
}
