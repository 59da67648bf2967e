//! The proxy in front of a target that records each request, over real HTTP.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use axum::{Router, http};
use flate2::{Compression, write::GzEncoder};
use reqwest::{Client, redirect::Policy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const PATH: &str = "/_aws/execute-api/ID/%24default";

/// One request as the target received it.
struct ReceivedRequest {
    method: Method,
    uri: String,
    headers: HeaderMap,
    body: Bytes,
}

type RequestLog = Arc<Mutex<Vec<ReceivedRequest>>>;

async fn record(
    State(log): State<RequestLog>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> http::Response<Body> {
    let echo = body.clone();
    let status = headers
        .get("x-status")
        .map_or(200, |status| status.to_str().unwrap().parse().unwrap());
    log.lock().unwrap().push(ReceivedRequest {
        method,
        uri: uri.to_string(),
        headers,
        body,
    });
    http::Response::builder()
        .status(status)
        .header("content-type", "text/odd")
        .header("content-encoding", "gzip")
        .header("location", "/elsewhere")
        .header("set-cookie", "a=1")
        .header("set-cookie", "b=2")
        .header("keep-alive", "timeout=5")
        .body(Body::from(echo))
        .unwrap()
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Starts a proxy for `target` and returns its URL.
async fn proxy(target: &str) -> String {
    let (listener, address) = listen().await;
    tokio::spawn(gateway::serve(listener, target.parse().unwrap()));
    format!("http://{address}")
}

/// Starts a recording target and a proxy for it. Returns the log and the proxy's URL.
async fn recording_target_and_proxy() -> (RequestLog, String) {
    let log = RequestLog::default();
    let (listener, address) = listen().await;
    let router = Router::new()
        .fallback(record)
        .layer(DefaultBodyLimit::disable())
        .with_state(Arc::clone(&log));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (log, proxy(&format!("http://{address}{PATH}")).await)
}

fn client() -> Client {
    // An error means that another test of this process has installed the provider already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .build()
        .unwrap()
}

/// Returns pseudo-random bytes, which compression can't shorten.
fn random_bytes(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// Sends raw bytes and reads the response to its end, for requests that no client library produces.
async fn send_raw(url: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://"))
        .await
        .unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn method_path_query_headers_and_body_are_forwarded() {
    let (log, url) = recording_target_and_proxy().await;
    for method in [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
    ] {
        let request = client()
            .request(method.clone(), format!("{url}/schedules/7?a=1"))
            .header("x-mine", "yes")
            .body("body");
        let response = request.send().await.unwrap();
        assert_eq!(
            (
                response.status().as_u16(),
                response.text().await.unwrap().as_str()
            ),
            (200, "body")
        );
        let seen = log.lock().unwrap().pop().unwrap();
        assert_eq!(
            (seen.method, seen.uri),
            (method, format!("{PATH}/schedules/7?a=1"))
        );
        assert_eq!(
            (&seen.headers["x-mine"], &seen.body[..]),
            (&HeaderValue::from_static("yes"), &b"body"[..])
        );
    }
}

#[tokio::test]
async fn percent_encoding_is_kept_byte_for_byte() {
    let (log, url) = recording_target_and_proxy().await;
    for path in [
        "/a%2Fb/%24c/%C3%BC%20",
        "/a/../b/./c//d",
        "/?",
        "/x?q=%26+%2B%20&&=~|^`",
        "/%7e/~/%7E?a=/?b",
    ] {
        send_raw(
            &url,
            &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"),
        )
        .await;
        assert_eq!(
            log.lock().unwrap().pop().unwrap().uri,
            format!("{PATH}{path}")
        );
    }
}

#[tokio::test]
async fn gzip_bodies_pass_unchanged_in_both_directions() {
    let (log, url) = recording_target_and_proxy().await;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&b"491701234567\n".repeat(1_000)).unwrap();
    let compressed = encoder.finish().unwrap();
    let request = client()
        .post(url)
        .header("content-encoding", "gzip")
        .header("content-type", "text/csv")
        .body(compressed.clone());
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert_eq!(response.bytes().await.unwrap(), compressed);
    let seen = log.lock().unwrap().pop().unwrap();
    assert_eq!(seen.body, compressed);
    assert_eq!(seen.headers["content-encoding"], "gzip");
    assert_eq!(seen.headers["content-length"], compressed.len().to_string());
}

#[tokio::test]
async fn large_bodies_pass_unchanged() {
    let (log, url) = recording_target_and_proxy().await;
    for megabytes in [6, 12] {
        let body = random_bytes(megabytes * 1024 * 1024);
        let response = client().post(&url).body(body.clone()).send().await.unwrap();
        assert!(response.bytes().await.unwrap() == body);
        assert!(log.lock().unwrap().pop().unwrap().body == body);
    }
}

#[tokio::test]
async fn a_body_of_unknown_length_is_streamed() {
    let (log, url) = recording_target_and_proxy().await;
    let chunks =
        futures_util::stream::iter((0..60).map(|_| std::io::Result::Ok(random_bytes(100_000))));
    let response = client()
        .post(&url)
        .body(reqwest::Body::wrap_stream(chunks))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    assert!(log.lock().unwrap().pop().unwrap().body == random_bytes(100_000).repeat(60));
}

#[tokio::test]
async fn bodies_over_12_mebibytes_are_rejected() {
    let (log, url) = recording_target_and_proxy().await;
    let announced =
        "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 12582913\r\n\r\n";
    let answer = send_raw(&url, announced).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("application/problem+json"));
    assert!(log.lock().unwrap().is_empty());
}

#[tokio::test]
async fn responses_are_returned_unchanged() {
    let (_, url) = recording_target_and_proxy().await;
    for status in [201, 302, 404, 422, 500] {
        let response = client()
            .get(&url)
            .header("x-status", status)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(
            (
                &response.headers()["content-type"],
                &response.headers()["location"]
            ),
            (&"text/odd".parse().unwrap(), &"/elsewhere".parse().unwrap())
        );
        assert_eq!(
            response
                .headers()
                .get_all("set-cookie")
                .iter()
                .collect::<Vec<_>>(),
            ["a=1", "b=2"]
        );
    }
}

#[tokio::test]
async fn hop_by_hop_headers_are_not_forwarded() {
    let (log, url) = recording_target_and_proxy().await;
    let request = client()
        .get(&url)
        .header("connection", "x-hop, close")
        .header("x-hop", "1")
        .header("te", "trailers");
    let response = request
        .header("expect", "100-continue")
        .header("x-far", "1")
        .send()
        .await
        .unwrap();
    assert!(response.headers().get("keep-alive").is_none());
    let headers = log.lock().unwrap().pop().unwrap().headers;
    for name in ["x-hop", "te", "connection", "expect"] {
        assert!(
            !headers.contains_key(HeaderName::from_static(name)),
            "{name}"
        );
    }
    assert_eq!(headers["x-far"], "1");
    assert_ne!(
        format!("http://{}", headers["host"].to_str().unwrap()),
        url,
        "the host header must name the target"
    );
}

#[tokio::test]
async fn an_unreachable_target_returns_502() {
    let (listener, address) = listen().await;
    drop(listener);
    let url = proxy(&format!("http://{address}")).await;
    let response = client().post(url).body("body").send().await.unwrap();
    assert_eq!(response.status(), 502);
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
    assert!(response.text().await.unwrap().contains("can't be reached"));
}

#[tokio::test]
async fn an_unanswered_request_returns_502_and_is_not_retried() {
    let (listener, address) = listen().await;
    let requests = Arc::new(Mutex::new(0));
    let counter = Arc::clone(&requests);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            if stream.read(&mut [0; 8_192]).await.unwrap() > 0 {
                *counter.lock().unwrap() += 1;
            }
        }
    });
    let url = proxy(&format!("http://{address}")).await;
    for sent in 1..=3 {
        let response = client().post(&url).body("body").send().await.unwrap();
        assert_eq!(response.status(), 502);
        assert!(
            response
                .text()
                .await
                .unwrap()
                .contains("may have processed")
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(*requests.lock().unwrap(), sent);
    }
}

#[tokio::test]
async fn the_program_forwards_and_stops_on_sigterm() {
    let (_, target) = recording_target_and_proxy().await;
    let mut child = Command::new(env!("CARGO_BIN_EXE_gateway"))
        .args(["0", &target])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let url = line.trim_end().strip_prefix("listening on ").unwrap();
    assert_eq!(client().get(url).send().await.unwrap().status(), 200);
    assert!(
        Command::new("kill")
            .args(["-TERM", &child.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
    assert!(child.wait().unwrap().success());
}

#[test]
fn wrong_arguments_are_reported() {
    for arguments in [
        &["80"][..],
        &["http", "http://localhost"],
        &["0", "https://localhost"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_gateway"))
            .args(arguments)
            .output()
            .unwrap();
        assert!(!output.status.success() && !output.stderr.is_empty());
    }
}
