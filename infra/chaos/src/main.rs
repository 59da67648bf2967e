//! `make chaos`: runs the selected faults, prints the outcome of each as a line of a table, and
//! exits with status 1 if a message was lost or duplicated or any other promise was broken.

use std::{collections::HashMap, process::ExitCode, sync::Arc};

use anyhow::Context;
use chaos::{
    lab,
    options::Options,
    outcome::Outcome,
    stack::{self, Injection, StackClient},
    table,
};
use futures_util::{StreamExt, stream};

/// Schedules on the stack at a time. More would only wait for each other.
const SCHEDULES_AT_ONCE: u32 = 60;
/// Runs of the lab at a time. Each waits for the database and for sockets most of its time.
const LAB_RUNS_AT_ONCE: usize = 4;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let options = Options::from_environment()?;
    println!(
        "SEED={} RUNS={}\n\n{}",
        options.seed,
        options.runs,
        table::heading()
    );
    let client = StackClient::connect()
        .await
        .context("connecting to the stack")?;
    let client = Arc::new(client);
    let mut problems = run_stack_faults(&client, &options).await?;
    problems.extend(run_lab_faults(client.stack.value("DATABASE_URL")?, &options).await?);
    if problems.is_empty() {
        println!("\nno message was lost or duplicated");
        return Ok(ExitCode::SUCCESS);
    }
    println!(
        "\n{} PROBLEMS (to repeat a run: make chaos FAULT=… SEED=… RUNS=1)",
        problems.len()
    );
    for problem in problems.iter().take(60) {
        println!("  {problem}");
    }
    Ok(ExitCode::FAILURE)
}

/// Runs the faults that affect single schedules many at a time, then the others one by one.
async fn run_stack_faults(
    client: &Arc<StackClient>,
    options: &Options,
) -> anyhow::Result<Vec<String>> {
    let mut problems = Vec::new();
    let (per_schedule, global): (Vec<_>, Vec<_>) = stack::FAULTS
        .iter()
        .filter(|fault| options.selects("stack", fault.name))
        .partition(|fault| matches!(fault.injection, Injection::PerSchedule(_)));
    let at_once = (SCHEDULES_AT_ONCE / options.runs).max(1) as usize;
    let rounds = per_schedule
        .chunks(at_once)
        .map(<[_]>::to_vec)
        .chain(global.into_iter().map(|fault| vec![fault]));
    for round in rounds {
        let mut outcomes = match stack::run_faults(client, &round, options).await {
            Ok(outcomes) => outcomes,
            Err(error) => {
                problems.push(format!("{}: could not be run: {error:#}", round[0].name));
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

async fn run_lab_faults(admin_url: &str, options: &Options) -> anyhow::Result<Vec<String>> {
    let selected = || {
        let faults = lab::FAULTS.iter().chain([&lab::QUIET]);
        faults.filter(|fault| options.selects("lab", fault.name))
    };
    let runs = selected()
        .flat_map(|fault| (0..options.runs).map(move |run| (fault, options.seed_of(run))));
    let results = stream::iter(runs)
        .map(async |(fault, seed)| (fault.name, lab::run_fault(fault, seed, admin_url).await));
    let mut results = results.buffered(LAB_RUNS_AT_ONCE);
    let (mut problems, mut outcomes) = (Vec::new(), HashMap::<&str, Outcome>::new());
    while let Some((name, result)) = results.next().await {
        let sum = outcomes.entry(name).or_default();
        match result {
            Ok(outcome) => sum.add(outcome),
            Err(error) => sum
                .problems
                .push(format!("{name}: the run itself failed: {error:#}")),
        }
    }
    for fault in selected() {
        let outcome = outcomes.remove(fault.name).unwrap_or_default();
        println!("{}", table::line(fault.name, "lab", &outcome));
        problems.extend(outcome.problems);
    }
    Ok(problems)
}
