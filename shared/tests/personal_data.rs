//! docs/personal-data.md says of each column whether it has personal data: a new column cannot be
//! forgotten.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeSet;

use sqlx::MySqlPool;

/// The heading after which the table begins.
const HEADING: &str = "| table | personal data of recipients |";
/// The columns whose name says that they have personal data: none of these may be among the others.
const OBVIOUS: [&str; 4] = ["phone", "input", "variables", "message"];

/// Returns the names in backquotes of a cell.
fn names(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// Returns the columns as `table.column`: those with personal data, and the others.
fn documented() -> [Vec<String>; 2] {
    let page = include_str!("../../docs/personal-data.md");
    let rows = page.lines().skip_while(|line| !line.starts_with(HEADING));
    let mut columns = [Vec::new(), Vec::new()];
    for row in rows.skip(2) {
        let cells: Vec<_> = row.split('|').collect();
        let [_, table, personal, rule, others, _] = cells[..] else {
            panic!("a row of the table has four cells: {row}");
        };
        assert!(rule.trim().len() > 5, "a rule: {row}");
        let table = names(table)[0];
        for (kind, cell) in [personal, others].into_iter().enumerate() {
            columns[kind].extend(names(cell).iter().map(|name| format!("{table}.{name}")));
        }
    }
    columns
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn each_column_is_classified(pool: MySqlPool) {
    let sql =
        "SELECT CAST(CONCAT(table_name, '.', column_name) AS CHAR) FROM information_schema.columns
        WHERE table_schema = DATABASE() AND table_name <> '_sqlx_migrations'";
    let actual: Vec<String> = sqlx::query_scalar(sql).fetch_all(&pool).await.unwrap();
    let [personal, others] = documented();
    let all: Vec<&String> = personal.iter().chain(&others).collect();
    let documented: BTreeSet<&String> = all.iter().copied().collect();
    assert_eq!(documented.len(), all.len(), "no column is listed twice");
    let actual: BTreeSet<&String> = actual.iter().collect();
    let missing: Vec<_> = actual.difference(&documented).collect();
    let unknown: Vec<_> = documented.difference(&actual).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "docs/personal-data.md: missing {missing:?}, unknown {unknown:?}"
    );
    let wrong: Vec<_> = others
        .iter()
        .filter(|column| {
            OBVIOUS
                .iter()
                .any(|name| column.ends_with(&format!(".{name}")))
        })
        .collect();
    assert!(wrong.is_empty(), "personal data: {wrong:?}");
}
