//! What goes wrong before and after acceptance, over real HTTP.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::{Duration, Instant};

use reqwest::Error;
use serde_json::{Value, json};
use simulator::Settings;
use support::{bench, numbers, told};

/// The innermost error is the operating system's.
fn io_kind(error: &Error) -> Option<std::io::ErrorKind> {
    let mut source = std::error::Error::source(error);
    let mut kind = None;
    while let Some(error) = source {
        kind = error
            .downcast_ref::<std::io::Error>()
            .map(std::io::Error::kind)
            .or(kind);
        source = error.source();
    }
    kind
}

#[tokio::test]
async fn a_reset_comes_after_acceptance() {
    let bench = bench(Settings {
        reset_after_accept: 1.0,
        ..Settings::default()
    })
    .await;
    let error = bench.bare("491701", "Hello").send().await.unwrap_err();
    assert_eq!(
        io_kind(&error),
        Some(std::io::ErrorKind::ConnectionReset),
        "{error:?}"
    );
    assert_eq!(bench.carrier().accepted(), 1);
    assert_eq!(bench.carrier().stats().faults["reset_after_accept"], 1);
}

#[tokio::test]
async fn a_hanging_request_is_accepted_and_closed_without_an_answer() {
    let bench = bench(Settings {
        hang_after_accept: 1.0,
        hang_ms: 150,
        ..Settings::default()
    })
    .await;
    let sent = Instant::now();
    let error = bench.bare("491701", "Hello").send().await.unwrap_err();
    assert!(sent.elapsed() >= Duration::from_millis(150));
    assert_eq!(io_kind(&error), None, "closed, not reset: {error:?}");
    assert_eq!(bench.carrier().accepted(), 1);
}

#[tokio::test]
async fn a_request_may_hang_for_as_long_as_the_client_waits() {
    let bench = bench(Settings {
        hang_after_accept: 1.0,
        ..Settings::default()
    })
    .await;
    let error = bench
        .bare("491701", "Hello")
        .timeout(Duration::from_millis(200))
        .send()
        .await
        .unwrap_err();
    assert!(error.is_timeout());
    assert_eq!(bench.carrier().accepted(), 1);
}

#[tokio::test]
async fn answers_are_spoilt_after_acceptance() {
    let table = [
        (
            "error_5xx_after_accept",
            503,
            "text/plain; charset=utf-8",
            "503 Service Unavailable",
        ),
        ("empty_object", 200, "application/json", "{}"),
        ("empty_array", 200, "application/json", "[]"),
        ("html", 200, "text/html", "<html>"),
    ];
    for (share, status, content_type, begin) in table {
        let bench = bench(Settings::default().patched(json!({ share: 1 })).unwrap()).await;
        let (told_status, told_type, text) =
            told(bench.bare("491701,491702", "Hello").send().await.unwrap()).await;
        assert_eq!((told_status, told_type.as_str()), (status, content_type));
        assert!(text.starts_with(begin), "{text}");
        assert_eq!(bench.carrier().accepted(), 2);
        assert_eq!(bench.carrier().stats().faults[share], 1);
    }
}

#[tokio::test]
async fn a_partial_answer_leaves_some_numbers_out() {
    let bench = bench(Settings {
        partial: 1.0,
        ..Settings::default()
    })
    .await;
    for _ in 0..20 {
        let answer = bench.send(&numbers(10).join(","), "Hello").await;
        assert!((1..=9).contains(&answer.as_array().unwrap().len()));
        assert_eq!(
            bench
                .send("491701,491702", "Hello")
                .await
                .as_array()
                .unwrap()
                .len(),
            1
        );
    }
    assert_eq!(bench.send("491701", "Hello").await, json!([]));
    assert_eq!(bench.carrier().accepted(), 241);
}

