//! Single recipients are cancelled and changed until they are sent.

use std::time::Duration;

use crate::common::{Answer, Api, count, phones, request, rows};
use api::CALL_BUDGET;
use axum::{
    body::Body,
    http::{Method, Request, StatusCode},
};
use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::{
    batch::{
        claim::{Claim, claim_to_send},
        rows::{FlushRow, FlushTimes, Step, flush},
    },
    message::status::Status,
    platform::{
        db::{Db, MIGRATOR, retry_lock_conflicts},
        queue::BatchMessage,
    },
};
use sqlx::MySqlPool;
use uuid::Uuid;

pub async fn send(api: &Api, method: Method, path: &str, body: &Value) -> Answer {
    let request = Request::builder().method(method).uri(path);
    let body = if body.is_null() {
        Body::empty()
    } else {
        Body::from(body.to_string())
    };
    let request = request.header("content-type", "application/json");
    api.call(request.body(body).unwrap()).await
}

pub async fn cancel(api: &Api, id: Uuid, seq: u32) -> Answer {
    let path = format!("/v1/schedules/{id}/recipients/{seq}");
    send(api, Method::DELETE, &path, &Value::Null).await
}

pub async fn change(api: &Api, id: Uuid, seq: u32, body: Value) -> Answer {
    let path = format!("/v1/schedules/{id}/recipients/{seq}");
    send(api, Method::PATCH, &path, &body).await
}

async fn counts(api: &Api, id: Uuid) -> [u64; 3] {
    let shown = api.get(&format!("/v1/schedules/{id}")).await.body;
    ["PENDING", "CANCELLED", "UNCERTAIN"].map(|status| shown["counts"][status].as_u64().unwrap())
}

fn claim(db: &Db, id: Uuid) -> Claim {
    let batch = BatchMessage {
        schedule_id: id,
        batch_no: 1,
    };
    let now = db.now();
    Claim::new(batch, now, now + TimeDelta::seconds(60))
}

async fn mark(db: &Db, claim: &Claim, seq: u32) -> u64 {
    try_mark(db, claim, seq).await.unwrap()
}

