//! Reports of long lists: a client that follows the links of the pages gets each row once.

use std::{path::Path, process::Command, time::Duration};

use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;
use uuid::Uuid;

use crate::common::{Api, phones};

/// What the table has of a recipient: `seq phone status`.
type Line = String;

/// Returns the target of the link to the next page.
fn next(headers: &HeaderMap) -> Option<String> {
    let link = headers.get("link")?.to_str().unwrap();
    let link = link
        .strip_prefix('<')
        .unwrap()
        .strip_suffix(">; rel=\"next\"")
        .unwrap();
    Some(link.to_owned())
}

/// Follows the links to the last page. Returns the pages.
async fn pages(api: &Api, path: &str) -> Vec<Value> {
    let mut pages = Vec::new();
    let mut path = Some(path.to_owned());
    while let Some(this) = path {
        let answer = api.get(&this).await;
        assert_eq!(answer.status, StatusCode::OK, "{this}: {}", answer.body);
        path = next(&answer.headers);
        pages.push(answer.body);
        assert!(pages.len() < 1_000, "{this}");
    }
    pages
}

fn line(seq: &str, phone: &str, status: &str) -> Line {
    format!("{seq} {phone} {status}")
}

fn csv_lines(text: &str) -> Vec<Line> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let records = reader.records().map(|record| record.unwrap());
    records
        .map(|record| line(&record[11], &record[0], &record[1]))
        .collect()
}

fn ndjson_lines(text: &str) -> Vec<Line> {
    let of = |text: &str| {
        let row: Value = serde_json::from_str(text).unwrap();
        let (phone, status) = (row["phone"].as_str(), row["status"].as_str());
        line(
            &row["seq"].to_string(),
            phone.unwrap_or_default(),
            status.unwrap(),
        )
    };
    text.lines().map(of).collect()
}

/// Returns the lines of all pages.
fn lines(pages: &[Value], of_page: fn(&str) -> Vec<Line>) -> Vec<Line> {
    pages
        .iter()
        .flat_map(|page| of_page(page.as_str().unwrap()))
        .collect()
}

/// Returns the lines of the table.
async fn table(pool: &MySqlPool, id: Uuid, condition: &str) -> Vec<Line> {
    let sql = format!(
        "SELECT CONCAT(seq, ' ', COALESCE(phone, ''), ' ', status) FROM recipients
         WHERE schedule_id = ? AND {condition} ORDER BY seq"
    );
    sqlx::query_scalar(&sql)
        .bind(id)
        .fetch_all(pool)
        .await
        .unwrap()
}

