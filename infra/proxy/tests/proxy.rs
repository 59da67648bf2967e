//! The proxy in front of an echo server, over real sockets.
#![allow(clippy::unwrap_used)]

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use proxy::{Mode, Proxy, Stats};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

const SHORT: Duration = Duration::from_millis(80);

/// One connection as the echo server saw it: the bytes received, and how it ended.
type EndedConnection = (Vec<u8>, std::io::Result<()>);

/// Starts a server that echoes each connection and reports it when it has ended.
async fn start_echo_server() -> (SocketAddr, UnboundedReceiver<EndedConnection>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, seen) = unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let sender = sender.clone();
            tokio::spawn(async move { sender.send(echo_connection(stream).await) });
        }
    });
    (address, seen)
}

async fn echo_connection(mut stream: TcpStream) -> EndedConnection {
    let (mut got, mut chunk) = (Vec::new(), [0; 4_096]);
    loop {
        let length = match stream.read(&mut chunk).await {
            Ok(0) => return (got, stream.shutdown().await),
            Ok(length) => length,
            Err(error) => return (got, Err(error)),
        };
        got.extend_from_slice(&chunk[..length]);
        if let Err(error) = stream.write_all(&chunk[..length]).await {
            return (got, Err(error));
        }
    }
}

async fn connect(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(proxy.address()).await.unwrap()
}

/// Sends a text and reads a response of the same length.
async fn exchange(stream: &mut TcpStream, text: &str) -> std::io::Result<String> {
    stream.write_all(text.as_bytes()).await?;
    let mut answer = vec![0; text.len()];
    stream.read_exact(&mut answer).await?;
    Ok(String::from_utf8(answer).unwrap())
}

/// Reads until the connection ends. Returns the text and how the connection ended.
async fn read_to_end_of(stream: &mut TcpStream) -> (String, std::io::Result<usize>) {
    let mut all = Vec::new();
    let ended = timeout(Duration::from_secs(5), stream.read_to_end(&mut all))
        .await
        .unwrap();
    (String::from_utf8(all).unwrap(), ended)
}

