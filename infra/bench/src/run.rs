//! Runs the selected scenarios, several times each, and reports the medians.

use std::time::Instant;

use crate::{
    bench::Bench,
    figure::{Figure, medians},
    report,
    scenarios::{SCENARIOS, Scenario},
};

/// Runs the scenarios and prints their figures. Returns whether all ended correctly.
pub async fn run(bench: &Bench) -> anyhow::Result<bool> {
    let selected: Vec<&Scenario> = SCENARIOS
        .iter()
        .filter(|scenario| scenario.is_selected(&bench.options))
        .collect();
    if selected.is_empty() {
        let names: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        anyhow::bail!("ONLY selects no scenario; there are: {}", names.join(", "));
    }
    let mut results: Vec<(&Scenario, Vec<Figure>)> = Vec::new();
    let mut failures = Vec::new();
    for scenario in selected {
        match measure(bench, scenario).await {
            Ok(figures) => results.push((scenario, figures)),
            Err(error) => failures.push(format!("{}: {error:#}", scenario.name)),
        }
    }
    println!("\n{}", report::table(&results));
    for failure in &failures {
        println!("FAILED {failure}");
    }
    if bench.options.renew && failures.is_empty() {
        report::renew(bench, &results)?;
    }
    Ok(failures.is_empty())
}

/// Runs a scenario as often as requested; returns the medians.
async fn measure(bench: &Bench, scenario: &Scenario) -> anyhow::Result<Vec<Figure>> {
    let mut runs = Vec::new();
    let count = scenario.runs(&bench.options);
    for run in 1..=count {
        let begun = Instant::now();
        let figures = (scenario.run)(bench).await?;
        println!(
            "{} {run}/{count} ({:.0} s)",
            scenario.name,
            begun.elapsed().as_secs_f64()
        );
        for figure in &figures {
            println!("  {}", report::line(figure));
        }
        runs.push(figures);
    }
    Ok(medians(&runs))
}
