//! Reading and changing the settings, and running the program, over real HTTP.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use simulator::{Settings, Simulator};
use support::bench;

#[tokio::test]
async fn a_patch_changes_only_its_fields() {
    let bench = bench(Settings {
        latency_ms: 5,
        ..Settings::default()
    })
    .await;
    let (status, settings) = bench
        .patch(json!({ "undeliv": 0.25, "refuse_numbers": ["88"], "retry_after_s": 3 }))
        .await;
    assert_eq!(status, 200);
    let expected = Settings {
        latency_ms: 5,
        undeliv: 0.25,
        refuse_numbers: vec!["88".into()],
        retry_after_s: Some(3),
        ..Settings::default()
    };
    assert_eq!(settings, serde_json::to_value(&expected).unwrap());
    assert_eq!(bench.carrier().settings(), expected);
    let read: Settings = bench
        .http
        .get(bench.url("/settings"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(read, expected);
    let (_, settings) = bench.patch(json!({ "retry_after_s": null })).await;
    assert_eq!(settings["retry_after_s"], json!(null));
}

#[tokio::test]
async fn an_invalid_patch_is_refused_as_a_whole_and_names_the_field() {
    let bench = bench(Settings::default()).await;
    let table = [
        (json!({ "undelivered": 1 }), "undelivered"),
        (json!({ "undeliv": 1.5 }), "undeliv"),
        (json!({ "html": -0.1 }), "html"),
        (json!({ "status_hang": "often" }), "status_hang"),
        (json!({ "latency_ms": -1 }), "latency_ms"),
        (json!({ "capacity_rps": null }), "capacity_rps"),
        (json!({ "unauthorized": 1 }), "unauthorized"),
        (json!({ "limit_counting": "minute" }), "limit_counting"),
        (json!({ "credit_status": 42 }), "credit_status"),
        (json!({ "unknown_id": "gone" }), "unknown_id"),
        (json!({ "undeliv_prefixes": [49] }), "undeliv_prefixes"),
        (
            json!({ "delivery_delay_ms_min": 10 }),
            "delivery_delay_ms_min",
        ),
        (
            json!({ "undeliv": 0.6, "expired": 0.6 }),
            "undeliv, expired",
        ),
        (json!([]), "settings"),
    ];
    for (mut patch, field) in table {
        if let Some(patch) = patch.as_object_mut() {
            patch.insert("hang_ms".into(), json!(7));
        }
        let (status, problem) = bench.patch(patch).await;
        assert_eq!(status, 422, "{field}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.starts_with(field), "{problem}");
        assert!(detail.contains("expected"), "{problem}");
        assert_eq!(bench.carrier().settings(), Settings::default());
    }
}

#[tokio::test]
async fn a_simulator_does_not_start_with_settings_out_of_range() {
    assert!(
        Simulator::start(Settings {
            odd: 2.0,
            ..Settings::default()
        })
        .await
        .is_err()
    );
}

#[tokio::test]
async fn a_dropped_simulator_frees_its_port() {
    let bench = bench(Settings::default()).await;
    let url = bench.url("/stats");
    assert!(bench.http.get(&url).send().await.is_ok());
    let support::Bench { simulator, http } = bench;
    drop(simulator);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(http.get(&url).send().await.is_err());
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_simulator"));
    command
        .env_remove("SIMULATOR_PORT")
        .env_remove("SIMULATOR_SETTINGS")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn wait(child: &mut Child) -> std::process::ExitStatus {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(5) {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    panic!("the program is still running after 5 s");
}

#[tokio::test]
async fn the_program_prints_its_url_and_stops_on_sigterm_and_sigint() {
    let client = bench(Settings::default()).await.http;
    for signal in ["-TERM", "-INT"] {
        let mut child = program()
            .env("SIMULATOR_SETTINGS", r#"{"latency_ms":3}"#)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let url = line.trim_end().strip_prefix("listening on ").unwrap();
        let settings: Settings = client
            .get(format!("{url}/settings"))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert_eq!(settings.latency_ms, 3);
        assert!(
            Command::new("kill")
                .args([signal, &child.id().to_string()])
                .status()
                .unwrap()
                .success()
        );
        assert!(wait(&mut child).success());
    }
}

#[test]
fn the_program_names_an_invalid_variable() {
    for (name, value) in [
        ("SIMULATOR_PORT", "http"),
        ("SIMULATOR_SETTINGS", "{"),
        ("SIMULATOR_SETTINGS", r#"{"odd":2}"#),
    ] {
        let output = program().env(name, value).output().unwrap();
        assert!(!output.status.success());
        assert!(String::from_utf8_lossy(&output.stderr).contains(name));
    }
}
