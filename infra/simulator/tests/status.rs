//! Status queries and the statuses of a message over time, over real HTTP.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use simulator::{Settings, UnknownId};
use support::{bench, numbers, read};

#[tokio::test]
async fn a_status_is_json_with_the_content_type_html() {
    let bench = bench(Settings::default()).await;
    let id = bench.send_one("491701").await;
    let (status, content_type, text) = read(bench.query(&id).await).await;
    assert_eq!(status, 200);
    assert!(content_type.starts_with("text/html"));
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(answer["status"], "DELIVRD");
    assert!(
        answer["delivery_time"]
            .as_str()
            .unwrap()
            .bytes()
            .all(|byte| byte.is_ascii_digit())
    );
}

#[tokio::test]
async fn delivery_times_have_three_lengths_and_some_responses_have_extra_fields() {
    let bench = bench(Settings::default()).await;
    let (mut lengths, mut extended) = (HashSet::new(), 0);
    for number in numbers(12) {
        let answer: Value = bench
            .query(&bench.send_one(&number).await)
            .await
            .json()
            .await
            .unwrap();
        lengths.insert(answer["delivery_time"].as_str().unwrap().len());
        extended += u32::from(answer.get("mccmnc").is_some() && answer.get("error_code").is_some());
    }
    assert_eq!(lengths, HashSet::from([10, 12, 14]));
    assert_eq!(extended, 3);
}

