//! Lists as reports in CSV and NDJSON: their rows, and the choice of the format.

use axum::{body::Body, http::Request};
use serde_json::{Value, json};
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;
use uuid::Uuid;

use crate::common::{Answer, Api, phones, request, rows::cut};

/// Returns the records of a page of CSV by the names of their columns.
fn records(page: &Value) -> Vec<Value> {
    let text = page.as_str().unwrap();
    assert!(text.ends_with("\r\n"), "{text}");
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let names = reader.headers().unwrap().clone();
    let records = reader.records().map(|record| {
        let record = record.unwrap();
        let cells = names.iter().zip(record.iter());
        cells
            .map(|(name, cell)| (name.to_owned(), json!(cell)))
            .collect()
    });
    records.collect()
}

/// Returns the objects of a page of NDJSON.
fn objects(page: &Value) -> Vec<Value> {
    let lines = page.as_str().unwrap().lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Returns a member of each row.
fn members(rows: &[Value], name: &str) -> Vec<Value> {
    rows.iter().map(|row| row[name].clone()).collect()
}

async fn get_as(api: &Api, path: &str, accept: &str) -> Answer {
    let request = Request::get(path).header("accept", accept);
    api.call(request.body(Body::empty()).unwrap()).await
}

/// Creates a draft with personal texts of one and two parts, and a refused entry.
async fn personal_draft(api: &Api) -> Uuid {
    let mut body = request();
    body["message"] = json!("Dear {{name}}");
    body["on_invalid"] = json!("skip");
    body["draft"] = json!(true);
    body["recipients"] = json!([
        {"phone": "+12012000000", "vars": {"name": "Ana"}},
        {"phone": "=1+1", "vars": {"name": "Eve"}},
        {"phone": "+12012000001", "vars": {"name": "x".repeat(160)}},
    ]);
    api.post(&body).await.id()
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_report_of_recipients_has_a_row_for_each_entry(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = personal_draft(&api).await;
    let path = format!("/v1/schedules/{id}/recipients");
    let lines = objects(&api.get(&format!("{path}?format=ndjson")).await.body);
    assert_eq!(members(&lines, "seq"), [json!(1), json!(2), json!(3)]);
    assert_eq!(members(&lines, "parts"), [json!(1), Value::Null, json!(2)]);
    assert_eq!(lines[1]["input"], "=1+1");
    assert_eq!(members(&lines, "schedule_id"), vec![json!(id); 3]);
    let run_at = &api.get(&format!("/v1/schedules/{id}")).await.body["run_at"];
    let at = |time: &Value| {
        time.as_str()
            .unwrap()
            .parse::<chrono::DateTime<chrono::Utc>>()
    };
    assert_eq!(at(&lines[0]["planned_at"]), at(run_at), "not cut yet");
    assert_eq!(lines[1]["planned_at"], Value::Null);
    let cells = records(&api.get(&format!("{path}?format=csv")).await.body);
    assert_eq!(
        members(&cells, "phone"),
        ["+12012000000", "", "+12012000001"]
    );
    assert_eq!(members(&cells, "input"), ["", "'=1+1", ""]);
    assert_eq!(members(&cells, "parts"), ["1", "", "2"]);
    let invalid = records(
        &api.get(&format!("{path}?format=csv&status=INVALID"))
            .await
            .body,
    );
    assert_eq!(members(&invalid, "status"), ["INVALID"]);
    let none = api
        .get(&format!("{path}?format=csv&status=DELIVRD"))
        .await
        .body;
    assert!(records(&none).is_empty() && none.as_str().unwrap().starts_with("phone,"));
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_report_has_the_states_and_times_of_the_rows(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = cut(&api, &pool, 3).await;
    let sql = "UPDATE batches SET planned_at = ? + INTERVAL batch_no MINUTE WHERE schedule_id = ?";
    let update = sqlx::query(sql).bind("2027-01-31 01:00:00").bind(id);
    update.execute(&pool).await.unwrap();
    let sql = "UPDATE recipients SET status = 'DELIVRD', attempt = 3, resends = 1, id_start = '-m1', carrier_status = 'DELIVRD',
        sent_at = '2027-01-31 01:00:01.5', final_at = '2027-01-31 01:00:02' WHERE schedule_id = ? AND seq = 7";
    sqlx::query(sql).bind(id).execute(&pool).await.unwrap();
    let lines = objects(
        &api.get(&format!("/v1/schedules/{id}/recipients?format=ndjson"))
            .await
            .body,
    );
    assert_eq!(lines.len(), 15);
    let expected = json!({
        "phone": phones(6..7)[0], "reference": null, "group": null, "status": "DELIVRD", "carrier_status": "DELIVRD", "attempt": 3, "sends": 2, "resends": 1, "parts": 1,
        "planned_at": "2027-01-31T01:02:00Z", "sent_at": "2027-01-31T01:00:01.500Z", "final_at": "2027-01-31T01:00:02Z",
        "error": null, "seq": 7, "message_id": "-m1", "schedule_id": id, "input": null,
        "price": null, "cost": null, "currency": null,
    });
    assert_eq!(lines[6], expected);
    let planned =
        ["01:01", "01:02", "01:03"].map(|at| vec![json!(format!("2027-01-31T{at}:00Z")); 5]);
    assert_eq!(members(&lines, "planned_at"), planned.concat());
    let path = format!("/v1/schedules/{id}/recipients?format=csv&status=DELIVRD");
    let cells = records(&api.get(&path).await.body);
    assert_eq!(members(&cells, "message_id"), ["'-m1"]);
    // Messages have the same rows.
    for query in [
        format!("schedule_id={id}"),
        format!("phone={}", phones(6..7)[0]),
    ] {
        let messages = api
            .get(&format!(
                "/v1/messages?format=ndjson&status=DELIVRD&{query}"
            ))
            .await;
        assert_eq!(
            objects(&messages.body),
            std::slice::from_ref(&expected),
            "{query}"
        );
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn the_format_is_negotiated(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = api.schedule(&phones(0..2)).await;
    let (csv, json) = (
        "text/csv; charset=utf-8; header=present",
        "application/json",
    );
    for path in [
        format!("/v1/schedules/{id}/recipients"),
        "/v1/messages".to_owned(),
    ] {
        let table = [
            ("", "*/*", json),
            ("", "text/csv", csv),
            (
                "",
                "application/json;q=0.5, application/x-ndjson",
                "application/x-ndjson",
            ),
            ("?format=csv", "application/json", csv),
            ("?format=csv", "text/html", csv),
            ("?format=json", "text/csv", json),
        ];
        for (query, accept, expected) in table {
            let answer = get_as(&api, &format!("{path}{query}"), accept).await;
            assert_eq!(answer.headers["content-type"], expected, "{query} {accept}");
            assert_eq!(answer.headers["vary"], "accept");
        }
        let refused = get_as(&api, &path, "text/html, text/csv;q=0").await;
        assert_eq!(refused.problem(), "not-acceptable");
        let detail = refused.body["detail"].as_str().unwrap();
        assert!(detail.contains("application/x-ndjson"), "{detail}");
        let wrong = api.get(&format!("{path}?format=csv&limit=100001")).await;
        assert_eq!(wrong.body["errors"][0]["field"], "limit");
    }
    let missing = "/v1/schedules/018f0000-0000-7000-8000-000000000000/recipients?format=csv";
    assert_eq!(api.get(missing).await.problem(), "not-found");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn an_unchanged_report_is_answered_with_304(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = api.schedule(&phones(0..5)).await;
    let path = format!("/v1/schedules/{id}/recipients?format=csv&limit=2");
    let first = api.get(&path).await;
    let tag = first.headers["etag"].to_str().unwrap();
    let again = async |path: &str| {
        let request = Request::get(path).header("if-none-match", tag);
        api.call(request.body(Body::empty()).unwrap()).await
    };
    let same = again(&path).await;
    assert_eq!((same.status.as_u16(), &same.body), (304, &Value::Null));
    assert_eq!(same.headers["link"], first.headers["link"]);
    assert_eq!(
        again(&path.replace("csv", "ndjson")).await.status.as_u16(),
        200
    );
    sqlx::query("UPDATE recipients SET status = 'CANCELLED', final_at = UTC_TIMESTAMP(3)")
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(again(&path).await.status.as_u16(), 200);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_report_has_the_cost_of_each_recipient(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = cut(&api, &pool, 1).await;
    for sql in [
        "INSERT INTO price_lists (version, id, currency, price_count, created_at, created_by) VALUES (3, UNHEX(REPEAT('07', 16)), 'EUR', 1, NOW(3), 'test')",
        "INSERT INTO prices (version, prefix, micros) VALUES (3, '1201', 20000)",
        "INSERT INTO schedule_costs (schedule_id, prices_version) SELECT id, 3 FROM schedules",
        "UPDATE recipients SET status = 'DELIVRD', attempt = 3, resends = 1, id_start = 'm',
           sent_at = NOW(3), final_at = NOW(3) WHERE seq = 2",
        "UPDATE recipients SET phone = '+491701234567' WHERE seq = 3",
        // A later list changes nothing.
        "INSERT INTO price_lists (version, id, currency, price_count, created_at, created_by) VALUES (4, UNHEX(REPEAT('08', 16)), 'MYR', 1, NOW(3), 'test')",
    ] {
        sqlx::query(sql).execute(&pool).await.unwrap();
    }
    let path = format!("/v1/schedules/{id}/recipients?format=ndjson");
    let lines = objects(&api.get(&path).await.body);
    let costs: Vec<_> = lines[..3]
        .iter()
        .map(|line| json!([line["price"], line["cost"], line["currency"]]))
        .collect();
    let expected = [
        json!(["0.02", "0.00", "EUR"]),
        json!(["0.02", "0.04", "EUR"]),
        json!([null, null, "EUR"]),
    ];
    assert_eq!(costs, expected);
}
