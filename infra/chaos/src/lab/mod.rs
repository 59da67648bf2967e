//! The lab: the real handlers in this process, on a clock that is moved.
//!
//! A run has a database of its own, a carrier, queues and one-time schedules, and a schedule that a person posts. Its [`plan`] says what
//! goes wrong, and [`run`] plays it, from whatever is due to what is due next, be it a day later. Database and carrier are real, over real
//! sockets, and answer in real time; only HTTP time-outs are shorter than production's.

mod adapter;
mod dice;
mod environment;
mod events;
mod faults;
mod hooks;
mod invocation;
mod people;
pub mod plan;
mod queue;
mod run;
mod state;
mod world;

use std::rc::Rc;

use anyhow::Context;
use chrono::{DateTime, Utc};
use demo::ledger::Ledger;
use fastrand::Rng;
use tokio::{sync::oneshot, task::LocalSet};
use uuid::Uuid;

use self::{
    dice::Dice,
    environment::{Function, IN_FLIGHT},
    plan::{Plan, Spoken, Uncertain},
    run::Run,
    state::State,
    world::{Database, World},
};
use crate::{
    outcome::Outcome,
    witness::{self, Evidence},
};

/// A fault that is played in the lab.
pub struct Fault {
    /// As in `FAULT=`.
    pub name: &'static str,
    /// What happens, for the table of the documents.
    pub what: &'static str,
    plan: fn(&mut Rng) -> Plan,
}

/// All of them.
pub const FAULTS: &[Fault] = faults::ALL;

/// Debug builds of nested futures need more than the usual two megabytes.
const STACK: usize = 16 << 20;

/// Plays one run. `admin_url` names a database server; the run makes a database of its own and drops it.
pub async fn play(fault: &Fault, seed: u64, admin_url: &str) -> anyhow::Result<Outcome> {
    let mut rng = Rng::with_seed(seed);
    let plan = (fault.plan)(&mut rng);
    play_plan(plan, format!("{} SEED={seed}", fault.name), rng, admin_url).await
}

/// Plays a run of that plan. On a thread of its own, with a runtime of its own: what a handler blocks or breaks there stays there.
pub async fn play_plan(
    plan: Plan,
    name: String,
    rng: Rng,
    admin_url: &str,
) -> anyhow::Result<Outcome> {
    anyhow::ensure!(
        cfg!(feature = "fault-points"),
        "the lab needs fault points: build with `--features chaos/fault-points`"
    );
    let (sender, played) = oneshot::channel();
    let (admin_url, thread) = (
        admin_url.to_owned(),
        std::thread::Builder::new().stack_size(STACK),
    );
    thread.spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let outcome = runtime
            .map_err(anyhow::Error::from)
            .and_then(|runtime| runtime.block_on(in_database(plan, name, rng, admin_url)));
        // Nobody waits for it any more: nobody wants to know.
        let _ = sender.send(outcome);
    })?;
    played.await.context("the run ended without an outcome")?
}

async fn in_database(
    plan: Plan,
    name: String,
    rng: Rng,
    admin_url: String,
) -> anyhow::Result<Outcome> {
    let database =
        Database::create(&admin_url, format!("sms_lab_{}", Uuid::now_v7().simple())).await?;
    let (dice, database) = (Dice::new(rng), Rc::new(database));
    let in_run = Rc::clone(&database);
    // As a task, so that a panic ends the run and not the cleaning up.
    let tasks = LocalSet::new();
    let run = tasks.spawn_local(async move {
        let world = World::new(plan, dice, &in_run, &admin_url).await?;
        in_world(&world, &name).await
    });
    let outcome = tasks.run_until(run).await;
    database
        .discard()
        .await
        .context("dropping the run's database")?;
    outcome.context("the run panicked")?
}

async fn in_world(world: &World, name: &str) -> anyhow::Result<Outcome> {
    let id = world.post_schedule().await?;
    #[cfg(feature = "fault-points")]
    world.hooks.install(id);
    let run_at: DateTime<Utc> = sqlx::query_scalar("SELECT run_at FROM schedules")
        .fetch_one(&world.pool)
        .await?;
    let ended = Run::new(world, id, run_at).play().await;
    #[cfg(feature = "fault-points")]
    shared::platform::fault::remove(id);
    let ledger = Ledger::new(reqwest::Client::new(), &world.simulator.url());
    let began = world
        .hooks
        .first()
        .map_or(run_at, |first| first.max(run_at));
    let evidence = Evidence {
        pool: &world.pool,
        ledger: &ledger,
        from: 0,
        schedule_id: id,
        began,
        name,
    };
    let mut outcome = witness::examine(&evidence).await?;
    let mut wrong = Vec::new();
    wrong.extend(ended?.err().map(|state| format!("stuck: {state}")));
    wrong.extend(more_uncertain(world, &outcome));
    wrong.extend(left_out(world, id).await?);
    wrong.extend(wrong_dead_letters(world));
    outcome
        .problems
        .extend(wrong.into_iter().map(|wrong| format!("{name}: {wrong}")));
    Ok(outcome)
}

/// More UNCERTAIN than the plan can explain.
fn more_uncertain(world: &World, outcome: &Outcome) -> Option<String> {
    let size = if world.plan.form == Spoken::OwnIds {
        1
    } else {
        world.plan.request_size
    };
    let most = match world.plan.uncertain {
        Uncertain::Any => return None,
        Uncertain::Nobody => 0,
        Uncertain::InFlight => u64::from(world.hooks.kills()) * (IN_FLIGHT * size) as u64,
    };
    (outcome.uncertain > most).then(|| {
        format!(
            "{} are UNCERTAIN; at most {most} were in flight where something died",
            outcome.uncertain
        )
    })
}

/// A fault that has not come about shows nothing; and a carrier alone never makes a dead letter, however long it is away.
fn wrong_dead_letters(world: &World) -> Option<String> {
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
    let dies = kills.at_points > 0.0 || kills.at_any_moment > 0.0 || !traps.is_empty();
    match dead {
        0 if queues.failed >= 1.0 => {
            Some("every message failed, and none ended as a dead letter".to_owned())
        }
        1.. if queues.failed == 0.0 && !dies && !world.plan.takes_the_database() => Some(format!(
            "{dead} dead letters, though nothing but the carrier failed"
        )),
        _ => None,
    }
}

/// Who did not get it, where everybody should.
async fn left_out(world: &World, id: Uuid) -> sqlx::Result<Option<String>> {
    let sql = "SELECT GROUP_CONCAT(CONCAT_WS(' ', seq, status, error) SEPARATOR ', ') FROM recipients WHERE status <> 'DELIVRD'";
    let left_out: Option<String> = sqlx::query_scalar(sql).fetch_one(&world.pool).await?;
    let Some(rows) = left_out.filter(|_| world.plan.everybody) else {
        return Ok(None);
    };
    let state = State::read(world, id).await?.describe();
    Ok(Some(format!("not everybody has it: {rows}; {state}")))
}
