//! The program: its control port, its arguments, its termination.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The running program. It is killed when the test ends.
struct Program {
    child: Child,
    address: String,
    control: String,
    client: Client,
}

impl Program {
    fn start(target: &str) -> Self {
        // An error means that another test of this process has installed the provider already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut child = Command::new(env!("CARGO_BIN_EXE_proxy"))
            .args(["0", target, "0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut line = |before| {
            lines
                .next()
                .unwrap()
                .unwrap()
                .strip_prefix(before)
                .unwrap()
                .to_owned()
        };
        let (address, control) = (line("listening on "), line("controlled at "));
        Self {
            child,
            address,
            control,
            client: Client::builder().no_proxy().build().unwrap(),
        }
    }

    async fn request(&self, method: Method, path: &str, body: &str) -> (StatusCode, Value) {
        let request = self
            .client
            .request(method, format!("{}{path}", self.control))
            .body(body.to_owned());
        let response = request.send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a server that sends one byte to each client and keeps the connection open.
async fn start_one_byte_server() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.write_all(b"!").await.unwrap();
            kept.push(stream);
        }
    });
    address
}

#[tokio::test]
async fn settings_are_read_and_changed_one_by_one() {
    let program = Program::start(&start_one_byte_server().await);
    let off = json!({ "refuse": false, "stall": false, "delay_ms": 0, "cut_after_bytes": null });
    assert_eq!(
        program.request(Method::GET, "/settings", "").await,
        (StatusCode::OK, off)
    );
    let set = json!({ "refuse": true, "stall": false, "delay_ms": 0, "cut_after_bytes": 9 });
    assert_eq!(
        program
            .request(
                Method::PATCH,
                "/settings",
                r#"{"refuse": true, "cut_after_bytes": 9}"#
            )
            .await,
        (StatusCode::OK, set)
    );
    assert!(
        TcpStream::connect(&program.address).await.is_err(),
        "the settings are in force when the response arrives"
    );
    program
        .request(Method::PATCH, "/settings", r#"{"refuse": false}"#)
        .await;
    assert!(TcpStream::connect(&program.address).await.is_ok());
}

#[tokio::test]
async fn invalid_settings_are_rejected_and_change_nothing() {
    let program = Program::start(&start_one_byte_server().await);
    for (body, status, expected) in [
        ("{", StatusCode::BAD_REQUEST, "not JSON"),
        (
            r#"{"refuse": "yes"}"#,
            StatusCode::UNPROCESSABLE_ENTITY,
            "refuse: ",
        ),
        (
            r#"{"stall": true, "latency_ms": 1}"#,
            StatusCode::UNPROCESSABLE_ENTITY,
            "latency_ms",
        ),
    ] {
        let (answered, problem) = program.request(Method::PATCH, "/settings", body).await;
        assert_eq!(answered, status);
        assert!(
            problem["detail"].as_str().unwrap().contains(expected),
            "{problem}"
        );
    }
    assert_eq!(
        program.request(Method::GET, "/settings", "").await.1["stall"],
        false
    );
}

#[tokio::test]
async fn a_cut_responds_after_the_connections_are_reset() {
    let program = Program::start(&start_one_byte_server().await);
    let mut stream = TcpStream::connect(&program.address).await.unwrap();
    assert_eq!(stream.read(&mut [0; 9]).await.unwrap(), 1);
    assert_eq!(
        program.request(Method::GET, "/stats", "").await.1,
        json!({ "accepted": 1, "open": 1, "cut": 0 })
    );
    assert_eq!(
        program.request(Method::POST, "/cut", "").await.1,
        json!({ "accepted": 1, "open": 0, "cut": 1 })
    );
    assert!(stream.read(&mut [0; 9]).await.is_err());
}

#[tokio::test]
async fn the_program_stops_on_sigterm() {
    let mut program = Program::start(&start_one_byte_server().await);
    let _open = TcpStream::connect(&program.address).await.unwrap();
    assert!(
        Command::new("kill")
            .args(["-TERM", &program.child.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
    assert!(program.child.wait().unwrap().success());
}

#[test]
fn wrong_arguments_are_reported() {
    for arguments in [
        &["0", "127.0.0.1:1"][..],
        &["x", "127.0.0.1:1", "0"],
        &["0", "localhost", "0"],
        &["0", "127.0.0.1:1", "70000"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_proxy"))
            .args(arguments)
            .output()
            .unwrap();
        assert!(!output.status.success() && !output.stderr.is_empty());
    }
}
