//! Recipients of a finished schedule who got nothing are sent to again: in one new schedule, each
//! once.

use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use dispatch::DispatchedBy;
use serde_json::{Value, json};
use shared::platform::{db::MIGRATOR, queue::DispatchMessage};
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{Stage, fixture, window};
use uuid::Uuid;

use crate::common::{
    Answer, Api, count, in_seconds, phones, request,
    rows::{self, undelivered},
};

/// Creates a finished schedule. Every third recipient is UNDELIV, the first EXPIRED, the second
/// UNCERTAIN, the others DELIVRD.
async fn finished(api: &Api, pool: &MySqlPool, recipients: u32) -> Uuid {
    let mut body = request();
    body["message"] = json!("Come at {{time}}");
    (body["name"], body["labels"]) = (json!("Clinic"), json!(["clinic"]));
    (body["sender"], body["send_within_s"]) = (json!("Acme"), json!(3600));
    body["recipients"] = phones(0..recipients)
        .iter()
        .enumerate()
        .map(|(n, phone)| {
            json!({"phone": phone, "vars": {"time": n.to_string()}, "reference": format!("R{n}")})
        })
        .collect();
    let created = api.post(&body).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.body);
    finish(pool, created.id()).await;
    created.id()
}

async fn finish(pool: &MySqlPool, id: Uuid) {
    for sql in [
        "UPDATE recipients SET status = CASE WHEN seq = 1 THEN 'EXPIRED' WHEN seq = 2 THEN 'UNCERTAIN' WHEN seq % 3 = 0 THEN 'UNDELIV'
           ELSE 'DELIVRD' END, attempt = 1, id_start = 'm', sent_at = UTC_TIMESTAMP(3), final_at = IF(status = 'UNCERTAIN', NULL, UTC_TIMESTAMP(3)) WHERE schedule_id = ?",
        "INSERT INTO batches (schedule_id, batch_no, first_seq, last_seq, planned_at, undeliv, expired, uncertain, delivrd)
           SELECT schedule_id, 1, 1, MAX(seq), UTC_TIMESTAMP(3), SUM(status = 'UNDELIV'), SUM(status = 'EXPIRED'),
             SUM(status = 'UNCERTAIN'), SUM(status = 'DELIVRD') FROM recipients WHERE schedule_id = ? GROUP BY schedule_id",
        "UPDATE schedules SET status = 'finished', batch_count = 1, dispatched_at = UTC_TIMESTAMP(3), finished_at = UTC_TIMESTAMP(3),
           run_at = UTC_TIMESTAMP(3) - INTERVAL 1 HOUR WHERE id = ?",
    ] {
        sqlx::query(sql).bind(id).execute(pool).await.unwrap();
    }
}

async fn resend(api: &Api, id: Uuid, body: Value) -> Answer {
    api.post_json(&format!("/v1/schedules/{id}/resend"), &body)
        .await
}

