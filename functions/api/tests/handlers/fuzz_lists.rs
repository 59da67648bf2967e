//! Random lists in each format: every row is accepted, is a duplicate, or is reported as invalid; a
//! dry run says beforehand what the call does; and a report has every row once, page by page.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::StatusCode;
use proptest::{
    prelude::*,
    test_runner::{TestCaseError, TestRunner},
};
use serde_json::{Value, json};
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;
use uuid::Uuid;

use crate::common::{Answer, Api, phones, request};

/// Numbers that the schedule has before: a third of those from which rows are drawn.
const KNOWN: u32 = 4;

/// A row of a list.
#[derive(Clone, Debug)]
struct Row {
    /// Its number, by place; `None`: what is given is none.
    number: Option<u32>,
    noise: String,
    reference: Option<String>,
    group: Option<String>,
    name: String,
}

impl Row {
    fn phone(&self) -> String {
        self.number.map_or_else(
            || self.noise.clone(),
            |number| phones(number..number + 1)[0].clone(),
        )
    }

    /// Returns whether a reference or a group is longer than the API takes.
    fn is_valid(&self) -> bool {
        let is_short =
            |name: &Option<String>| name.as_ref().is_none_or(|name| name.chars().count() <= 64);
        self.number.is_some() && is_short(&self.reference) && is_short(&self.group)
    }
}

/// A call: a list, its format, and what becomes of rows that are not new.
#[derive(Clone, Debug)]
struct Call {
    rows: Vec<Row>,
    format: &'static str,
    on_duplicate: &'static str,
    on_invalid: &'static str,
    page: u32,
}

fn row() -> impl Strategy<Value = Row> {
    let number = prop_oneof![9 => (0..KNOWN * 3).prop_map(Some), 1 => Just(None)];
    // No digits, which could be a number, and not empty, which a table would skip.
    let noise = "[a-z!?_%&#]{1,12}";
    let name = prop_oneof![
        6 => Just(None), 6 => "[A-Za-z0-9 ._#äß😀-]{1,8}x".prop_map(Some),
        1 => "[a-z]{60,70}".prop_map(Some),
    ];
    let value = "[A-Za-z ,;\"'{}\\\\äß😀]{0,12}x";
    (number, noise, name.clone(), name, value).prop_map(
        |(number, noise, reference, group, name)| {
            let trimmed = |name: Option<String>| name.map(|name| name.trim().to_owned());
            Row {
                number,
                noise,
                reference: trimmed(reference),
                group: trimmed(group),
                name,
            }
        },
    )
}

fn call() -> impl Strategy<Value = Call> {
    (
        proptest::collection::vec(row(), 1..24),
        prop_oneof![Just("json"), Just("ndjson"), Just("csv")],
        prop_oneof![2 => Just("skip"), 2 => Just("update"), 1 => Just("reject")],
        prop_oneof![3 => Just("skip"), 1 => Just("reject")],
        1_u32..9,
    )
        .prop_map(|(rows, format, on_duplicate, on_invalid, page)| Call {
            rows,
            format,
            on_duplicate,
            on_invalid,
            page,
        })
}

impl Call {
    /// Returns content type and body.
    fn body(&self) -> (&'static str, Vec<u8>) {
        let entry = |row: &Row| {
            json!({"phone": row.phone(), "reference": row.reference, "group": row.group,
                "vars": {"name": row.name}})
        };
        match self.format {
            "json" => {
                let list: Value = self.rows.iter().map(entry).collect();
                ("application/json", list.to_string().into_bytes())
            }
            "ndjson" => {
                let lines = self.rows.iter().map(|row| format!("{}\n", entry(row)));
                (
                    "application/x-ndjson",
                    lines.collect::<String>().into_bytes(),
                )
            }
            _ => {
                let mut csv = csv::Writer::from_writer(Vec::new());
                csv.write_record(["phone", "reference", "group", "name"])
                    .unwrap();
                for row in &self.rows {
                    let text = |name: &Option<String>| name.clone().unwrap_or_default();
                    let (reference, group) = (text(&row.reference), text(&row.group));
                    csv.write_record([row.phone(), reference, group, row.name.clone()])
                        .unwrap();
                }
                ("text/csv", csv.into_inner().unwrap())
            }
        }
    }

    /// Predicts how many rows are new, are duplicates, and are invalid.
    fn expected(&self) -> [u64; 3] {
        let mut seen: BTreeSet<u32> = (0..KNOWN).collect();
        let (mut new, mut duplicates, mut invalid) = (0, 0, 0);
        for row in &self.rows {
            match row.number.filter(|_| row.is_valid()) {
                None => invalid += 1,
                Some(number) if seen.insert(number) => new += 1,
                Some(_) => duplicates += 1,
            }
        }
        [new, duplicates, invalid]
    }
}

async fn draft(api: &Api) -> Uuid {
    let mut body = request();
    (body["draft"], body["message"]) = (json!(true), json!("Hi {{name}}"));
    let known = phones(0..KNOWN).into_iter();
    body["recipients"] = known
        .map(|phone| json!({"phone": phone, "vars": {"name": "known"}}))
        .collect();
    let created = api.post(&body).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.body);
    created.id()
}

async fn send(api: &Api, id: Uuid, call: &Call, dry_run: bool) -> Answer {
    let (kind, body) = call.body();
    let Call {
        on_duplicate,
        on_invalid,
        ..
    } = call;
    let query = format!("?on_duplicate={on_duplicate}&on_invalid={on_invalid}&dry_run={dry_run}");
    api.append(id, &query, kind, body).await
}

