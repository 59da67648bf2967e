//! Reads how the schedules of a run were sent: the carrier's ledger, on the run's clock.

use std::collections::HashMap;

use anyhow::Context;
use chrono::{DateTime, Utc};
use shared::schedule::{row::load_schedule, start::Start};
use simulator::Stats;
use sqlx::Row;
use uuid::Uuid;

use super::{
    expectation::{AnsweredChange, Evidence, SentSchedule},
    world::World,
};

/// Reads the evidence of all schedules. The first is the main one, with that time.
pub async fn read(
    world: &World,
    schedules: &[Uuid],
    run_at: DateTime<Utc>,
) -> anyhow::Result<Evidence> {
    let mut accepted: HashMap<String, Vec<i64>> = HashMap::new();
    for line in world.simulator.carrier().ledger() {
        let real: DateTime<Utc> = line.time.parse()?;
        let after = world.timeline.at(real) - run_at;
        let number = line.dnis.trim_start_matches('+').to_owned();
        accepted
            .entry(number)
            .or_default()
            .push(after.num_milliseconds());
    }
    let after_ms = |at: DateTime<Utc>| (at - run_at).num_milliseconds();
    let changes = world
        .changes
        .all()
        .into_iter()
        .map(|change| AnsweredChange {
            at_ms: after_ms(change.at),
            is_made: change.is_made,
        });
    let mut evidence = Evidence {
        changes: changes.collect(),
        ..Evidence::default()
    };
    for id in schedules {
        let schedule = read_schedule(world, *id, run_at, &accepted).await?;
        evidence.schedules.push(schedule);
    }
    let Stats {
        requests, refused, ..
    } = world.simulator.carrier().stats();
    let count = |causes: &[&str]| causes.iter().filter_map(|cause| refused.get(*cause)).sum();
    Ok(Evidence {
        requests,
        throttled: count(&THROTTLED),
        without_credit: count(&["no_credit"]),
        ..evidence
    })
}

/// The causes of a 429 in the simulator's counts.
const THROTTLED: [&str; 2] = ["busy", "busy_parts"];

async fn read_schedule(
    world: &World,
    id: Uuid,
    run_at: DateTime<Utc>,
    accepted: &HashMap<String, Vec<i64>>,
) -> anyhow::Result<SentSchedule> {
    let mut connection = world.pool.acquire().await?;
    let row = load_schedule(&mut connection, id)
        .await?
        .context("the schedule is gone")?;
    let after_ms = |at: DateTime<Utc>| (at - run_at).num_milliseconds();
    let sql = "SELECT r.phone, COALESCE(r.error = 'send-until', FALSE) AS ended
        FROM recipients r WHERE r.schedule_id = ?";
    let rows = sqlx::query(sql).bind(id).fetch_all(&world.pool).await?;
    let mut schedule = SentSchedule {
        recipients: rows.len(),
        run_at_ms: after_ms(row.run_at),
        starts_ms: after_ms(Start::of(&row).at()),
        ..SentSchedule::default()
    };
    for row in rows {
        let phone: String = row.try_get("phone")?;
        let ended: bool = row.try_get("ended")?;
        schedule.ended += usize::from(ended);
        let times = accepted.get(phone.trim_start_matches('+'));
        schedule.accepted_ms.extend(times.into_iter().flatten());
    }
    schedule.accepted_ms.sort_unstable();
    Ok(schedule)
}