#[tokio::test]
async fn a_message_has_no_final_status_until_its_delay_has_passed() {
    let settings = Settings {
        delivery_delay_ms_min: 400,
        delivery_delay_ms_max: 400,
        ..Settings::default()
    };
    let bench = bench(settings).await;
    let sent = Instant::now();
    let id = bench.send_one("491701").await;
    let mut seen = Vec::new();
    while sent.elapsed() < Duration::from_millis(600) {
        let answer: Value = bench.query(&id).await.json().await.unwrap();
        assert_eq!(answer["delivery_time"] != "", answer["status"] == "DELIVRD");
        let status = answer["status"].as_str().unwrap().to_owned();
        if seen.last() != Some(&status) {
            seen.push(status);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(seen, ["ENROUTE", "ACCEPTD", "DELIVRD"]);
}

#[tokio::test]
async fn each_outcome_can_be_set_for_all_messages() {
    let bench = bench(Settings::default()).await;
    let table = [
        ("undeliv", "UNDELIV"),
        ("expired", "EXPIRED"),
        ("rejectd", "REJECTD"),
        ("deleted", "DELETED"),
        ("unknown", "UNKNOWN"),
        ("odd", "DELIVRD"),
        ("stuck", "ENROUTE"),
    ];
    let mut ids = Vec::new();
    for (share, status) in table {
        bench
            .carrier()
            .set(Settings::default().patched(json!({ share: 1.0 })).unwrap())
            .unwrap();
        let id = bench.send_one("491701").await;
        assert_eq!(bench.status(&id).await, status);
        ids.push((id, status));
    }
    // A change of settings applies only to messages that are accepted after it.
    for (id, status) in ids {
        assert_eq!(bench.status(&id).await, status);
    }
}

#[tokio::test]
async fn outcomes_are_drawn_for_each_message_and_a_seed_repeats_them() {
    let settings = Settings {
        undeliv: 0.3,
        expired: 0.2,
        seed: Some(5),
        ..Settings::default()
    };
    let bench = bench(settings).await;
    let mut runs = Vec::new();
    for _ in 0..2 {
        bench.carrier().reset();
        bench.send(&numbers(100).join(","), "Hello").await;
        let mut statuses = Vec::new();
        for line in bench.carrier().ledger() {
            statuses.push(bench.status(&line.message_id).await);
        }
        runs.push(statuses);
    }
    assert_eq!(runs[0], runs[1]);
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for status in &runs[0] {
        *counts.entry(status).or_default() += 1;
    }
    for (status, expected) in [("UNDELIV", 15..45), ("EXPIRED", 8..35), ("DELIVRD", 35..65)] {
        assert!(expected.contains(&counts[status]), "{counts:?}");
    }
}

#[tokio::test]
async fn undocumented_statuses_last_until_delivery_or_for_ever() {
    let settings = Settings {
        odd: 1.0,
        delivery_delay_ms_min: 200,
        delivery_delay_ms_max: 200,
        ..Settings::default()
    };
    for for_ever in [false, true] {
        let bench = bench(Settings {
            odd_for_ever: for_ever,
            ..settings.clone()
        })
        .await;
        let answer = bench.send("491701,491702,491703", "Hello").await;
        let ids: Vec<_> = answer
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["message_id"].as_str().unwrap())
            .collect();
        let mut early = HashSet::new();
        for id in &ids {
            early.insert(bench.status(id).await);
        }
        assert_eq!(
            early,
            ["IM_EXPD", "delivrd", "ACCEPTD "].map(str::to_owned).into()
        );
        tokio::time::sleep(Duration::from_millis(250)).await;
        for id in ids {
            assert_eq!(bench.status(id).await == "DELIVRD", !for_ever);
        }
    }
}

#[tokio::test]
async fn the_first_attempts_fail_and_later_ones_are_delivered() {
    let bench = bench(Settings::default()).await;
    // Attempts before the change of the setting count too. The parts of a long text are one
    // attempt.
    bench.send("491701", &"a".repeat(200)).await;
    bench.patch(json!({ "undeliv_first_attempts": 2 })).await;
    for status in ["UNDELIV", "DELIVRD", "DELIVRD"] {
        assert_eq!(bench.status(&bench.send_one("491701").await).await, status);
    }
    assert_eq!(
        bench.status(&bench.send_one("491702").await).await,
        "UNDELIV"
    );
}

#[tokio::test]
async fn numbers_with_a_configured_prefix_end_undeliv() {
    let bench = bench(Settings {
        undeliv_prefixes: vec!["4915".into()],
        ..Settings::default()
    })
    .await;
    for (number, status) in [
        ("491501", "UNDELIV"),
        ("+491501", "UNDELIV"),
        ("491601", "DELIVRD"),
    ] {
        assert_eq!(bench.status(&bench.send_one(number).await).await, status);
    }
}

#[tokio::test]
async fn the_status_of_an_unknown_id_is_unknown_or_404() {
    let bench = bench(Settings::default()).await;
    for id in ["alss-00000000-00000000", "nonsense"] {
        let answer: Value = bench.query(id).await.json().await.unwrap();
        assert_eq!(answer, json!({ "status": "UNKNOWN" }));
    }
    bench
        .carrier()
        .set(Settings {
            unknown_id: UnknownId::NotFound,
            ..Settings::default()
        })
        .unwrap();
    let (status, content_type, text) = read(bench.query("nonsense").await).await;
    assert_eq!((status, text.as_str()), (404, "404 message not found"));
    assert!(content_type.starts_with("text/plain"));
}

#[tokio::test]
async fn each_status_query_fault_occurs_if_its_share_is_1() {
    let bench = bench(Settings {
        status_error: 1.0,
        ..Settings::default()
    })
    .await;
    let id = bench.send_one("491701").await;
    assert_eq!(bench.query(&id).await.status(), 500);

    bench
        .carrier()
        .set(Settings {
            status_html: 1.0,
            ..Settings::default()
        })
        .unwrap();
    let (status, _, text) = read(bench.query(&id).await).await;
    assert_eq!(status, 200);
    assert!(serde_json::from_str::<Value>(&text).is_err());

    bench
        .carrier()
        .set(Settings {
            status_hang: 1.0,
            hang_ms: 100,
            ..Settings::default()
        })
        .unwrap();
    let asked = Instant::now();
    assert!(
        bench
            .http
            .get(bench.url("/api?messageId=x"))
            .send()
            .await
            .is_err()
    );
    assert!(asked.elapsed() >= Duration::from_millis(100));
    assert_eq!(bench.carrier().stats().faults.values().sum::<u64>(), 3);
}

#[tokio::test]
async fn a_status_query_takes_the_configured_latency() {
    let bench = bench(Settings {
        status_latency_ms: 120,
        ..Settings::default()
    })
    .await;
    let asked = Instant::now();
    bench.query("x").await;
    assert!(asked.elapsed() >= Duration::from_millis(120));
    assert_eq!(bench.carrier().stats().status_queries, 1);
}
