//! The process of the function behind a simulated Lambda runtime API: the largest possible
//! requests and answers, one after the other. Its memory stays below 90 MB, of which a third is the
//! unoptimized binary; with reports only, below 64 MB.
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../handlers/common/mod.rs"]
mod common;
mod spreadsheets;

use std::{
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::StatusCode,
    routing::{get, post},
};
use common::{gzip, in_seconds, insert_key, phones, request};
use lambda_http::aws_lambda_events::encodings;
use serde_json::{Value, json};
use shared::{access::Permission, platform::db::MIGRATOR};
use sqlx::{ConnectOptions, MySqlPool};
use tokio::{
    net::TcpListener,
    sync::{Mutex, mpsc},
};
use uuid::Uuid;

/// The environment of the function, without database and runtime API.
const ENVIRONMENT: [(&str, &str); 16] = [
    ("AWS_LAMBDA_FUNCTION_NAME", "api"),
    ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
    ("AWS_REGION", "us-east-1"),
    ("STACK_NAME", "test"),
    ("DISPATCH_QUEUE_URL", "http://127.0.0.1:1/q"),
    ("DISPATCH_FUNCTION_ARN", "d"),
    ("SCHEDULE_GROUP", "g"),
    ("NOTIFY_QUEUE_URL", "http://127.0.0.1:1/n"),
    ("RECHECK_QUEUE_URL", "http://127.0.0.1:1/r"),
    ("SCHEDULER_ROLE_ARN", "r"),
    ("DISPATCH_LEAD_S", "90"),
    ("DEAD_LETTER_QUEUES", "send=http://127.0.0.1:1/d"),
    ("ALLOWED_COUNTRIES", "US"),
    ("WEBHOOK_KEYS", KEYS),
    ("JWT_KEYS", KEYS),
];

const KEYS: &str = r#"{"kid":"test","key":"a key of at least thirty-two characters"}"#;

/// The simulated runtime API of Lambda.
struct Lambda {
    function: Child,
    events: mpsc::Sender<String>,
    answers: mpsc::Receiver<Value>,
}

type Runtime = State<(Arc<Mutex<mpsc::Receiver<String>>>, mpsc::Sender<Value>)>;

async fn next(State((events, _)): Runtime) -> ([(&'static str, &'static str); 2], String) {
    let event = events.lock().await.recv().await.unwrap();
    (
        [
            ("lambda-runtime-aws-request-id", "1"),
            ("lambda-runtime-deadline-ms", "9999999999999"),
        ],
        event,
    )
}

async fn answer(State((_, answers)): Runtime, body: Bytes) -> StatusCode {
    answers
        .send(serde_json::from_slice(&body).unwrap())
        .await
        .unwrap();
    StatusCode::ACCEPTED
}

impl Drop for Lambda {
    fn drop(&mut self) {
        let _ = self.function.kill();
        let _ = self.function.wait();
    }
}

impl Lambda {
    async fn start(database_url: &str) -> Self {
        let (events, pending_events) = mpsc::channel(1);
        let (answer_sender, answers) = mpsc::channel(1);
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/1/response", post(answer))
            .layer(DefaultBodyLimit::disable())
            .with_state((Arc::new(Mutex::new(pending_events)), answer_sender));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        let function = Command::new(env!("CARGO_BIN_EXE_api"))
            .env_clear()
            .envs(ENVIRONMENT)
            .env("AWS_LAMBDA_RUNTIME_API", address)
            .env("DATABASE_URL", database_url)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            function,
            events,
            answers,
        }
    }

    /// Sends a request, and returns status and body.
    async fn call(
        &mut self,
        token: &str,
        path: &str,
        content_type: &str,
        body: Value,
    ) -> (u64, Value) {
        let headers =
            json!({"content-type": content_type, "authorization": format!("Bearer {token}")});
        let answer = self.exchange("POST", path, headers, body).await;
        (
            answer["statusCode"].as_u64().unwrap(),
            serde_json::from_str(answer["body"].as_str().unwrap()).unwrap(),
        )
    }

    /// Sends a request, and returns the answer as the gateway gets it.
    async fn exchange(&mut self, method: &str, path: &str, headers: Value, body: Value) -> Value {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let http = json!({"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "::1", "userAgent": ""});
        let event = json!({
            "version": "2.0", "rawPath": path, "rawQueryString": query, "body": body,
            "isBase64Encoded": is_binary(&headers["content-type"]), "headers": headers,
            "requestContext": {"http": http, "stage": "$default"},
        });
        self.events.send(event.to_string()).await.unwrap();
        // Fails if the process has ended, because no response would follow.
        loop {
            tokio::select! {
                answer = self.answers.recv() => break answer.unwrap(),
                () = tokio::time::sleep(Duration::from_millis(200)) => assert!(self.function.try_wait().unwrap().is_none(), "the process has ended"),
            }
        }
    }

    /// Returns the peak of the resident memory in MB.
    fn peak(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.function.id())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
    }
}

