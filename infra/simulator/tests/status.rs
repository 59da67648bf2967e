//! The status query and a message's life, over real HTTP.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use simulator::{Settings, UnknownId};
use support::{bench, numbers, told};

#[tokio::test]
async fn a_status_is_json_that_calls_itself_html() {
    let bench = bench(Settings::default()).await;
    let id = bench.send_one("491701").await;
    let (status, content_type, text) = told(bench.query(&id).await).await;
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
async fn delivery_times_come_in_three_lengths_and_some_answers_say_more() {
    let bench = bench(Settings::default()).await;
    let (mut lengths, mut talkative) = (HashSet::new(), 0);
    for number in numbers(12) {
        let answer: Value = bench
            .query(&bench.send_one(&number).await)
            .await
            .json()
            .await
            .unwrap();
        lengths.insert(answer["delivery_time"].as_str().unwrap().len());
        talkative +=
            u32::from(answer.get("mccmnc").is_some() && answer.get("error_code").is_some());
    }
    assert_eq!(lengths, HashSet::from([10, 12, 14]));
    assert_eq!(talkative, 3);
}

#[tokio::test]
async fn a_message_is_under_way_until_its_delay_has_passed() {
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
        let word = answer["status"].as_str().unwrap().to_owned();
        if seen.last() != Some(&word) {
            seen.push(word);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(seen, ["ENROUTE", "ACCEPTD", "DELIVRD"]);
}

#[tokio::test]
async fn each_end_can_be_had_for_every_message() {
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
    for (share, word) in table {
        bench
            .carrier()
            .set(Settings::default().patched(json!({ share: 1.0 })).unwrap())
            .unwrap();
        let id = bench.send_one("491701").await;
        assert_eq!(bench.status(&id).await, word);
        ids.push((id, word));
    }
    // A change of settings is for the messages after it.
    for (id, word) in ids {
        assert_eq!(bench.status(&id).await, word);
    }
}

#[tokio::test]
async fn shares_are_drawn_for_each_message_and_repeated_by_a_seed() {
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
        let mut words = Vec::new();
        for line in bench.carrier().ledger() {
            words.push(bench.status(&line.message_id).await);
        }
        runs.push(words);
    }
    assert_eq!(runs[0], runs[1]);
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for word in &runs[0] {
        *counts.entry(word).or_default() += 1;
    }
    for (word, expected) in [("UNDELIV", 15..45), ("EXPIRED", 8..35), ("DELIVRD", 35..65)] {
        assert!(expected.contains(&counts[word]), "{counts:?}");
    }
}

#[tokio::test]
async fn odd_words_come_for_a_while_or_for_ever() {
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
async fn the_first_attempts_fail_and_later_ones_arrive() {
    let bench = bench(Settings::default()).await;
    // Attempts from before the setting count too; the parts of a long text are one attempt.
    bench.send("491701", &"a".repeat(200)).await;
    bench.patch(json!({ "undeliv_first_attempts": 2 })).await;
    for word in ["UNDELIV", "DELIVRD", "DELIVRD"] {
        assert_eq!(bench.status(&bench.send_one("491701").await).await, word);
    }
    assert_eq!(
        bench.status(&bench.send_one("491702").await).await,
        "UNDELIV"
    );
}

#[tokio::test]
async fn numbers_with_a_prefix_never_get_it() {
    let bench = bench(Settings {
        undeliv_prefixes: vec!["4915".into()],
        ..Settings::default()
    })
    .await;
    for (number, word) in [
        ("491501", "UNDELIV"),
        ("+491501", "UNDELIV"),
        ("491601", "DELIVRD"),
    ] {
        assert_eq!(bench.status(&bench.send_one(number).await).await, word);
    }
}

#[tokio::test]
async fn an_unknown_id_is_unknown_or_not_found() {
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
    let (status, content_type, text) = told(bench.query("nonsense").await).await;
    assert_eq!((status, text.as_str()), (404, "404 message not found"));
    assert!(content_type.starts_with("text/plain"));
}

#[tokio::test]
async fn queries_fail_in_their_shares() {
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
    let (status, _, text) = told(bench.query(&id).await).await;
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
async fn a_query_takes_its_latency() {
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
