//! The cold start of each function: from the start of its process to the answer of its first
//! invocation, which finds nothing to do, against a function that does nothing.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    bench::{Bench, HELLO},
    driver::Driver,
    figure::{Figure, median},
    load::Packing,
    scenarios::sending::stage,
    stage::Stage,
};

const STARTS: usize = 20;
const STARTS_IN_SMOKE: usize = 2;
/// The longest wait for the first answer.
const LONGEST: Duration = Duration::from_secs(30);
const FUNCTIONS: [&str; 5] = ["api", "dispatch", "send", "recheck", "notify"];

/// Starts each function several times.
pub async fn run(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let starts = if bench.options.smoke {
        STARTS_IN_SMOKE
    } else {
        STARTS
    };
    let mut stage: Stage = stage(bench, "cold-start", Packing::Hundred).await?;
    // Their place is taken by the processes that are measured.
    stage.driver.stop_environments().await;
    let hello = cold_start(&stage.driver, HELLO, starts).await?;
    let mut figures = Vec::new();
    for function in FUNCTIONS {
        let ours = cold_start(&stage.driver, function, starts).await?;
        let figure = Figure::new(format!("cold start of {function}"), ours, "ms");
        figures.push(figure.against("hello-world function", hello).goal("≤ 3"));
    }
    stage.stop(bench).await?;
    Ok(figures)
}

/// Returns the median in milliseconds.
async fn cold_start(driver: &Driver, function: &str, starts: usize) -> anyhow::Result<f64> {
    let mut times = Vec::new();
    for _ in 0..starts {
        let begun = Instant::now();
        let environment = driver.environment(function).await?;
        let called = driver.function(function)?;
        tokio::time::timeout(LONGEST, called.call(&event(function))).await??;
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
        environment.stop().await;
    }
    Ok(median(times).unwrap_or_default())
}

/// Returns an event for which the function finds nothing to do in the database.
fn event(function: &str) -> Value {
    let (id, other) = (Uuid::new_v4(), Uuid::new_v4());
    let message = |body: Value| json!({"Records": [{"messageId": "1", "body": body.to_string(), "eventSource": "aws:sqs"}]});
    match function {
        "api" => health(),
        "dispatch" => json!({"schedule_id": id, "version": 1}),
        "send" | "recheck" => message(json!({"schedule_id": id, "batch_no": 1})),
        "notify" => message(json!({"webhook_id": id, "event_id": other})),
        _ => json!({}),
    }
}

fn health() -> Value {
    json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/health",
        "rawQueryString": "",
        "headers": {"host": "api.example.com"},
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "bench",
            "domainName": "api.example.com",
            "domainPrefix": "api",
            "http": {
                "method": "GET",
                "path": "/health",
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "bench",
            },
            "requestId": "1",
            "routeKey": "$default",
            "stage": "$default",
            "time": "01/Jan/2030:00:00:00 +0000",
            "timeEpoch": 1_893_456_000_000_i64,
        },
        "isBase64Encoded": false,
    })
}
