//! Runs faults: posts schedules, injects the faults, invokes the sweep every second, and verifies
//! each schedule when nothing more will happen.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;
use serde_json::json;
use tokio::{task::JoinHandle, time::Instant};
use uuid::Uuid;

use super::{Fault, GlobalRun, Injection, ScheduleRun, StackClient};
use crate::{options::Options, outcome::Outcome, verification::FinishedRun};

/// How long a schedule may take after its time: several times longer than all leases, back-offs and
/// time-outs of the chaos settings together.
const MAX_TIME: Duration = Duration::from_secs(150);
/// The number of phone numbers in use. No two schedules of a stack share a phone number.
static PHONE_NUMBERS: AtomicU32 = AtomicU32::new(0);

/// One run of a fault: one schedule.
struct FaultRun<'a> {
    fault: &'a Fault,
    seed: u64,
    id: Uuid,
    run_at: DateTime<Utc>,
    /// The injection into this schedule, if the fault is injected per schedule.
    injection: Option<JoinHandle<anyhow::Result<()>>>,
}

impl FaultRun<'_> {
    fn name(&self) -> String {
        format!("{} (SEED={})", self.fault.name, self.seed)
    }
}

/// Executes the runs of these faults, all at the same time. A global fault has to be the only one.
pub async fn run_faults<'a>(
    client: &Arc<StackClient>,
    faults: &[&'a Fault],
    options: &Options,
) -> anyhow::Result<HashMap<&'a str, Outcome>> {
    client.settings.reset_carrier(options.seed).await?;
    let ledger_from = client.ledger.length().await;
    let (mut runs, global) = post(client, faults, options).await?;
    let sweeps = tokio::spawn(sweep(Arc::clone(client)));
    let global = global.map(tokio::spawn);
    let mut stuck = wait_until_ended(client, &runs, global.as_ref()).await?;
    sweeps.abort();
    let mut outcomes = HashMap::<&str, Outcome>::new();
    if let Some(injection) = global
        && let Err(error) = injection.await.map_err(anyhow::Error::from).flatten()
    {
        let name = faults[0].name;
        let problems = &mut outcomes.entry(name).or_default().problems;
        problems.push(format!("{name}: {error:#}"));
    }
    for mut run in runs.drain(..) {
        let stuck = stuck.remove(&run.id);
        let outcome = verify(client, ledger_from, &mut run, stuck).await?;
        outcomes.entry(run.fault.name).or_default().add(outcome);
    }
    Ok(outcomes)
}

/// Posts the schedules of all runs. Returns the global injection, if one of the faults has it.
async fn post<'a>(
    client: &Arc<StackClient>,
    faults: &[&'a Fault],
    options: &Options,
) -> anyhow::Result<(
    Vec<FaultRun<'a>>,
    Option<BoxFuture<'static, anyhow::Result<()>>>,
)> {
    let (mut runs, mut global) = (Vec::new(), None);
    for &fault in faults {
        // Posting many recipients takes time: on a busy machine, a quarter of a millisecond each.
        let posting = TimeDelta::milliseconds(
            i64::from(options.runs) * (40 + i64::from(fault.recipients) / 4),
        );
        let run_at = Utc::now() + TimeDelta::seconds(fault.lead_s) + posting;
        for run in 0..options.runs {
            runs.push(post_run(client, fault, options.seed_of(run), run_at).await?);
        }
        match fault.injection {
            Injection::PerSchedule(_) => {}
            Injection::Global(inject) => {
                let ids: Vec<_> = runs.iter().map(|run| run.id).collect();
                for &id in &ids {
                    client.step(id, "activate").await?;
                }
                global = Some(inject(GlobalRun {
                    client: Arc::clone(client),
                    ids,
                    run_at,
                    rng: fastrand::Rng::with_seed(options.seed),
                }));
            }
        }
    }
    Ok((runs, global))
}

/// Posts the schedule of one run, and starts the injection if it is per schedule.
async fn post_run<'a>(
    client: &Arc<StackClient>,
    fault: &'a Fault,
    seed: u64,
    run_at: DateTime<Utc>,
) -> anyhow::Result<FaultRun<'a>> {
    let recipients = phone_numbers(fault.recipients);
    let id = client.post_draft(run_at, recipients).await?;
    let injection = match fault.injection {
        Injection::PerSchedule(inject) => Some(tokio::spawn(inject(ScheduleRun {
            client: Arc::clone(client),
            id,
            run_at,
            rng: fastrand::Rng::with_seed(seed),
        }))),
        Injection::Global(_) => None,
    };
    Ok(FaultRun {
        fault,
        seed,
        id,
        run_at,
        injection,
    })
}

