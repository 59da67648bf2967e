//! Entries whose number is in the list already: skipped, applied to the recipient, or refused, and
//! what the answer says about each.

use axum::http::StatusCode;
use serde_json::{Value, json};
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;
use uuid::Uuid;

use crate::common::{Answer, Api, count, phones, request};

fn entry(n: u32, time: &str) -> Value {
    json!({"phone": phones(n..n + 1)[0], "vars": {"time": time}, "reference": format!("R{n}")})
}

/// Creates a draft with three appointments.
async fn draft(api: &Api, more: Value) -> Uuid {
    let mut body = request();
    (body["message"], body["draft"]) = (json!("Come at {{time}}"), json!(true));
    body["recipients"] = json!([entry(0, "9"), entry(1, "10"), entry(2, "11")]);
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    let created = api.post(&body).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.body);
    created.id()
}

async fn append(api: &Api, id: Uuid, query: &str, list: &Value) -> Answer {
    api.append(id, query, "application/json", list.to_string())
        .await
}

/// Returns the text, the reference and the group of each message.
async fn messages(api: &Api, id: Uuid) -> Value {
    let page = api.get(&format!("/v1/messages?schedule_id={id}")).await;
    let messages = page.body["messages"].as_array().unwrap().iter();
    messages
        .map(|message| json!([message["text"], message["reference"], message["group"]]))
        .collect()
}

