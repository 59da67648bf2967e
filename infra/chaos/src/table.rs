//! The result table in Markdown, one line per fault.

use std::time::Duration;

use crate::outcome::Outcome;

/// Returns the table's heading.
pub fn heading() -> String {
    "| fault | where | runs | recipients | lost | duplicated | uncertain | held | recovered: median, longest |\n\
     |---|---|--:|--:|--:|--:|--:|--:|--:|"
        .to_owned()
}

/// Returns the line of one fault.
pub fn line(name: &str, place: &str, outcome: &Outcome) -> String {
    let mut recovery = outcome.recovery.clone();
    recovery.sort_unstable();
    let median = recovery
        .get(recovery.len() / 2)
        .copied()
        .unwrap_or_default();
    let longest = recovery.last().copied().unwrap_or_default();
    let Outcome {
        runs,
        recipients,
        lost,
        duplicated,
        uncertain,
        held,
        ..
    } = outcome;
    format!(
        "| {name} | {place} | {runs} | {recipients} | {lost} | {duplicated} | {uncertain} | {held} | {}, {} |",
        short(median),
        short(longest)
    )
}

fn short(time: Duration) -> String {
    match time.as_secs() {
        0..90 => format!("{:.1} s", time.as_secs_f64()),
        90..5400 => format!("{} min", time.as_secs() / 60),
        seconds => format!("{:.1} h", seconds as f64 / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_as_many_cells_as_the_heading() {
        let recovery = vec![
            Duration::from_secs(2),
            Duration::from_hours(2),
            Duration::from_secs(100),
        ];
        let line = line(
            "killed-after-claim",
            "stack",
            &Outcome {
                runs: 3,
                recovery,
                ..Outcome::default()
            },
        );
        assert!(line.ends_with("| 1 min, 2.0 h |"), "{line}");
        let cells = |line: &str| line.matches('|').count();
        assert_eq!(
            cells(&line),
            cells(heading().lines().next().unwrap_or_default())
        );
    }
}
