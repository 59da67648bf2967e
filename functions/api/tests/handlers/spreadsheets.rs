//! Spreadsheets: appended, also as the gateway passes them, examined, imported and converted.

#[path = "../../src/lists/sheet/files.rs"]
mod files;

use api::http::gateway::handle;
use lambda_http::aws_lambda_events::{apigw::ApiGatewayV2httpRequest, encodings};
use serde_json::{Value, json};
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;

use crate::common::{Api, request};
use files::{Book, ods};

const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
const ODS: &str = "application/vnd.oasis.opendocument.spreadsheet";

/// Three guests, whose numbers are stored as numbers; one of them is none.
fn guests() -> Vec<u8> {
    let rows = r#"<row r="1"><c r="A1" t="str"><v>name</v></c><c r="B1" t="str"><v>Mobile</v></c><c r="C1" t="str"><v>reference</v></c></row>
        <row r="2"><c r="A2" t="str"><v>Ana</v></c><c r="B2"><v>60123456789</v></c><c r="C2"><v>4711</v></c></row>
        <row r="4"><c r="A4" t="str"><v>Bo, "B"</v></c><c r="B4"><v>6.0123456788E10</v></c></row>
        <row r="5"><c r="A5" t="str"><v>Co</v></c><c r="B5"><v>12</v></c></row>"#;
    let sheets = [("Guests", rows), ("Empty", "")];
    let book = Book {
        sheets: &sheets,
        texts: &[],
    };
    book.file()
}

/// One number, in ODS.
fn number() -> Vec<u8> {
    ods(
        r#"<table:table table:name="One"><table:table-row><table:table-cell office:value-type="float" office:value="60123456787"/></table:table-row></table:table>"#,
    )
}

