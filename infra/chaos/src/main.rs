//! `make chaos`: plays every fault, tells what came of each as a table, and ends with 1 if a message was lost or doubled, or anything
//! else is not as promised.

use std::{collections::HashMap, process::ExitCode, sync::Arc};

use anyhow::Context;
use chaos::{
    lab,
    options::Options,
    outcome::Outcome,
    stack::{self, How, World},
    table,
};
use futures_util::{StreamExt, stream};

/// Schedules of the stack at a time: more would only wait for each other.
const SCHEDULES_AT_ONCE: u32 = 60;
/// Runs of the lab at a time: each waits for the database and for sockets most of its time.
const AT_ONCE: usize = 4;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let options = Options::from_environment()?;
    println!(
        "SEED={} RUNS={}\n\n{}",
        options.seed,
        options.runs,
        table::heading()
    );
    let world = Arc::new(World::enter().await.context("entering the stack")?);
    let mut problems = play_stack(&world, &options).await?;
    problems.extend(play_lab(world.stack.value("DATABASE_URL")?, &options).await?);
    if problems.is_empty() {
        println!("\nnothing lost, nothing doubled");
        return Ok(ExitCode::SUCCESS);
    }
    println!(
        "\nNOT AS PROMISED ({}; to play a run again: make chaos FAULT=… SEED=… RUNS=1)",
        problems.len()
    );
    for problem in problems.iter().take(60) {
        println!("  {problem}");
    }
    Ok(ExitCode::FAILURE)
}

/// Those that befall single schedules many at once, then the others one by one.
async fn play_stack(world: &Arc<World>, options: &Options) -> anyhow::Result<Vec<String>> {
    let mut problems = Vec::new();
    let faults = stack::faults();
    let (each, all): (Vec<_>, Vec<_>) = faults
        .iter()
        .filter(|fault| options.wants("stack", fault.name))
        .partition(|fault| matches!(fault.how, How::Each(_)));
    let many = (SCHEDULES_AT_ONCE / options.runs).max(1) as usize;
    let rounds = each
        .chunks(many)
        .map(<[_]>::to_vec)
        .chain(all.into_iter().map(|fault| vec![fault]));
    for round in rounds {
        let mut outcomes = match stack::play(world, &round, options).await {
            Ok(outcomes) => outcomes,
            Err(error) => {
                problems.push(format!("{}: could not be played: {error:#}", round[0].name));
                continue;
            }
        };
        for fault in round {
            let outcome = outcomes.remove(fault.name).unwrap_or_default();
            println!("{}", table::line(fault.name, "stack", &outcome));
            problems.extend(outcome.problems);
        }
    }
    Ok(problems)
}

async fn play_lab(admin_url: &str, options: &Options) -> anyhow::Result<Vec<String>> {
    let runs = lab::FAULTS
        .iter()
        .filter(|fault| options.wants("lab", fault.name))
        .flat_map(|fault| (0..options.runs).map(move |run| (fault, options.seed_of(run))));
    let played = stream::iter(runs)
        .map(async |(fault, seed)| (fault.name, lab::play(fault, seed, admin_url).await));
    let mut played = played.buffered(AT_ONCE);
    let (mut problems, mut outcomes) = (Vec::new(), HashMap::<&str, Outcome>::new());
    while let Some((name, outcome)) = played.next().await {
        let sum = outcomes.entry(name).or_default();
        match outcome {
            Ok(outcome) => sum.add(outcome),
            Err(error) => sum
                .problems
                .push(format!("{name}: the run itself failed: {error:#}")),
        }
    }
    for fault in lab::FAULTS
        .iter()
        .filter(|fault| options.wants("lab", fault.name))
    {
        let outcome = outcomes.remove(fault.name).unwrap_or_default();
        println!("{}", table::line(fault.name, "lab", &outcome));
        problems.extend(outcome.problems);
    }
    Ok(problems)
}
