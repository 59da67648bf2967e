//! Playing faults: schedules are posted, the faults befall them, a sweep comes every second, and when nothing more happens each
//! schedule's rows are held against the ledger.

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
use serde_json::json;
use tokio::{task::JoinHandle, time::Instant};
use uuid::Uuid;

use super::{Everything, Fault, How, One, World};
use crate::{
    options::Options,
    outcome::Outcome,
    witness::{self, Evidence},
};

/// Longer than every lease, back-off and time-out of the chaos settings, several times over.
const PATIENCE: Duration = Duration::from_secs(150);
/// No two schedules of a stack share a number.
static NUMBERS: AtomicU32 = AtomicU32::new(0);

/// One schedule.
struct Played<'a> {
    fault: &'a Fault,
    seed: u64,
    id: Uuid,
    run_at: DateTime<Utc>,
    injected: Option<JoinHandle<anyhow::Result<()>>>,
}

impl Played<'_> {
    fn name(&self) -> String {
        format!("{} (SEED={})", self.fault.name, self.seed)
    }
}

/// Plays the runs of these faults, all at the same time.
pub async fn play<'a>(
    world: &Arc<World>,
    faults: &[&'a Fault],
    options: &Options,
) -> anyhow::Result<HashMap<&'a str, Outcome>> {
    world.carrier(super::carrier::healthy()).await?;
    world.carrier(json!({ "seed": options.seed })).await?;
    let from = world.ledger.length().await;
    let (mut runs, everything) = post(world, faults, options).await?;
    let sweeps = tokio::spawn(sweep(Arc::clone(world)));
    let everything = everything.map(tokio::spawn);
    let mut stuck = wait(world, &mut runs, everything.as_ref()).await?;
    sweeps.abort();
    let mut outcomes = HashMap::<&str, Outcome>::new();
    if let Some(injected) = everything
        && let Err(error) = injected.await.map_err(anyhow::Error::from).flatten()
    {
        outcomes
            .entry(faults[0].name)
            .or_default()
            .problems
            .push(format!("{}: {error:#}", faults[0].name));
    }
    for mut run in runs {
        let stuck = stuck.remove(&run.id);
        let outcome = examine(world, from, &mut run, stuck).await?;
        outcomes.entry(run.fault.name).or_default().add(outcome);
    }
    Ok(outcomes)
}

type Injection = futures_util::future::BoxFuture<'static, anyhow::Result<()>>;

async fn post<'a>(
    world: &Arc<World>,
    faults: &[&'a Fault],
    options: &Options,
) -> anyhow::Result<(Vec<Played<'a>>, Option<Injection>)> {
    let (mut runs, mut everything) = (Vec::new(), None);
    for &fault in faults {
        // Posting takes a moment for many: on a busy machine, a quarter of a millisecond for each number.
        let posting = TimeDelta::milliseconds(
            i64::from(options.runs) * (40 + i64::from(fault.recipients) / 4),
        );
        let run_at = Utc::now() + TimeDelta::seconds(fault.lead_s) + posting;
        for run in 0..options.runs {
            let seed = options.seed_of(run);
            let id = world.draft(run_at, numbers(fault.recipients)).await?;
            let random = fastrand::Rng::with_seed(seed);
            let injected = match fault.how {
                How::Each(inject) => Some(tokio::spawn(inject(One {
                    world: Arc::clone(world),
                    id,
                    run_at,
                    random,
                }))),
                How::All(_) => None,
            };
            runs.push(Played {
                fault,
                seed,
                id,
                run_at,
                injected,
            });
        }
        if let How::All(inject) = fault.how {
            let ids: Vec<_> = runs.iter().map(|run| run.id).collect();
            for &id in &ids {
                world.step(id, "activate").await?;
            }
            let random = fastrand::Rng::with_seed(options.seed);
            everything = Some(inject(Everything {
                world: Arc::clone(world),
                ids,
                run_at,
                random,
            }));
        }
    }
    Ok((runs, everything))
}

fn numbers(count: u32) -> Vec<String> {
    let first = NUMBERS.fetch_add(count, Ordering::Relaxed);
    (first..first + count)
        .map(|number| format!("+6012{:07}", 1_000_000 + number))
        .collect()
}

