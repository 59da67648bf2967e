//! Measures how many numbers per second the simulator accepts on one core, compared with a plain
//! axum handler in the same run.
//!
//! Run `cargo run --release -p simulator --example load`. Each server runs in its own thread and
//! the client in the main thread. They use loopback and a few persistent connections, with 100
//! distinct numbers per request.
#![allow(clippy::unwrap_used)]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::http::{Request, header::CONTENT_TYPE};
use axum::serve::ListenerExt;
use axum::{Router, routing::get};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use simulator::{Carrier, Settings};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

const CONNECTIONS: u64 = 8;
const NUMBERS_PER_REQUEST: u64 = 100;
const DURATION: Duration = Duration::from_secs(5);
const TEXT: &str =
    "Your parcel arrives tomorrow between 10 and 12. Reply STOP to hear no more from us.";

fn main() {
    let hello = spawn_server(async |listener| {
        axum::serve(
            listener.tap_io(nodelay),
            Router::new().route("/", get(async || "hello")),
        )
        .await
        .unwrap();
    });
    let simulator = spawn_server(async |listener| {
        let carrier = Carrier::new(Settings::default()).unwrap();
        simulator::serve(listener, simulator::router(carrier)).await;
    });
    let runtime = runtime();
    let hellos = runtime.block_on(drive(hello, |_| {
        Request::get("/").body(Body::empty()).unwrap()
    }));
    let sent = runtime.block_on(drive(simulator, submit));
    let length = runtime.block_on(ledger_length(simulator));
    // The ledger contains exactly the requests with a response: the client stops between requests,
    // not during one.
    assert_eq!(
        length,
        sent.requests * NUMBERS_PER_REQUEST,
        "the ledger contains all numbers"
    );
    assert_eq!(sent.ids, length, "the responses contain all message ids");

    let (hello_rps, submit_rps) = (hellos.requests_per_second(), sent.requests_per_second());
    println!("plain axum handler   {hello_rps:>9.0} requests/s");
    println!(
        "simulator            {submit_rps:>9.0} requests/s, {:.0} numbers/s",
        submit_rps * NUMBERS_PER_REQUEST as f64
    );
    println!(
        "ratio                {:>9.3} of the plain handler's request rate",
        submit_rps / hello_rps
    );
    println!("ledger               {length:>9} messages, equal to the number sent");
    println!(
        "memory               {:>9} MB at the end, including the client",
        resident_mb()
    );
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn nodelay(stream: &mut TcpStream) {
    stream.set_nodelay(true).unwrap();
}

/// Runs a server in a new thread, on one core, until the program ends. Returns its address.
fn spawn_server(serve: impl AsyncFnOnce(TcpListener) + Send + 'static) -> SocketAddr {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        runtime().block_on(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            sender.send(listener.local_addr().unwrap()).unwrap();
            serve(listener).await;
        });
    });
    receiver.recv().unwrap()
}

/// The result of one run.
#[derive(Default)]
struct Run {
    requests: u64,
    ids: u64,
    took: Duration,
}

impl Run {
    fn requests_per_second(&self) -> f64 {
        self.requests as f64 / self.took.as_secs_f64()
    }
}

/// Sends `request(0)`, `request(1)`, `request(2)` … over all connections until [`DURATION`] has
/// passed.
async fn drive(address: SocketAddr, request: fn(u64) -> Request<Body>) -> Run {
    let begun = Instant::now();
    let mut connections = Vec::new();
    for connection in 0..CONNECTIONS {
        connections.push(tokio::spawn(async move {
            let mut sender = connect(address).await;
            let mut run = Run::default();
            while begun.elapsed() < DURATION {
                let serial = connection + CONNECTIONS * run.requests;
                run.ids += exchange(&mut sender, request(serial)).await;
                run.requests += 1;
            }
            run
        }));
    }
    let mut total = Run::default();
    for connection in connections {
        let run = connection.await.unwrap();
        total.requests += run.requests;
        total.ids += run.ids;
    }
    Run {
        took: begun.elapsed(),
        ..total
    }
}

async fn connect(address: SocketAddr) -> SendRequest<Body> {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// Sends one request, reads the complete response, and returns the number of message ids in it.
async fn exchange(sender: &mut SendRequest<Body>, request: Request<Body>) -> u64 {
    sender.ready().await.unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let body = to_bytes(Body::new(response.into_body()), usize::MAX)
        .await
        .unwrap();
    // Each id has this prefix. Parsing would cost the client more than the request costs the
    // simulator.
    body.windows(6)
        .filter(|window| window == b"\"alss-")
        .count() as u64
}

fn submit(serial: u64) -> Request<Body> {
    let first = 491_500_000_000 + serial * NUMBERS_PER_REQUEST;
    let numbers = (first..first + NUMBERS_PER_REQUEST)
        .map(|number| number.to_string())
        .collect::<Vec<_>>()
        .join(",");
    let body = format!(r#"{{"dnis":"{numbers}","message":"{TEXT}"}}"#);
    Request::post("/api")
        .header(CONTENT_TYPE, "application/json")
        .body(body.into())
        .unwrap()
}

async fn ledger_length(address: SocketAddr) -> u64 {
    let mut sender = connect(address).await;
    let request = Request::get("/ledger?from=18446744073709551615")
        .body(Body::empty())
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    response.headers()["x-ledger-length"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap()
}

fn resident_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok())
        .unwrap_or_default()
        / 1024
}