#[tokio::test]
async fn a_refused_request_leaves_nothing_in_the_ledger() {
    let table = [
        (
            json!({ "refuse_4xx": 1 }),
            400,
            "400 NO ROUTES",
            "no_routes",
        ),
        (
            json!({ "refuse_numbers": ["88"] }),
            400,
            "400 NO ROUTES",
            "no_routes",
        ),
        (
            json!({ "unauthorized": true }),
            401,
            "401 not authorized (check login and password)",
            "unauthorized",
        ),
        (
            json!({ "busy_429": 1 }),
            429,
            "429 Too Many Requests",
            "busy",
        ),
        (
            json!({ "error_5xx_before": 1 }),
            503,
            "503 Service Unavailable",
            "unavailable",
        ),
    ];
    for (patch, status, text, cause) in table {
        let bench = bench(Settings::default().patched(patch).unwrap()).await;
        let response = bench.bare("491701,881702", "Hello").send().await.unwrap();
        assert!(response.headers().get("retry-after").is_none());
        let answer = told(response).await;
        assert_eq!(
            answer,
            (
                status,
                "text/plain; charset=utf-8".to_owned(),
                text.to_owned()
            )
        );
        assert_eq!(bench.carrier().accepted(), 0);
        assert_eq!(bench.carrier().stats().refused[cause], 1);
    }
}

#[tokio::test]
async fn other_numbers_than_the_refused_pass() {
    let bench = bench(Settings {
        refuse_numbers: vec!["88".into()],
        ..Settings::default()
    })
    .await;
    assert_eq!(
        bench.bare("491788", "Hello").send().await.unwrap().status(),
        200
    );
}

#[tokio::test]
async fn beyond_its_capacity_the_carrier_is_busy() {
    let bench = bench(Settings {
        capacity_rps: 3,
        retry_after_s: Some(2),
        ..Settings::default()
    })
    .await;
    for attempt in 0..5 {
        let response = bench.bare("491701", "Hello").send().await.unwrap();
        assert_eq!(response.status(), if attempt < 3 { 200 } else { 429 });
        if attempt >= 3 {
            assert_eq!(response.headers()["retry-after"], "2");
        }
    }
    tokio::time::sleep(Duration::from_millis(1_050)).await;
    assert_eq!(
        bench.bare("491701", "Hello").send().await.unwrap().status(),
        200
    );
    assert_eq!(bench.carrier().accepted(), 4);
}

#[tokio::test]
async fn latency_comes_after_acceptance() {
    let bench = bench(Settings {
        latency_ms: 300,
        latency_jitter_ms: 50,
        ..Settings::default()
    })
    .await;
    let sent = Instant::now();
    assert!(
        bench
            .bare("491701", "Hello")
            .timeout(Duration::from_millis(100))
            .send()
            .await
            .is_err()
    );
    assert_eq!(bench.carrier().accepted(), 1);
    bench.send("491701", "Hello").await;
    assert!(sent.elapsed() >= Duration::from_millis(400));
}

#[tokio::test]
async fn slowness_comes_before_acceptance() {
    let bench = bench(Settings {
        slow_ms: 300,
        ..Settings::default()
    })
    .await;
    assert!(
        bench
            .bare("491701", "Hello")
            .timeout(Duration::from_millis(100))
            .send()
            .await
            .is_err()
    );
    tokio::time::sleep(Duration::from_millis(350)).await;
    assert_eq!(bench.carrier().accepted(), 0, "the client gave up first");
    assert_eq!(bench.carrier().stats().in_flight, 0);
    bench.send("491701", "Hello").await;
    assert_eq!(bench.carrier().accepted(), 1);
}

#[tokio::test]
async fn a_connection_serves_again_after_a_fault_on_another() {
    let bench = bench(Settings {
        reset_after_accept: 0.5,
        seed: Some(1),
        ..Settings::default()
    })
    .await;
    let (mut answered, mut reset) = (0, 0);
    for _ in 0..40 {
        match bench.bare("491701", "Hello").send().await {
            Ok(response) => {
                assert!(response.json::<Value>().await.unwrap()["message_id"].is_string());
                answered += 1;
            }
            Err(_) => reset += 1,
        }
    }
    assert!(answered > 5 && reset > 5, "{answered} {reset}");
    assert_eq!(
        bench.carrier().accepted(),
        40,
        "no request was sent twice by the client, and none was lost"
    );
}
