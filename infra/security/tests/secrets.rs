//! No secret in logs, traces and errors: after a full run, from the login to the last status, each
//! line that a function has printed, each span that it has exported and each error that the API has
//! returned is searched for passwords, tokens, keys, numbers and texts.
#![allow(missing_docs, clippy::unwrap_used)]

use std::{path::Path, process::Command, time::Duration};

use demo::{
    api::{Api, NewSchedule, Schedule, http_client},
    stack::Stack,
};
use reqwest::Method;
use security::Target;
use serde_json::{Value, json};

const TEXT: &str = "A confidential appointment reminder for the tests";
const PASSWORD: &str = "open sesame, but longer than that";

/// Returns the functions' output, which becomes available after each invocation.
fn logs() -> String {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let stack = std::env::var("STACK_ENV").unwrap();
    let code = "import logs, sys; from pathlib import Path; from processes import Processes; logs.dump(Processes(Path(sys.argv[1])))";
    let mut python = Command::new("infra/local/python");
    python
        .current_dir(&workspace)
        .env("PYTHONPATH", "infra/local")
        .args(["-c", code]);
    let done = python
        .arg(Path::new(&stack).parent().unwrap())
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    String::from_utf8(done.stdout).unwrap()
}

/// Returns what the functions have exported as traces. The texts in protobuf are readable.
fn traces() -> String {
    let exported = std::fs::read(std::env::var("TRACES").unwrap()).unwrap();
    String::from_utf8_lossy(&exported).into_owned()
}

/// Creates a webhook without a receiver and rotates its secret. Returns the token in its URL and
/// both secrets.
async fn webhook(target: &Target) -> [String; 3] {
    let token = "a-token-in-the-query-of-a-url";
    let webhook = json!({"url": format!("http://127.0.0.1:9/hook?token={token}"), "events": ["schedule.started", "schedule.finished"]});
    let created = target
        .post(target.admin(), "/v1/webhooks", &webhook)
        .await
        .unwrap();
    let path = format!("/v1/webhooks/{}", created["id"].as_str().unwrap());
    let rotated = target
        .post(target.admin(), &format!("{path}/rotate-secret"), &json!({}))
        .await
        .unwrap();
    target
        .post(target.admin(), &format!("{path}/test"), &json!({}))
        .await
        .unwrap();
    let secret = |answer: &Value| {
        answer["secret"]
            .as_str()
            .unwrap()
            .trim_start_matches("whsec_")
            .to_owned()
    };
    [token.to_owned(), secret(&created), secret(&rotated)]
}

/// Creates a user, changes the password, logs in and refreshes the session twice, so that the first
/// refresh token cannot be repeated. Returns all tokens, the first refresh token at index 1.
async fn session_tokens(target: &Target) -> Vec<String> {
    target.user("secrets-of", "operator").await.unwrap();
    let login =
        json!({"username": "secrets-of", "password": security::PASSWORD, "new_password": PASSWORD});
    let first = target.post("", "/v1/auth/login", &login).await.unwrap();
    let refresh = json!({"refresh_token": first["refresh_token"]});
    let second = target.post("", "/v1/auth/refresh", &refresh).await.unwrap();
    let refresh = json!({"refresh_token": second["refresh_token"]});
    let third = target.post("", "/v1/auth/refresh", &refresh).await.unwrap();
    let tokens = [&first, &second, &third].map(|pair| {
        ["access_token", "refresh_token"].map(|member| pair[member].as_str().unwrap().to_owned())
    });
    let mut tokens = tokens.concat();
    tokens.push(first["device_token"].as_str().unwrap().to_owned());
    tokens.extend(cookie_tokens(target).await);
    tokens
}

/// Logs in as the console does, with a cookie, and refreshes the session. Returns the tokens.
async fn cookie_tokens(target: &Target) -> Vec<String> {
    let login = json!({"username": "secrets-of", "password": PASSWORD, "cookie": true});
    let mut call = target.request(Method::POST, "/v1/auth/login").json(&login);
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let answer = call.send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
        let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        tokens.push(cookie.split_once('=').unwrap().1.to_owned());
        let body: Value = answer.json().await.unwrap();
        assert!(body["refresh_token"].is_null(), "{body}");
        tokens.push(body["access_token"].as_str().unwrap().to_owned());
        call = target
            .request(Method::POST, "/v1/auth/refresh")
            .header("cookie", cookie)
            .json(&json!({"cookie": true}));
    }
    tokens
}

/// Makes the calls of the console that carry numbers and texts in other ways: in queries, in paths
/// and in files. Returns the page, its files and the problems of refused files.
async fn use_console(target: &Target, key: &str, numbers: &[String]) -> String {
    let get = |path: String| target.request(Method::GET, &path).bearer_auth(key).send();
    let page = get("/console".to_owned())
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let mut pages = page.clone();
    let files = page.split('"').filter(|part| part.starts_with("console/"));
    for file in files {
        pages += &get(format!("/{file}")).await.unwrap().text().await.unwrap();
    }
    let phone = numbers[0].replace('+', "%2B");
    for query in [
        format!("phone={phone}"),
        format!("reference={}", numbers[1].replace('+', "%2B")),
    ] {
        let found = get(format!("/v1/messages?{query}")).await.unwrap();
        assert!(found.status().is_success(), "{}", found.status());
    }
    for (kind, body) in [
        (
            "application/octet-stream",
            format!("PK\u{3}\u{4}{TEXT}{}", numbers[0]),
        ),
        ("text/csv", format!("{TEXT}{}", numbers[0])),
    ] {
        let call = target.request(Method::POST, "/v1/spreadsheets/convert");
        let call = call
            .bearer_auth(key)
            .header("content-type", kind)
            .body(body);
        let refused = call.send().await.unwrap();
        assert!(refused.status().is_client_error(), "{}", refused.status());
        pages += &refused.text().await.unwrap();
    }
    pages
}

