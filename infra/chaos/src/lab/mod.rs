//! The lab: the real handlers in this process, on a clock that the run moves.
//!
//! A run has its own database, carrier, queues and one-time schedules, and one or more schedules
//! that an operator posts. Its [`plan`] names the faults. [`run`] executes it by moving the clock from one
//! due time to the next, even if that is a day later. Database and carrier are real, over real
//! sockets, and answer in real time. Only HTTP time-outs are shorter than production's.

mod adapter;
mod api_calls;
mod changes;
mod checks;
mod conditions;
mod copies;
mod crowd;
mod database;
mod emitted;
mod environment;
mod erasures;
mod events;
mod evidence;
pub mod expectation;
mod fault;
mod faults;
mod function;
mod hooks;
mod intervention;
mod invocation;
pub mod plan;
mod production;
mod proxies;
mod queue;
mod quiet;
mod receiver;
mod resends;
mod rng;
mod run;
mod script;
mod state;
mod timeline;
mod world;

use std::rc::Rc;

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use demo::ledger::Ledger;
use fastrand::Rng;
use tokio::{
    sync::{RwLock, oneshot},
    task::LocalSet,
};
use uuid::Uuid;

use self::{database::Database, plan::Plan, rng::SharedRng, run::Run, world::World};
pub use self::{fault::Fault, quiet::QUIET};
use crate::{outcome::Outcome, verification::FinishedRun};

/// All faults of the lab.
pub const FAULTS: &[Fault] = faults::ALL;

/// The alarms are evaluated for so long after the end of a run: what is left then has to raise one.
const AFTERWARDS: TimeDelta = TimeDelta::minutes(15);

/// The database server, which all runs share. A run that changes the server itself, and not only its
/// own database, holds it alone: in the others its effect would be an alarm without a cause.
static SERVER: RwLock<()> = RwLock::const_new(());

/// Debug builds of nested futures need more than the default of two megabytes.
const STACK_SIZE: usize = 16 << 20;

/// Executes one run of a fault. `admin_url` names a database server. The run creates a database of
/// its own and drops it.
pub async fn run_fault(fault: &Fault, seed: u64, admin_url: &str) -> anyhow::Result<Outcome> {
    let mut rng = Rng::with_seed(seed);
    let plan = (fault.plan)(&mut rng);
    run_plan(plan, format!("{} SEED={seed}", fault.name), rng, admin_url).await
}

/// Executes one run of a plan on its own thread with its own runtime, so that a handler that blocks
/// or panics affects no other run.
pub async fn run_plan(
    plan: Plan,
    name: String,
    rng: Rng,
    admin_url: &str,
) -> anyhow::Result<Outcome> {
    anyhow::ensure!(
        cfg!(feature = "fault-points"),
        "the lab needs fault points: build with `--features chaos/fault-points`"
    );
    let (_shared, _alone) = if plan.holds_connections() {
        (None, Some(SERVER.write().await))
    } else {
        (Some(SERVER.read().await), None)
    };
    let (sender, outcome) = oneshot::channel();
    let (admin_url, thread) = (
        admin_url.to_owned(),
        std::thread::Builder::new().stack_size(STACK_SIZE),
    );
    thread.spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let outcome = runtime
            .map_err(anyhow::Error::from)
            .and_then(|runtime| runtime.block_on(run_in_database(plan, name, rng, admin_url)));
        // Fails if the caller no longer waits, which is fine.
        let _ = sender.send(outcome);
    })?;
    outcome.await.context("the run ended without an outcome")?
}

async fn run_in_database(
    plan: Plan,
    name: String,
    rng: Rng,
    admin_url: String,
) -> anyhow::Result<Outcome> {
    let database =
        Database::create(&admin_url, format!("sms_lab_{}", Uuid::now_v7().simple())).await?;
    let (rng, database) = (SharedRng::new(rng), Rc::new(database));
    let in_run = Rc::clone(&database);
    // In a task, so that the database is dropped even after a panic.
    let tasks = LocalSet::new();
    let run = tasks.spawn_local(async move {
        let world = World::start(plan, rng, &in_run, &admin_url).await?;
        run_in_world(&world, &name).await
    });
    let outcome = tasks.run_until(run).await;
    database
        .discard()
        .await
        .context("dropping the run's database")?;
    outcome.context("the run panicked")?
}

async fn run_in_world(world: &World, name: &str) -> anyhow::Result<Outcome> {
    let mut schedules = world.post_schedules().await?;
    #[cfg(feature = "fault-points")]
    world.hooks.install(schedules[0]);
    let run_at: DateTime<Utc> = sqlx::query_scalar("SELECT run_at FROM schedules WHERE id = ?")
        .bind(schedules[0])
        .fetch_one(&world.pool)
        .await?;
    let began = world.clock.now();
    let end = Run::new(world, &schedules, run_at).execute().await;
    let ended = world.clock.now();
    let watched = ended + AFTERWARDS;
    world.add_idle_sweeps(ended..watched).await?;
    world.emitted.save(name, began, watched)?;
    #[cfg(feature = "fault-points")]
    shared::platform::fault::remove(schedules[0]);
    let mut problems = Vec::new();
    problems.extend(resends::problems(world, schedules[0]).await?);
    problems.extend(copies::problems(world, schedules[0]).await?);
    problems.extend(erasures::problems(world, schedules[0]).await?);
    schedules.extend(world.resends.ids());
    let mut outcome = verify(world, &schedules, run_at, name).await?;
    problems.extend(end?.err().map(|state| format!("stuck: {state}")));
    problems.extend(checks::excess_uncertain(world, &outcome));
    problems.extend(checks::undelivered(world, &schedules).await?);
    problems.extend(checks::sent_to_nobody(world).await?);
    problems.extend(checks::unexpected_dead_letters(world));
    problems.extend(checks::unmet_expectations(world, &schedules, run_at).await?);
    let problems = problems
        .into_iter()
        .map(|problem| format!("{name}: {problem}"));
    outcome.problems.extend(problems);
    Ok(outcome)
}

/// Compares the ledger with the rows of each schedule. The sum counts as one run.
async fn verify(
    world: &World,
    schedules: &[Uuid],
    run_at: DateTime<Utc>,
    name: &str,
) -> anyhow::Result<Outcome> {
    let ledger = Ledger::new(reqwest::Client::new(), &world.simulator.url());
    let first_fault_at = world.hooks.first_fault_at();
    let mut sum = Outcome::default();
    for schedule_id in schedules {
        let run = FinishedRun {
            pool: &world.pool,
            ledger: &ledger,
            ledger_from: 0,
            schedule_id: *schedule_id,
            fault_began: first_fault_at.map_or(run_at, |first| first.max(run_at)),
            name,
        };
        sum.add(run.verify().await?);
    }
    let longest = sum.recovery.iter().copied().max();
    Ok(Outcome {
        runs: 1,
        recovery: longest.into_iter().collect(),
        ..sum
    })
}
