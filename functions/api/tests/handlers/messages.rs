//! Messages across schedules, and schedules filtered by time.

use crate::common::{Api, in_seconds, phones, request, walk};
use axum::http::StatusCode;
use serde_json::{Value, json};
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;
use uuid::Uuid;

/// Creates a schedule of the first `count` numbers that ran so many seconds ago, and sent all
/// messages at once. The second recipient failed at its second attempt.
async fn finished_schedule(api: &Api, pool: &MySqlPool, count: u32, seconds_ago: i64) -> Uuid {
    let id = api.schedule(&phones(0..count)).await;
    let sql = "UPDATE schedules SET status = 'finished', batch_count = 1, dispatched_at = UTC_TIMESTAMP(3), finished_at = UTC_TIMESTAMP(3),
        run_at = UTC_TIMESTAMP(3) - INTERVAL ? SECOND WHERE id = ?";
    sqlx::query(sql)
        .bind(seconds_ago)
        .bind(id)
        .execute(pool)
        .await
        .unwrap();
    let sql = "UPDATE recipients SET status = IF(seq = 2, 'UNDELIV', 'DELIVRD'), attempt = IF(seq = 2, 2, 1), resends = IF(seq = 2, 1, 0),
        sent_at = UTC_TIMESTAMP(3) - INTERVAL ? SECOND, final_at = UTC_TIMESTAMP(3), id_start = 'm' WHERE schedule_id = ?";
    sqlx::query(sql)
        .bind(seconds_ago)
        .bind(id)
        .execute(pool)
        .await
        .unwrap();
    let sql = "INSERT INTO attempts (schedule_id, seq, attempt, status, message_id, sent_at, final_at)
        SELECT schedule_id, seq, 1, 'EXPIRED', 'old', sent_at, final_at FROM recipients WHERE schedule_id = ? AND seq = 2";
    sqlx::query(sql).bind(id).execute(pool).await.unwrap();
    id
}

