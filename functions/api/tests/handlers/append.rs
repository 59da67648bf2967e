//! Appending recipients: content types, duplicates, concurrent calls, and a concurrent cut.

use std::time::Duration;

use crate::common::{Api, count, gzip, phones, request};
use api::resources::schedules::store::lock_schedule;
use axum::http::StatusCode;
use serde_json::{Value, json};
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;
use uuid::Uuid;

fn numbers(body: &Value) -> [u64; 4] {
    [
        "accepted",
        "duplicates",
        "invalid_count",
        "recipients_total",
    ]
    .map(|name| body[name].as_u64().unwrap())
}

async fn rows(pool: &MySqlPool, id: Uuid) -> i64 {
    sqlx::query_scalar(
        "SELECT COUNT(*) FROM recipients WHERE schedule_id = ? AND status = 'PENDING'",
    )
    .bind(id)
    .fetch_one(pool)
    .await
    .unwrap()
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn lists_of_each_content_type_are_appended(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = api.schedule(&[]).await;
    let csv = "name,phone\n";
    #[rustfmt::skip]
    let table: Vec<(&str, &str, Vec<u8>, [u64; 4])> = vec![
        ("application/json", "", json!(phones(0..3)).to_string().into_bytes(), [3, 0, 0, 3]),
        ("application/json; charset=utf-8", "", json!({"recipients": phones(2..5)}).to_string().into_bytes(), [2, 1, 0, 5]),
        ("application/x-ndjson", "", format!("\"{}\"\n", phones(5..7).join("\"\n\"")).into_bytes(), [2, 0, 0, 7]),
        ("text/csv", "", format!("{csv}A,{}\r\nB,{}\r\n", phones(7..8)[0], phones(7..8)[0]).into_bytes(), [1, 1, 0, 8]),
        ("application/gzip", "", gzip(phones(8..10).join("\n").as_bytes()), [2, 0, 0, 10]),
        ("application/gzip", "?format=json", gzip(json!(phones(9..11)).to_string().as_bytes()), [1, 1, 0, 11]),
        ("text/csv", "?on_invalid=skip", format!("x\n{}\ny", phones(11..12)[0]).into_bytes(), [1, 0, 2, 12]),
        ("text/csv", "", phones(0..12).join("\n").into_bytes(), [0, 12, 0, 12]),
    ];
    for (content_type, query, body, expected) in table {
        let answer = api.append(id, query, content_type, body).await;
        assert_eq!(
            answer.status,
            StatusCode::OK,
            "{content_type} {query}: {}",
            answer.body
        );
        assert_eq!(numbers(&answer.body), expected, "{content_type} {query}");
    }
    let shown = api.get(&format!("/v1/schedules/{id}")).await.body;
    assert_eq!(
        shown["recipients"],
        json!({"total": 12, "invalid": 2, "duplicates": 15})
    );
    assert_eq!(rows(&pool, id).await, 12);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_refused_list_writes_none_of_its_chunks(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = api.schedule(&phones(0..1)).await;
    let mut list = phones(1..20_000);
    list.push("pineapple".to_owned());
    let answer = api
        .append(id, "?on_invalid=reject", "text/csv", list.join("\n"))
        .await;
    assert_eq!(
        (answer.status, &answer.body["errors"][0]["position"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!(20_000))
    );
    let broken = format!("{}\n\"", phones(1..20_000).join("\n"));
    assert_eq!(
        api.append(id, "", "text/csv", broken).await.status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(rows(&pool, id).await, 1);
    assert_eq!(
        count(&pool, "SELECT CAST(next_seq + recipient_count + invalid_count + duplicate_count AS SIGNED) FROM schedules").await,
        3
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn concurrent_appends_all_succeed_and_store_each_number_once(pool: MySqlPool) {
    let apis = [
        Api::new(&pool).await,
        Api::new(&pool).await,
        Api::new(&pool).await,
    ];
    let id = apis[0].schedule(&[]).await;
    let other = apis[0].schedule(&phones(0..100)).await;
    let calls = apis.iter().enumerate().map(|(n, api)| {
        let first = n as u32 * 5_000;
        api.append(id, "", "text/csv", phones(first..first + 10_000).join("\n"))
    });
    let answers = futures_util::future::join_all(calls).await;
    let sum = |at: usize| {
        answers
            .iter()
            .map(|answer| numbers(&answer.body)[at])
            .sum::<u64>()
    };
    assert_eq!((sum(0), sum(1)), (20_000, 10_000));
    assert_eq!(
        (rows(&pool, id).await, rows(&pool, other).await),
        (20_000, 100)
    );
    let shown = apis[0].get(&format!("/v1/schedules/{id}")).await.body;
    assert_eq!(
        shown["recipients"],
        json!({"total": 20_000, "invalid": 0, "duplicates": 10_000})
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn an_append_during_a_cut_waits_and_is_refused(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = api.schedule(&phones(0..1)).await;
    let mut cut = pool.begin().await.unwrap();
    lock_schedule(&mut cut, id).await.unwrap().unwrap();
    let append = tokio::spawn({
        let api = api.clone();
        async move {
            api.append(id, "", "text/csv", phones(1..10).join("\n"))
                .await
        }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!append.is_finished());
    sqlx::query("UPDATE schedules SET status = 'running', batch_count = 1, dispatched_at = UTC_TIMESTAMP(3) WHERE id = ?")
        .bind(id)
        .execute(&mut *cut)
        .await
        .unwrap();
    cut.commit().await.unwrap();
    let answer = append.await.unwrap();
    assert_eq!(
        (answer.status, answer.problem()),
        (StatusCode::CONFLICT, "schedule-begun")
    );
    assert_eq!(
        (&answer.body["schedule_status"], &answer.body["possible"]),
        (
            &json!("running"),
            &json!([
                "patch-rate",
                "patch-priority",
                "patch-end",
                "pause",
                "cancel"
            ])
        )
    );
    assert_eq!(rows(&pool, id).await, 1);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_body_of_the_maximum_size_is_accepted(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let mut body = request();
    body["recipients"] = json!(phones(0..60_000));
    // Padded with white space to exactly 5 MiB.
    let mut text = body.to_string();
    text.extend(std::iter::repeat_n(' ', (5 << 20) - text.len()));
    let answer = api.send("/v1/schedules", "application/json", text).await;
    assert_eq!(
        (answer.status, &answer.body["recipients"]["total"]),
        (StatusCode::CREATED, &json!(60_000))
    );
    assert_eq!(rows(&pool, answer.id()).await, 60_000);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_draft_remembers_how_its_lists_are_read(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let mut draft = request();
    draft["draft"] = json!(true);
    draft["recipients"] = Value::Null;
    draft["default_country"] = json!("MY");
    draft["column"] = json!("mobile");
    draft["on_invalid"] = json!("skip");
    let created = api.post(&draft).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.body);
    let list = "name,mobile\nAna,012-345 6789\nBen,n/a\n";
    let appended = api.append(created.id(), "", "text/csv", list).await;
    assert_eq!(appended.status, StatusCode::OK, "{}", appended.body);
    assert_eq!(
        (&appended.body["accepted"], &appended.body["invalid_count"]),
        (&json!(1), &json!(1))
    );
    // A call may say otherwise.
    let refused = api
        .append(created.id(), "?on_invalid=reject", "text/csv", list)
        .await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let other = api
        .append(
            created.id(),
            "?column=1&default_country=GB",
            "text/csv",
            "07400 123456\n",
        )
        .await;
    assert_eq!(other.body["accepted"], 1, "{}", other.body);
    let numbers = api
        .get(&format!(
            "/v1/schedules/{}/recipients?status=PENDING",
            created.id()
        ))
        .await;
    let recipients = numbers.body["recipients"].as_array().unwrap();
    let numbers: Vec<_> = recipients
        .iter()
        .map(|recipient| &recipient["phone"])
        .collect();
    assert_eq!(numbers, ["+60123456789", "+447400123456"]);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_repeated_list_adds_nothing_and_each_entry_names_its_call(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = api.schedule(&phones(0..1)).await;
    let first = format!("x\n{}\ny\n", phones(1..2)[0]);
    let second = format!("{}\nz\n", phones(2..3)[0]);
    let append = async |list: &str| {
        api.append(id, "?on_invalid=skip", "text/csv", list.to_owned())
            .await
            .body
    };
    for (list, call, repeated, expected) in [
        (&first, 2, false, [1, 0, 2, 2]),
        (&second, 3, false, [1, 0, 1, 3]),
        (&first, 2, true, [0, 1, 2, 3]),
        (&second, 3, true, [0, 1, 1, 3]),
    ] {
        let answer = append(list).await;
        assert_eq!(numbers(&answer), expected, "{answer}");
        assert_eq!(
            (&answer["call"], &answer["repeated"]),
            (&json!(call), &json!(repeated))
        );
    }
    // The same lines, read in another way, are another list.
    let other = api
        .append(
            id,
            "?on_invalid=skip&default_country=MY",
            "text/csv",
            first.clone(),
        )
        .await;
    assert_eq!(other.body["call"], 4);
    let shown = api.get(&format!("/v1/schedules/{id}")).await.body;
    assert_eq!(shown["recipients"]["invalid"], 5, "{shown}");
    let refused = api
        .get(&format!("/v1/schedules/{id}/recipients?status=INVALID"))
        .await
        .body;
    let refused = refused["recipients"].as_array().unwrap();
    let places: Vec<_> = refused
        .iter()
        .map(|entry| {
            (
                entry["call"].as_u64().unwrap(),
                entry["position"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(places, [(2, 1), (2, 3), (3, 2), (4, 1), (4, 3)]);
}