/// Returns numbers that no other schedule of this run has.
pub fn phone_numbers(count: u32) -> Vec<String> {
    let first = PHONE_NUMBERS.fetch_add(count, Ordering::Relaxed);
    (first..first + count)
        .map(|number| format!("+6012{:07}", 1_000_000 + number))
        .collect()
}

/// Invokes the sweep once per second instead of once per minute. After a failure the next one
/// follows.
async fn sweep(client: Arc<StackClient>) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let _ = tokio::time::timeout(
            Duration::from_secs(10),
            client.dispatch(json!({ "sweep": true })),
        )
        .await;
    }
}

/// Waits until all injections have ended and nothing more will happen without an operator. Returns
/// the states of the schedules that are still open after the maximum time: they are stuck.
async fn wait_until_ended(
    client: &StackClient,
    runs: &[FaultRun<'_>],
    global: Option<&JoinHandle<anyhow::Result<()>>>,
) -> anyhow::Result<HashMap<Uuid, String>> {
    let latest = runs
        .iter()
        .map(|run| run.run_at)
        .max()
        .unwrap_or_else(Utc::now);
    let deadline = Instant::now() + (latest - Utc::now()).to_std().unwrap_or_default() + MAX_TIME;
    loop {
        let injections = runs.iter().filter_map(|run| run.injection.as_ref());
        let all_injected = injections.chain(global).all(JoinHandle::is_finished);
        let mut open = HashMap::new();
        for run in runs {
            if let Some(state) = open_state(client, run.id)
                .await
                .unwrap_or_else(|error| Some(error.to_string()))
            {
                open.insert(run.id, state);
            }
        }
        if (all_injected && open.is_empty()) || Instant::now() > deadline {
            return Ok(open);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Describes a schedule's state, or returns `None` if nothing more will happen without an operator
/// and everything that is left is reported to one.
async fn open_state(client: &StackClient, id: Uuid) -> sqlx::Result<Option<String>> {
    let sql = "SELECT s.status, s.batch_count IS NULL, COUNT(b.sweep_at),
          CAST(COALESCE(SUM(b.crashes >= 3), 0) AS SIGNED)
        FROM schedules s LEFT JOIN batches b ON b.schedule_id = s.id
        WHERE s.id = ? GROUP BY s.id, s.status, s.batch_count";
    let (status, uncut, open, parked): (String, bool, i64, i64) =
        sqlx::query_as(sql).bind(id).fetch_one(&client.pool).await?;
    let ended = match status.as_str() {
        "finished" | "missed" => true,
        "cancelled" => !uncut && open == 0,
        "running" => open > 0 && open == parked,
        _ => false,
    };
    if ended {
        return Ok(None);
    }
    let sql = "SELECT CONCAT_WS(' ', batch_no, 'send', COALESCE(send_at, '-'),
          'check', COALESCE(check_at, '-'), 'sweep', sweep_at, 'requeues', requeues,
          'claimed', COALESCE(claimed_until, '-'), 'crashes', crashes)
        FROM batches WHERE schedule_id = ? AND sweep_at IS NOT NULL ORDER BY batch_no LIMIT 3";
    let batches: Vec<String> = sqlx::query_scalar(sql)
        .bind(id)
        .fetch_all(&client.pool)
        .await?;
    Ok(Some(format!(
        "{status}, uncut: {uncut}, batches open: {open}, parked: {parked}; {}",
        batches.join("; ")
    )))
}

async fn verify(
    client: &StackClient,
    ledger_from: u64,
    run: &mut FaultRun<'_>,
    stuck: Option<String>,
) -> anyhow::Result<Outcome> {
    let name = run.name();
    let finished = FinishedRun {
        pool: &client.pool,
        ledger: &client.ledger,
        ledger_from,
        schedule_id: run.id,
        fault_began: run.run_at,
        name: &name,
    };
    let mut outcome = finished.verify().await.with_context(|| name.clone())?;
    let mut problems = Vec::new();
    let max_uncertain = run.fault.max_uncertain;
    if max_uncertain.is_some_and(|most| outcome.uncertain > most) {
        problems.push(format!(
            "{} recipients are UNCERTAIN, more than were in flight",
            outcome.uncertain
        ));
    }
    problems.extend(stuck.map(|state| format!("stuck: {state}")));
    if let Some(injection) = run.injection.take()
        && let Err(error) = injection.await.map_err(anyhow::Error::from).flatten()
    {
        problems.push(format!("the injection failed: {error:#}"));
    }
    match client.points.remove(run.id) {
        0 => {}
        missing => problems.push(format!("{missing} actions at fault points never happened")),
    }
    let problems = problems
        .into_iter()
        .map(|problem| format!("{name}: {problem}"));
    outcome.problems.extend(problems);
    Ok(outcome)
}