/// Marks one recipient and returns the number of changed rows.
///
/// # Errors
///
/// A lock conflict, which send retries and a test beside other changes must too.
async fn try_mark(db: &Db, claim: &Claim, seq: u32) -> sqlx::Result<u64> {
    let row = FlushRow {
        seq,
        attempt: 0,
        step: Step::Mark,
        resend: 0,
        status: Status::Sending,
        message_id: None,
        error: None,
        is_final: 0,
    };
    let mut connection = db.acquire().await.unwrap();
    let now = db.now();
    let times = FlushTimes {
        marked_at: now,
        now,
    };
    flush(&mut connection, claim, &[row], times).await
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_recipient_is_cancelled_before_the_cut(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = api.schedule(&phones(0..3)).await;
    for _ in 0..2 {
        let answer = cancel(&api, id, 2).await;
        let expected = json!({"seq": 2, "in_time": true, "status": "CANCELLED"});
        assert_eq!((answer.status, answer.body), (StatusCode::OK, expected));
    }
    assert_eq!(counts(&api, id).await, [2, 1, 0]);
    let audited = "SELECT COUNT(*) FROM audit_log WHERE action = 'recipient.cancel'";
    assert_eq!(
        count(&pool, audited).await,
        1,
        "a repeated call changes nothing"
    );
    // A repeated append does not bring the recipient back.
    let list = json!(phones(0..3)).to_string();
    let appended = api
        .append(id, "", "application/json", list.into_bytes())
        .await;
    assert_eq!(appended.body["accepted"], json!(0), "{}", appended.body);
    assert_eq!(counts(&api, id).await, [2, 1, 0]);
    assert_eq!(cancel(&api, id, 4).await.status, StatusCode::NOT_FOUND);
    assert_eq!(
        cancel(&api, Uuid::now_v7(), 1).await.status,
        StatusCode::NOT_FOUND
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_recipient_is_changed_and_checked_like_an_appended_one(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let mut body = request();
    body["message"] = json!("Come at {{time}}");
    body["default_country"] = json!("MY");
    body["recipients"] = json!([{"phone": "+60123456701", "vars": {"time": "9"}}, {"phone": "+60123456702", "vars": {"time": "10"}}]);
    let id = api.post(&body).await.id();
    let answer = change(
        &api,
        id,
        1,
        json!({"phone": "012-345 6703", "vars": {"time": "11"}}),
    )
    .await;
    let expected = json!({"seq": 1, "in_time": true, "status": "PENDING"});
    assert_eq!((answer.status, answer.body), (StatusCode::OK, expected));
    let stored: (String, String) = sqlx::query_as(
        "SELECT r.phone, v.variables FROM recipients r JOIN recipient_variables v USING (schedule_id, seq) WHERE r.seq = 1",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(
        stored,
        ("+60123456703".to_owned(), r#"{"time":"11"}"#.to_owned())
    );
    let taken = change(&api, id, 1, json!({"phone": "+60123456702"})).await;
    assert_eq!(
        (taken.status, taken.problem()),
        (StatusCode::CONFLICT, "recipient-exists")
    );
    for (body, code) in [
        (json!({"phone": "0123"}), "too-short"),
        (json!({"vars": {"name": "Ana"}}), "missing-variable"),
        (json!({"vars": 7}), "wrong-variables"),
        (json!({}), "nothing-to-change"),
        (json!({"text": "Hi"}), "nothing-to-change"),
    ] {
        let refused = change(&api, id, 1, body.clone()).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        assert_eq!(
            refused.body["errors"][0]["code"],
            json!(code),
            "{body}: {}",
            refused.body
        );
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_was_sent_or_may_have_been_is_too_late(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = rows::cut(&api, &pool, 1).await;
    rows::uncertain(&pool, id, 2..=2, 1).await;
    let resend =
        "UPDATE recipients SET attempt = 1, resends = 1, sent_at = UTC_TIMESTAMP(3) WHERE seq = 3";
    sqlx::query(resend).execute(&pool).await.unwrap();
    for (seq, status) in [(2, "UNCERTAIN"), (3, "PENDING")] {
        for answer in [
            cancel(&api, id, seq).await,
            change(&api, id, seq, json!({"phone": "+60123456799"})).await,
        ] {
            assert_eq!(
                (answer.status, answer.problem()),
                (StatusCode::CONFLICT, "recipient-too-late")
            );
            let members =
                ["seq", "in_time", "recipient_status"].map(|name| answer.body[name].clone());
            assert_eq!(members, [json!(seq), json!(false), json!(status)]);
        }
    }
}

/// The owner of the batch keeps it after a cancellation, and its mark matches nothing.
#[sqlx::test(migrator = "MIGRATOR")]
async fn a_cancelled_recipient_is_not_marked_by_the_owner_of_its_batch(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let db = Db::from_pool(pool.clone());
    let id = rows::cut(&api, &pool, 1).await;
    rows::batch(&pool, id, 1, "send_at = now(-1), sweep_at = now(0)").await;
    let claim = claim(&db, id);
    assert!(claim_to_send(&db, &claim).await.unwrap());
    assert_eq!(cancel(&api, id, 2).await.status, StatusCode::OK);
    assert_eq!(mark(&db, &claim, 2).await, 0);
    assert_eq!(mark(&db, &claim, 3).await, 1, "the owner sends the others");
    assert_eq!(cancel(&api, id, 3).await.problem(), "recipient-too-late");
    assert_eq!(counts(&api, id).await, [3, 1, 0]);
}

/// The owner of the batch may have read the old number, so it loses the batch.
#[sqlx::test(migrator = "MIGRATOR")]
async fn a_changed_recipient_is_not_marked_by_a_worker_that_has_read_it(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let db = Db::from_pool(pool.clone());
    let id = rows::cut(&api, &pool, 1).await;
    rows::batch(&pool, id, 1, "send_at = now(-1), sweep_at = now(0)").await;
    let stale = claim(&db, id);
    assert!(claim_to_send(&db, &stale).await.unwrap());
    let answer = change(&api, id, 2, json!({"phone": "+60123456799"})).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(mark(&db, &stale, 2).await, 0);
    assert_eq!(
        rows::batch_line(&pool, id, 1).await,
        "free unowned now now now past 0 0 0",
        "the claim does not count as a crash or a try"
    );
    let fresh = claim(&db, id);
    assert!(claim_to_send(&db, &fresh).await.unwrap());
    assert_eq!(mark(&db, &fresh, 2).await, 1);
}

/// Fifty times, a mark and a cancellation at once: exactly one of them succeeds.
#[sqlx::test(migrator = "MIGRATOR")]
async fn a_concurrent_mark_and_cancellation_are_serialized(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let db = Db::from_pool(pool.clone());
    let (mut marks, mut cancellations) = (0, 0);
    for n in 0..50_u64 {
        let id = rows::cut(&api, &pool, 1).await;
        rows::batch(&pool, id, 1, "send_at = now(-1), sweep_at = now(0)").await;
        let claim = claim(&db, id);
        assert!(claim_to_send(&db, &claim).await.unwrap());
        let marking = async {
            tokio::time::sleep(Duration::from_micros(n * 150)).await;
            retry_lock_conflicts(async || try_mark(&db, &claim, 1).await)
                .await
                .unwrap()
        };
        let (answer, marked) = tokio::join!(cancel(&api, id, 1), marking);
        let cancelled = answer.status == StatusCode::OK;
        assert_eq!(u64::from(cancelled) + marked, 1, "{}", answer.body);
        let status = rows::recipients(&pool, id).await.remove(0);
        let expected = if cancelled {
            "1 CANCELLED 0 0"
        } else {
            "1 SENDING 1 0"
        };
        assert_eq!(status, expected);
        marks += marked;
        cancellations += u64::from(cancelled);
    }
    println!("{marks} marks, {cancellations} cancellations");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_held_batch_without_recipients_is_missed_no_more(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = rows::cut(&api, &pool, 1).await;
    rows::batch(&pool, id, 1, "missed_at = now(-1)").await;
    rows::schedule(&pool, id, "status = 'missed'").await;
    let entries: Vec<_> = (1..=4).map(|seq| json!({"seq": seq})).collect();
    let path = format!("/v1/schedules/{id}/recipients/cancel");
    let answer = api.post_json(&path, &json!({"recipients": entries})).await;
    assert_eq!(answer.body["in_time"], json!(4));
    let shown = |answer: Answer| answer.body["status"].clone();
    let schedule = format!("/v1/schedules/{id}");
    assert_eq!(shown(api.get(&schedule).await), json!("missed"));
    assert_eq!(cancel(&api, id, 5).await.status, StatusCode::OK);
    assert_eq!(
        shown(api.get(&schedule).await),
        json!("running"),
        "until its recheck finishes it"
    );
    assert!(
        rows::batch_line(&pool, id, 1)
            .await
            .starts_with("free unowned - now now")
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn many_recipients_are_cancelled_and_changed_in_one_call(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = rows::cut(&api, &pool, 2).await;
    rows::uncertain(&pool, id, 2..=2, 1).await;
    let numbers = phones(0..10);
    let body = json!({"recipients": [{"seq": 1}, {"phone": numbers[6]}, {"seq": 2}, {"seq": 99}]});
    let path = format!("/v1/schedules/{id}/recipients/cancel");
    let outcomes = |answer: &Answer| -> Vec<String> {
        let changes = answer.body["recipients"].as_array().unwrap();
        changes
            .iter()
            .map(|change| {
                format!(
                    "{} {} {}",
                    change["seq"], change["outcome"], change["status"]
                )
            })
            .collect()
    };
    for _ in 0..2 {
        let answer = api.post_json(&path, &body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        assert_eq!(
            outcomes(&answer),
            [
                r#"1 "cancelled" "CANCELLED""#,
                r#"7 "cancelled" "CANCELLED""#,
                r#"2 "too-late" "UNCERTAIN""#,
                r#"null "not-found" null"#,
            ]
        );
    }
    assert_eq!(counts(&api, id).await, [7, 2, 1]);
    let path = format!("/v1/schedules/{id}/recipients");
    let set = json!({"phone": "+60123456799"});
    let body = json!({"recipients": [{"seq": 3, "set": set}, {"seq": 4, "set": set}, {"seq": 1, "set": set}]});
    let answer = send(&api, Method::PATCH, &path, &body).await;
    assert_eq!(
        outcomes(&answer),
        [
            r#"3 "changed" "PENDING""#,
            r#"4 "duplicate" "PENDING""#,
            r#"1 "too-late" "CANCELLED""#,
        ]
    );
    for (body, code, position) in [
        (
            json!({"recipients": [{"seq": 5, "set": set}, {"seq": 6, "set": {"phone": "x"}}]}),
            "not-a-number",
            1,
        ),
        (json!({"recipients": [{"set": set}]}), "missing", 0),
        (
            json!({"recipients": [{"seq": 5, "phone": numbers[0], "set": set}]}),
            "one-of",
            0,
        ),
        (json!({"recipients": [7]}), "not-an-object", 0),
    ] {
        let refused = send(&api, Method::PATCH, &path, &body).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        let error = &refused.body["errors"][0];
        assert_eq!(
            (&error["code"], &error["position"]),
            (&json!(code), &json!(position)),
            "{}",
            refused.body
        );
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_call_for_many_batches_ends_in_time_and_is_repeated(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = rows::cut(&api, &pool, 3).await;
    // One recipient of each batch. The second batch is locked until the time of the call is over.
    let path = format!("/v1/schedules/{id}/recipients/cancel");
    let body = json!({"recipients": [{"seq": 11}, {"seq": 6}, {"seq": 1}]});
    let lock = async {
        let mut transaction = pool.begin().await.unwrap();
        let sql = "SELECT batch_no FROM batches WHERE schedule_id = ? AND batch_no = 2 FOR UPDATE";
        let locking = sqlx::query(sql).bind(id);
        locking.execute(&mut *transaction).await.unwrap();
        let call = send(&api, Method::POST, &path, &body);
        let release = async {
            tokio::time::sleep(CALL_BUDGET + Duration::from_millis(200)).await;
            transaction.rollback().await.unwrap();
        };
        tokio::join!(call, release).0
    };
    let first = lock.await;
    let outcomes = |answer: &Answer| -> Vec<Value> {
        let entries = answer.body["recipients"].as_array().unwrap().iter();
        entries
            .map(|entry| json!([entry["seq"], entry["outcome"]]))
            .collect()
    };
    let expected = [
        json!([11, "not-reached"]),
        json!([6, "cancelled"]),
        json!([1, "cancelled"]),
    ];
    assert_eq!(outcomes(&first), expected, "{}", first.body);
    let (left, more) = (&first.body["not_reached"], &first.body["more"]);
    assert_eq!((left, more), (&json!(1), &json!(true)));
    let again = send(&api, Method::POST, &path, &body).await;
    assert_eq!(again.body["in_time"], 3, "{}", again.body);
    let (left, more) = (&again.body["not_reached"], &again.body["more"]);
    assert_eq!((left, more), (&json!(0), &json!(false)));
}
