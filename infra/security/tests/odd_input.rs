//! Unusual input is rejected or stored unchanged; it never causes a server error.
#![allow(missing_docs, clippy::unwrap_used)]

use demo::stack::Stack;
use reqwest::{Method, Response};
use security::{Target, header};
use serde_json::{Value, json};
use sqlx::{Connection, MySqlConnection};

/// Texts with a special meaning in SQL, HTTP, a shell, a path or a template.
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

#[tokio::test]
#[ignore = "needs the local stack: make security"]
async fn unusual_input_is_rejected_or_stored_unchanged() {
    let target = Target::log_in_admin().await.unwrap();
    let before = tables().await;
    let mut answers = Vec::new();
    for odd in ODD {
        answers.extend(answers_to_reads(&target, odd).await);
        answers.extend(answers_to_writes(&target, odd).await);
    }
    assert_eq!(answers.len(), ODD.len() * 12);
    for (call, answer) in answers {
        assert_no_failure(&call, answer).await;
    }
    assert_eq!(tables().await, before);
}

/// Puts a text into paths and queries. Returns each path with its response.
async fn answers_to_reads(target: &Target, odd: &str) -> Vec<(String, Response)> {
    let escaped = odd
        .bytes()
        .fold(String::new(), |text, byte| text + &format!("%{byte:02X}"));
    let paths = [
        format!("/v1/users/{escaped}"),
        format!("/v1/schedules/{escaped}/recipients"),
        format!("/v1/attention/{escaped}"),
        format!("/v1/audit?actor={escaped}&resource={escaped}&action={escaped}"),
        format!("/v1/audit?cursor={escaped}"),
        format!("/v1/schedules?status={escaped}&cursor={escaped}"),
        format!("/v1/users?{escaped}=1"),
    ];
    let mut answers = Vec::new();
    for path in paths {
        let answer = target
            .request(Method::GET, &path)
            .bearer_auth(target.admin())
            .send()
            .await
            .unwrap();
        answers.push((path, answer));
    }
    answers
}

/// Puts a text into bodies. Returns each call with its response.
async fn answers_to_writes(target: &Target, odd: &str) -> Vec<(String, Response)> {
    let bodies = [
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
    let mut answers = Vec::new();
    for (path, body) in bodies {
        let answer = target
            .request(Method::POST, path)
            .bearer_auth(target.admin())
            .json(&body)
            .send()
            .await
            .unwrap();
        answers.push((format!("{path} {odd:?}"), answer));
    }
    answers
}

/// Asserts that a call succeeded or was refused with a problem document.
async fn assert_no_failure(call: &str, answer: Response) {
    let status = answer.status().as_u16();
    assert!(status < 500, "{call}: {status}");
    assert_eq!(header(&answer, "set-cookie"), "", "{call}");
    let is_problem = header(&answer, "content-type") == "application/problem+json";
    let body = answer.text().await.unwrap();
    assert!(
        status < 300 || (is_problem && serde_json::from_str::<Value>(&body).is_ok()),
        "{call}: {status} {body}"
    );
}

/// Returns the names of the tables, and the count of users with an unusual name.
async fn tables() -> (Vec<String>, i64) {
    let stack = Stack::from_environment().unwrap();
    let url = stack.value("DATABASE_URL").unwrap();
    let mut connection = MySqlConnection::connect(url).await.unwrap();
    let names = sqlx::query_scalar(
        "SELECT CAST(table_name AS CHAR) FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY 1",
    );
    let names: Vec<String> = names.fetch_all(&mut connection).await.unwrap();
    assert!(names.iter().any(|name| name == "audit_log"), "{names:?}");
    let odd = "SELECT COUNT(*) FROM users WHERE username REGEXP '[^a-z0-9._@-]'";
    let odd_users = sqlx::query_scalar(odd).fetch_one(&mut connection).await;
    (names, odd_users.unwrap())
}