/// The sweep, once a second instead of once a minute; one that fails is followed by another.
async fn sweep(world: Arc<World>) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let _ = tokio::time::timeout(
            Duration::from_secs(10),
            world.dispatch(json!({ "sweep": true })),
        )
        .await;
    }
}

/// Waits until nothing more will happen by itself; what still might after long patience is stuck, with the state it is in.
async fn wait(
    world: &World,
    runs: &mut [Played<'_>],
    everything: Option<&JoinHandle<anyhow::Result<()>>>,
) -> anyhow::Result<HashMap<Uuid, String>> {
    let latest = runs
        .iter()
        .map(|run| run.run_at)
        .max()
        .unwrap_or_else(Utc::now);
    let backoff = Instant::now() + (latest - Utc::now()).to_std().unwrap_or_default() + PATIENCE;
    loop {
        let injected = |run: &Played<'_>| run.injected.as_ref().is_none_or(JoinHandle::is_finished);
        let faults_over =
            everything.is_none_or(JoinHandle::is_finished) && runs.iter().all(injected);
        let mut open = HashMap::new();
        for run in runs.iter() {
            if let Some(state) = still_open(world, run.id)
                .await
                .unwrap_or_else(|error| Some(error.to_string()))
            {
                open.insert(run.id, state);
            }
        }
        if faults_over && open.is_empty() {
            return Ok(open);
        }
        if Instant::now() > backoff {
            return Ok(open);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// `None` for a schedule with which nothing more will happen by itself, and all of which a person sees.
async fn still_open(world: &World, id: Uuid) -> sqlx::Result<Option<String>> {
    let sql = "SELECT s.status, s.batch_count IS NULL, COUNT(b.sweep_at), CAST(COALESCE(SUM(b.crashes >= 3), 0) AS SIGNED)
        FROM schedules s LEFT JOIN batches b ON b.schedule_id = s.id WHERE s.id = ? GROUP BY s.id, s.status, s.batch_count";
    let (status, uncut, open, parked): (String, bool, i64, i64) =
        sqlx::query_as(sql).bind(id).fetch_one(&world.pool).await?;
    let over = match status.as_str() {
        "finished" | "missed" => true,
        "cancelled" => !uncut && open == 0,
        "running" => open > 0 && open == parked,
        _ => false,
    };
    if over {
        return Ok(None);
    }
    let sql = "SELECT CONCAT_WS(' ', batch_no, 'send', COALESCE(send_at, '-'), 'check', COALESCE(check_at, '-'), 'sweep', sweep_at, 'requeues',
          requeues, 'claimed', COALESCE(claimed_until, '-'), 'crashes', crashes)
        FROM batches WHERE schedule_id = ? AND sweep_at IS NOT NULL ORDER BY batch_no LIMIT 3";
    let batches: Vec<String> = sqlx::query_scalar(sql)
        .bind(id)
        .fetch_all(&world.pool)
        .await?;
    Ok(Some(format!(
        "{status}, uncut: {uncut}, batches open: {open}, parked: {parked}; {}",
        batches.join("; ")
    )))
}

async fn examine(
    world: &World,
    from: u64,
    run: &mut Played<'_>,
    stuck: Option<String>,
) -> anyhow::Result<Outcome> {
    let name = run.name();
    let evidence = Evidence {
        pool: &world.pool,
        ledger: &world.ledger,
        from,
        schedule_id: run.id,
        began: run.run_at,
        name: &name,
    };
    let mut outcome = witness::examine(&evidence)
        .await
        .with_context(|| name.clone())?;
    if run
        .fault
        .uncertain
        .is_some_and(|most| outcome.uncertain > most)
    {
        outcome.problems.push(format!(
            "{name}: {} recipients are uncertain, more than were in flight",
            outcome.uncertain
        ));
    }
    outcome
        .problems
        .extend(stuck.map(|state| format!("{name}: stuck: {state}")));
    if let Some(injected) = run.injected.take()
        && let Err(error) = injected.await.map_err(anyhow::Error::from).flatten()
    {
        outcome
            .problems
            .push(format!("{name}: the fault itself failed: {error:#}"));
    }
    match world.points.left(run.id) {
        0 => {}
        left => outcome
            .problems
            .push(format!("{name}: {left} of its faults never happened")),
    }
    Ok(outcome)
}
