//! What every answer says, what browsers are told, what odd input comes to, and what the functions' database user may not do.
#![allow(missing_docs, clippy::unwrap_used)]

use std::io::Read;

use demo::stack::Stack;
use reqwest::{Method, Response};
use security::Target;
use serde_json::{Value, json};
use sqlx::{Connection, MySqlConnection};

const ORIGIN: &str = "https://console.example.com";

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer
        .headers()
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
#[ignore = "needs the local stack: make security"]
async fn every_answer_has_its_id_and_the_security_headers() {
    let target = Target::enter().await.unwrap();
    let bearer = format!("Bearer {}", target.admin());
    let table = [
        (Method::GET, "/health", "", 200),
        (Method::GET, "/v1/users", bearer.as_str(), 200),
        (Method::GET, "/v1/users", "", 401),
        (Method::GET, "/nowhere", "", 404),
        (Method::DELETE, "/v1/users", bearer.as_str(), 405),
        (Method::POST, "/v1/users", bearer.as_str(), 422),
        (Method::POST, "/v1/auth/login", "", 422),
    ];
    for (method, path, authorization, status) in table {
        let answer = target
            .call(authorization, method.clone(), path)
            .await
            .unwrap();
        assert_eq!(answer.status().as_u16(), status, "{method} {path}");
        let expected = [
            ("cache-control", "no-store"),
            (
                "content-security-policy",
                "default-src 'none'; frame-ancestors 'none'",
            ),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
        ];
        for (name, value) in expected {
            assert_eq!(header(&answer, name), value, "{method} {path}: {name}");
        }
        assert!(
            header(&answer, "strict-transport-security").starts_with("max-age="),
            "{method} {path}"
        );
        assert!(
            !header(&answer, "x-request-id").is_empty(),
            "{method} {path}"
        );
        assert!(
            !header(&answer, "server").contains("axum")
                && header(&answer, "x-powered-by").is_empty(),
            "{method} {path}"
        );
    }
    let echoed = target
        .request(Method::GET, "/health")
        .header("x-request-id", "mine-1")
        .send()
        .await
        .unwrap();
    assert_eq!(header(&echoed, "x-request-id"), "mine-1");
}

#[tokio::test]
#[ignore = "needs the local stack: make security"]
async fn a_browser_may_call_from_the_configured_origin_only() {
    let target = Target::enter().await.unwrap();
    // Preflights are in functions/api/tests/handlers/access.rs: the emulator answers them itself.
    let from = |origin: &'static str| {
        target
            .request(Method::GET, "/health")
            .header("origin", origin)
            .send()
    };
    assert_eq!(
        header(&from(ORIGIN).await.unwrap(), "access-control-allow-origin"),
        ORIGIN
    );
    for other in [
        "https://console.example.com.evil.example",
        "http://console.example.com",
        "null",
    ] {
        assert_eq!(
            header(&from(other).await.unwrap(), "access-control-allow-origin"),
            "",
            "{other}"
        );
    }
}

/// Texts that mean something to SQL, to HTTP, to a shell, to a path or to a template.
const ODD: [&str; 14] = [
    "' OR '1'='1",
    "'; DROP TABLE users; -- ",
    "\" OR \"\"=\"",
    "1) UNION SELECT password_hash FROM users -- ",
    "\\'; SELECT SLEEP(5); -- ",
    "%00",
    "\u{0}",
    "a\r\nset-cookie: x=y",
    "../../../../etc/passwd",
    "{{7*7}}${7*7}",
    "$(id)`id`",
    "<script>alert(1)</script>",
    "\u{202e}\u{feff}é😀",
    "%c0%ae%c0%ae/",
];

/// A compressed answer is binary, which function and gateway hand on in base64.
#[tokio::test]
#[ignore = "needs the local stack: make security"]
async fn a_compressed_answer_arrives_whole_and_an_unchanged_one_not_at_all() {
    let target = Target::enter().await.unwrap();
    let ask = |name: &'static str, value: String| {
        target
            .request(Method::GET, "/problems")
            .header(name, value)
            .send()
    };
    let plain = ask("accept-encoding", "identity".to_owned()).await.unwrap();
    let tag = header(&plain, "etag").to_owned();
    let plain = plain.bytes().await.unwrap();
    let packed = ask("accept-encoding", "gzip".to_owned()).await.unwrap();
    assert_eq!(
        (header(&packed, "content-encoding"), header(&packed, "etag")),
        ("gzip", &*tag)
    );
    let packed = packed.bytes().await.unwrap();
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&*packed)
        .read_to_end(&mut unpacked)
        .unwrap();
    assert!(
        unpacked == plain && packed.len() * 2 < plain.len(),
        "{} of {}",
        packed.len(),
        plain.len()
    );
    let same = ask("if-none-match", tag).await.unwrap();
    assert_eq!(
        (same.status().as_u16(), same.bytes().await.unwrap().len()),
        (304, 0)
    );
}