/// Returns the number, the reference and the text of each recipient.
async fn messages(api: &Api, id: Uuid) -> Value {
    let page = api.get(&format!("/v1/messages?schedule_id={id}")).await;
    let messages = page.body["messages"].as_array().unwrap().iter();
    messages
        .map(|message| json!([message["phone"], message["reference"], message["text"]]))
        .collect()
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn those_who_got_nothing_are_sent_to_again_once(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = finished(&api, &pool, 7).await;
    let made = resend(&api, id, json!({})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let expected = json!([
        [phones(2..3)[0], "R2", "Come at 2"],
        [phones(5..6)[0], "R5", "Come at 5"],
    ]);
    assert_eq!(messages(&api, made.id()).await, expected);
    for (member, value) in [
        ("status", json!("scheduled")),
        ("complete", json!(true)),
        ("examined", json!(7)),
        ("resend_of", json!(id)),
        ("name", json!("Clinic")),
        ("labels", json!(["clinic"])),
        ("sender", json!("Acme")),
        ("send_within_s", json!(3600)),
        ("message", json!("Come at {{time}}")),
    ] {
        assert_eq!(made.body[member], value, "{member}");
    }
    assert_eq!(made.body["recipients"]["total"], 2);
    let queued = api.fakes.queued.lock().unwrap().pop();
    assert_eq!(queued.map(|message| message.schedule_id), Some(made.id()));
    // A repeated call finds the same schedule, also with another body, and in a list.
    for body in [json!({}), json!({"statuses": ["EXPIRED"]})] {
        let again = resend(&api, id, body).await;
        assert_eq!((again.status, again.id()), (StatusCode::OK, made.id()));
        assert_eq!(again.body["recipients"]["total"], 2);
    }
    let shown = api.get(&format!("/v1/schedules/{id}")).await.body;
    assert_eq!(shown["resent_by"], json!(made.id()));
    let listed = api.get("/v1/schedules?label=clinic").await.body;
    let listed = listed["schedules"].as_array().unwrap().iter();
    let links: Vec<_> = listed
        .map(|row| (&row["resend_of"], &row["resent_by"]))
        .collect();
    let (old, new) = (json!(id), json!(made.id()));
    assert_eq!(links, [(&old, &Value::Null), (&Value::Null, &new)]);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn states_that_may_have_arrived_and_schedules_that_go_on_are_refused(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = finished(&api, &pool, 7).await;
    for statuses in [
        json!(["UNCERTAIN"]),
        json!(["DELIVRD"]),
        json!([]),
        json!("UNDELIV"),
    ] {
        let refused = resend(&api, id, json!({"statuses": statuses})).await;
        assert_eq!(
            refused.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{statuses}"
        );
        assert_eq!(refused.body["errors"][0]["field"], "statuses");
    }
    let past = resend(&api, id, json!({"run_at": "2020-01-01T00:00:00Z"})).await;
    assert_eq!(past.body["errors"][0]["code"], "in-the-past");
    let timeless = resend(&api, id, json!({"draft": true})).await;
    assert_eq!(timeless.body["errors"][0]["field"], "run_at");
    let nobody = resend(&api, id, json!({"statuses": ["REJECTD"]})).await;
    assert_eq!(nobody.problem(), "nothing-to-resend");
    let running = api.schedule(&phones(0..1)).await;
    let refused = resend(&api, running, json!({})).await;
    assert_eq!(refused.problem(), "wrong-state");
    assert_eq!(
        resend(&api, Uuid::now_v7(), json!({})).await.problem(),
        "not-found"
    );
    assert_eq!(
        count(&pool, "SELECT COUNT(*) FROM schedule_resends").await,
        0
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_copy_that_was_cut_short_goes_on_where_it_ended(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = finished(&api, &pool, 12).await;
    let statuses =
        json!({"statuses": ["UNDELIV", "EXPIRED"], "draft": true, "run_at": in_seconds(3_600)});
    let made = resend(&api, id, statuses).await.id();
    let whole = messages(&api, made).await;
    assert_eq!(whole.as_array().unwrap().len(), 5);
    // As after a crash behind the transaction that has copied the second recipient.
    for sql in [
        "DELETE FROM recipients WHERE schedule_id = ? AND seq > 2",
        "DELETE FROM recipient_variables WHERE schedule_id = ? AND seq > 2",
        "DELETE FROM recipient_references WHERE schedule_id = ? AND seq > 2",
        "UPDATE schedules SET recipient_count = 2, next_seq = 3 WHERE id = ?",
        "UPDATE schedule_resends SET next_seq = 4, is_draft = FALSE WHERE schedule_id = ?",
    ] {
        sqlx::query(sql).bind(made).execute(&pool).await.unwrap();
    }
    let refused = api.post_step(made, "activate").await;
    assert_eq!(refused.problem(), "wrong-state", "{}", refused.body);
    let answers = tokio::join!(resend(&api, id, json!({})), resend(&api, id, json!({})));
    for answer in [answers.0, answers.1] {
        assert_eq!((answer.status, answer.id()), (StatusCode::OK, made));
        assert_eq!(answer.body["complete"], true);
    }
    assert_eq!(messages(&api, made).await, whole);
    let shown = api.get(&format!("/v1/schedules/{made}")).await.body;
    assert_eq!(shown["status"], "scheduled");
    assert_eq!(shown["recipients"]["total"], 5);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn behind_a_cancelled_one_only_those_are_left_who_got_nothing(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = finished(&api, &pool, 9).await;
    let first = resend(
        &api,
        id,
        json!({"draft": true, "run_at": in_seconds(3_600)}),
    )
    .await;
    assert_eq!(first.body["status"], "draft");
    let first = first.id();
    api.post_step(first, "cancel").await;
    // The first of the three was sent before the rest was cancelled.
    let sql = "UPDATE recipients SET status = IF(seq = 1, 'DELIVRD', 'CANCELLED'), id_start = IF(seq = 1, 'm', NULL), final_at = UTC_TIMESTAMP(3), sent_at = IF(seq = 1, UTC_TIMESTAMP(3), NULL), attempt = IF(seq = 1, 1, 0) WHERE schedule_id = ?";
    sqlx::query(sql).bind(first).execute(&pool).await.unwrap();
    let second = resend(
        &api,
        id,
        json!({"run_at": "2027-06-01T09:00:00+08:00", "send_within_s": 60}),
    )
    .await;
    assert_eq!(second.status, StatusCode::CREATED, "{}", second.body);
    assert_ne!(second.id(), first);
    assert_eq!(second.body["run_at"], "2027-06-01T09:00:00+08:00");
    let left = messages(&api, second.id()).await;
    assert_eq!(
        left,
        json!([
            [phones(5..6)[0], "R5", "Come at 5"],
            [phones(8..9)[0], "R8", "Come at 8"]
        ])
    );
    // Its own failures can be sent again, but not for ever.
    let mut last = second.id();
    for generation in 2..=6 {
        undelivered(&pool, last).await;
        let next = resend(&api, last, json!({})).await;
        if generation == 6 {
            assert_eq!(next.problem(), "too-many-resends", "{}", next.body);
            break;
        }
        assert_eq!(
            next.status,
            StatusCode::CREATED,
            "{generation}: {}",
            next.body
        );
        last = next.id();
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_resend_to_nobody_leaves_no_schedule(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = finished(&api, &pool, 7).await;
    let later = json!({"draft": true, "run_at": in_seconds(3_600)});
    let first = resend(&api, id, later).await.id();
    // It is cancelled when it has reached everybody.
    rows::schedule(&pool, first, "status = 'cancelled'").await;
    let sql = "UPDATE recipients SET status = 'DELIVRD', id_start = 'm', attempt = 1, sent_at = UTC_TIMESTAMP(3), final_at = UTC_TIMESTAMP(3) WHERE schedule_id = ?";
    sqlx::query(sql).bind(first).execute(&pool).await.unwrap();
    let one = resend(&api, id, json!({})).await;
    let (two, three) = tokio::join!(resend(&api, id, json!({})), resend(&api, id, json!({})));
    for nobody in [one, two, three] {
        assert_eq!(nobody.problem(), "nothing-to-resend", "{}", nobody.body);
    }
    for (sql, left) in [
        ("SELECT COUNT(*) FROM schedules", 2),
        ("SELECT COUNT(*) FROM schedule_resends", 1),
        ("SELECT COUNT(DISTINCT schedule_id) FROM schedule_labels", 2),
    ] {
        assert_eq!(count(&pool, sql).await, left, "{sql}");
    }
    let shown = api.get(&format!("/v1/schedules/{id}")).await.body;
    assert_eq!(shown["resent_by"], json!(first));
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn who_got_an_earlier_attempt_after_all_is_left_out(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = finished(&api, &pool, 9).await;
    // Of the three who are UNDELIV, one had an attempt before whose receipt came late, another one that
    // had failed.
    let sql = "INSERT INTO attempts (schedule_id, seq, attempt, status, sent_at, final_at)
        VALUES (?, 3, 1, 'DELIVRD', UTC_TIMESTAMP(3), UTC_TIMESTAMP(3)), (?, 6, 1, 'UNDELIV', UTC_TIMESTAMP(3), UTC_TIMESTAMP(3))";
    let attempts = sqlx::query(sql).bind(id).bind(id);
    attempts.execute(&pool).await.unwrap();
    let made = resend(&api, id, json!({})).await;
    let expected = json!([
        [phones(5..6)[0], "R5", "Come at 5"],
        [phones(8..9)[0], "R8", "Come at 8"],
    ]);
    assert_eq!(messages(&api, made.id()).await, expected);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_resend_waits_for_its_window_and_can_be_changed_until_then(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let stage = Stage::new(pool.clone(), Settings::default()).await;
    let id = finished(&api, &pool, 7).await;
    let closed = window::column(&window::daily(Utc::now(), 120..180));
    let sql = "UPDATE schedules SET send_window = ? WHERE id = ?";
    let setting = sqlx::query(sql).bind(closed).bind(id);
    setting.execute(&pool).await.unwrap();
    let made = resend(&api, id, json!({"send_within_s": 86_400})).await;
    assert_eq!(made.body["status"], "scheduled", "{}", made.body);
    let new_id = made.id();
    let opens: DateTime<Utc> = made.body["next_send_at"].as_str().unwrap().parse().unwrap();
    let wait = (opens - Utc::now()).num_minutes();
    assert!((118..=121).contains(&wait), "it opens in {wait} minutes");
    assert!(made.body["changeable_until"].is_string());
    // Neither EventBridge nor the sweep begins it, and it is changed as any other.
    let dispatch = async |version: u32| {
        let message = DispatchMessage {
            schedule_id: new_id,
            version,
        };
        let dispatching = stage
            .dispatcher
            .dispatch(message, DispatchedBy::EventBridge);
        dispatching.await.unwrap();
        stage.dispatcher.sweep(|| true).await.unwrap();
        fixture::status(&stage.db, new_id).await
    };
    assert_eq!(dispatch(0).await, "scheduled");
    let text = json!({"message": "Come at {{time}}, please"});
    let changed = api.patch(new_id, &text).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.body);
    // A repeated call finds it, and changes nothing of it.
    let again = resend(&api, id, json!({})).await;
    assert_eq!(
        (again.status, &again.body["message"]),
        (StatusCode::OK, &text["message"])
    );
    let until_open = opens - stage.db.now() - TimeDelta::seconds(60);
    stage.db.clock.advance(until_open.to_std().unwrap());
    stage.dispatcher.sweep(|| true).await.unwrap();
    assert_eq!(fixture::status(&stage.db, new_id).await, "running");
    stage.play().await;
    let ledger = stage.simulator.carrier().ledger();
    let mut texts: Vec<_> = ledger.iter().map(|line| line.text.as_str()).collect();
    texts.sort_unstable();
    assert_eq!(texts, ["Come at 2, please", "Come at 5, please"]);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn two_calls_at_once_make_one_schedule_of_a_long_list(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = api.schedule(&phones(0..30_000)).await;
    finish(&pool, id).await;
    let answers = tokio::join!(resend(&api, id, json!({})), resend(&api, id, json!({})));
    assert_eq!(answers.0.id(), answers.1.id());
    let sql = "SELECT COUNT(*) FROM schedules WHERE status = 'scheduled'";
    assert_eq!(count(&pool, sql).await, 1);
    // The list that is copied has the numbers of the old one, each once and in its order.
    let sql = "SELECT COUNT(*) FROM (SELECT phone, ROW_NUMBER() OVER (ORDER BY seq) AS place FROM recipients WHERE status = 'UNDELIV') o
        JOIN (SELECT phone, seq FROM recipients WHERE status = 'PENDING') n ON n.phone = o.phone AND n.seq = o.place";
    assert_eq!(count(&pool, sql).await, 10_000);
    let sql = "SELECT COUNT(*) FROM recipients WHERE status = 'PENDING'";
    assert_eq!(count(&pool, sql).await, 10_000);
}
