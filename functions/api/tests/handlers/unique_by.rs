//! Lists in which each reference occurs once, and a number may occur more than once.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;
use uuid::Uuid;

use crate::{
    common::{Answer, Api, count, in_seconds, phones, request, rows::uncertain, walk},
    recipient_changes::{change, send},
};

/// Returns an entry with the number `n`.
fn entry(n: u32, reference: &str, time: &str) -> Value {
    json!({"phone": phones(n..n + 1)[0], "reference": reference, "vars": {"time": time}})
}

fn body(recipients: &Value) -> Value {
    let mut body = request();
    (body["message"], body["draft"]) = (json!("Come at {{time}}"), json!(true));
    (body["unique_by"], body["recipients"]) = (json!("reference"), recipients.clone());
    body
}

/// The first patient has two appointments, and the second one.
fn appointments() -> Value {
    json!([entry(0, "A", "9"), entry(1, "B", "10"), entry(0, "C", "11")])
}

async fn draft(api: &Api, recipients: &Value) -> Uuid {
    let created = api.post(&body(recipients)).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.body);
    created.id()
}

async fn append(api: &Api, id: Uuid, query: &str, list: &Value) -> Answer {
    api.append(id, query, "application/json", list.to_string())
        .await
}

/// Returns the place, the number, the reference and the text of each message. A page ends where a walk
/// has read its places, so there may be several.
async fn messages(api: &Api, id: Uuid) -> Value {
    let path = format!("/v1/messages?schedule_id={id}");
    let mut members = Vec::new();
    for member in ["seq", "phone", "reference", "text"] {
        members.push(walk(api, &path, "messages", member).await);
    }
    (0..members[0].len())
        .map(|at| {
            json!([
                members[0][at],
                members[1][at],
                members[2][at],
                members[3][at]
            ])
        })
        .collect()
}

fn message(seq: u32, n: u32, reference: &str, text: &str) -> Value {
    json!([seq, phones(n..n + 1)[0], reference, text])
}

const SECOND: u32 = 100_000_003;

