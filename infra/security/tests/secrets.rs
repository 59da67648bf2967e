//! A full run, from the login to the last verdict; then every line that any function has printed, and every error that the API has answered,
//! is searched for what must not be there: passwords, tokens, keys, numbers, texts.
#![allow(missing_docs, clippy::unwrap_used)]

use std::{path::Path, process::Command, time::Duration};

use demo::{
    api::{Api, NewSchedule, http_client},
    stack::Stack,
};
use reqwest::Method;
use security::Target;
use serde_json::json;

const TEXT: &str = "An appointment that is nobody else's business";
const PASSWORD: &str = "open sesame, but longer than that";

/// What the functions have printed. They hand it over after each invocation.
fn printed() -> String {
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

/// A webhook that nobody answers at, rotated once: what its URL and its secrets hold.
async fn webhook(target: &Target) -> [String; 3] {
    let token = "a-token-in-the-query-of-a-url";
    let wanted = json!({"url": format!("http://127.0.0.1:9/hook?token={token}"), "events": ["schedule.started", "schedule.finished"]});
    let made = target
        .post(target.admin(), "/v1/webhooks", &wanted)
        .await
        .unwrap();
    let path = format!("/v1/webhooks/{}", made["id"].as_str().unwrap());
    let rotated = target
        .post(target.admin(), &format!("{path}/rotate-secret"), &json!({}))
        .await
        .unwrap();
    target
        .post(target.admin(), &format!("{path}/test"), &json!({}))
        .await
        .unwrap();
    let secret = |answer: &serde_json::Value| {
        answer["secret"]
            .as_str()
            .unwrap()
            .trim_start_matches("whsec_")
            .to_owned()
    };
    [token.to_owned(), secret(&made), secret(&rotated)]
}

#[tokio::test]
#[ignore = "needs the local stack: make security"]
async fn no_log_and_no_error_holds_a_secret_a_number_or_a_text() {
    let target = Target::enter().await.unwrap();
    let stack = Stack::from_environment().unwrap();
    let mut secrets = vec![TEXT.to_owned(), PASSWORD.to_owned()];
    secrets.extend(["JWT_KEYS", "WEBHOOK_KEYS"].map(|keys| stack.value(keys).unwrap().to_owned()));
    let (_, _) = target.user("secrets-of", "operator").await.unwrap();
    secrets.push(security::PASSWORD.to_owned());
    let tokens =
        json!({"username": "secrets-of", "password": security::PASSWORD, "new_password": PASSWORD});
    let tokens = target.post("", "/v1/auth/login", &tokens).await.unwrap();
    let next = target
        .post(
            "",
            "/v1/auth/refresh",
            &json!({"refresh_token": tokens["refresh_token"]}),
        )
        .await
        .unwrap();
    for pair in [&tokens, &next] {
        secrets.extend(
            ["access_token", "refresh_token"]
                .map(|member| pair[member].as_str().unwrap().to_owned()),
        );
    }
    let (_, key) = target
        .key(&["schedules:read", "schedules:write"])
        .await
        .unwrap();
    secrets.push(key.clone());
    secrets.extend(webhook(&target).await);

    let numbers: Vec<String> = (0..25)
        .map(|n| format!("+6019{:07}", 7_654_300 + n))
        .collect();
    secrets.extend(
        numbers
            .iter()
            .map(|number| number.trim_start_matches('+').to_owned()),
    );
    let api = Api::new(
        http_client().unwrap(),
        stack.value("API_URL").unwrap(),
        &key,
    )
    .unwrap();
    let run_at = chrono::Utc::now() + chrono::TimeDelta::seconds(4);
    let schedule = api
        .create(&NewSchedule::new(run_at, TEXT, numbers.clone()))
        .await
        .unwrap();
    for _ in 0..120 {
        if api.schedule(schedule.id).await.unwrap().status == "finished" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(
        api.schedule(schedule.id).await.unwrap().count("DELIVRD"),
        25
    );

    let errors = [
        (
            "/v1/auth/login",
            json!({"username": "secrets-of", "password": format!("{PASSWORD}!")}),
        ),
        (
            "/v1/auth/login",
            json!({"username": "secrets-of", "password": PASSWORD, "unknown": PASSWORD}),
        ),
        (
            "/v1/auth/refresh",
            json!({"refresh_token": tokens["refresh_token"]}),
        ),
        (
            "/v1/schedules",
            json!({"run_at": run_at, "message": TEXT, "recipients": numbers}),
        ),
        (
            "/v1/schedules",
            json!({"run_at": "never", "message": TEXT.repeat(100)}),
        ),
    ];
    let mut answered = String::new();
    for (path, body) in errors {
        let answer = target
            .request(Method::POST, path)
            .bearer_auth(&key)
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
        answered += &[path, &headers, &answer.text().await.unwrap()].concat();
    }

    let printed = printed();
    for (place, text) in [("the logs", &printed), ("an error", &answered)] {
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
            "{place} holds {} of {} secrets: {lines:#?}",
            found.len(),
            secrets.len()
        );
    }
    // The search does find what is there: the schedule's id, as dispatch tells it, and the routes, as api does.
    let id = schedule.id.to_string();
    let told = |function: &str, what: &str| {
        printed
            .lines()
            .any(|line| line.starts_with(function) && line.contains(what))
    };
    assert!(
        told("dispatch", &id) && told("api", "/v1/schedules/{id}"),
        "{printed}"
    );
    assert!(answered.contains("wrong-credentials") && answered.contains("invalid-request"));
}