/// Creates a draft with 340,000 numbers in one JSON body. Returns the path of its recipients.
async fn create_draft(lambda: &mut Lambda, token: &str, numbers: &[String]) -> String {
    let mut body = request();
    body["draft"] = json!(true);
    body["recipients"] = json!(numbers);
    let body = body.to_string().into();
    let (status, schedule) = lambda
        .call(token, "/v1/schedules", "application/json", body)
        .await;
    assert_eq!(
        (status, &schedule["recipients"]["total"]),
        (201, &json!(340_000)),
        "{schedule}"
    );
    println!("340,000 numbers in JSON: {} MB", lambda.peak());
    let id = schedule["id"].as_str().unwrap();
    format!("/v1/schedules/{id}/recipients")
}

/// Appends a million entries in gzip, of all country codes. Most of those are refused, which saves
/// time.
async fn append_a_million(lambda: &mut Lambda, token: &str, path: &str, numbers: Vec<String>) {
    let mut list: Vec<_> = (1..1_000)
        .map(|country| format!("+{country}2012345678"))
        .collect();
    list.extend(numbers.into_iter().cycle().take(999_001));
    let body = base64(&gzip(list.join("\n").as_bytes())).into();
    let (status, answer) = lambda.call(token, path, "application/gzip", body).await;
    assert_eq!(
        (status, answer["errors_total"].as_u64() > Some(100)),
        (422, true),
        "{answer}"
    );
    println!("1,000,000 entries in gzip: {} MB", lambda.peak());
}

/// A request that is much larger in memory than on the wire, if it is read carelessly.
struct Hostile {
    what: &'static str,
    path: &'static str,
    content_type: &'static str,
    body: Value,
    status: u64,
}

/// A dry run of a text that names one variable three hundred times, for one recipient.
fn dry_run_with_variable(what: &'static str, value: &str) -> Hostile {
    let mut body = request();
    body["message"] = json!("{{a}}".repeat(300));
    body["recipients"] = json!([{"phone": "+60123456789", "vars": {"a": value}}]);
    Hostile {
        what,
        path: "/v1/schedules?dry_run=true",
        content_type: "application/json",
        body: body.to_string().into(),
        status: 200,
    }
}

/// A list of opt-outs in gzip.
fn opt_outs(what: &'static str, list: &[u8], status: u64) -> Hostile {
    Hostile {
        what,
        path: "/v1/suppressions/import",
        content_type: "application/gzip",
        body: base64(&gzip(list)).into(),
        status,
    }
}

