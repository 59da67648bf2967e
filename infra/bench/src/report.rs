//! The output: a table on standard output, and the part of `docs/performance.md` between two
//! markers.

use std::{fmt::Write, fs, path::Path};

use anyhow::Context;
use chrono::Utc;

use crate::{bench::Bench, cost::Prices, figure::Figure, scenarios::Scenario};

const DOCUMENT: &str = "docs/performance.md";
const BEGIN: &str = "<!-- bench: begin -->";
const END: &str = "<!-- bench: end -->";

/// Returns a figure as one line of progress.
pub fn line(figure: &Figure) -> String {
    let mut line = format!("{}: {} {}", figure.name, number(figure.value), figure.unit);
    if let Some(peer) = &figure.peer {
        let _ = write!(line, ", {} {}", peer.name, number(peer.value));
    }
    if let Some(ratio) = figure.ratio {
        let _ = write!(line, ", ratio {}", number(ratio));
    }
    line
}

/// Returns the figures as a table in Markdown.
pub fn table(results: &[(&Scenario, Vec<Figure>)]) -> String {
    let mut table = String::from(
        "| scenario | figure | value | against | ratio | goal |\n|---|---|---|---|---|---|\n",
    );
    for (scenario, figures) in results {
        for figure in figures {
            let peer = figure.peer.as_ref().map_or_else(String::new, |peer| {
                format!("{} {}", peer.name, number(peer.value))
            });
            let _ = writeln!(
                table,
                "| {} | {} | {} {} | {peer} | {} | {} |",
                scenario.name,
                figure.name,
                number(figure.value),
                figure.unit,
                figure.ratio.map_or_else(String::new, number),
                figure.goal
            );
        }
    }
    table
}

/// Returns a number with three significant digits, and thousands separated.
fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 1000.0 {
        let mut digits = format!("{value:.0}");
        let mut at = digits.len();
        while at > 3 + usize::from(value < 0.0) {
            at -= 3;
            digits.insert(at, ',');
        }
        digits
    } else if size >= 100.0 || value == 0.0 {
        format!("{value:.0}")
    } else if size >= 10.0 {
        format!("{value:.1}")
    } else if size >= 1.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.3}")
    }
}

/// Renews the part of the document between the markers. The prose around it stays.
pub fn renew(bench: &Bench, results: &[(&Scenario, Vec<Figure>)]) -> anyhow::Result<()> {
    anyhow::ensure!(
        bench.profile != "dev" && !bench.options.smoke,
        "figures of a dev build or of a smoke test are not published"
    );
    let path = Path::new(DOCUMENT);
    let document = fs::read_to_string(path).context(DOCUMENT)?;
    let part = format!("{}\n\n{}", heading(bench)?, table(results));
    fs::write(path, replaced(&document, &part)?).context(DOCUMENT)?;
    println!("{DOCUMENT} is renewed");
    Ok(())
}

fn replaced(document: &str, part: &str) -> anyhow::Result<String> {
    let markers = format!("{DOCUMENT} lacks the markers {BEGIN} and {END}");
    let (before, rest) = document.split_once(BEGIN).context(markers.clone())?;
    let (_, after) = rest.split_once(END).context(markers)?;
    Ok(format!("{before}{BEGIN}\n\n{part}\n{END}{after}"))
}

/// Returns what the figures depend on: date, machine, versions and the concurrencies.
fn heading(bench: &Bench) -> anyhow::Result<String> {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.and_then(|line| line.split_once(": "));
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory_kb = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    Ok(format!(
        "- {}, commit {}\n- {} cores ({}), {:.0} GB of memory, shared by all processes\n- database \
         {}, default durability; profile `{}`\n- {} environments of send, {} of recheck; medians of \
         {} runs\n- one run of `million-50` and `million-300`\n- prices: {}",
        Utc::now().format("%Y-%m-%d"),
        std::env::var("BENCH_COMMIT").unwrap_or_else(|_| "unknown".to_owned()),
        cores,
        model.map_or("unknown", |(_, name)| name),
        memory_kb.unwrap_or_default() / 1_048_576.0,
        bench.server.version,
        bench.profile,
        bench.senders()?,
        bench.deployment.source("recheck")?.concurrency,
        bench.options.runs,
        Prices::read()?.source,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        let table = [
            (1_234_567.0, "1,234,567"),
            (1000.0, "1,000"),
            (123.4, "123"),
            (12.34, "12.3"),
            (1.0, "1.00"),
            (0.0321, "0.032"),
            (0.0, "0"),
            (-1234.0, "-1,234"),
        ];
        for (value, text) in table {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn only_the_part_between_the_markers_is_replaced() {
        let document = format!("# A\n{BEGIN}\nold\n{END}\nprose\n");
        let renewed = replaced(&document, "new").unwrap();
        assert_eq!(renewed, format!("# A\n{BEGIN}\n\nnew\n{END}\nprose\n"));
        assert!(replaced("# A", "new").is_err());
    }
}