async fn draft(api: &Api) -> String {
    let mut body = request();
    body["draft"] = json!(true);
    body["message"] = json!("Dear {{name|default('guest')}}");
    body["default_country"] = json!("MY");
    format!("/v1/schedules/{}/recipients", api.post(&body).await.id())
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_spreadsheet_is_appended_like_csv(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let path = draft(&api).await;
    let dry = format!("{path}?dry_run=true&on_invalid=skip");
    let examined = api.send(&dry, XLSX, guests()).await.body;
    assert_eq!(
        (&examined["valid"], &examined["invalid_count"]),
        (&json!(2), &json!(1)),
        "{examined}"
    );
    let refused = api.send(&path, XLSX, guests()).await;
    assert_eq!(
        (refused.problem(), &refused.body["errors"][0]["position"]),
        ("invalid-request", &json!(5))
    );
    let appended = api
        .send(&format!("{path}?on_invalid=skip"), XLSX, guests())
        .await
        .body;
    assert_eq!(
        (&appended["accepted"], &appended["repeated"]),
        (&json!(2), &json!(false))
    );
    let invalid = &appended["invalid"][0];
    assert_eq!(
        (&invalid["position"], &invalid["cell"], &invalid["input"]),
        (&json!(5), &json!("Guests!B5"), &json!("12"))
    );
    let again = api
        .send(&format!("{path}?on_invalid=skip"), XLSX, guests())
        .await
        .body;
    assert_eq!(again["repeated"], true);
    // Its format is recognised in a body of any kind.
    let one = api
        .send(&path, "application/octet-stream", number())
        .await
        .body;
    assert_eq!(one["accepted"], 1, "{one}");
    let one = api
        .send(&format!("{path}?sheet=One"), ODS, number())
        .await
        .body;
    assert_eq!(
        (&one["duplicates"], &one["repeated"]),
        (&json!(1), &json!(false))
    );
    let shown = api.get(&format!("{path}?include=variables")).await.body;
    let shown: Vec<_> = shown["recipients"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["status"] == "PENDING")
        .map(|one| json!([one["phone"], one["reference"], one["variables"]["name"]]))
        .collect();
    let expected = json!([
        ["+60123456789", "4711", "Ana"],
        ["+60123456788", null, "Bo, \"B\""],
        ["+60123456787", null, null],
    ]);
    assert_eq!(json!(shown), expected);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn spreadsheets_that_cannot_be_read_are_refused(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let path = draft(&api).await;
    let packed = crate::common::gzip(&guests());
    let old = b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1".to_vec();
    #[rustfmt::skip]
    let table: Vec<(&str, &str, Vec<u8>, &str, &str)> = vec![
        (XLSX, "", b"phone\n+60123456789\n".to_vec(), "malformed-body", "does not begin as one"),
        (XLSX, "", old.clone(), "malformed-body", "such as XLS"),
        ("application/octet-stream", "", old, "malformed-body", "such as XLS"),
        ("text/csv", "", guests(), "unsupported-content-type", "as their own content types"),
        ("application/gzip", "?format=spreadsheet", packed, "malformed-body", "without gzip"),
        (XLSX, "?sheet=Guest", guests(), "invalid-request", "`Guests`, `Empty`"),
        (XLSX, "?sheet=Empty", guests(), "invalid-request", "at least one entry"),
        (XLSX, "?format=csv", guests(), "invalid-request", "spreadsheet, as the content type says"),
        (ODS, "", vec![0; 4_600_001], "too-large", "several calls"),
    ];
    for (kind, query, body, problem, detail) in table {
        let answer = api.send(&format!("{path}{query}"), kind, body).await;
        assert_eq!(answer.problem(), problem, "{kind} {query}");
        assert!(
            answer.body.to_string().contains(detail),
            "{detail}: {}",
            answer.body
        );
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn the_gateway_passes_a_spreadsheet_in_base64(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let path = draft(&api).await;
    let body = serde_json::to_value(encodings::Body::Binary(guests())).unwrap();
    let http = json!({"method": "POST", "path": path, "protocol": "HTTP/1.1", "sourceIp": "::1", "userAgent": ""});
    let event = json!({
        "version": "2.0", "rawPath": path, "rawQueryString": "on_invalid=skip", "body": body, "isBase64Encoded": true,
        "headers": {"content-type": XLSX, "authorization": format!("Bearer {}", api.token)},
        "requestContext": {"http": http, "stage": "$default"},
    });
    let event: ApiGatewayV2httpRequest = serde_json::from_value(event).unwrap();
    let answer = handle(api.router.clone(), event).await.unwrap();
    let answer = serde_json::to_value(answer).unwrap();
    assert_eq!(answer["statusCode"], 200, "{answer}");
    let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["accepted"], 2);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn opted_out_numbers_are_imported_from_a_spreadsheet(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let path = "/v1/suppressions/import?default_country=MY";
    let imported = api.send(path, XLSX, guests()).await.body;
    assert_eq!(
        (&imported["added"], &imported["invalid"][0]["cell"]),
        (&json!(2), &json!("Guests!B5"))
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_spreadsheet_is_converted_to_csv(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let path = "/v1/spreadsheets/convert";
    let csv =
        "name,Mobile,reference\nAna,60123456789,4711\n\n\"Bo, \"\"B\"\"\",60123456788\nCo,12\n";
    let expected = json!({"sheet": "Guests", "sheets": ["Guests", "Empty"], "csv": csv, "next_after_row": null});
    assert_eq!(api.send(path, XLSX, guests()).await.body, expected);
    let rest = api
        .send(
            &format!("{path}?after_row=4"),
            "application/octet-stream",
            guests(),
        )
        .await;
    assert_eq!(rest.body["csv"], "Co,12\n");
    let other = api
        .send(&format!("{path}?sheet=Empty"), XLSX, guests())
        .await;
    assert_eq!(
        (&other.body["sheet"], &other.body["csv"]),
        (&json!("Empty"), &json!(""))
    );
    let refused = api.send(path, "text/csv", "phone\n").await;
    assert_eq!(refused.problem(), "unsupported-content-type");
    let refused = api.send(path, XLSX, "phone\n").await;
    assert_eq!(refused.problem(), "malformed-body");
}
