//! References and groups of recipients, and their variables: how they come, how they are found again,
//! and how they are counted.

use axum::http::StatusCode;
use serde_json::{Value, json};
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;
use uuid::Uuid;

use crate::common::{Api, count, request};

/// Three recipients in two groups, and a fourth without either name.
fn recipients() -> Value {
    json!([
        {"phone": "+12012000000", "vars": {"name": "Ana"}, "reference": "A-1", "group": "Penang"},
        {"phone": "+12012000001", "vars": {"name": "Bo"}, "reference": " a-1 ", "group": "Ipoh"},
        {"phone": "+12012000002", "vars": {"name": "Cy"}, "reference": null, "group": "Penang"},
        {"phone": "+12012000003", "vars": {"name": "Di"}},
    ])
}

async fn draft(api: &Api, recipients: &Value) -> Uuid {
    let mut body = request();
    (body["message"], body["draft"]) = (json!("Dear {{name}}"), json!(true));
    body["recipients"] = recipients.clone();
    let created = api.post(&body).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.body);
    created.id()
}

/// Returns a member of each entry of a page.
fn members<'a>(page: &'a Value, list: &str, name: &str) -> Vec<&'a Value> {
    let entries = page[list].as_array().unwrap_or_else(|| panic!("{page}"));
    entries.iter().map(|entry| &entry[name]).collect()
}