fn duplicate(position: u32, n: u32, seq: Option<u32>, became: &str) -> Value {
    json!({"position": position, "phone": phones(n..n + 1)[0], "seq": seq, "became": became})
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_corrected_time_reaches_the_patient_under_update(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = draft(&api, json!({})).await;
    let mut corrected = entry(1, "14");
    corrected["group"] = json!("Ward 2");
    let list =
        json!([entry(3, "12"), corrected, {"phone": phones(0..1)[0], "vars": {"time": "8"}}]);
    let answer = append(&api, id, "?on_duplicate=update", &list).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let expected = json!([
        duplicate(1, 1, Some(2), "updated"),
        duplicate(2, 0, Some(1), "updated")
    ]);
    assert_eq!(answer.body["duplicate_entries"], expected);
    for (name, expected) in [("accepted", 1), ("duplicates", 2), ("updated", 2)] {
        assert_eq!(answer.body[name], expected, "{name}");
    }
    // What the new entry does not have is removed.
    let expected = json!([
        ["Come at 8", null, null],
        ["Come at 14", "R1", "Ward 2"],
        ["Come at 11", "R2", null],
        ["Come at 12", "R3", null],
    ]);
    assert_eq!(messages(&api, id).await, expected);
    // The last of several entries counts, also if the first is new.
    let list = json!([entry(4, "1"), entry(4, "2"), entry(0, "3"), entry(4, "4")]);
    let answer = append(&api, id, "?on_duplicate=update", &list).await;
    assert_eq!(
        (&answer.body["accepted"], &answer.body["updated"]),
        (&json!(1), &json!(3))
    );
    let texts = messages(&api, id).await;
    assert_eq!(
        (&texts[0][0], &texts[4][0]),
        (&json!("Come at 3"), &json!("Come at 4"))
    );
    assert_eq!(texts.as_array().unwrap().len(), 5);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_recipient_who_is_not_pending_is_not_changed(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = draft(&api, json!({})).await;
    let sql =
        "UPDATE recipients SET status = 'CANCELLED', final_at = UTC_TIMESTAMP(3) WHERE seq = 1";
    sqlx::query(sql).execute(&pool).await.unwrap();
    let list = json!([entry(0, "8")]);
    let answer = append(&api, id, "?on_duplicate=update", &list).await;
    let expected = json!([duplicate(0, 0, Some(1), "skipped")]);
    assert_eq!(answer.body["duplicate_entries"], expected);
    assert_eq!(answer.body["updated"], 0);
    assert_eq!(messages(&api, id).await[0][0], "Come at 9");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn skipped_duplicates_are_counted_and_the_first_hundred_listed(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = api.schedule(&phones(0..60)).await;
    // A new number before each that is known: in two chunks.
    let list: Vec<_> = (0..12_000)
        .flat_map(|n| {
            phones(20_000 + n..20_001 + n)
                .into_iter()
                .chain(phones(n % 60..n % 60 + 1))
        })
        .collect();
    let answer = api.append(id, "", "text/csv", list.join("\n")).await;
    assert_eq!(answer.body["accepted"], 12_000);
    assert_eq!(
        (&answer.body["duplicates"], &answer.body["updated"]),
        (&json!(12_000), &json!(0))
    );
    let listed = answer.body["duplicate_entries"].as_array().unwrap();
    assert_eq!(listed.len(), 100);
    // Lines count from 1.
    assert_eq!(listed[0], duplicate(2, 0, Some(1), "skipped"));
    assert_eq!(listed[99], duplicate(200, 39, Some(40), "skipped"));
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_list_with_duplicates_is_refused_under_reject(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = api.schedule(&phones(0..1)).await;
    let mut list = phones(1..20_000);
    // In the schedule, in the same chunk, and in a chunk before.
    list.extend([phones(0..1), phones(19_999..20_000), phones(5..6)].concat());
    list.insert(1, phones(1..2)[0].clone());
    let body = list.join("\n");
    let refused = api
        .append(id, "?on_duplicate=reject", "text/csv", body)
        .await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let errors = refused.body["errors"].as_array().unwrap();
    let found: Vec<_> = errors
        .iter()
        .map(|error| (&error["code"], &error["position"]))
        .collect();
    let code = json!("duplicate");
    let positions = [2, 20_001, 20_002, 20_003].map(|position| json!(position));
    let expected: Vec<_> = positions.iter().map(|position| (&code, position)).collect();
    assert_eq!(found, expected);
    assert!(errors[1]["detail"].as_str().unwrap().ends_with("at seq 1"));
    assert_eq!(count(&pool, "SELECT COUNT(*) FROM recipients").await, 1);
    let distinct = phones(1..20_000).join("\n");
    let accepted = api
        .append(id, "?on_duplicate=reject", "text/csv", distinct)
        .await;
    assert_eq!(accepted.body["accepted"], 19_999);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_draft_remembers_the_effect_and_a_call_may_choose_another(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = draft(&api, json!({"on_duplicate": "reject"})).await;
    let list = json!([entry(0, "8")]);
    assert_eq!(
        append(&api, id, "", &list).await.problem(),
        "invalid-request"
    );
    let skipped = append(&api, id, "?on_duplicate=skip", &list).await;
    assert_eq!(skipped.body["duplicate_entries"][0]["became"], "skipped");
    assert_eq!(messages(&api, id).await[0][0], "Come at 9");
    let wrong = append(&api, id, "?on_duplicate=replace", &list).await;
    assert_eq!(wrong.body["errors"][0]["code"], "not-a-choice");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_dry_run_says_what_the_call_does(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = draft(&api, json!({})).await;
    let list = json!([
        entry(3, "1"),
        entry(0, "2"),
        "x",
        entry(0, "3"),
        entry(2, "4")
    ]);
    for on_duplicate in ["skip", "update"] {
        let query = format!("?on_invalid=skip&on_duplicate={on_duplicate}");
        let dry = append(&api, id, &format!("{query}&dry_run=true"), &list).await;
        let real = append(&api, id, &query, &list).await;
        assert_eq!(dry.body["accepted"], true);
        for name in ["duplicates", "duplicate_entries"] {
            // The second call finds the first entry in the schedule too.
            assert_eq!(dry.body[name], real.body[name], "{on_duplicate} {name}");
        }
    }
    let query = "?on_invalid=skip&on_duplicate=reject";
    let dry = append(&api, id, &format!("{query}&dry_run=true"), &list).await;
    assert_eq!(dry.body["accepted"], false);
    let became = dry.body["duplicate_entries"].as_array().unwrap().iter();
    let became: Vec<_> = became.map(|entry| &entry["became"]).collect();
    assert_eq!(became, [&json!("rejected"); 4]);
    let real = append(&api, id, query, &list).await;
    assert_eq!(real.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn duplicates_of_a_new_schedule_are_listed_too(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let mut body = request();
    body["message"] = json!("Come at {{time}}");
    body["recipients"] = json!([entry(0, "9"), entry(1, "10"), entry(0, "11")]);
    for (on_duplicate, text, became) in [
        ("skip", "Come at 9", "skipped"),
        ("update", "Come at 11", "updated"),
    ] {
        body["on_duplicate"] = json!(on_duplicate);
        let dry = api.post_json("/v1/schedules?dry_run=true", &body).await;
        assert_eq!(
            dry.body["duplicate_entries"],
            json!([duplicate(2, 0, None, became)])
        );
        let created = api.post(&body).await;
        assert_eq!(
            created.body["duplicate_entries"],
            json!([duplicate(2, 0, Some(1), became)])
        );
        assert_eq!(messages(&api, created.id()).await[0][0], text);
    }
    body["on_duplicate"] = json!("reject");
    let dry = api.post_json("/v1/schedules?dry_run=true", &body).await;
    assert_eq!(dry.body["accepted"], false);
    let refused = api.post(&body).await;
    let error = &refused.body["errors"][0];
    assert_eq!(
        (&error["code"], &error["position"]),
        (&json!("duplicate"), &json!(2))
    );
}