#[sqlx::test(migrator = "MIGRATOR")]
async fn two_appointments_on_one_number_are_two_recipients(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = draft(&api, &appointments()).await;
    let expected = json!([
        message(1, 0, "A", "Come at 9"),
        message(2, 1, "B", "Come at 10"),
        message(SECOND, 0, "C", "Come at 11"),
    ]);
    assert_eq!(messages(&api, id).await, expected);
    let wrong =
        "SELECT COUNT(*) FROM recipients WHERE copy <> seq DIV 100000000 OR copy <> (seq > 3)";
    assert_eq!(count(&pool, wrong).await, 0);
    let shown = api.get(&format!("/v1/schedules/{id}")).await.body;
    assert_eq!(
        (&shown["unique_by"], &shown["recipients"]),
        (
            &json!("reference"),
            &json!({"total": 3, "invalid": 0, "duplicates": 0})
        )
    );
    // The same list again is known.
    let answer = append(&api, id, "", &appointments()).await;
    assert_eq!(
        (&answer.body["accepted"], &answer.body["duplicates"]),
        (&json!(0), &json!(3)),
        "{}",
        answer.body
    );
    let seqs = answer.body["duplicate_entries"].as_array().unwrap().iter();
    let seqs: Vec<_> = seqs.map(|entry| &entry["seq"]).collect();
    assert_eq!(json!(seqs), json!([1, 2, SECOND]));
    assert_eq!(messages(&api, id).await, expected);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn pages_and_reports_have_each_recipient_once(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let mut list = appointments();
    list.as_array_mut().unwrap().push(entry(0, "D", "12"));
    let id = draft(&api, &list).await;
    // Another schedule has the number once.
    let plain = api.schedule(&phones(0..1)).await;
    let expected = json!([1, 2, SECOND, 200_000_004]);
    for limit in [1, 2, 3, 4, 50] {
        let path = format!("/v1/schedules/{id}/recipients?limit={limit}");
        let seqs = walk(&api, &path, "recipients", "seq").await;
        assert_eq!(json!(seqs), expected, "{limit}");
        let path = format!("/v1/messages?schedule_id={id}&limit={limit}");
        let seqs = walk(&api, &path, "messages", "seq").await;
        assert_eq!(json!(seqs), expected, "{limit}");
        let number = phones(0..1)[0].replace('+', "%2B");
        let path = format!("/v1/messages?phone={number}&limit={limit}");
        let found = walk(&api, &path, "messages", "seq").await;
        assert_eq!(json!(found), json!([1, 200_000_004, SECOND, 1]), "{limit}");
        let found = walk(&api, &path, "messages", "schedule_id").await;
        assert_eq!(json!(found), json!([plain, id, id, id]), "{limit}");
    }
    // Nobody is DELIVRD: the pages go on behind the gaps and end.
    for path in ["recipients?status=DELIVRD", "recipients?status=PENDING"] {
        let path = format!("/v1/schedules/{id}/{path}");
        let found = walk(&api, &path, "recipients", "seq").await;
        assert_eq!(found.len(), if path.ends_with("PENDING") { 4 } else { 0 });
    }
    let path = format!("/v1/schedules/{id}/groups?");
    let groups = walk(&api, &path, "groups", "recipients").await;
    let groups: u64 = groups.iter().filter_map(Value::as_u64).sum();
    assert_eq!(groups, 4);
    let csv = axum::http::Request::get(format!("/v1/schedules/{id}/recipients"))
        .header("accept", "text/csv")
        .body(axum::body::Body::empty())
        .unwrap();
    let csv = api.call(csv).await;
    assert_eq!(csv.status, StatusCode::OK);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_reference_occurs_once_and_its_entry_may_correct_time_and_number(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = draft(&api, &appointments()).await;
    // A corrected time, a corrected number, and a new appointment that is corrected at once.
    let list = json!([
        entry(0, "C", "14"),
        entry(0, "B", "15"),
        entry(2, "D", "1"),
        entry(2, "D", "2"),
        entry(2, "E", "3"),
    ]);
    let skipped = append(&api, id, "?on_duplicate=skip&dry_run=true", &list).await;
    assert_eq!(
        (&skipped.body["valid"], &skipped.body["duplicates"]),
        (&json!(2), &json!(3)),
        "{}",
        skipped.body
    );
    let refused = append(&api, id, "?on_duplicate=reject", &list).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let positions = refused.body["errors"].as_array().unwrap().iter();
    let positions: Vec<_> = positions.map(|error| &error["position"]).collect();
    assert_eq!(json!(positions), json!([0, 1, 3]), "{}", refused.body);
    assert!(refused.body.to_string().contains("each reference once"));
    let dry = append(&api, id, "?on_duplicate=update&dry_run=true", &list).await;
    let answer = append(&api, id, "?on_duplicate=update", &list).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    for name in ["duplicates", "invalid_count", "recipients_total"] {
        assert_eq!(dry.body[name], answer.body[name], "{name}");
    }
    for (name, expected) in [
        ("accepted", 2),
        ("updated", 3),
        ("duplicates", 3),
        ("recipients_total", 5),
    ] {
        assert_eq!(answer.body[name], expected, "{name}: {}", answer.body);
    }
    let expected = json!([
        message(1, 0, "A", "Come at 9"),
        message(6, 2, "D", "Come at 2"),
        message(SECOND, 0, "C", "Come at 14"),
        message(100_000_008, 2, "E", "Come at 3"),
        message(200_000_005, 0, "B", "Come at 15"),
    ]);
    assert_eq!(messages(&api, id).await, expected);
    // The numbers of a draft are those that it would send to.
    let dry = api.post_step(id, "dry-run").await;
    assert_eq!(
        (&dry.body["examined"], &dry.body["recipients"]["total"]),
        (&json!(5), &json!(5)),
        "{}",
        dry.body
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn an_entry_without_a_reference_or_the_seventeenth_of_a_number_is_refused(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let list = json!([entry(0, "A", "9"), phones(1..2)[0], entry(2, " ", "1")]);
    let refused = api.post(&body(&list)).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let errors = refused.body["errors"].as_array().unwrap().iter();
    let errors: Vec<_> = errors
        .filter(|error| error["code"] == "missing-reference")
        .map(|error| &error["position"])
        .collect();
    assert!(errors.contains(&&json!(2)), "{}", refused.body);
    let id = draft(&api, &json!([entry(0, "0", "0")])).await;
    let skipped = append(
        &api,
        id,
        "?on_invalid=skip",
        &json!([{"phone": phones(1..2)[0], "vars": {"time": "1"}}, entry(1, "x", "1")]),
    )
    .await;
    assert_eq!(skipped.body["accepted"], 1, "{}", skipped.body);
    assert_eq!(skipped.body["invalid"][0]["code"], "missing-reference");
    let many: Vec<_> = (1..17).map(|n| entry(0, &n.to_string(), "0")).collect();
    let refused = append(&api, id, "", &json!(many)).await;
    let error = &refused.body["errors"][0];
    assert_eq!(
        (&error["code"], &error["position"]),
        (&json!("too-many-of-number"), &json!(15)),
        "{}",
        refused.body
    );
    let accepted = append(&api, id, "", &json!(many[..15])).await;
    assert_eq!(accepted.body["accepted"], 15, "{}", accepted.body);
    let distinct = "SELECT COUNT(DISTINCT copy) FROM recipients WHERE phone = '+12012000000'";
    assert_eq!(count(&pool, distinct).await, 16);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_recipient_is_addressed_by_reference_and_a_number_may_be_ambiguous(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = draft(&api, &appointments()).await;
    let path = format!("/v1/schedules/{id}/recipients/cancel");
    let named = json!({"recipients": [
        {"phone": phones(0..1)[0]}, {"phone": phones(1..2)[0]}, {"phone": phones(1..2)[0]}, {"reference": "C"}, {"phone": phones(9..10)[0]},
    ]});
    let answer = send(&api, Method::POST, &path, &named).await;
    let outcomes = answer.body["recipients"].as_array().unwrap().iter();
    let outcomes: Vec<_> = outcomes.map(|change| &change["outcome"]).collect();
    assert_eq!(
        json!(outcomes),
        json!([
            "ambiguous",
            "cancelled",
            "cancelled",
            "cancelled",
            "not-found"
        ]),
        "{}",
        answer.body
    );
    // A number moves only where no other recipient of its part has it; a reference occurs once.
    let id = draft(&api, &appointments()).await;
    for (seq, edit, expected) in [
        (2, json!({"phone": phones(0..1)[0]}), StatusCode::CONFLICT),
        (SECOND, json!({"phone": phones(1..2)[0]}), StatusCode::OK),
        (1, json!({"phone": phones(5..6)[0]}), StatusCode::OK),
        (2, json!({"phone": phones(0..1)[0]}), StatusCode::OK),
        (1, json!({"reference": "B"}), StatusCode::CONFLICT),
        (1, json!({"reference": "b"}), StatusCode::OK),
        (2, json!({"reference": "B"}), StatusCode::OK),
        (
            2,
            json!({"reference": null}),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
    ] {
        let answer = change(&api, id, seq, edit.clone()).await;
        assert_eq!(answer.status, expected, "{seq} {edit}: {}", answer.body);
    }
    let expected = json!([
        message(1, 5, "b", "Come at 9"),
        message(2, 0, "B", "Come at 10"),
        message(SECOND, 1, "C", "Come at 11"),
    ]);
    assert_eq!(messages(&api, id).await, expected);
}

/// Cuts a schedule as dispatch does, into one batch for each part of the list.
async fn cut(pool: &MySqlPool, id: Uuid) {
    for sql in [
        "INSERT INTO batches (schedule_id, batch_no, first_seq, last_seq, planned_at, pending, check_at, sweep_at)
           SELECT schedule_id, 1 + copy, MIN(seq), MAX(seq), UTC_TIMESTAMP(3), COUNT(*), UTC_TIMESTAMP(3), UTC_TIMESTAMP(3)
           FROM recipients WHERE schedule_id = ? GROUP BY schedule_id, copy",
        "UPDATE schedules SET status = 'running', batch_count = 2, dispatched_at = UTC_TIMESTAMP(3) WHERE id = ?",
    ] {
        sqlx::query(sql).bind(id).execute(pool).await.unwrap();
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn an_uncertain_message_is_not_resolved_by_a_number_of_two_recipients(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = draft(&api, &appointments()).await;
    cut(&pool, id).await;
    uncertain(&pool, id, 1..=SECOND, 3_600).await;
    let path = format!("/v1/schedules/{id}/uncertain");
    let by_number = json!({"outcome": "sent", "recipients": phones(0..2)});
    let answer = api.post_json(&path, &by_number).await;
    assert_eq!(
        (&answer.body["changed"], &answer.body["left"]["ambiguous"]),
        (&json!(1), &json!(1)),
        "{}",
        answer.body
    );
    assert_eq!(answer.body["left"]["not_found"], 0);
    let by_place = json!({"outcome": "sent", "recipients": [SECOND]});
    let answer = api.post_json(&path, &by_place).await;
    assert_eq!(answer.body["changed"], 1, "{}", answer.body);
    let left = "SELECT GROUP_CONCAT(seq) FROM recipients WHERE status = 'UNCERTAIN'";
    let left: String = sqlx::query_scalar(left).fetch_one(&pool).await.unwrap();
    assert_eq!(left, "1");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_resend_keeps_both_messages_to_a_number(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = draft(&api, &appointments()).await;
    for sql in [
        "UPDATE recipients SET status = 'UNDELIV', attempt = 1, id_start = 'm', sent_at = UTC_TIMESTAMP(3), final_at = UTC_TIMESTAMP(3) WHERE schedule_id = ?",
        "INSERT INTO batches (schedule_id, batch_no, first_seq, last_seq, planned_at, undeliv)
           SELECT schedule_id, 1 + copy, MIN(seq), MAX(seq), UTC_TIMESTAMP(3), COUNT(*) FROM recipients WHERE schedule_id = ? GROUP BY schedule_id, copy",
        "UPDATE schedules SET status = 'finished', batch_count = 2, dispatched_at = UTC_TIMESTAMP(3), finished_at = UTC_TIMESTAMP(3) WHERE id = ?",
    ] {
        sqlx::query(sql).bind(id).execute(&pool).await.unwrap();
    }
    let path = format!("/v1/schedules/{id}/resend");
    let draft_body = json!({"draft": true, "run_at": in_seconds(3_600)});
    let made = api.post_json(&path, &draft_body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    assert_eq!(
        (&made.body["complete"], &made.body["unique_by"]),
        (&json!(true), &json!("reference"))
    );
    let expected = json!([
        message(1, 0, "A", "Come at 9"),
        message(2, 1, "B", "Come at 10"),
        message(SECOND, 0, "C", "Come at 11"),
    ]);
    assert_eq!(messages(&api, made.id()).await, expected);
    // Of a cancelled resend only the second appointment was sent: the first is sent again.
    let sent = "UPDATE recipients SET status = IF(seq > 100000000, 'DELIVRD', 'CANCELLED'), attempt = 1, id_start = 'm', sent_at = UTC_TIMESTAMP(3),
        final_at = UTC_TIMESTAMP(3) WHERE schedule_id = ?";
    let cancelled = "UPDATE schedules SET status = 'cancelled' WHERE id = ?";
    for sql in [sent, cancelled] {
        sqlx::query(sql)
            .bind(made.id())
            .execute(&pool)
            .await
            .unwrap();
    }
    let again = api.post_json(&path, &draft_body).await;
    let expected = json!([
        message(1, 0, "A", "Come at 9"),
        message(2, 1, "B", "Come at 10")
    ]);
    assert_eq!(messages(&api, again.id()).await, expected);
}