/// Sends a schedule to its end with an API key.
async fn run_schedule(stack: &Stack, key: &str, numbers: &[String]) -> Schedule {
    let url = stack.value("API_URL").unwrap();
    let api = Api::new(http_client().unwrap(), url, key).unwrap();
    let run_at = chrono::Utc::now() + chrono::TimeDelta::seconds(4);
    let schedule = api
        .create(&NewSchedule::new(run_at, TEXT, numbers.to_vec()))
        .await
        .unwrap();
    for _ in 0..120 {
        if api.schedule(schedule.id).await.unwrap().status == "finished" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let schedule = api.schedule(schedule.id).await.unwrap();
    assert_eq!(schedule.count("DELIVRD"), 25);
    schedule
}

/// Provokes errors with secrets in the request bodies. Returns all headers and bodies of the
/// responses.
async fn provoke_errors(target: &Target, key: &str, bodies: [(&str, Value); 5]) -> String {
    let mut answers = String::new();
    for (path, body) in bodies {
        let answer = target
            .request(Method::POST, path)
            .bearer_auth(key)
            .json(&body)
            .send()
            .await
            .unwrap();
        assert!(
            answer.status().is_client_error(),
            "{path} {}",
            answer.status()
        );
        let headers = format!("{:?}", answer.headers());
        answers += &[path, &headers, &answer.text().await.unwrap()].concat();
    }
    answers
}

/// Asserts that a text contains none of the secrets. A failure shows up to five lines with secrets.
fn assert_no_secret(place: &str, text: &str, secrets: &[String]) {
    let found: Vec<_> = secrets
        .iter()
        .filter(|secret| text.contains(secret.as_str()))
        .collect();
    let lines: Vec<_> = text
        .lines()
        .filter(|line| found.iter().any(|secret| line.contains(secret.as_str())))
        .take(5)
        .collect();
    assert!(
        found.is_empty(),
        "{place} contain {} of {} secrets: {lines:#?}",
        found.len(),
        secrets.len()
    );
}

#[tokio::test]
#[ignore = "needs the local stack: make security"]
async fn logs_traces_and_errors_contain_no_secret_number_or_text() {
    let target = Target::log_in_admin().await.unwrap();
    let stack = Stack::from_environment().unwrap();
    let tokens = session_tokens(&target).await;
    let (_, key) = target
        .key(&["schedules:read", "schedules:write"])
        .await
        .unwrap();
    let numbers: Vec<String> = (0..25)
        .map(|n| format!("+6019{:07}", 7_654_300 + n))
        .collect();
    let mut secrets = [TEXT, PASSWORD, security::PASSWORD, &key]
        .map(str::to_owned)
        .to_vec();
    secrets.extend(["JWT_KEYS", "WEBHOOK_KEYS"].map(|keys| stack.value(keys).unwrap().to_owned()));
    secrets.extend(tokens.iter().cloned());
    secrets.extend(webhook(&target).await);
    secrets.extend(
        numbers
            .iter()
            .map(|number| number.trim_start_matches('+').to_owned()),
    );

    let schedule = run_schedule(&stack, &key, &numbers).await;
    let wrong_password = format!("{PASSWORD}!");
    let bodies = [
        (
            "/v1/auth/login",
            json!({"username": "secrets-of", "password": wrong_password}),
        ),
        (
            "/v1/auth/login",
            json!({"username": "secrets-of", "password": PASSWORD, "unknown": PASSWORD}),
        ),
        ("/v1/auth/refresh", json!({"refresh_token": tokens[1]})),
        (
            "/v1/schedules",
            json!({"run_at": schedule.run_at, "message": TEXT, "recipients": numbers}),
        ),
        (
            "/v1/schedules",
            json!({"run_at": "never", "message": TEXT.repeat(100)}),
        ),
    ];
    let errors = provoke_errors(&target, &key, bodies).await;
    let pages = use_console(&target, &key, &numbers).await;
    let logs = logs();
    assert_no_secret("the console's pages and problems", &pages, &secrets);
    assert!(
        pages.contains("main.js") && pages.contains("malformed-body"),
        "{pages}"
    );
    assert_no_secret("the logs", &logs, &secrets);
    assert_no_secret("the errors", &errors, &secrets);
    let traces = traces();
    assert_no_secret("the traces", &traces, &secrets);
    let spans = [
        "POST /v1/schedules",
        "cut schedule",
        "send batch",
        "carrier request",
        "recheck batch",
        "post webhook",
        &schedule.id.to_string(),
    ];
    for span in spans {
        assert!(traces.contains(span), "{span}");
    }
    assert_search_is_effective(&logs, &errors, &schedule);
}

/// Asserts that the searched texts contain what they should: each function logs the schedule's id,
/// the API logs the route, and the errors have their types.
fn assert_search_is_effective(logs: &str, errors: &str, schedule: &Schedule) {
    let id = schedule.id.to_string();
    let logged = |function: &str, text: &str| {
        logs.lines()
            .any(|line| line.starts_with(function) && line.contains(text))
    };
    assert!(logged("api", "/v1/schedules/{id}"), "{logs}");
    // The query of a schedule finds its whole path.
    for function in ["api", "dispatch", "send", "recheck", "notify"] {
        assert!(logged(function, &id), "{function}: {logs}");
    }
    assert!(logs.contains("batch released") && logs.contains("schedule finished"));
    // The lines of the metrics are among those that are searched.
    assert!(logged("send", "CloudWatchMetrics"), "{logs}");
    assert!(errors.contains("wrong-credentials") && errors.contains("invalid-request"));
}
