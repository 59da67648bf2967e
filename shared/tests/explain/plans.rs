//! Explains statements and compares their plans with the expected keys.

use std::{fs, path::Path};

use chrono::{DateTime, Utc};
use sqlx::{
    Column, MySqlPool, Row,
    mysql::{MySqlArguments, MySqlRow},
    query::Query,
};
use uuid::Uuid;

type Statement<'q> = Query<'q, sqlx::MySql, MySqlArguments>;

/// A value that an explained statement takes.
pub trait Bind {
    /// Adds the value to the statement.
    fn bind<'q>(&self, statement: Statement<'q>) -> Statement<'q>;
}

/// A missing value.
pub struct Null;

impl Bind for Null {
    fn bind<'q>(&self, statement: Statement<'q>) -> Statement<'q> {
        statement.bind(None::<String>)
    }
}

impl Bind for Uuid {
    fn bind<'q>(&self, statement: Statement<'q>) -> Statement<'q> {
        statement.bind(*self)
    }
}

impl Bind for DateTime<Utc> {
    fn bind<'q>(&self, statement: Statement<'q>) -> Statement<'q> {
        statement.bind(*self)
    }
}

impl Bind for i32 {
    fn bind<'q>(&self, statement: Statement<'q>) -> Statement<'q> {
        statement.bind(*self)
    }
}

impl Bind for bool {
    fn bind<'q>(&self, statement: Statement<'q>) -> Statement<'q> {
        statement.bind(*self)
    }
}

impl Bind for &str {
    fn bind<'q>(&self, statement: Statement<'q>) -> Statement<'q> {
        statement.bind((*self).to_owned())
    }
}

impl Bind for String {
    fn bind<'q>(&self, statement: Statement<'q>) -> Statement<'q> {
        statement.bind(self.clone())
    }
}

impl Bind for Option<&str> {
    fn bind<'q>(&self, statement: Statement<'q>) -> Statement<'q> {
        statement.bind(self.map(str::to_owned))
    }
}

impl Bind for Vec<u8> {
    fn bind<'q>(&self, statement: Statement<'q>) -> Statement<'q> {
        statement.bind(self.clone())
    }
}

/// The tables that no statement may scan, and their aliases. A derived table of batches or answers
/// may be scanned.
const TABLES: [&str; 38] = [
    "schedules",
    "recipients",
    "batches",
    "sessions",
    "users",
    "api_keys",
    "callers",
    "suppressions",
    "webhooks",
    "webhook_deliveries",
    "carrier_limits",
    "list_calls",
    "schedule_labels",
    "recipient_references",
    "schedule_resends",
    "schedule_summaries",
    "price_lists",
    "schedule_costs",
    "batch_costs",
    "budgets",
    "spending",
    "velocity_days",
    "v",
    "y",
    "n",
    "f",
    "l",
    "o",
    "a",
    "x",
    "e",
    "s",
    "r",
    "b",
    "u",
    "k",
    "c",
    "d",
];

/// One line of a plan.
#[derive(Debug)]
struct Line {
    table: String,
    key: String,
    extra: String,
}

/// Checks plans on one database, and collects what is wrong with them.
pub struct Plans<'a> {
    pool: &'a MySqlPool,
    wrong: Vec<String>,
}

impl<'a> Plans<'a> {
    /// Returns a check of plans on `pool` that has found nothing wrong yet.
    pub const fn new(pool: &'a MySqlPool) -> Self {
        Self {
            pool,
            wrong: Vec::new(),
        }
    }

    /// Explains the one statement in `.sqlx` that contains all of `fragments`, with `values`. Each
    /// entry of `keys` is a table or alias and the key that the plan must use for it, such as `b
    /// PRIMARY`. No table may be scanned, and no rows sorted.
    pub async fn check(
        &mut self,
        what: &str,
        fragments: &[&str],
        keys: &[&str],
        values: &[&dyn Bind],
    ) {
        let plan = self.explain(fragments, values).await;
        let sorted = plan.iter().any(|line| line.extra.contains("filesort"));
        self.compare(what, keys, &plan, sorted);
    }

    /// Like [`Plans::check`], for a statement that may sort.
    pub async fn check_sorting(
        &mut self,
        what: &str,
        fragments: &[&str],
        keys: &[&str],
        values: &[&dyn Bind],
    ) {
        let plan = self.explain(fragments, values).await;
        self.compare(what, keys, &plan, false);
    }

    /// Explains a statement like [`Plans::check`]. The server must read its answer from one end of a
    /// range of a key while it plans, so that no row is left to be read.
    pub async fn check_end_of_key(&mut self, what: &str, fragments: &[&str], values: &[&dyn Bind]) {
        let plan = self.explain(fragments, values).await;
        let is_read = plan
            .iter()
            .all(|line| line.extra.contains("optimized away"));
        if plan.is_empty() || !is_read {
            self.wrong.push(format!("{what}: reads rows: {plan:?}"));
        }
    }

    /// Fails with everything that was found wrong.
    pub fn assert_none_wrong(self) {
        assert!(self.wrong.is_empty(), "{}", self.wrong.join("\n"));
    }

    fn compare(&mut self, what: &str, keys: &[&str], plan: &[Line], sorted: bool) {
        for expected in keys {
            let (table, key) = expected.split_once(' ').unwrap();
            if !plan
                .iter()
                .any(|line| line.table == table && line.key == key)
            {
                self.wrong
                    .push(format!("{what}: {table} should use {key}: {plan:?}"));
            }
        }
        let scanned = plan
            .iter()
            .any(|line| TABLES.contains(&line.table.as_str()) && line.key.is_empty());
        if sorted || scanned {
            self.wrong.push(format!(
                "{what}: sorted {sorted}, scanned {scanned}: {plan:?}"
            ));
        }
    }

    async fn explain(&self, fragments: &[&str], values: &[&dyn Bind]) -> Vec<Line> {
        // Without the format, MySQL 9 answers with a tree.
        let sql = format!("EXPLAIN FORMAT=TRADITIONAL {}", statement(fragments));
        let explain = values
            .iter()
            .fold(sqlx::query(&sql), |query, value| value.bind(query));
        let rows = explain.fetch_all(self.pool).await.unwrap();
        // MySQL lists the table that an INSERT fills, too.
        let reads = rows
            .iter()
            .filter(|row| column(row, "select_type") != "INSERT");
        reads
            .map(|row| Line {
                table: column(row, "table"),
                key: column(row, "key"),
                extra: column(row, "Extra"),
            })
            .collect()
    }
}

/// Reads a column by its position: MySQL sends the columns of an EXPLAIN too late for sqlx's
/// look-up by name.
fn column(row: &MySqlRow, name: &str) -> String {
    let position = row
        .columns()
        .iter()
        .position(|column| column.name() == name)
        .unwrap();
    row.try_get::<Option<String>, _>(position)
        .unwrap()
        .unwrap_or_default()
}

/// Returns the one statement in `.sqlx` that contains all of `fragments`.
fn statement(fragments: &[&str]) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.sqlx");
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    let queries = files.map(|json| {
        serde_json::from_str::<serde_json::Value>(&json).unwrap()["query"]
            .as_str()
            .unwrap()
            .to_owned()
    });
    let mut found: Vec<String> = queries
        .filter(|query| fragments.iter().all(|fragment| query.contains(fragment)))
        .collect();
    assert_eq!(
        found.len(),
        1,
        "{fragments:?} should match one statement: {found:#?}"
    );
    found.remove(0)
}
