//! Submit requests, over real HTTP.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{HashMap, HashSet};

use serde_json::json;
use simulator::Settings;
use support::{bench, numbers, read};

#[tokio::test]
async fn the_response_for_one_number_is_an_object() {
    let bench = bench(Settings::default()).await;
    let answer = bench.send("491701234567", "Hello").await;
    let id = answer["message_id"].as_str().unwrap();
    assert_eq!(answer, json!({ "message_id": id }));
    assert!(id.starts_with("alss-") && id.len() == 22, "{id}");
    let ledger = bench.carrier().ledger();
    assert_eq!(ledger.len(), 1);
    assert_eq!(
        (ledger[0].dnis.as_str(), ledger[0].text.as_str()),
        ("491701234567", "Hello")
    );
    assert_eq!(
        (
            ledger[0].message_id.as_str(),
            &ledger[0].sender,
            ledger[0].segment_num
        ),
        (id, &None, None)
    );
}

#[tokio::test]
async fn the_response_for_several_numbers_is_an_array_in_another_order() {
    let bench = bench(Settings::default()).await;
    let numbers = numbers(100);
    let answer = bench.send(&numbers.join(","), "Hello").await;
    let answered: Vec<&str> = answer
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["dnis"].as_str().unwrap())
        .collect();
    assert_ne!(answered, numbers);
    assert_eq!(
        answered.iter().copied().collect::<HashSet<_>>(),
        numbers.iter().map(String::as_str).collect()
    );
    let ids: HashMap<String, String> = bench
        .carrier()
        .ledger()
        .into_iter()
        .map(|line| (line.dnis, line.message_id))
        .collect();
    assert_eq!(ids.values().collect::<HashSet<_>>().len(), 100);
    assert!(
        answer
            .as_array()
            .unwrap()
            .iter()
            .all(|row| row["message_id"] == ids[row["dnis"].as_str().unwrap()])
    );
}

#[tokio::test]
async fn more_than_100_numbers_or_2048_characters_are_refused() {
    let bench = bench(Settings::default()).await;
    let long = format!("{}{}", " ".repeat(2_048 - 12), "491701234567");
    let table = [
        (numbers(100).join(","), 200),
        (numbers(101).join(","), 400),
        (long.clone(), 200),
        (format!(" {long}"), 400),
    ];
    for (dnis, status) in table {
        let response = bench.bare(&dnis, "Hello").send().await.unwrap();
        assert_eq!(response.status(), status);
        if status == 400 {
            let (_, content_type, text) = read(response).await;
            assert!(content_type.starts_with("text/plain"));
            assert_eq!(text, "400 Bad Request (Destination number is too long)");
        }
    }
    assert_eq!(bench.carrier().accepted(), 101);
    assert_eq!(bench.carrier().stats().refused["too_many_numbers"], 2);
}

#[tokio::test]
async fn a_repeated_number_gets_two_ids_and_one_message() {
    let bench = bench(Settings::default()).await;
    let answer = bench.send("491701,491702,491701", "Hello").await;
    assert_eq!(answer.as_array().unwrap().len(), 3);
    assert_eq!(bench.carrier().accepted(), 2);
    assert_eq!(bench.carrier().stats().duplicates, 1);
    let mut statuses = Vec::new();
    for row in answer
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["dnis"] == "491701")
    {
        statuses.push(bench.status(row["message_id"].as_str().unwrap()).await);
    }
    statuses.sort();
    assert_eq!(statuses, ["ACCEPTD", "DELIVRD"]);
}

#[tokio::test]
async fn the_full_form_is_accepted_as_query_form_or_json() {
    let bench = bench(Settings::default()).await;
    let fields = [
        ("command", "submit"),
        ("dnis", "491701"),
        ("message", "Grüße & mehr"),
        ("ani", "Shop"),
        ("dataCoding", "0"),
    ];
    let api = bench.url("/api");
    let json: HashMap<_, _> = fields.into_iter().collect();
    for request in [
        bench.http.get(&api).query(&fields),
        bench.http.post(&api).query(&fields),
        bench.http.post(&api).form(&fields),
        bench.http.post(&api).json(&json),
    ] {
        bench.carrier().reset();
        assert_eq!(request.send().await.unwrap().status(), 200);
        let line = bench.carrier().ledger().remove(0);
        assert_eq!(
            (line.text.as_str(), line.sender.as_deref()),
            ("Grüße & mehr", Some("Shop"))
        );
    }
}

#[tokio::test]
async fn wrong_credentials_are_refused() {
    let settings = Settings {
        username: Some("anna".into()),
        password: Some("secret".into()),
        ..Settings::default()
    };
    let bench = bench(settings).await;
    let table = [
        (Some("anna"), Some("secret"), 200),
        (Some("anna"), Some("other"), 401),
        (Some("bob"), Some("secret"), 401),
        (None, None, 401),
    ];
    for (username, password, status) in table {
        let mut form = vec![("dnis", "491701"), ("message", "Hello")];
        form.extend(username.map(|username| ("username", username)));
        form.extend(password.map(|password| ("password", password)));
        let response = bench.full(&form).send().await.unwrap();
        assert_eq!(response.status(), status);
        if status == 401 {
            assert_eq!(
                response.text().await.unwrap(),
                "401 not authorized (check login and password)"
            );
        }
    }
    assert_eq!(bench.query("any").await.status(), 401);
    let query = [
        ("command", "query"),
        ("messageId", "any"),
        ("username", "anna"),
        ("password", "secret"),
    ];
    assert_eq!(
        bench
            .http
            .get(bench.url("/api"))
            .query(&query)
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    assert_eq!(bench.carrier().accepted(), 1);
}

#[tokio::test]
async fn invalid_requests_are_refused_in_plain_text() {
    let bench = bench(Settings::default()).await;
    let bodies = [
        "",
        "{",
        "[]",
        "{}",
        r#"{"dnis":"491701"}"#,
        r#"{"message":"Hello"}"#,
        r#"{"dnis":"","message":"Hello"}"#,
        r#"{"dnis":["491701"],"message":"Hello"}"#,
        r#"{"dnis":"491701,","message":"Hello"}"#,
        r#"{"dnis":"nobody","message":"Hello"}"#,
        r#"{"command":"dance","dnis":"491701","message":"Hello"}"#,
    ];
    for body in bodies {
        let request = bench
            .http
            .post(bench.url("/api"))
            .header("content-type", "application/json")
            .body(body);
        let (status, content_type, text) = read(request.send().await.unwrap()).await;
        assert_eq!(
            (status, content_type.as_str()),
            (400, "text/plain; charset=utf-8"),
            "{body}"
        );
        assert!(text.starts_with("400 "), "{body}: {text}");
    }
    assert_eq!(bench.carrier().accepted(), 0);
}
