//! Limits per second and credit, over real HTTP.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use serde_json::json;
use simulator::{Counting, Settings};
use support::{bench, numbers, read};

#[tokio::test]
async fn parts_above_the_capacity_get_429_as_a_whole_request() {
    let bench = bench(Settings {
        capacity_parts: 10,
        retry_after_s: Some(1),
        ..Settings::default()
    })
    .await;
    let long = "x".repeat(200); // two parts
    for (count, text, expected) in [(3, &*long, 200), (5, "Hello", 429), (4, "Hello", 200)] {
        let response = bench.bare(&numbers(count).join(","), text).send().await;
        let response = response.unwrap();
        assert_eq!(response.status(), expected, "{count}");
        assert_eq!(
            response.headers().contains_key("retry-after"),
            expected == 429
        );
    }
    let stats = bench.carrier().stats();
    assert_eq!(
        (stats.accepted, stats.acceptances_peak_per_second),
        (10, 10)
    );
    assert_eq!(stats.refused["busy_parts"], 1);
}

#[tokio::test]
async fn a_bucket_admits_a_burst_and_then_the_limit() {
    let bench = bench(Settings {
        capacity_rps: 10,
        limit_counting: Counting::TokenBucket,
        limit_burst_ms: 300,
        ..Settings::default()
    })
    .await;
    let mut admitted = 0;
    for _ in 0..6 {
        let response = bench.bare("491701", "Hello").send().await.unwrap();
        admitted += u32::from(response.status() == 200);
    }
    assert!((3..=4).contains(&admitted), "{admitted}");
    tokio::time::sleep(Duration::from_millis(120)).await;
    let response = bench.bare("491701", "Hello").send().await.unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn status_queries_above_the_capacity_get_429() {
    let bench = bench(Settings {
        capacity_queries: 2,
        ..Settings::default()
    })
    .await;
    let id = bench.send_one("491701").await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(bench.query(&id).await.status().as_u16());
    }
    assert_eq!(statuses, [200, 200, 429]);
    let stats = bench.carrier().stats();
    assert_eq!((stats.status_queries, stats.status_refused), (3, 1));
}

#[tokio::test]
async fn credit_is_used_up_and_topped_up() {
    let bench = bench(Settings {
        credit_parts: Some(3),
        ..Settings::default()
    })
    .await;
    let submit = async |count| {
        let response = bench.bare(&numbers(count).join(","), "Hello").send().await;
        let (status, _, text) = read(response.unwrap()).await;
        (status, text)
    };
    assert_eq!(submit(2).await.0, 200);
    let refused = (402, "402 Not enough credit".to_owned());
    assert_eq!(submit(2).await, refused, "one part is left");
    assert_eq!(bench.carrier().settings().credit_parts, Some(1));
    let text = json!({ "credit_status": 400, "credit_text": "400 NO CREDIT" });
    bench.patch(text).await;
    assert_eq!(submit(2).await, (400, "400 NO CREDIT".to_owned()));
    bench.patch(json!({ "credit_parts": 100 })).await;
    assert_eq!(submit(2).await.0, 200);
    assert_eq!(bench.carrier().stats().refused["no_credit"], 2);
}