fn error_kind<T>(result: std::io::Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

#[tokio::test]
async fn bytes_and_the_end_of_each_side_pass() {
    let (server, mut seen) = start_echo_server().await;
    let proxy = Proxy::start(server).await.unwrap();
    let sent: Vec<u8> = (0..4_000_000_u32)
        .map(|place| (place.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let (mut reading, mut writing) = connect(&proxy).await.into_split();
    let all = sent.clone();
    let writer = tokio::spawn(async move {
        writing.write_all(&all).await.unwrap();
        writing.shutdown().await.unwrap();
    });
    let mut back = Vec::new();
    reading.read_to_end(&mut back).await.unwrap();
    writer.await.unwrap();
    assert!(back == sent);
    let (got, ended) = seen.recv().await.unwrap();
    assert!(got == sent && ended.is_ok());
}

#[tokio::test]
async fn a_refusing_port_returns_econnrefused_and_can_reopen() {
    let (server, _seen) = start_echo_server().await;
    let proxy = Proxy::start(server).await.unwrap();
    let mut earlier = connect(&proxy).await;
    assert_eq!(exchange(&mut earlier, "one").await.unwrap(), "one");
    for _ in 0..20 {
        proxy
            .set(Mode {
                refuse: true,
                ..Mode::default()
            })
            .await
            .unwrap();
        assert_eq!(
            error_kind(TcpStream::connect(proxy.address()).await),
            Some(ErrorKind::ConnectionRefused)
        );
        assert_eq!(exchange(&mut earlier, "two").await.unwrap(), "two");
        proxy.set(Mode::default()).await.unwrap();
        assert_eq!(
            exchange(&mut connect(&proxy).await, "three").await.unwrap(),
            "three"
        );
    }
}

#[tokio::test]
async fn a_refusing_port_stays_reserved_and_a_conflict_is_reported() {
    let (server, _seen) = start_echo_server().await;
    let proxy = Proxy::start(server).await.unwrap();
    proxy
        .set(Mode {
            refuse: true,
            ..Mode::default()
        })
        .await
        .unwrap();
    // The system binds like this when it selects a port for an outgoing connection.
    let outgoing = TcpSocket::new_v4().unwrap();
    assert_eq!(
        error_kind(outgoing.bind(proxy.address())),
        Some(ErrorKind::AddrInUse)
    );
    let _other_listener = std::net::TcpListener::bind(proxy.address()).unwrap();
    assert!(
        timeout(Duration::from_secs(5), proxy.set(Mode::default()))
            .await
            .unwrap()
            .is_err()
    );
}

#[tokio::test]
async fn a_cut_resets_both_ends_of_open_connections_only() {
    let (server, mut seen) = start_echo_server().await;
    let proxy = Proxy::start(server).await.unwrap();
    let (mut one, mut two) = (connect(&proxy).await, connect(&proxy).await);
    exchange(&mut one, "one").await.unwrap();
    exchange(&mut two, "two").await.unwrap();
    assert_eq!(
        proxy.stats(),
        Stats {
            accepted: 2,
            open: 2,
            cut: 0
        }
    );
    proxy.cut().await;
    assert_eq!(
        proxy.stats(),
        Stats {
            accepted: 2,
            open: 0,
            cut: 2
        }
    );
    for stream in [&mut one, &mut two] {
        assert_eq!(
            error_kind(read_to_end_of(stream).await.1),
            Some(ErrorKind::ConnectionReset)
        );
        assert_eq!(
            error_kind(seen.recv().await.unwrap().1),
            Some(ErrorKind::ConnectionReset)
        );
    }
    let mut later = connect(&proxy).await;
    assert_eq!(exchange(&mut later, "three").await.unwrap(), "three");
    assert_eq!(
        proxy.stats(),
        Stats {
            accepted: 3,
            open: 1,
            cut: 2
        }
    );
}

#[tokio::test]
async fn a_stalled_connection_passes_nothing_and_loses_nothing() {
    let (server, mut seen) = start_echo_server().await;
    let proxy = Proxy::start(server).await.unwrap();
    let mut stream = connect(&proxy).await;
    exchange(&mut stream, "before").await.unwrap();
    proxy
        .set(Mode {
            stall: true,
            ..Mode::default()
        })
        .await
        .unwrap();
    stream.write_all(b"meanwhile").await.unwrap();
    stream.shutdown().await.unwrap();
    assert!(timeout(SHORT, stream.read(&mut [0; 9])).await.is_err());
    assert!(seen.try_recv().is_err(), "the end is held back too");
    // A client that connects now is accepted, and waits.
    let mut later = connect(&proxy).await;
    assert!(timeout(SHORT, exchange(&mut later, "later")).await.is_err());

    proxy.set(Mode::default()).await.unwrap();
    assert_eq!(read_to_end_of(&mut stream).await.0, "meanwhile");
    assert_eq!(seen.recv().await.unwrap().0, b"beforemeanwhile");
    let mut answer = [0; 5];
    later.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"later");
}

#[tokio::test]
async fn a_stalled_connection_can_be_cut() {
    let (server, mut seen) = start_echo_server().await;
    let proxy = Proxy::start(server).await.unwrap();
    let mut stream = connect(&proxy).await;
    exchange(&mut stream, "before").await.unwrap();
    proxy
        .set(Mode {
            stall: true,
            ..Mode::default()
        })
        .await
        .unwrap();
    stream.write_all(b"lost").await.unwrap();
    tokio::time::sleep(SHORT).await;
    proxy.cut().await;
    assert_eq!(
        error_kind(read_to_end_of(&mut stream).await.1),
        Some(ErrorKind::ConnectionReset)
    );
    assert_eq!(seen.recv().await.unwrap().0, b"before");
}

#[tokio::test]
async fn each_chunk_is_delayed_in_each_direction_until_the_delay_is_off() {
    let (server, _seen) = start_echo_server().await;
    let proxy = Proxy::start(server).await.unwrap();
    let mut stream = connect(&proxy).await;
    proxy
        .set(Mode {
            delay_ms: 100,
            ..Mode::default()
        })
        .await
        .unwrap();
    let begun = Instant::now();
    assert_eq!(exchange(&mut stream, "slow").await.unwrap(), "slow");
    assert!(
        begun.elapsed() >= Duration::from_millis(200),
        "{:?}",
        begun.elapsed()
    );

    proxy
        .set(Mode {
            delay_ms: 600_000,
            ..Mode::default()
        })
        .await
        .unwrap();
    stream.write_all(b"held").await.unwrap();
    tokio::time::sleep(SHORT).await;
    proxy.set(Mode::default()).await.unwrap();
    let mut answer = [0; 4];
    timeout(Duration::from_secs(5), stream.read_exact(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&answer, b"held");
}

#[tokio::test]
async fn a_response_is_cut_in_the_middle_after_the_server_received_the_request() {
    for (limit, passed) in [(Some(4), "answ"), (Some(0), ""), (Some(5), "answe")] {
        let (server, mut seen) = start_echo_server().await;
        let proxy = Proxy::start(server).await.unwrap();
        let mut earlier = connect(&proxy).await;
        exchange(&mut earlier, "earlier").await.unwrap();
        proxy
            .set(Mode {
                cut_after_bytes: limit,
                ..Mode::default()
            })
            .await
            .unwrap();
        let mut stream = connect(&proxy).await;
        stream.write_all(b"answer").await.unwrap();
        let (got, ended) = read_to_end_of(&mut stream).await;
        assert_eq!(
            (got.as_str(), error_kind(ended)),
            (passed, Some(ErrorKind::ConnectionReset))
        );
        assert_eq!(seen.recv().await.unwrap().0, b"answer");
        assert_eq!(
            exchange(&mut earlier, "earlier").await.unwrap(),
            "earlier",
            "only new connections are cut"
        );
        assert_eq!(
            proxy.stats(),
            Stats {
                accepted: 2,
                open: 1,
                cut: 1
            }
        );
    }
}

#[tokio::test]
async fn a_response_of_exactly_the_limit_passes() {
    let (server, _seen) = start_echo_server().await;
    let proxy = Proxy::start(server).await.unwrap();
    proxy
        .set(Mode {
            cut_after_bytes: Some(6),
            ..Mode::default()
        })
        .await
        .unwrap();
    let mut stream = connect(&proxy).await;
    assert_eq!(exchange(&mut stream, "answer").await.unwrap(), "answer");
    // The limit counts the bytes of all responses on the connection.
    assert_eq!(
        error_kind(exchange(&mut stream, "more").await),
        Some(ErrorKind::ConnectionReset)
    );
}

#[tokio::test]
async fn an_absent_server_appears_as_a_reset_and_may_start_later() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let server = listener.local_addr().unwrap();
    drop(listener);
    let proxy = Proxy::start(server).await.unwrap();
    assert_eq!(
        error_kind(read_to_end_of(&mut connect(&proxy).await).await.1),
        Some(ErrorKind::ConnectionReset)
    );
    assert_eq!(proxy.stats().cut, 0);
    let listener = TcpListener::bind(server).await.unwrap();
    tokio::spawn(async move { echo_connection(listener.accept().await.unwrap().0).await });
    assert_eq!(
        exchange(&mut connect(&proxy).await, "here").await.unwrap(),
        "here"
    );
}

#[tokio::test]
async fn a_reset_of_one_side_reaches_the_other() {
    let (server, mut seen) = start_echo_server().await;
    let proxy = Proxy::start(server).await.unwrap();
    let mut stream = connect(&proxy).await;
    exchange(&mut stream, "one").await.unwrap();
    stream.set_zero_linger().unwrap();
    drop(stream);
    assert_eq!(
        error_kind(seen.recv().await.unwrap().1),
        Some(ErrorKind::ConnectionReset)
    );
}

#[tokio::test]
async fn dropping_a_proxy_ends_its_connections() {
    let (server, _seen) = start_echo_server().await;
    let proxy = Proxy::start(server).await.unwrap();
    let address = proxy.address();
    let mut stream = connect(&proxy).await;
    exchange(&mut stream, "one").await.unwrap();
    drop(proxy);
    assert_eq!(read_to_end_of(&mut stream).await.0, "");
    assert_eq!(
        error_kind(TcpStream::connect(address).await),
        Some(ErrorKind::ConnectionRefused)
    );
}
