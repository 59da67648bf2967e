//! The traces: a schedule over API, dispatch, send, recheck and notify is one trace at the collector,
//! and a dead collector changes nothing.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod gate;

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use axum::{body::Body, http::Request};
use chrono::TimeDelta;
use dispatch::Trigger;
use lambda_http::aws_lambda_events::event::sqs::SqsEvent;
use lambda_http::lambda_runtime::tracing::subscriber::{Registry, layer::SubscriberExt};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value::Value, trace::v1::Span,
};
use prost::Message;
use serde_json::json;
use shared::platform::{
    budget::Budget,
    config::Env,
    queue::Outgoing,
    traces::{TraceExporter, TraceSettings, recording_layer},
};
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{INVOCATION, Stage, fixture, with_own_ids};
use uuid::Uuid;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers};

use gate::{Api, phones};

/// The spans of a process wait in one queue, and the tests of this file may share a process.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
/// The trace id of the caller.
const CALLER: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Opens the exporter to a collector, with a key in a header.
async fn exporter(endpoint: &str) -> TraceExporter {
    let variables = [
        ("OTLP_ENDPOINT", endpoint),
        ("OTLP_HEADERS", r#"{"x-key": "a key"}"#),
    ];
    let mut env = Env::from_pairs(variables);
    let settings = TraceSettings::from_env(&mut env, "test");
    TraceExporter::open(&env.finish(settings).unwrap())
        .await
        .unwrap()
}

/// Starts a collector that accepts everything with the key.
async fn collector() -> MockServer {
    let server = MockServer::start().await;
    Mock::given(matchers::method("POST"))
        .and(matchers::path("/v1/traces"))
        .and(matchers::header("x-key", "a key"))
        .and(matchers::header("content-type", "application/x-protobuf"))
        .respond_with(ResponseTemplate::new(200))
        .mount(&server)
        .await;
    server
}

/// Returns the spans that a collector has received.
async fn received(collector: &MockServer) -> Vec<Span> {
    let requests = collector.received_requests().await.unwrap();
    let spans = requests.iter().flat_map(|request| {
        let decoded = ExportTraceServiceRequest::decode(request.body.as_slice()).unwrap();
        let scopes = decoded.resource_spans.into_iter();
        let scopes = scopes.flat_map(|of_resource| of_resource.scope_spans);
        scopes.flat_map(|of_scope| of_scope.spans)
    });
    spans.collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

fn attribute(span: &Span, name: &str) -> Option<String> {
    let found = span.attributes.iter().find(|pair| pair.key == name)?;
    Some(match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    })
}

/// Returns an invocation with these messages, as Lambda makes it from what SQS has.
fn invocation(messages: &[Outgoing]) -> SqsEvent {
    let record = |(at, message): (usize, &Outgoing)| {
        let traceparent = message.traceparent.as_ref().map(|value| {
            json!({"traceparent": {"stringValue": value, "dataType": "String", "stringListValues": [], "binaryListValues": []}})
        });
        json!({"messageId": at.to_string(), "body": message.body, "messageAttributes": traceparent.unwrap_or(json!({}))})
    };
    let records: Vec<_> = messages.iter().enumerate().map(record).collect();
    serde_json::from_value(json!({ "Records": records })).unwrap()
}

/// Carries a schedule from the call to its end, each message over a queue.
async fn run_schedule(stage: &Stage, recipients: u32) -> String {
    let api = Api::new(stage).await;
    let run_at = stage.db.now() + TimeDelta::minutes(10);
    let body = json!({"run_at": run_at.to_rfc3339(), "message": "A secret text", "recipients": phones(1..=recipients)});
    let caller = format!("00-{CALLER}-00f067aa0ba902b7-01");
    let request = Request::post("/v1/schedules")
        .header("content-type", "application/json")
        .header("traceparent", caller)
        .body(Body::from(body.to_string()))
        .unwrap();
    let created = gate::call(&api.app, request).await;
    let schedule: Uuid = created["id"].as_str().unwrap().parse().unwrap();
    let (message, fire_at) = api.scheduler.waiting()[0];
    let wait = (fire_at - stage.db.now()).to_std().unwrap();
    stage.db.clock.advance(wait + Duration::from_secs(20));
    let budget = || Budget::new(INVOCATION);
    let trigger = Trigger::OneTime(message);
    stage.dispatcher.handle(trigger, budget()).await.unwrap();
    stage.db.clock.advance(Duration::from_secs(70));
    for _ in 0..50 {
        let sends = invocation(&stage.send_queue.take());
        let failed = stage.sender.handle(sends, budget()).await;
        assert_eq!(failed.batch_item_failures.len(), 0);
        stage.db.clock.advance(Duration::from_secs(60));
        let checks = invocation(&stage.recheck_queue.take());
        let failed = stage.rechecker.handle(checks, budget()).await;
        assert_eq!(failed.batch_item_failures.len(), 0);
        if fixture::status(&stage.db, schedule).await == "finished" {
            return schedule.simple().to_string();
        }
    }
    panic!("the schedule did not finish");
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_schedule_is_one_trace_from_the_call_to_its_end(pool: MySqlPool) {
    let _alone = ALONE.lock().await;
    let subscriber = Registry::default().with(recording_layer());
    let _recording = tracing::subscriber::set_default(subscriber);
    let (collector, stage) = (
        collector().await,
        Stage::with_carrier(pool, Settings::default(), with_own_ids).await,
    );
    let exporter = exporter(&collector.uri()).await;
    let trace = run_schedule(&stage, 7).await;
    exporter.flush().await;

    let spans = received(&collector).await;
    let in_trace: Vec<_> = spans
        .iter()
        .filter(|span| hex(&span.trace_id) == trace)
        .collect();
    let by_id: HashMap<_, _> = in_trace
        .iter()
        .map(|span| (span.span_id.clone(), *span))
        .collect();
    for name in [
        "schedule",
        "cut schedule",
        "send batch",
        "carrier request",
        "recheck batch",
    ] {
        assert!(in_trace.iter().any(|span| span.name == name), "{name}");
    }
    for span in &in_trace {
        eprintln!(
            "{} {} <- {} {:?}",
            span.name,
            hex(&span.span_id),
            hex(&span.parent_span_id),
            attribute(span, "batch.no")
        );
    }
    // Connected: each span but the first has a parent in the trace.
    for span in &in_trace {
        assert_eq!(span.parent_span_id.is_empty(), span.name == "schedule");
        assert!(
            span.parent_span_id.is_empty() || by_id.contains_key(&span.parent_span_id),
            "{}",
            span.name
        );
    }
    assert_hops(&in_trace, &by_id);
    assert_linked_to_the_call(&spans, &trace);
    assert_no_secret(&spans);
}

/// A pass of 60 requests with one number each: the spans of 8, and of one that fails.
#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_pass_has_spans_of_its_first_requests_and_of_those_that_fail(pool: MySqlPool) {
    let _alone = ALONE.lock().await;
    let subscriber = Registry::default().with(recording_layer());
    let _recording = tracing::subscriber::set_default(subscriber);
    let refusing = Settings {
        refuse_numbers: phones(60..=60),
        ..Settings::default()
    };
    let collector = collector().await;
    let mut stage = Stage::with_carrier(pool, refusing, with_own_ids).await;
    stage.dispatcher.settings.batch_size = 60;
    let exporter = exporter(&collector.uri()).await;
    let trace = run_schedule(&stage, 60).await;
    exporter.flush().await;

    let spans = received(&collector).await;
    let in_trace = |span: &&Span| hex(&span.trace_id) == trace;
    let outcomes: Vec<_> = spans
        .iter()
        .filter(in_trace)
        .filter(|span| span.name == "carrier request")
        .filter_map(|span| attribute(span, "outcome"))
        .collect();
    let refused = outcomes.iter().filter(|outcome| *outcome == "refused");
    assert_eq!((outcomes.len(), refused.count()), (9, 1), "{outcomes:?}");
    let send = spans.iter().find(|span| span.name == "send batch");
    let requests = attribute(send.expect("a pass"), "carrier.requests");
    assert_eq!(requests.as_deref(), Some("60"));
}

/// Each message is processed in a child of the span that has sent it.
fn assert_hops(in_trace: &[&Span], by_id: &HashMap<Vec<u8>, &Span>) {
    let parents = |name: &str| -> Vec<&str> {
        let spans = in_trace.iter().filter(|span| span.name == name);
        spans
            .map(|span| by_id[&span.parent_span_id].name.as_str())
            .collect()
    };
    assert_eq!(parents("cut schedule"), ["schedule"]);
    assert!(parents("send batch").contains(&"cut schedule"));
    assert!(parents("recheck batch").contains(&"send batch"));
    assert!(
        parents("carrier request")
            .iter()
            .all(|name| *name == "send batch")
    );
    let send = in_trace.iter().find(|span| span.name == "send batch");
    let send = send.unwrap();
    for (name, value) in [
        ("batch.no", "1"),
        ("attempt", "1"),
        ("carrier.failures", "0"),
    ] {
        assert_eq!(attribute(send, name).as_deref(), Some(value), "{name}");
    }
    let carrier = in_trace.iter().find(|span| span.name == "carrier request");
    let outcome = attribute(carrier.unwrap(), "outcome");
    assert_eq!(outcome.as_deref(), Some("accepted"));
}

/// The call is part of its caller's trace; call and schedule are linked in both directions.
fn assert_linked_to_the_call(spans: &[Span], trace: &str) {
    let call = spans.iter().find(|span| span.name == "POST /v1/schedules");
    let call = call.expect("the request has a span");
    assert_eq!(hex(&call.trace_id), CALLER);
    assert_eq!(hex(&call.links[0].trace_id), trace);
    let first = spans.iter().find(|span| span.name == "schedule").unwrap();
    assert_eq!(first.links[0].span_id, call.span_id);
}

fn assert_no_secret(spans: &[Span]) {
    let exported = format!("{spans:?}");
    for secret in ["A secret text", "+6012", "6012"] {
        assert!(!exported.contains(secret), "{secret}");
    }
    assert!(exported.contains("send batch"));
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_dead_collector_costs_a_second_per_minute_and_nothing_else(pool: MySqlPool) {
    let _alone = ALONE.lock().await;
    let subscriber = Registry::default().with(recording_layer());
    let _recording = tracing::subscriber::set_default(subscriber);
    let silent = MockServer::start().await;
    let never = ResponseTemplate::new(200).set_delay(Duration::from_secs(60));
    Mock::given(matchers::any())
        .respond_with(never)
        .mount(&silent)
        .await;
    let stage = Stage::with_carrier(pool, Settings::default(), with_own_ids).await;
    let exporter = exporter(&silent.uri()).await;

    run_schedule(&stage, 7).await;
    let begun = Instant::now();
    exporter.flush().await;
    assert!(begun.elapsed() < Duration::from_millis(1500));

    run_schedule(&stage, 7).await;
    let begun = Instant::now();
    exporter.flush().await;
    assert!(begun.elapsed() < Duration::from_millis(100));
    assert_eq!(silent.received_requests().await.unwrap().len(), 1);
}
