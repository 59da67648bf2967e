//! Faults before and after acceptance, over real HTTP.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::{Duration, Instant};

use reqwest::Error;
use serde_json::{Value, json};
use simulator::Settings;
use support::{bench, numbers, read};

/// Returns the kind of the innermost I/O error, which is the operating system's.
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
async fn a_reset_happens_after_acceptance() {
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
async fn a_hanging_request_is_accepted_and_closed_without_a_response() {
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
async fn a_request_can_hang_until_the_client_times_out() {
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
async fn faulty_responses_follow_acceptance() {
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
    for (share, status, content_type, beginning) in table {
        let bench = bench(Settings::default().patched(json!({ share: 1 })).unwrap()).await;
        let (actual_status, actual_type, text) =
            read(bench.bare("491701,491702", "Hello").send().await.unwrap()).await;
        assert_eq!(
            (actual_status, actual_type.as_str()),
            (status, content_type)
        );
        assert!(text.starts_with(beginning), "{text}");
        assert_eq!(bench.carrier().accepted(), 2);
        assert_eq!(bench.carrier().stats().faults[share], 1);
    }
}

#[tokio::test]
async fn a_partial_response_omits_some_numbers() {
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
async fn a_refused_request_records_nothing_in_the_ledger() {
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
        let answer = read(response).await;
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
async fn numbers_without_a_refused_prefix_are_accepted() {
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
async fn requests_above_the_capacity_get_429() {
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
async fn latency_applies_after_acceptance() {
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
async fn slowness_applies_before_acceptance() {
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
    assert_eq!(
        bench.carrier().accepted(),
        0,
        "the client disconnected before acceptance"
    );
    assert_eq!(bench.carrier().stats().in_flight, 0);
    bench.send("491701", "Hello").await;
    assert_eq!(bench.carrier().accepted(), 1);
}

#[tokio::test]
async fn a_fault_on_one_connection_does_not_affect_others() {
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
        "the client sent no request twice, and no request was lost"
    );
}
