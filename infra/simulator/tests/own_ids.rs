//! The client's own message ids (`incMsgId`), over real HTTP.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use simulator::Settings;
use support::{bench, read};

#[tokio::test]
async fn an_own_id_becomes_the_message_id() {
    let bench = bench(Settings::default()).await;
    let form = [
        ("dnis", "491701"),
        ("message", "Hello"),
        ("incMsgId", "mine-7"),
    ];
    let answer: Value = bench
        .full(&form)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(answer, json!({ "message_id": "mine-7" }));
    assert_eq!(bench.status("mine-7").await, "DELIVRD");
    assert_eq!(bench.carrier().ledger()[0].message_id, "mine-7");
}

#[tokio::test]
async fn the_parts_of_a_long_text_append_a_number_to_the_own_id() {
    let bench = bench(Settings::default()).await;
    let text = "a".repeat(200);
    let form = [
        ("dnis", "491701"),
        ("message", &text),
        ("incMsgId", "mine"),
        ("longMessageMode", "split"),
    ];
    bench.full(&form).send().await.unwrap();
    let ids: Vec<_> = bench
        .carrier()
        .ledger()
        .into_iter()
        .map(|line| line.message_id)
        .collect();
    assert_eq!(ids, ["mine-1", "mine-2"]);
    for (id, status) in [
        ("mine-1", "DELIVRD"),
        ("mine-2", "DELIVRD"),
        ("mine", "UNKNOWN"),
        ("mine-0", "UNKNOWN"),
        ("mine-3", "UNKNOWN"),
    ] {
        assert_eq!(bench.status(id).await, status, "{id}");
    }
}

#[tokio::test]
async fn an_own_id_allows_one_number_and_at_most_128_characters() {
    let bench = bench(Settings::default()).await;
    let long = "x".repeat(129);
    for (dnis, own_id) in [
        ("491701,491702", "mine"),
        ("491701,491701", "mine"),
        ("491701", long.as_str()),
    ] {
        let form = [("dnis", dnis), ("message", "Hello"), ("incMsgId", own_id)];
        let (status, content_type, _) = read(bench.full(&form).send().await.unwrap()).await;
        assert_eq!(
            (status, content_type.as_str()),
            (400, "text/plain; charset=utf-8")
        );
    }
    assert_eq!(bench.carrier().accepted(), 0);
}

#[tokio::test]
async fn an_own_id_that_is_used_twice_sends_two_messages() {
    let bench = bench(Settings {
        undeliv_first_attempts: 1,
        ..Settings::default()
    })
    .await;
    let form = [
        ("dnis", "491701"),
        ("message", "Hello"),
        ("incMsgId", "mine"),
    ];
    for status in ["UNDELIV", "DELIVRD"] {
        bench.full(&form).send().await.unwrap();
        assert_eq!(bench.status("mine").await, status);
    }
    assert_eq!(bench.carrier().accepted(), 2);
}

#[tokio::test]
async fn the_bare_form_ignores_own_ids() {
    let bench = bench(Settings::default()).await;
    let body = json!({ "dnis": "491701", "message": "Hello", "incMsgId": "mine" });
    let answer: Value = bench
        .http
        .post(bench.url("/api"))
        .json(&body)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert!(answer["message_id"].as_str().unwrap().starts_with("alss-"));
}
