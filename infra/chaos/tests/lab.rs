//! Runs every fault of the lab: once with a fixed seed, or as `FAULT`, `SEED` and `RUNS` select.
//! Needs `DATABASE_URL` of an administrator.
#![cfg(feature = "fault-points")]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout
)]

use std::time::Instant;

use chaos::{lab, options::Options, outcome::Outcome, table};
use futures_util::{StreamExt, stream};

fn options() -> Options {
    let is_set = |name: &str| std::env::var(name).is_ok_and(|value| !value.is_empty());
    let options = Options::from_environment().unwrap();
    Options {
        runs: if is_set("RUNS") { options.runs } else { 1 },
        seed: if is_set("SEED") { options.seed } else { 7 },
        ..options
    }
}

#[tokio::test]
async fn no_fault_loses_or_duplicates_a_message() {
    let options = options();
    let url = std::env::var("DATABASE_URL").expect("DATABASE_URL");
    println!("{}", table::heading());
    let mut problems = Vec::new();
    for fault in lab::FAULTS
        .iter()
        .chain([&lab::QUIET])
        .filter(|fault| options.selects("lab", fault.name))
    {
        let began = Instant::now();
        let runs = (0..options.runs).map(|run| lab::run_fault(fault, options.seed_of(run), &url));
        let outcomes: Vec<_> = stream::iter(runs).buffered(3).collect().await;
        let mut sum = Outcome::default();
        for (run, outcome) in outcomes.into_iter().enumerate() {
            let seed = options.seed_of(run as u32);
            sum.add(
                outcome.unwrap_or_else(|error| panic!("{} SEED={seed}: {error:#}", fault.name)),
            );
        }
        let seconds = began.elapsed().as_secs_f64() / f64::from(options.runs);
        println!(
            "{} {seconds:.2} s per run",
            table::line(fault.name, "lab", &sum)
        );
        problems.extend(sum.problems);
    }
    assert!(
        problems.is_empty(),
        "{} problems:\n{}",
        problems.len(),
        problems.join("\n")
    );
}