/// Returns schedule and sequence number of each message of a page.
fn places(page: &Value) -> Vec<(String, u64)> {
    let place = |message: &Value| {
        (
            message["schedule_id"].as_str().unwrap().to_owned(),
            message["seq"].as_u64().unwrap(),
        )
    };
    page["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(place)
        .collect()
}

/// Creates an old and a new schedule with sent messages, and one that has not run yet.
async fn three_schedules(api: &Api, pool: &MySqlPool) -> (Uuid, Uuid) {
    let old = finished_schedule(api, pool, 3, 7_200).await;
    let new = finished_schedule(api, pool, 2, 600).await;
    api.schedule(&phones(0..2)).await;
    (old, new)
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn messages_of_a_number_are_listed_with_their_earlier_attempts(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let (_, new) = three_schedules(&api, &pool).await;
    let second = phones(1..2).remove(0);
    let of_number = api
        .get(&format!(
            "/v1/messages?phone={}",
            second.replace('+', "%2B")
        ))
        .await;
    assert_eq!(of_number.status, StatusCode::OK, "{}", of_number.body);
    let messages = of_number.body["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 3, "{}", of_number.body);
    assert_eq!(
        (
            &messages[1]["schedule_id"],
            &messages[1]["status"],
            &messages[1]["attempt"]
        ),
        (&json!(new), &json!("UNDELIV"), &json!(2))
    );
    let earlier = messages[1]["earlier_attempts"].as_array().unwrap();
    assert_eq!(
        (earlier.len(), &earlier[0]["status"], &earlier[0]["attempt"]),
        (1, &json!("EXPIRED"), &json!(1))
    );
    assert_eq!(messages[0]["earlier_attempts"], json!([]));
    assert_eq!(
        api.get(&format!("/v1/messages?phone={second}")).await.body,
        of_number.body,
        "a plus sign that is not encoded"
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn sent_messages_are_listed_by_schedule_and_number(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let (old, new) = three_schedules(&api, &pool).await;
    let second = phones(1..2).remove(0);
    let all = api.get("/v1/messages").await.body;
    let expected: Vec<_> = [(new, 1), (new, 2), (old, 1), (old, 2), (old, 3)]
        .map(|(id, seq)| (id.to_string(), seq))
        .to_vec();
    assert_eq!(
        places(&all),
        expected,
        "schedules that have not run yet list no messages"
    );
    for limit in 1..=5 {
        let walked = walk(
            &api,
            &format!("/v1/messages?limit={limit}"),
            "messages",
            "seq",
        )
        .await;
        assert_eq!(walked, [1, 2, 1, 2, 3].map(|seq| json!(seq)), "{limit}");
        let walked = walk(
            &api,
            &format!("/v1/messages?schedule_id={old}&limit={limit}"),
            "messages",
            "seq",
        )
        .await;
        assert_eq!(walked, [1, 2, 3].map(|seq| json!(seq)), "{limit}");
        let walked = walk(
            &api,
            &format!("/v1/messages?phone={second}&limit={limit}"),
            "messages",
            "status",
        )
        .await;
        assert_eq!(walked.len(), 3);
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn messages_are_filtered_by_time(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let (old, new) = three_schedules(&api, &pool).await;
    let second = phones(1..2).remove(0);
    let hour_ago = in_seconds(-3_600).replace('+', "%2B");
    assert_eq!(
        places(&api.get(&format!("/v1/messages?from={hour_ago}")).await.body).len(),
        2
    );
    assert_eq!(
        places(&api.get(&format!("/v1/messages?to={hour_ago}")).await.body).len(),
        3
    );
    assert_eq!(
        places(
            &api.get(&format!("/v1/messages?to={hour_ago}&status=UNDELIV"))
                .await
                .body
        ),
        [(old.to_string(), 2)]
    );
    assert_eq!(
        places(
            &api.get(&format!("/v1/messages?phone={second}&from={hour_ago}"))
                .await
                .body
        ),
        [(new.to_string(), 2)]
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn messages_of_many_small_schedules_are_all_paged(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    for n in 0..45 {
        finished_schedule(&api, &pool, 1, 600 + n / 2).await;
    }
    let walked = walk(&api, "/v1/messages?limit=7", "messages", "schedule_id").await;
    assert_eq!(walked.len(), 45);
    let distinct: std::collections::HashSet<_> = walked.iter().map(Value::to_string).collect();
    assert_eq!(distinct.len(), 45);
    // Without a match, all pages up to the last one are empty.
    assert!(
        walk(&api, "/v1/messages?status=EXPIRED", "messages", "seq")
            .await
            .is_empty()
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn schedules_are_filtered_by_time_and_sorted(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let mut ids = Vec::new();
    for hours in [5, 1, 3, 1] {
        let mut body = request();
        (body["run_at"], body["draft"]) = (json!(in_seconds(hours * 3_600)), json!(true));
        ids.push(json!(api.post(&body).await.id()));
    }
    let list = async |query: &str| {
        walk(
            &api,
            &format!("/v1/schedules?limit=1{query}"),
            "schedules",
            "id",
        )
        .await
    };
    let of = |places: &[usize]| places.iter().map(|at| ids[*at].clone()).collect::<Vec<_>>();
    assert_eq!(list("").await, of(&[3, 2, 1, 0]));
    assert_eq!(list("&sort=-created_at").await, of(&[3, 2, 1, 0]));
    assert_eq!(list("&sort=run_at").await, of(&[1, 3, 2, 0]));
    assert_eq!(list("&sort=-run_at&status=draft").await, of(&[0, 2, 3, 1]));
    assert_eq!(
        list("&sort=run_at&from=1900-01-01T00:00:00Z&to=9999-12-31T00:00:00Z").await,
        of(&[1, 3, 2, 0])
    );
    assert_eq!(list("&sort=run_at&status=running").await, of(&[]));
    let (two, four) = (
        in_seconds(7_200).replace('+', "%2B"),
        in_seconds(4 * 3_600).replace('+', "%2B"),
    );
    assert_eq!(list(&format!("&sort=run_at&from={two}")).await, of(&[2, 0]));
    assert_eq!(list(&format!("&from={two}&to={four}")).await, of(&[2]));
    assert_eq!(
        list(&format!("&status=draft&to={four}")).await,
        of(&[3, 2, 1])
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn each_invalid_parameter_of_schedules_and_messages_is_reported(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    #[rustfmt::skip]
    let wrong = [
        ("/v1/schedules?sort=name", "sort", "not-a-choice"),
        ("/v1/schedules?from=yesterday", "from", "not-a-time"),
        ("/v1/schedules?cursor=s1", "cursor", "not-a-cursor"),
        ("/v1/messages?phone=0123", "phone", "no-country-code"),
        ("/v1/messages?schedule_id=1", "schedule_id", "not-an-id"),
        ("/v1/messages?status=sent", "status", "not-a-choice"),
        ("/v1/messages?cursor=m1", "cursor", "not-a-cursor"),
        ("/v1/messages?limit=100001", "limit", "out-of-range"),
        ("/v1/messages?format=xml", "format", "not-a-choice"),
    ];
    for (path, field, code) in wrong {
        let answer = api.get(path).await;
        assert_eq!(
            (
                &answer.body["errors"][0]["field"],
                &answer.body["errors"][0]["code"]
            ),
            (&json!(field), &json!(code)),
            "{path}"
        );
    }
    assert_eq!(
        api.get("/v1/messages?schedule_id=018f0000-0000-7000-8000-000000000000")
            .await
            .problem(),
        "not-found"
    );
}

/// Moves the last recipients of four far away in the sequence, as in a long list.
async fn long_list(api: &Api, pool: &MySqlPool) -> Uuid {
    let id = finished_schedule(api, pool, 4, 600).await;
    // A walk skips the places that nobody has, so one recipient is half-way.
    for sql in [
        "UPDATE recipients SET seq = 250000, status = 'EXPIRED' WHERE schedule_id = ? AND seq = 4",
        "UPDATE recipients SET seq = 140000 WHERE schedule_id = ? AND seq = 3",
    ] {
        sqlx::query(sql).bind(id).execute(pool).await.unwrap();
    }
    id
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_call_reads_a_bounded_part_of_a_list_and_the_next_one_continues(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = long_list(&api, &pool).await;
    finished_schedule(&api, &pool, 2, 7_200).await;
    for (path, list) in [
        (
            format!("/v1/schedules/{id}/recipients?status=EXPIRED"),
            "recipients",
        ),
        (
            format!("/v1/messages?schedule_id={id}&status=EXPIRED"),
            "messages",
        ),
        ("/v1/messages?status=EXPIRED".to_owned(), "messages"),
    ] {
        let first = api.get(&path).await;
        assert_eq!(first.status, StatusCode::OK, "{}", first.body);
        assert_eq!(first.body[list], json!([]), "{path}");
        let cursor = first.body["next_cursor"].as_str().unwrap();
        let second = api.get(&format!("{path}&cursor={cursor}")).await;
        assert_eq!(second.body[list], json!([]), "{path}");
        let walked = walk(&api, &path, list, "seq").await;
        assert_eq!(walked, [json!(250_000)], "{path}");
    }
    // Without a filter, too, nothing is left out.
    let walked = walk(&api, "/v1/messages?limit=2", "messages", "seq").await;
    let expected = [1, 2, 140_000, 250_000, 1, 2].map(|seq| json!(seq));
    assert_eq!(walked, expected);
}
