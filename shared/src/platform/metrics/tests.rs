//! Tests of the metrics.

use std::{collections::HashSet, time::Duration};

use serde_json::{Value, json};

use super::*;

/// Returns the lines that a sink writes for some figures.
fn lines(sink: &Sink, figures: &Figures) -> Vec<Value> {
    let mut written = Vec::new();
    sink.write(figures, &mut written).unwrap();
    let text = String::from_utf8(written).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

#[tokio::test]
async fn an_invocation_writes_one_line_with_its_sums_and_values() {
    let sink = Sink::new("send", "sms-test".to_owned()).unwrap();
    let ((), figures) = collect(async {
        count(Counter::Accepted, 2);
        count(Counter::Accepted, 3);
        record_time(Measure::CarrierLatency, Duration::from_millis(40));
        record_time(Measure::FirstSendLateness, Duration::from_millis(1500));
    })
    .await;
    let [line] = &lines(&sink, &figures)[..] else {
        panic!("expected one line");
    };
    assert_eq!(line["Accepted"], 5);
    assert_eq!(line["CarrierLatency"], json!([40.0]));
    assert_eq!(line["FirstSendLateness"], json!([1.5]));
    assert_eq!(line["function"], "send");
    let directive = &line["_aws"]["CloudWatchMetrics"][0];
    assert_eq!(directive["Namespace"], "sms-test");
    assert_eq!(directive["Dimensions"], json!([[]]));
    let metrics = directive["Metrics"].as_array().unwrap();
    assert!(metrics.contains(&json!({"Name": "Accepted", "Unit": "Count"})));
    assert!(metrics.contains(&json!({"Name": "FirstSendLateness", "Unit": "Seconds"})));
    assert_eq!(metrics.len(), 3, "{metrics:?}");
    // The next invocation starts at zero.
    assert!(lines(&sink, &Figures::default()).is_empty());
}

#[tokio::test]
async fn invocations_do_not_share_figures_and_nothing_is_counted_outside_of_one() {
    count(Counter::Accepted, 1);
    let one = collect(async {
        tokio::task::yield_now().await;
        count(Counter::Accepted, 1);
    });
    let other = collect(async { count(Counter::Accepted, 10) });
    let (((), one), ((), other)) = tokio::join!(one, other);
    assert_eq!(one.count(Counter::Accepted), 1);
    assert_eq!(other.count(Counter::Accepted), 10);
}

#[tokio::test]
async fn a_million_values_take_a_hundred_places_and_keep_the_largest() {
    let sink = Sink::new("send", "sms-test".to_owned()).unwrap();
    let ((), figures) = collect(async {
        for value in 0..1_000_000 {
            record(Measure::CarrierLatency, f64::from(value % 1000));
        }
        record(Measure::CarrierLatency, 5000.0);
        record(Measure::CarrierLatency, 1.0);
    })
    .await;
    let values = figures.values(Measure::CarrierLatency);
    assert_eq!(values.len(), 100);
    assert!(values.contains(&5000.0));
    let mean = values.iter().sum::<f64>() / 100.0;
    assert!((300.0..800.0).contains(&mean), "{mean}");
    assert_eq!(
        lines(&sink, &figures)[0]["CarrierLatency"]
            .as_array()
            .unwrap()
            .len(),
        100
    );
}

#[tokio::test]
async fn each_metric_of_the_list_can_be_written() {
    let sink = Sink::new("send", "sms-test".to_owned()).unwrap();
    let ((), figures) = collect(async {
        for &counter in Counter::ALL {
            count(counter, 1);
        }
        for &measure in Measure::ALL {
            record(measure, 1.0);
        }
    })
    .await;
    let line = &lines(&sink, &figures)[0];
    let written = line["_aws"]["CloudWatchMetrics"][0]["Metrics"]
        .as_array()
        .unwrap();
    // The format allows a hundred metrics in a line.
    assert!(written.len() <= 100);
    let expected: Vec<_> = all()
        .map(|listed| json!({"Name": listed.name, "Unit": listed.unit.as_str()}))
        .collect();
    assert_eq!(written.len(), expected.len());
    assert!(
        expected.iter().all(|metric| written.contains(metric)),
        "{written:?}"
    );
}

#[test]
fn each_metric_of_the_list_is_explained_once() {
    let names: HashSet<_> = all().map(|listed| listed.name).collect();
    assert_eq!(names.len(), all().count());
    for listed in all() {
        assert!(
            !listed.meaning.is_empty() && !listed.functions.is_empty(),
            "{listed:?}"
        );
    }
}

#[tokio::test]
async fn a_function_without_a_namespace_counts_nothing() {
    let metrics = Metrics::open("send", None).unwrap();
    let counts = || FIGURES.try_with(|_| ()).is_ok();
    assert!(!metrics.during(async { counts() }).await);
    let metrics = Metrics::open("send", Some("sms-test".to_owned())).unwrap();
    assert!(metrics.during(async { counts() }).await);
}

#[tokio::test]
async fn only_the_first_invocation_of_a_process_is_a_cold_start() {
    IS_COLD.store(true, Ordering::Relaxed);
    let ((), first) = collect(with_start(async {})).await;
    let ((), second) = collect(with_start(async {})).await;
    let starts = [first, second].map(|figures| figures.count(Counter::ColdStarts));
    assert_eq!(starts, [1, 0]);
}