/// Creates a list of so many delivered recipients with gaps in their numbers. Each hundredth is
/// INVALID, each thousandth EXPIRED.
async fn long_list(api: &Api, pool: &MySqlPool, count: u32) -> Uuid {
    let id = api.schedule(&phones(0..1)).await;
    let clear = sqlx::query("DELETE FROM recipients WHERE schedule_id = ?").bind(id);
    clear.execute(pool).await.unwrap();
    let numbers: Vec<_> = (1..=count).collect();
    let sql = "INSERT INTO recipients (schedule_id, seq, phone, input, status, error, attempt, resends, id_start, carrier_status, sent_at, final_at)
        SELECT ?, j.n * 2, IF(j.n % 100 = 0, NULL, CONCAT('+6012', 1000000 + j.n)), IF(j.n % 100 = 0, '=\"x\"', NULL),
          CASE WHEN j.n % 100 = 0 THEN 'INVALID' WHEN j.n % 1000 = 1 THEN 'EXPIRED' ELSE 'DELIVRD' END, NULL,
          IF(j.n % 100 = 0, 0, 1), 0, IF(j.n % 100 = 0, NULL, LEFT(SHA2(j.n, 256), 32)), 'DELIVRD', IF(j.n % 100 = 0, NULL, '2026-01-31 01:00:00'),
          '2026-01-31 01:00:09'
        FROM JSON_TABLE(?, '$[*]' COLUMNS (n INT UNSIGNED PATH '$')) j";
    let insert = sqlx::query(sql).bind(id).bind(json!(numbers).to_string());
    insert.execute(pool).await.unwrap();
    let sql = "UPDATE schedules SET status = 'finished', batch_count = 0, dispatched_at = UTC_TIMESTAMP(3), finished_at = UTC_TIMESTAMP(3),
        run_at = UTC_TIMESTAMP(3) - INTERVAL 1 HOUR WHERE id = ?";
    sqlx::query(sql).bind(id).execute(pool).await.unwrap();
    id
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn each_row_of_a_list_is_on_one_page(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = long_list(&api, &pool, 2_500).await;
    let all = table(&pool, id, "TRUE").await;
    let sent = table(&pool, id, "status <> 'INVALID'").await;
    let expired = table(&pool, id, "status = 'EXPIRED'").await;
    assert_eq!((all.len(), sent.len(), expired.len()), (2_500, 2_475, 3));
    let recipients = format!("/v1/schedules/{id}/recipients?limit");
    for limit in [99, 250, 1_001, 2_500, 100_000] {
        let found = pages(&api, &format!("{recipients}={limit}&format=csv")).await;
        assert!(lines(&found, csv_lines) == all, "{limit}");
        assert_eq!(found.len(), all.len().div_ceil(limit), "{limit}");
        for of in [
            format!("&schedule_id={id}"),
            "&from=2026-01-31T01:00:00Z".to_owned(),
        ] {
            let found = pages(
                &api,
                &format!("/v1/messages?format=ndjson&limit={limit}{of}"),
            )
            .await;
            assert!(lines(&found, ndjson_lines) == sent, "{limit} {of}");
        }
    }
    let found = pages(
        &api,
        &format!("{recipients}=1&format=ndjson&status=EXPIRED"),
    )
    .await;
    assert_eq!(lines(&found, ndjson_lines), expired);
    let found = pages(&api, "/v1/messages?format=csv&to=2026-01-31T01:00:00Z").await;
    assert!(lines(&found, csv_lines).is_empty());
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn json_has_links_too_and_never_more_than_a_thousand_entries(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = long_list(&api, &pool, 2_500).await;
    for (path, name, total) in [
        (
            format!("/v1/schedules/{id}/recipients?limit=5000"),
            "recipients",
            2_500,
        ),
        ("/v1/messages?limit=100000".to_owned(), "messages", 2_475),
    ] {
        let found = pages(&api, &path).await;
        let lens: Vec<_> = found
            .iter()
            .map(|page| page[name].as_array().unwrap().len())
            .collect();
        assert_eq!(lens, [1_000, 1_000, total - 2_000]);
        assert_eq!(found[2]["next_cursor"], Value::Null);
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn messages_of_many_schedules_and_of_a_number_are_on_one_page_each(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let mut ids = Vec::new();
    for n in 0..43 {
        let id = api.schedule(&phones(0..2)).await;
        let sql = "UPDATE schedules SET run_at = UTC_TIMESTAMP(3) - INTERVAL ? MINUTE WHERE id = ?";
        sqlx::query(sql)
            .bind(n / 2)
            .bind(id)
            .execute(&pool)
            .await
            .unwrap();
        ids.push(id);
    }
    let number = phones(1..2).remove(0);
    for (query, rows_each) in [(String::new(), 2), (format!("&phone={number}"), 1)] {
        for limit in [7, 100_000] {
            let found = pages(
                &api,
                &format!("/v1/messages?format=ndjson&limit={limit}{query}"),
            )
            .await;
            let rows = lines(&found, |text| {
                let row = |line| serde_json::from_str::<Value>(line).unwrap();
                text.lines()
                    .map(|line| format!("{}", row(line)["schedule_id"]))
                    .collect()
            });
            assert_eq!(rows.len(), ids.len() * rows_each, "{limit} {query}");
            for id in &ids {
                let id = json!(id).to_string();
                assert_eq!(rows.iter().filter(|row| **row == id).count(), rows_each);
            }
            let is_one = limit == 100_000;
            assert_eq!(found.len() == 1, is_one, "{limit} {query}");
        }
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_page_ends_at_the_bytes_that_a_gateway_returns(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = long_list(&api, &pool, 45_000).await;
    let all = table(&pool, id, "TRUE").await;
    for (format, of_page) in [
        ("csv", csv_lines as fn(&str) -> _),
        ("ndjson", ndjson_lines),
    ] {
        let found = pages(
            &api,
            &format!("/v1/schedules/{id}/recipients?format={format}"),
        )
        .await;
        assert!(found.len() > 1, "{format}");
        let lens: Vec<_> = found.iter().map(|page| page.to_string().len()).collect();
        assert!(lens.iter().all(|len| *len < 6_100_000), "{lens:?}");
        assert!(lens[0] > 4_500_000, "{lens:?}");
        assert!(lines(&found, of_page) == all, "{format}");
    }
}

/// Returns the block of shell code in docs/api/recipients.md that follows the links.
fn documented_loop() -> String {
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/api/recipients.md");
    let docs = std::fs::read_to_string(docs).unwrap();
    let mut blocks = docs.split("```").filter(|block| block.starts_with("sh\n"));
    let block = blocks.find(|block| block.contains("rel=\"next\"")).unwrap();
    block["sh\n".len()..].to_owned()
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn the_documented_loop_fetches_the_whole_list(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = long_list(&api, &pool, 45_000).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = api.router.clone();
    let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("report-{id}"));
    std::fs::create_dir_all(&folder).unwrap();
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &documented_loop()])
        .current_dir(&folder)
        .env("API_URL", format!("http://{address}"))
        .envs([("TOKEN", &api.token), ("ID", &id.to_string())]);
    let running = tokio::task::spawn_blocking(move || shell.output().unwrap());
    let done = tokio::time::timeout(Duration::from_secs(120), running).await;
    let done = done.unwrap().unwrap();
    assert!(done.status.success(), "{done:?}");
    let fetched = std::fs::read_to_string(folder.join("recipients.csv")).unwrap();
    assert!(csv_lines(&fetched) == table(&pool, id, "TRUE").await);
    server.abort();
    std::fs::remove_dir_all(&folder).unwrap();
}