#[tokio::test]
#[ignore = "needs the local stack: make security"]
async fn odd_input_is_refused_or_kept_as_it_is_and_never_fails() {
    let target = Target::enter().await.unwrap();
    let tables = tables().await;
    let mut answers = Vec::new();
    for odd in ODD {
        let escaped = odd
            .bytes()
            .fold(String::new(), |text, byte| text + &format!("%{byte:02X}"));
        let reads = [
            format!("/v1/users/{escaped}"),
            format!("/v1/schedules/{escaped}/recipients"),
            format!("/v1/attention/{escaped}"),
            format!("/v1/audit?actor={escaped}&resource={escaped}&action={escaped}"),
            format!("/v1/audit?cursor={escaped}"),
            format!("/v1/schedules?status={escaped}&cursor={escaped}"),
            format!("/v1/users?{escaped}=1"),
        ];
        for path in reads {
            let answer = target
                .request(Method::GET, &path)
                .bearer_auth(target.admin())
                .send()
                .await
                .unwrap();
            answers.push((path, answer));
        }
        let writes = [
            (
                "/v1/auth/login",
                json!({"username": odd, "password": odd, "new_password": odd}),
            ),
            ("/v1/auth/refresh", json!({"refresh_token": odd})),
            ("/v1/users", json!({"username": odd, "role": odd})),
            ("/v1/api-keys", json!({"name": odd, "permissions": [odd]})),
            (
                "/v1/schedules",
                json!({"run_at": odd, "message": odd, "recipients": [odd], "sender": odd}),
            ),
        ];
        for (path, body) in writes {
            let answer = target
                .request(Method::POST, path)
                .bearer_auth(target.admin())
                .json(&body)
                .send()
                .await
                .unwrap();
            answers.push((format!("{path} {odd:?}"), answer));
        }
    }
    assert_eq!(answers.len(), ODD.len() * 12);
    for (what, answer) in answers {
        let status = answer.status().as_u16();
        assert!(status < 500, "{what}: {status}");
        assert_eq!(header(&answer, "set-cookie"), "", "{what}");
        let is_problem = header(&answer, "content-type") == "application/problem+json";
        let body = answer.text().await.unwrap();
        assert!(
            status < 300 || (is_problem && serde_json::from_str::<Value>(&body).is_ok()),
            "{what}: {status} {body}"
        );
    }
    assert_eq!(self::tables().await, tables);
}

/// The tables, and how many users there are.
async fn tables() -> (Vec<String>, i64) {
    let mut connection = connect(None).await;
    let names = sqlx::query_scalar(
        "SELECT CAST(table_name AS CHAR) FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY 1",
    );
    let names: Vec<String> = names.fetch_all(&mut connection).await.unwrap();
    assert!(names.iter().any(|name| name == "audit_log"), "{names:?}");
    let odd = "SELECT COUNT(*) FROM users WHERE username REGEXP '[^a-z0-9._@-]'";
    (
        names,
        sqlx::query_scalar(odd)
            .fetch_one(&mut connection)
            .await
            .unwrap(),
    )
}

/// As the administrator, or as somebody else.
async fn connect(user: Option<&str>) -> MySqlConnection {
    let url = Stack::from_environment()
        .unwrap()
        .value("DATABASE_URL")
        .unwrap()
        .to_owned();
    let url = user.map_or(url.clone(), |user| {
        url.replace("root@", &format!("{user}@"))
    });
    MySqlConnection::connect(&url).await.unwrap()
}

#[tokio::test]
#[ignore = "needs the local stack: make security"]
async fn the_functions_may_add_to_the_audit_log_and_change_nothing_in_it() {
    Target::enter().await.unwrap();
    let mut functions = connect(Some("sms_app:local")).await;
    let entries: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM audit_log")
        .fetch_one(&mut functions)
        .await
        .unwrap();
    assert!(entries > 0, "a login is written down");
    for statement in [
        "UPDATE audit_log SET actor = 'nobody'",
        "DELETE FROM audit_log",
        "TRUNCATE TABLE audit_log",
        "DROP TABLE audit_log",
        "ALTER TABLE audit_log ADD COLUMN x INT",
        "REPLACE INTO audit_log SELECT * FROM audit_log LIMIT 1",
        "CREATE TABLE mine (id INT)",
    ] {
        let error = sqlx::query(statement)
            .execute(&mut functions)
            .await
            .unwrap_err();
        let sqlx::Error::Database(error) = error else {
            panic!("{statement}: {error}")
        };
        let number = error
            .downcast_ref::<sqlx::mysql::MySqlDatabaseError>()
            .number();
        assert!(matches!(number, 1142 | 1044), "{statement}: {error}");
    }
    // What they live on they may.
    sqlx::query("UPDATE users SET last_login_at = last_login_at")
        .execute(&mut functions)
        .await
        .unwrap();
    assert_eq!(
        sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM audit_log")
            .fetch_one(&mut functions)
            .await
            .unwrap(),
        entries
    );
}
