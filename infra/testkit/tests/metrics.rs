//! The tables of docs/metrics.md are the list of metrics.
#![allow(missing_docs, clippy::unwrap_used)]

use std::{fmt::Write, path::Path};

use shared::platform::metrics::{Counter, Listed, Measure};

/// Returns a table with a line per metric.
fn table(metrics: impl Iterator<Item = Listed>) -> String {
    let mut table = "| metric | unit | emitted by | meaning |\n|---|---|---|---|\n".to_owned();
    for listed in metrics {
        let Listed {
            name,
            unit,
            functions,
            meaning,
        } = listed;
        writeln!(
            table,
            "| `{name}` | {} | {functions} | {meaning} |",
            unit.as_str()
        )
        .unwrap();
    }
    table
}

#[test]
fn the_committed_tables_are_the_list() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
    let mut text = std::fs::read_to_string(&path).unwrap();
    for (kind, table) in [
        ("sums", table(Counter::ALL.iter().map(|each| each.listed()))),
        (
            "values",
            table(Measure::ALL.iter().map(|each| each.listed())),
        ),
    ] {
        let (begin, end) = (
            format!("<!-- {kind}: begin -->"),
            format!("<!-- {kind}: end -->"),
        );
        let (before, rest) = text.split_once(&begin).unwrap();
        let (committed, after) = rest.split_once(&end).unwrap();
        let table = format!("\n\n{table}\n");
        let renews = std::env::var_os("RENEW_METRICS").is_some();
        assert!(
            renews || committed == table,
            "docs/metrics.md is not the list of metrics: run `make metrics`"
        );
        text = format!("{before}{begin}{table}{end}{after}");
    }
    if std::env::var_os("RENEW_METRICS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
}