fn counts(answer: &Value, names: [&str; 3]) -> [u64; 3] {
    names.map(|name| {
        answer[name]
            .as_u64()
            .unwrap_or_else(|| panic!("{name}: {answer}"))
    })
}

/// Appends a list to a draft, first as a dry run, and compares the answers with the prediction and
/// with the rows.
async fn check(api: &Api, call: &Call) -> Result<(), TestCaseError> {
    let id = draft(api).await;
    let expected = call.expected();
    let [new, duplicates, invalid] = expected;
    let dry = send(api, id, call, true).await;
    prop_assert_eq!(dry.status, StatusCode::OK, "{}", dry.body);
    let found = counts(&dry.body, ["valid", "duplicates", "invalid_count"]);
    prop_assert_eq!(found, expected, "{}", dry.body);
    let is_refused = (call.on_duplicate == "reject" && duplicates > 0)
        || (call.on_invalid == "reject" && invalid > 0);
    prop_assert_eq!(&dry.body["accepted"], &json!(!is_refused), "{}", dry.body);
    let before = listed(api, id, call.page).await?;
    prop_assert_eq!(before.len(), KNOWN as usize, "a dry run has written");
    let answer = send(api, id, call, false).await;
    let after = listed(api, id, call.page).await?;
    if is_refused {
        prop_assert_eq!(
            answer.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{}",
            answer.body
        );
        prop_assert_eq!(after, before, "a refused list has written");
        return Ok(());
    }
    prop_assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let found = counts(&answer.body, ["accepted", "duplicates", "invalid_count"]);
    prop_assert_eq!(found, expected, "{}", answer.body);
    prop_assert_eq!(
        found.iter().sum::<u64>(),
        call.rows.len() as u64,
        "rows are lost"
    );
    let updated = if call.on_duplicate == "update" {
        duplicates
    } else {
        0
    };
    prop_assert_eq!(&answer.body["updated"], updated);
    prop_assert_eq!(&answer.body["recipients_total"], u64::from(KNOWN) + new);
    let entries = answer.body["duplicate_entries"].as_array().unwrap().len();
    let reported = answer.body["invalid"].as_array().unwrap().len();
    prop_assert_eq!([entries as u64, reported as u64], [duplicates, invalid]);
    prop_assert_eq!(after.len() as u64, u64::from(KNOWN) + new + invalid);
    check_rows(call, &after)
}

/// Checks that each number has the reference, the group and the variables of its first row, or of
/// its last one under `update`.
fn check_rows(call: &Call, after: &BTreeMap<u64, Value>) -> Result<(), TestCaseError> {
    let mut expected = BTreeMap::new();
    for number in 0..KNOWN {
        expected.insert(
            phones(number..number + 1)[0].clone(),
            json!([null, null, "known"]),
        );
    }
    for row in call.rows.iter().filter(|row| row.is_valid()) {
        let given = json!([row.reference, row.group, row.name.trim()]);
        if call.on_duplicate == "update" {
            expected.insert(row.phone(), given);
        } else {
            expected.entry(row.phone()).or_insert(given);
        }
    }
    let valid = after.values().filter(|row| row["status"] != "INVALID");
    let found: BTreeMap<_, _> = valid
        .map(|row| {
            let name = row["variables"]["name"].as_str().map(str::trim);
            let phone = row["phone"].as_str().unwrap().to_owned();
            (phone, json!([row["reference"], row["group"], name]))
        })
        .collect();
    prop_assert_eq!(found, expected);
    Ok(())
}

/// Reads the report of a list page by page, along the links, as lines of JSON and as a table.
/// Returns the rows by place.
async fn listed(api: &Api, id: Uuid, page: u32) -> Result<BTreeMap<u64, Value>, TestCaseError> {
    let mut rows = BTreeMap::new();
    for line in report(api, id, page, "ndjson").await.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let again = rows.insert(row["seq"].as_u64().unwrap(), row);
        prop_assert_eq!(again, None, "a row is on two pages");
    }
    let table = report(api, id, page, "csv").await;
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let header = reader.headers().unwrap().clone();
    let seq = header.iter().position(|name| name == "seq").unwrap();
    let places = reader
        .records()
        .map(|row| row.unwrap()[seq].parse::<u64>().unwrap());
    let places: Vec<_> = places.collect();
    prop_assert_eq!(places, rows.keys().copied().collect::<Vec<_>>());
    Ok(rows)
}

async fn report(api: &Api, id: Uuid, page: u32, format: &str) -> String {
    let mut text = String::new();
    let mut next = Some(format!(
        "/v1/schedules/{id}/recipients?format={format}&include=variables&limit={page}"
    ));
    while let Some(path) = next {
        let answer = api.get(&path).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        let rows = answer.body.as_str().unwrap();
        let is_table = format == "csv" && !text.is_empty();
        text += if is_table {
            rows.split_once("\r\n").unwrap().1
        } else {
            rows
        };
        let link = answer.headers.get("link");
        next = link.map(|link| {
            let link = link.to_str().unwrap();
            let (path, relation) = link.trim_start_matches('<').split_once('>').unwrap();
            assert_eq!(relation, "; rel=\"next\"");
            path.to_owned()
        });
    }
    text
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn no_row_of_a_random_list_is_lost(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let handle = tokio::runtime::Handle::current();
    let run = move || {
        let mut runner = TestRunner::new(ProptestConfig {
            cases: 64,
            max_shrink_iters: 200,
            failure_persistence: None,
            ..Default::default()
        });
        runner.run(&call(), |call| handle.block_on(check(&api, &call)))
    };
    if let Err(error) = tokio::task::spawn_blocking(run).await.unwrap() {
        panic!("{error}");
    }
}
