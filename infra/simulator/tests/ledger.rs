//! The ledger and the counts, over real HTTP.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use simulator::{LedgerLine, Settings, Stats};
use support::{Bench, bench, numbers};

async fn lines(bench: &Bench, path: &str) -> (String, Vec<LedgerLine>) {
    let response = bench.http.get(bench.url(path)).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    let length = response.headers()["x-ledger-length"]
        .to_str()
        .unwrap()
        .to_owned();
    let text = response.text().await.unwrap();
    (
        length,
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
    )
}

#[tokio::test]
async fn the_ledger_is_streamed_completely_and_in_order() {
    let bench = bench(Settings::default()).await;
    // The ledger is longer than one chunk.
    for batch in numbers(2_500).chunks(100) {
        bench.send(&batch.join(","), "Hello \"you\"\n€").await;
    }
    let (length, lines) = lines(&bench, "/ledger").await;
    assert_eq!(length, "2500");
    assert_eq!(lines, bench.carrier().ledger());
    assert_eq!(
        lines
            .iter()
            .map(|line| line.dnis.clone())
            .collect::<Vec<_>>(),
        numbers(2_500)
    );
    assert!(lines.iter().all(|line| line.text == "Hello \"you\"\n€"));
}

#[tokio::test]
async fn the_ledger_can_be_read_from_a_given_line() {
    let bench = bench(Settings::default()).await;
    bench.send(&numbers(10).join(","), "Hello").await;
    for (from, expected) in [(0, 10), (7, 3), (10, 0), (11, 0)] {
        let (length, lines) = lines(&bench, &format!("/ledger?from={from}")).await;
        assert_eq!((length.as_str(), lines.len()), ("10", expected));
        assert_eq!(lines, bench.carrier().ledger().split_off(from.min(10)));
    }
}

#[tokio::test]
async fn a_line_contains_only_the_fields_that_apply() {
    let bench = bench(Settings::default()).await;
    bench.send("491701", "Hello").await;
    bench
        .full(&[("dnis", "491702"), ("message", "Hello"), ("ani", "Shop")])
        .send()
        .await
        .unwrap();
    let text = bench
        .http
        .get(bench.url("/ledger"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let fields = |line: &Value| {
        line.as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(fields(&lines[0]), ["dnis", "message_id", "text", "time"]);
    assert_eq!(
        fields(&lines[1]),
        ["dnis", "message_id", "sender", "text", "time"]
    );
    let time = lines[0]["time"].as_str().unwrap();
    assert!(
        time.len() == "2026-01-02T03:04:05.678Z".len() && time.ends_with('Z'),
        "{time}"
    );
}

#[tokio::test]
async fn deleting_the_ledger_keeps_only_the_settings() {
    let bench = bench(Settings {
        undeliv_first_attempts: 1,
        ..Settings::default()
    })
    .await;
    let id = bench.send_one("491701").await;
    bench.query(&id).await;
    assert_eq!(
        bench
            .http
            .delete(bench.url("/ledger"))
            .send()
            .await
            .unwrap()
            .status(),
        204
    );
    assert_eq!(bench.carrier().accepted(), 0);
    let stats = bench.carrier().stats();
    assert_eq!(
        stats,
        Stats {
            acceptances_per_second: vec![0; 10],
            ..Stats::default()
        }
    );
    assert_eq!(bench.status(&id).await, "UNKNOWN");
    assert_eq!(
        bench.status(&bench.send_one("491701").await).await,
        "UNDELIV",
        "attempts are counted from the start again"
    );
}

#[tokio::test]
async fn stats_count_requests_and_results() {
    let bench = bench(Settings::default()).await;
    bench.send("491701,491702", "Hello").await;
    assert_eq!(
        bench.bare("nobody", "Hello").send().await.unwrap().status(),
        400
    );
    bench.query("x").await;
    let stats: Value = bench
        .http
        .get(bench.url("/stats"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    for (field, expected) in [
        ("requests", json!(2)),
        ("accepted_requests", json!(1)),
        ("accepted", json!(2)),
        ("refused", json!({ "no_routes": 1 })),
        ("status_queries", json!(1)),
        ("in_flight", json!(0)),
        ("in_flight_peak", json!(1)),
    ] {
        assert_eq!(stats[field], expected, "{field}");
    }
    assert!(stats["requests_peak_per_second"].as_u64().unwrap() >= 1);
}

#[tokio::test]
async fn the_peak_of_requests_in_flight_is_counted() {
    let bench = bench(Settings {
        latency_ms: 150,
        ..Settings::default()
    })
    .await;
    let send = || bench.bare("491701", "Hello").send();
    let (first, second, third) = tokio::join!(send(), send(), send());
    assert!(first.is_ok() && second.is_ok() && third.is_ok());
    let stats = bench.carrier().stats();
    assert_eq!((stats.in_flight, stats.in_flight_peak), (0, 3));
}

#[tokio::test]
async fn a_reset_aborts_a_running_read_of_the_ledger() {
    let bench = bench(Settings::default()).await;
    // More than the sockets' buffers hold, so that the stream is still running at the reset.
    let text = "a".repeat(160);
    for _ in 0..1_500 {
        bench.send(&numbers(100).join(","), &text).await;
    }
    let response = bench.http.get(bench.url("/ledger")).send().await.unwrap();
    bench.carrier().reset();
    assert!(response.bytes().await.is_err());
}
