//! The binary on a running local stack: a list that takes several calls is sent, watched and reported,
//! and the carrier's ledger is compared with the database. `STACK_ENV` names the file of the stack's
//! settings.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::Write as _,
    process::{Command, Output, Stdio},
};

use demo::{api::http_client, gather::prove, ledger::Ledger, stack::Stack};
use serde_json::Value;
use sqlx::MySqlPool;
use uuid::Uuid;

/// More than the client sends in one call.
const ROWS: u64 = 50_020;

/// Runs the binary with a list as its standard input.
fn sms(stack: &Stack, arguments: &[&str], list: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sms"))
        .args(arguments)
        .env("SMS_API_URL", stack.value("API_URL").unwrap())
        .env("SMS_API_KEY", stack.value("API_KEY").unwrap())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    // A command that reads no list may have ended.
    let _ = input.write_all(list.as_bytes());
    drop(input);
    child.wait_with_output().unwrap()
}

fn json(output: &Output) -> Value {
    let error = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{error}"))
}

fn list() -> String {
    // After 013, Malaysia has no numbers that begin with 0 or 1.
    let second = u64::try_from(chrono::Utc::now().timestamp()).unwrap();
    let start = (20 + second % 70) * 100_000;
    let mut list = "Name;Mobile\r\n".to_owned();
    for at in 0..ROWS {
        write!(list, "\"Ana; {at}\";013-{:07}\r\n", start + at).unwrap();
    }
    // The first number again, in another call, and one that is none.
    write!(list, "Again;013-{start:07}\r\nBo;12\r\n").unwrap();
    list
}

/// Returns how many rows of the report have each status.
fn report_counts(stack: &Stack, id: Uuid) -> BTreeMap<String, u64> {
    let report = sms(stack, &["report", &id.to_string()], "");
    let report = String::from_utf8(report.stdout).unwrap();
    let mut rows = report.lines().map(|row| row.split(',').nth(1).unwrap());
    assert_eq!(rows.next(), Some("status"));
    let mut counts = BTreeMap::new();
    for status in rows {
        *counts.entry(status.to_owned()).or_default() += 1;
    }
    counts
}

/// Asserts that the list is refused without `--on-invalid skip`, by the line of the file.
fn assert_refused(stack: &Stack, list: &str, text: &[&str]) {
    let refused = [&["send", "-", "--at", "+1h"], text].concat();
    let refused = sms(stack, &refused, list);
    let error = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{error}");
    assert!(
        error.contains(&format!("line {}", ROWS + 3)) && error.contains("the draft is cancelled"),
        "{error}"
    );
}

#[tokio::test]
#[ignore = "needs the local stack: make test"]
async fn a_list_of_several_calls_is_sent_once_and_reported() {
    let stack = Stack::from_environment().unwrap();
    let ledger = Ledger::new(http_client().unwrap(), &stack.carrier_origin().unwrap());
    let from = ledger.length().await;
    let list = list();
    let text = ["--text", "To all from the command line", "--country", "MY"];

    assert_refused(&stack, &list, &text);

    let order = [
        "send",
        "-",
        "--at",
        "now",
        "--on-invalid",
        "skip",
        "--max-attempts",
        "1",
        "--json",
    ];
    let sent = json(&sms(&stack, &[&order, &text[..]].concat(), &list));
    let counted =
        ["accepted", "duplicates", "invalid_count", "calls"].map(|name| &sent["list"][name]);
    assert_eq!(counted, [ROWS, 1, 1, 2], "{sent}");
    assert_eq!(sent["list"]["invalid"][0]["position"], ROWS + 3);

    let id: Uuid = sent["id"].as_str().unwrap().parse().unwrap();
    let watched = sms(
        &stack,
        &["watch", &id.to_string(), "--timeout", "300", "--json"],
        "",
    );
    let schedule = json(&watched);
    assert_eq!(
        (watched.status.code(), schedule["status"].as_str()),
        (Some(0), Some("finished"))
    );

    let counts = report_counts(&stack, id);
    assert_eq!(counts.values().sum::<u64>(), ROWS + 1);
    for (status, count) in counts {
        assert_eq!(schedule["counts"][&status], count, "{status}");
    }

    let pool = MySqlPool::connect(stack.value("DATABASE_URL").unwrap())
        .await
        .unwrap();
    let proof = prove(&pool, &ledger, from, id).await.unwrap();
    assert!(proof.findings.holds(), "{:?}", proof.findings);
    assert_eq!(proof.findings.accepted_attempts, ROWS);
}