fn hostile() -> Vec<Hostile> {
    let unknown = r#"{"x":1},"#.repeat(200_000);
    let mut fields = request();
    fields["recipients"] = json!([]);
    let fields = fields.to_string().replace(
        r#""recipients":[]"#,
        &format!(r#""recipients":[{unknown}{{}}]"#),
    );
    let ndjson = b"{\"x\":1}\n".repeat(2_000_000);
    let deep = [b"[".repeat(3_000_000), b"]".repeat(3_000_000)].concat();
    let one_field = [b"[\"", b"0".repeat(100_000_000).as_slice(), b"\"]"].concat();
    vec![
        dry_run_with_variable("a variable of 2 MB", &"x".repeat(2_000_000)),
        dry_run_with_variable("a variable of 4 KB", &"x".repeat(4_000)),
        Hostile {
            what: "200,000 unknown fields",
            path: "/v1/schedules?dry_run=true",
            content_type: "application/json",
            body: fields.into(),
            status: 422,
        },
        opt_outs("2,000,000 unknown fields in gzip", &ndjson, 413),
        opt_outs("deep nesting in gzip", &deep, 413),
        opt_outs("a number of 100 MB in gzip", &one_field, 413),
        opt_outs("300 MB of blanks in gzip", &b" ".repeat(300_000_000), 413),
    ]
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn hostile_requests_use_no_more_memory_than_their_body(pool: MySqlPool) {
    let url = pool.connect_options().to_url_lossy().to_string();
    let mut lambda = Lambda::start(&url).await;
    let token = &insert_key(&pool, &Permission::GRANTABLE, None).await;
    for request in hostile() {
        let Hostile { what, path, .. } = request;
        let (status, answer) = lambda
            .call(token, path, request.content_type, request.body)
            .await;
        let shown: String = answer.to_string().chars().take(300).collect();
        println!("{what}: {status} {} MB {shown}", lambda.peak());
        assert_eq!(status, request.status, "{what}: {shown}");
        assert!(answer.to_string().len() < 100_000, "{what}: {shown}");
        assert!(lambda.peak() < 90, "{what}: {} MB", lambda.peak());
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn no_request_uses_more_than_90_mb(pool: MySqlPool) {
    let url = pool.connect_options().to_url_lossy().to_string();
    let mut lambda = Lambda::start(&url).await;
    let token = &insert_key(&pool, &Permission::GRANTABLE, None).await;
    let numbers: Vec<_> = phones(0..340_000);
    let path = create_draft(&mut lambda, token, &numbers).await;
    append_a_million(&mut lambda, token, &path, numbers).await;

    let message = "\u{1}".repeat(800_000);
    let text = json!({"run_at": in_seconds(3_600), "message": message, "draft": true}).to_string();
    let objects = format!("[{}1]", "{\"a\":1},".repeat(640_000));
    for (path, body) in [("/v1/schedules", text), (&path, objects)] {
        let (status, _) = lambda
            .call(token, path, "application/json", body.into())
            .await;
        assert_eq!(status, 422, "{path}");
    }
    println!("texts and objects: {} MB", lambda.peak());
    assert!(lambda.peak() < 90, "{} MB", lambda.peak());
}

/// Creates a draft with so many recipients. Their variables, if they have any, are as long as they may
/// be.
async fn draft(pool: &MySqlPool, message: &str, count: u32) -> Uuid {
    let id = Uuid::now_v7();
    let sql = "INSERT INTO schedules (id, status, message, parts, run_at, run_at_offset, max_lateness_s, max_resends, resend_within_s,
          on_uncertain, created_at)
        VALUES (?, 'draft', ?, 1, '2030-01-31', '+00:00', 3600, 2, 21600, 'hold', UTC_TIMESTAMP(3))";
    let insert = sqlx::query(sql).bind(id).bind(message);
    insert.execute(pool).await.unwrap();
    let recipients = "INSERT INTO recipients (schedule_id, seq, phone)
        SELECT ?, n, CONCAT('+6012', 1000000 + n) FROM JSON_TABLE(?, '$[*]' COLUMNS (n INT UNSIGNED PATH '$')) j";
    let variables = "INSERT INTO recipient_variables (schedule_id, seq, variables)
        SELECT ?, n, CONCAT('{\"name\":\"Ana\",\"x\":\"', REPEAT('y', 4000), '\"}')
        FROM JSON_TABLE(?, '$[*]' COLUMNS (n INT UNSIGNED PATH '$')) j";
    let numbers = json!((1..=count).collect::<Vec<_>>()).to_string();
    let with_variables = message.contains("{{");
    for sql in [Some(recipients), with_variables.then_some(variables)]
        .into_iter()
        .flatten()
    {
        let insert = sqlx::query(sql).bind(id).bind(&numbers);
        insert.execute(pool).await.unwrap();
    }
    id
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn no_report_uses_more_than_64_mb(pool: MySqlPool) {
    let url = pool.connect_options().to_url_lossy().to_string();
    let mut lambda = Lambda::start(&url).await;
    let token = &insert_key(&pool, &Permission::GRANTABLE, None).await;
    let long = draft(&pool, "Hello", 60_000).await;
    let personal = draft(&pool, "Dear {{name}}", 3_000).await;
    for (id, format, encoding) in [
        (long, "csv", "identity"),
        (long, "ndjson", "identity"),
        (long, "ndjson", "gzip"),
        (personal, "ndjson", "identity"),
    ] {
        let path = format!("/v1/schedules/{id}/recipients?format={format}");
        let headers =
            json!({"authorization": format!("Bearer {token}"), "accept-encoding": encoding});
        let answer = lambda.exchange("GET", &path, headers, Value::Null).await;
        assert_eq!(answer["statusCode"], 200, "{answer}");
        let len = answer.to_string().len();
        println!("{len} bytes of {format}, {encoding}: {} MB", lambda.peak());
        assert!(len < 6 * 1024 * 1024, "{len}");
        assert_eq!(answer["isBase64Encoded"], encoding == "gzip");
        assert_eq!(answer["headers"].get("link").is_some(), id == long);
        let is_full = id == long && encoding == "identity";
        assert!(!is_full || len > 4_500_000, "{len}");
    }
    assert!(lambda.peak() < 64, "{} MB", lambda.peak());
}

/// Returns whether the gateway passes a body of this type in base64.
fn is_binary(content_type: &Value) -> bool {
    let content_type = content_type.as_str().unwrap_or_default();
    content_type == "application/gzip" || content_type.starts_with("application/vnd.")
}

/// Encodes a binary body as the gateway does.
fn base64(bytes: &[u8]) -> String {
    serde_json::from_value(json!(encodings::Body::Binary(bytes.to_vec()))).unwrap()
}