async fn status(pool: &MySqlPool, id: Uuid, seq: u32, assignments: &str) {
    let sql = format!("UPDATE recipients SET {assignments} WHERE schedule_id = ? AND seq = ?");
    let update = sqlx::query(&sql).bind(id).bind(seq).execute(pool).await;
    update.unwrap();
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn names_come_in_each_format_and_are_returned(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = draft(&api, &recipients()).await;
    let csv = "Name,Phone,Reference,Group\nEd,+12012000004,=E,KL\nFi,+12012000005,,\n";
    let ndjson = r#"{"phone": "+12012000006", "vars": {"name": "Gy"}, "group": "KL"}"#;
    for (content_type, body) in [("text/csv", csv), ("application/x-ndjson", ndjson)] {
        let answer = api.append(id, "", content_type, body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    }
    let path = format!("/v1/schedules/{id}/recipients");
    let page = api.get(&path).await.body;
    let (references, groups) = (
        json!(["A-1", "a-1", null, null, "=E", null, null]),
        json!(["Penang", "Ipoh", "Penang", null, "KL", null, "KL"]),
    );
    assert_eq!(json!(members(&page, "recipients", "reference")), references);
    assert_eq!(json!(members(&page, "recipients", "group")), groups);
    assert_eq!(page["recipients"][0].get("variables"), None);
    let messages = api.get(&format!("/v1/messages?schedule_id={id}")).await;
    let of_messages = members(&messages.body, "messages", "reference");
    assert_eq!(json!(of_messages), references);
    // Only recipients with a name have a row.
    let rows = "SELECT COUNT(*) FROM recipient_references";
    assert_eq!(count(&pool, rows).await, 5);
    let csv = api.get(&format!("{path}?format=csv")).await.body;
    let lines: Vec<_> = csv.as_str().unwrap().lines().collect();
    assert!(
        lines[0].ends_with(",input,reference,group,price,cost,currency"),
        "{csv}"
    );
    assert!(lines[5].ends_with(",,'=E,KL,,,"), "{csv}");
    assert!(lines[6].ends_with(",,,,,,"), "{csv}");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn variables_are_returned_on_request(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = draft(&api, &recipients()).await;
    let expected = json!({"name": "Ana"});
    for (path, list) in [
        (format!("/v1/schedules/{id}/recipients?"), "recipients"),
        (format!("/v1/messages?schedule_id={id}&"), "messages"),
    ] {
        let page = api.get(&format!("{path}include=variables")).await.body;
        assert_eq!(page[list][0]["variables"], expected, "{page}");
        let ndjson = format!("{path}include=variables&format=ndjson");
        let lines = api.get(&ndjson).await.body;
        let first = lines.as_str().unwrap().lines().next().unwrap();
        let first: Value = serde_json::from_str(first).unwrap();
        assert_eq!(first["variables"], expected);
        let csv = format!("{path}include=variables&format=csv");
        let cells = api.get(&csv).await.body;
        let lines: Vec<_> = cells.as_str().unwrap().lines().collect();
        assert!(
            lines[0].ends_with(",group,price,cost,currency,variables"),
            "{cells}"
        );
        assert!(lines[1].ends_with(r#","{""name"":""Ana""}""#), "{cells}");
        let without = api.get(&format!("{path}format=ndjson")).await.body;
        assert!(!without.as_str().unwrap().contains("variables"));
        let wrong = api.get(&format!("{path}include=texts")).await;
        assert_eq!(wrong.body["errors"][0]["code"], "not-a-choice");
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn recipients_are_found_by_reference_and_group(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = draft(&api, &recipients()).await;
    let newer = draft(&api, &recipients()).await;
    status(
        &pool,
        id,
        3,
        "status = 'CANCELLED', final_at = UTC_TIMESTAMP(3)",
    )
    .await;
    let path = format!("/v1/schedules/{id}/recipients");
    for (query, expected) in [
        ("reference=A-1", json!([1])),
        ("reference=a-1", json!([2])),
        ("reference=A", json!([])),
        ("group=Penang", json!([1, 3])),
        ("group=penang", json!([])),
        ("group=Penang&status=CANCELLED", json!([3])),
        ("group=Ipoh&reference=a-1", json!([2])),
        ("group=Ipoh&reference=A-1", json!([])),
    ] {
        let page = api.get(&format!("{path}?{query}")).await.body;
        assert_eq!(
            json!(members(&page, "recipients", "seq")),
            expected,
            "{query}"
        );
        let lines = api.get(&format!("{path}?format=ndjson&{query}")).await.body;
        let lines = lines.as_str().unwrap().lines();
        let found = lines.map(|line| serde_json::from_str::<Value>(line).unwrap()["seq"].clone());
        assert_eq!(json!(found.collect::<Vec<_>>()), expected, "{query}");
        let page = api
            .get(&format!("/v1/messages?schedule_id={id}&{query}"))
            .await;
        assert_eq!(
            json!(members(&page.body, "messages", "seq")),
            expected,
            "{query}"
        );
    }
    // Of all schedules, the newest first, page by page.
    let all = api.get("/v1/messages?reference=A-1").await.body;
    assert_eq!(
        json!(members(&all, "messages", "schedule_id")),
        json!([newer, id])
    );
    let first = api.get("/v1/messages?reference=A-1&limit=1").await.body;
    let cursor = first["next_cursor"].as_str().unwrap();
    let next = format!("/v1/messages?reference=A-1&limit=1&cursor={cursor}");
    let second = api.get(&next).await.body;
    assert_eq!(second["messages"][0]["schedule_id"], json!(id));
    let report = api
        .get("/v1/messages?reference=A-1&format=ndjson")
        .await
        .body;
    assert_eq!(report.as_str().unwrap().lines().count(), 2);
    for (query, code) in [
        ("phone=%2B12012000000&reference=A-1", "not-both"),
        ("group=Penang", "not-alone"),
        ("reference=", "not-a-name"),
    ] {
        let refused = api.get(&format!("/v1/messages?{query}")).await;
        assert_eq!(refused.body["errors"][0]["code"], code, "{query}");
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_group_is_read_page_by_page(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let entry = |n: u32| {
        let phone = format!("+1201{}", 2_000_000 + n);
        json!({"phone": phone, "vars": {"name": "x"}, "group": if n.is_multiple_of(10) { "ten" } else { "other" }})
    };
    let id = draft(&api, &json!((0..2_500).map(entry).collect::<Vec<_>>())).await;
    for format in ["json", "ndjson"] {
        let mut path = format!("/v1/schedules/{id}/recipients?group=ten&limit=100&format={format}");
        let mut pages = Vec::new();
        loop {
            let page = api.get(&path).await;
            pages.push(match page.body.as_str() {
                Some(lines) => lines.lines().count(),
                None => page.body["recipients"].as_array().unwrap().len(),
            });
            let Some(link) = page.headers.get("link") else {
                break;
            };
            let link = link.to_str().unwrap();
            path = link[1..link.find('>').unwrap()].to_owned();
        }
        assert_eq!(pages, [100, 100, 50], "{format}");
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn groups_are_counted_by_state(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = draft(&api, &recipients()).await;
    let skipped = api
        .append(id, "?on_invalid=skip", "text/csv", "phone\nx\n")
        .await;
    assert_eq!(skipped.body["invalid_count"], 1);
    status(
        &pool,
        id,
        3,
        "status = 'CANCELLED', final_at = UTC_TIMESTAMP(3)",
    )
    .await;
    let groups = api.get(&format!("/v1/schedules/{id}/groups")).await.body;
    let expected = json!({
        "groups": [
            {"group": "Penang", "recipients": 2, "counts": {"PENDING": 1, "CANCELLED": 1}},
            {"group": "Ipoh", "recipients": 1, "counts": {"PENDING": 1}},
            {"group": null, "recipients": 1, "counts": {"PENDING": 1}},
        ],
        "other": null, "entries": 5, "next_cursor": null,
    });
    assert_eq!(groups, expected);
    let missing = "/v1/schedules/018f0000-0000-7000-8000-000000000000/groups";
    assert_eq!(api.get(missing).await.problem(), "not-found");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn the_columns_of_a_draft_are_remembered_and_a_call_may_name_others(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let mut body = request();
    body["draft"] = json!(true);
    (body["recipients"], body["reference_column"]) = (json!([]), json!("Patient"));
    body["group_column"] = json!("3");
    let id = api.post(&body).await.id();
    let table = "phone,Patient,Store\n+12012000000,P1,KL\n";
    assert_eq!(
        api.append(id, "", "text/csv", table).await.body["accepted"],
        1
    );
    let table = "phone,Case,Store\n+12012000001,C1,KL\n";
    let other = api
        .append(id, "?reference_column=Case", "text/csv", table)
        .await;
    assert_eq!(other.body["accepted"], 1, "{}", other.body);
    let refused = api.append(id, "", "text/csv", table).await;
    let error = &refused.body["errors"][0];
    assert_eq!(
        (&error["code"], &error["position"]),
        (&json!("no-such-column"), &json!(1))
    );
    let page = api
        .get(&format!("/v1/schedules/{id}/recipients"))
        .await
        .body;
    assert_eq!(
        json!(members(&page, "recipients", "reference")),
        json!(["P1", "C1"])
    );
    assert_eq!(
        json!(members(&page, "recipients", "group")),
        json!(["KL", "KL"])
    );
}
