//! Everything that is known of one number: shown, and erased.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use serde_json::{Value, json};
use shared::{access::Permission, platform::db::MIGRATOR};
use sqlx::MySqlPool;
use testkit::columns_with;
use uuid::Uuid;

use crate::common::{Answer, Api, count, insert_key, phones, request};

async fn execute(pool: &MySqlPool, sql: &str, id: Uuid) {
    let done = sqlx::query(sql).bind(id).execute(pool).await;
    done.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

async fn erase(api: &Api, phone: &str, query: &str) -> Answer {
    let request = Request::delete(format!("/v1/people/{phone}{query}"));
    let answer = api.call(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    answer
}

/// Creates a schedule whose recipients have variables and references.
async fn schedule(api: &Api, phones: &[String], message: &str) -> Uuid {
    let mut body = request();
    body["message"] = json!(message);
    body["recipients"] = phones
        .iter()
        .map(|phone| json!({"phone": phone, "vars": {"name": "Ana"}, "reference": "R-Ana", "group": "north"}))
        .collect();
    let created = api.post(&body).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.body);
    created.id()
}

/// Moves all recipients to a state after a request, with an earlier attempt, and cuts the schedule.
async fn send(pool: &MySqlPool, id: Uuid, status: &str) {
    let sent = format!(
        "UPDATE recipients SET status = '{status}', attempt = 2, resends = 1, id_start = 'carrier-id', error = CONCAT('bad ', phone),
           sent_at = UTC_TIMESTAMP(3), final_at = IF('{status}' IN ('ENROUTE', 'UNCERTAIN'), NULL, UTC_TIMESTAMP(3)) WHERE schedule_id = ?"
    );
    for sql in [
        sent.as_str(),
        "INSERT INTO attempts (schedule_id, seq, attempt, status, message_id, sent_at, final_at)
           SELECT schedule_id, seq, 1, 'UNDELIV', 'first-id', UTC_TIMESTAMP(3), UTC_TIMESTAMP(3) FROM recipients WHERE schedule_id = ?",
        "INSERT INTO batches (schedule_id, batch_no, first_seq, last_seq, planned_at, check_at, sweep_at)
           SELECT schedule_id, 1, 1, MAX(seq), UTC_TIMESTAMP(3), UTC_TIMESTAMP(3), UTC_TIMESTAMP(3) FROM recipients WHERE schedule_id = ? GROUP BY schedule_id",
        "UPDATE schedules SET status = 'running', batch_count = 1, dispatched_at = UTC_TIMESTAMP(3), run_at = UTC_TIMESTAMP(3) WHERE id = ?",
    ] {
        execute(pool, sql, id).await;
    }
}

async fn finish(pool: &MySqlPool, id: Uuid, hours_ago: u32) {
    let done = "UPDATE batches SET check_at = NULL, sweep_at = NULL WHERE schedule_id = ?";
    execute(pool, done, id).await;
    let sql = format!(
        "UPDATE schedules SET status = 'finished', finished_at = UTC_TIMESTAMP(3) - INTERVAL {hours_ago} HOUR WHERE id = ?"
    );
    execute(pool, &sql, id).await;
}

fn numbers(answer: &Value) -> Value {
    let names = [
        "cancelled",
        "messages",
        "attempts",
        "variables",
        "references",
        "texts",
    ];
    names.iter().map(|name| answer[name].clone()).collect()
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn an_erased_number_is_in_no_column_of_any_table(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let all = phones(0..3);
    let (phone, other) = (all[0].as_str(), all[1].as_str());
    let digits = phone.trim_start_matches('+');
    let sent = schedule(&api, &all, "Dear {{name}}").await;
    send(&pool, sent, "DELIVRD").await;
    let alone = schedule(&api, &all[..1], "A secret for Ana alone").await;
    send(&pool, alone, "UNDELIV").await;
    finish(&pool, alone, 48).await;
    let waiting = schedule(&api, &all, "Hello {{name}}").await;
    let path = format!("/v1/suppressions/{phone}");
    for reason in [format!("call from {phone}"), format!("again: {phone}")] {
        let put = Request::put(&path).header("content-type", "application/json");
        let body = Body::from(json!({ "reason": reason }).to_string());
        api.call(put.body(body).unwrap()).await;
    }
    assert!(
        columns_with(&pool, digits).await.len() > 3,
        "the search finds it"
    );
    let before: Vec<Value> = api.get(&format!("/v1/people/{phone}")).await.body["messages"]
        .as_array()
        .unwrap()
        .clone();
    assert_eq!(before.len(), 3);
    let erased = erase(&api, phone, "?suppression=remove").await.body;
    assert_eq!(numbers(&erased), json!([1, 3, 2, 3, 3, 1]), "{erased}");
    assert_eq!(
        (
            &erased["suppression_reasons"],
            &erased["suppressed"],
            &erased["not_yet"],
            &erased["more"]
        ),
        (&json!(2), &json!(false), &json!(0), &json!(false))
    );
    assert_eq!(columns_with(&pool, digits).await, Vec::<String>::new());
    assert_eq!(
        columns_with(&pool, "secret for Ana").await,
        Vec::<String>::new()
    );
    for id in [sent, waiting] {
        let shown = api.get(&format!("/v1/schedules/{id}")).await.body;
        assert_eq!(shown["recipients"]["total"], 3, "counts remain: {shown}");
        let rows = api
            .get(&format!("/v1/schedules/{id}/recipients"))
            .await
            .body;
        assert_eq!(rows["recipients"].as_array().unwrap().len(), 3);
    }
    let kept = api
        .get(&format!("/v1/messages?phone={}", other.replace('+', "%2B")))
        .await
        .body;
    assert_eq!(
        kept["messages"].as_array().unwrap().len(),
        2,
        "other numbers stay: {kept}"
    );
    let again = erase(&api, phone, "").await.body;
    assert_eq!(
        numbers(&again),
        json!([0, 0, 0, 0, 0, 0]),
        "nothing is erased twice"
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn the_messages_of_an_erased_number_are_found_by_its_hash(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let all = phones(0..2);
    let id = schedule(&api, &all, "Dear {{name}}").await;
    send(&pool, id, "DELIVRD").await;
    finish(&pool, id, 0).await;
    erase(&api, &all[0], "").await;
    let found = api
        .get(&format!(
            "/v1/messages?phone={}",
            all[0].replace('+', "%2B")
        ))
        .await
        .body;
    let message = &found["messages"][0];
    assert_eq!(
        (
            &message["phone"],
            &message["status"],
            &message["message_id"],
            &message["reference"],
            &message["group"]
        ),
        (
            &Value::Null,
            &json!("DELIVRD"),
            &json!("erased"),
            &Value::Null,
            &json!("north")
        )
    );
    assert_eq!(message["earlier_attempts"][0]["message_id"], "erased");
    for path in [
        format!("/v1/schedules/{id}/recipients"),
        format!("/v1/messages?schedule_id={id}"),
        format!("/v1/messages?schedule_id={id}&format=csv"),
        format!("/v1/schedules/{id}/recipients?format=ndjson"),
        "/v1/messages".to_owned(),
        "/v1/messages?reference=R-Ana".to_owned(),
    ] {
        let answer = api.get(&path).await;
        let shown = answer.body.to_string();
        assert!(
            !shown.contains('#') && !shown.contains(&all[0][1..]),
            "{path}: {shown}"
        );
        assert!(shown.contains(&all[1][1..]), "{path}: {shown}");
    }
    let resent = api
        .post_json(
            &format!("/v1/schedules/{id}/resend"),
            &json!({"statuses": ["DELIVRD"]}),
        )
        .await;
    assert_eq!(
        resent.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "{}",
        resent.body
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_may_still_be_sent_is_not_erased_yet(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let all = phones(0..2);
    for (status, is_running, hours_ago, is_erasable) in [
        ("ENROUTE", true, 0, false),
        ("UNCERTAIN", true, 0, false),
        ("UNDELIV", true, 0, false),
        ("UNDELIV", false, 0, false),
        ("UNDELIV", false, 48, true),
        ("UNKNOWN", true, 0, true),
    ] {
        let id = schedule(&api, &all, "Hello").await;
        send(&pool, id, status).await;
        if !is_running {
            finish(&pool, id, hours_ago).await;
        }
        let erased = erase(&api, &all[0], "").await.body;
        let expected = if is_erasable { (1, 0) } else { (0, 1) };
        let got = (
            erased["messages"].as_i64().unwrap(),
            erased["not_yet"].as_i64().unwrap(),
        );
        assert_eq!(got, expected, "{status} {is_running} {hours_ago}");
        execute(&pool, "UPDATE recipients SET phone = REPLACE(phone, '+', '+9') WHERE schedule_id = ? AND phone LIKE '+%'", id).await;
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_suppression_is_kept_added_or_removed(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let phone = &phones(0..1)[0];
    let suppressed = async || {
        count(
            &pool,
            "SELECT COUNT(*) FROM suppressions WHERE reason IS NULL",
        )
        .await
    };
    assert_eq!(erase(&api, phone, "").await.body["suppressed"], false);
    assert_eq!(suppressed().await, 0);
    assert_eq!(
        erase(&api, phone, "?suppression=add").await.body["suppressed"],
        true
    );
    assert_eq!(erase(&api, phone, "").await.body["suppressed"], true);
    assert_eq!(suppressed().await, 1);
    let id = schedule(&api, std::slice::from_ref(phone), "Hello").await;
    send(&pool, id, "ENROUTE").await;
    let early = erase(&api, phone, "?suppression=remove").await.body;
    assert_eq!(
        (&early["suppressed"], &early["not_yet"]),
        (&json!(true), &json!(1))
    );
    execute(&pool, "UPDATE recipients SET status = 'DELIVRD', final_at = UTC_TIMESTAMP(3) WHERE schedule_id = ?", id).await;
    assert_eq!(
        erase(&api, phone, "?suppression=remove").await.body["suppressed"],
        false
    );
    assert_eq!(suppressed().await, 0);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_is_known_is_shown_and_the_access_is_recorded(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let all = phones(0..1);
    let path = format!("/v1/people/{}", all[0]);
    let nothing = api.get(&path).await.body;
    assert_eq!(
        (&nothing["messages"], &nothing["suppression"]),
        (&json!([]), &Value::Null)
    );
    for _ in 0..3 {
        let id = schedule(&api, &all, "Dear {{name}}").await;
        send(&pool, id, "DELIVRD").await;
    }
    let first = api.get(&format!("{path}?limit=2")).await.body;
    let message = &first["messages"][0];
    assert_eq!(
        (
            &message["phone"],
            &message["text"],
            &message["variables"]["name"],
            &message["reference"]
        ),
        (
            &json!(all[0]),
            &json!("Dear Ana"),
            &json!("Ana"),
            &json!("R-Ana")
        )
    );
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = api
        .get(&format!("{path}?limit=2&cursor={cursor}"))
        .await
        .body;
    assert_eq!(second["messages"].as_array().unwrap().len(), 1);
    let admin = api.admin().await;
    let log = admin
        .audit(&format!("&resource=person:{}", all[0].replace('+', "%2B")))
        .await;
    assert_eq!(log.len(), 3, "each call is recorded");
    assert_eq!(log[0]["action"], "person.read");
    assert!(!log[0]["resource"].as_str().unwrap().contains(&all[0][1..]));
    let third = api.get(&path).await.body;
    assert_eq!(third["audit"].as_array().unwrap().len(), 3);
    assert_eq!(third["audit"][0], log[0]["id"]);
    let reader = api.with(&insert_key(&pool, &[Permission::PeopleRead], None).await);
    assert_eq!(reader.get(&path).await.status, StatusCode::OK);
    let request = Request::delete(&path).body(Body::empty()).unwrap();
    assert_eq!(reader.call(request).await.problem(), "forbidden");
}

/// Every call that writes about a person or a text, and then the whole log.
#[sqlx::test(migrator = "MIGRATOR")]
async fn the_audit_log_has_no_number_and_no_text(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let all = phones(0..4);
    let (phone, other) = (&all[0], &all[3]);
    let reason = json!({"reason": format!("call from {phone}")});
    let id = schedule(&api, &all[..2], "A secret for {{name}}").await;
    api.patch(id, &json!({"message": "Another secret for {{name}}"}))
        .await;
    api.append(id, "", "text/csv", format!("phone,name\n{},Bo\n", all[2]))
        .await;
    let recipients = format!("/v1/schedules/{id}/recipients");
    let set = json!({"recipients": [{"phone": all[1], "set": {"phone": other, "vars": {"name": "Cy"}, "reference": "R-Cy"}}]});
    let patch = Request::patch(&recipients).header("content-type", "application/json");
    let changed = api
        .call(patch.body(Body::from(set.to_string())).unwrap())
        .await;
    assert_eq!(changed.body["in_time"], 1, "{}", changed.body);
    let cancel = json!({"recipients": [{"phone": all[2]}]});
    assert_eq!(
        api.post_json(&format!("{recipients}/cancel"), &cancel)
            .await
            .status,
        StatusCode::OK
    );
    for step in ["pause", "cancel"] {
        let done = api
            .post_json(&format!("/v1/schedules/{id}/{step}"), &reason)
            .await;
        assert_eq!(done.status, StatusCode::OK, "{step}: {}", done.body);
    }
    let path = format!("/v1/suppressions/{phone}");
    let put = Request::put(&path).header("content-type", "application/json");
    api.call(put.body(Body::from(reason.to_string())).unwrap())
        .await;
    let delete = format!("{path}?reason=call%20from%20{}", phone.replace('+', "%2B"));
    let deleted = api
        .call(Request::delete(delete).body(Body::empty()).unwrap())
        .await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    let import = format!(
        "/v1/suppressions/import?reason=of%20{}",
        phone.replace('+', "%2B")
    );
    assert_eq!(
        api.send(&import, "text/csv", other.clone()).await.status,
        StatusCode::OK
    );
    api.get(&format!("/v1/people/{phone}")).await;
    erase(&api, phone, "").await;
    let entries = count(&pool, "SELECT COUNT(*) FROM audit_log").await;
    assert!(entries >= 10, "each call is in the log: {entries}");
    for hidden in all
        .iter()
        .map(|phone| &phone[1..])
        .chain(["secret for", "R-Cy"])
    {
        let columns = columns_with(&pool, hidden).await;
        let logged: Vec<_> = columns
            .iter()
            .filter(|column| column.starts_with("audit_log."))
            .collect();
        assert!(logged.is_empty(), "{hidden}: {logged:?}");
    }
}
