//! A server that takes logins by the plugin `mysql_clear_password`, as RDS does for a user of IAM.
//!
//! After each login it answers one statement, and closes the connection. No plugin of MariaDB or of
//! the free MySQL would do the same.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, LazyLock,
        mpsc::{Receiver, channel},
    },
    thread,
};

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::{ServerConfig, ServerConnection, StreamOwned, crypto::ring};

/// A certificate for `localhost` that this process has made and signed.
static CERTIFIED: LazyLock<CertifiedKey<KeyPair>> =
    LazyLock::new(|| generate_simple_self_signed(["localhost".to_owned()]).unwrap());
/// `LONG_PASSWORD`, `CONNECT_WITH_DB`, `PROTOCOL_41`, `SECURE_CONNECTION`, `PLUGIN_AUTH`.
const CAPABILITIES: u32 = 0x1 | 0x8 | 0x200 | 0x8000 | 0x8_0000;
const SSL: u32 = 0x800;
const SWITCH_TO_CLEARTEXT: &[u8] = b"\xfemysql_clear_password\0";
const OK: &[u8] = &[0, 0, 0, 2, 0, 0, 0];

/// A server, until the process ends.
pub struct FakeServer {
    /// The port on this machine.
    pub port: u16,
    /// For each connection that has ended, the password that it got, or without TLS what a client
    /// has sent instead.
    pub received: Receiver<Option<String>>,
}

impl FakeServer {
    /// Starts a server with a certificate for `localhost`.
    pub fn start() -> Self {
        let certificate = CERTIFIED.cert.der().clone();
        let key = CERTIFIED.signing_key.serialize_der().try_into().unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key);
        Self::serving(Some(Arc::new(config.unwrap())))
    }

    /// Returns the certificate that a client has to trust.
    pub fn certificate() -> Vec<u8> {
        CERTIFIED.cert.pem().into_bytes()
    }

    /// Starts a server that does not support TLS.
    pub fn without_tls() -> Self {
        Self::serving(None)
    }

    fn serving(tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, received) = channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut received = None;
                // A client that does not trust the server ends the connection.
                let _ = serve(stream.unwrap(), tls.as_ref(), &mut received);
                let _ = sender.send(received);
            }
        });
        Self { port, received }
    }
}

fn serve(
    mut stream: TcpStream,
    tls: Option<&Arc<ServerConfig>>,
    received: &mut Option<String>,
) -> io::Result<()> {
    write_packet(&mut stream, 0, &greeting(tls.is_some()))?;
    let first = read_packet(&mut stream)?; // with TLS: only a request to begin it
    let Some(tls) = tls else {
        *received = Some(String::from_utf8_lossy(&first).into_owned());
        return Ok(());
    };
    let tls = ServerConnection::new(Arc::clone(tls)).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(tls, stream);
    read_packet(&mut stream)?; // the user, and a hash of the password
    write_packet(&mut stream, 3, SWITCH_TO_CLEARTEXT)?;
    let password = read_packet(&mut stream)?;
    let password = password.strip_suffix(&[0]).unwrap_or_default();
    *received = Some(String::from_utf8_lossy(password).into_owned());
    write_packet(&mut stream, 5, OK)?;
    read_packet(&mut stream)?; // the statement with which a client sets up its session
    write_packet(&mut stream, 1, OK)
}

/// Returns a packet `HandshakeV10`.
fn greeting(has_tls: bool) -> Vec<u8> {
    let capabilities = CAPABILITIES | if has_tls { SSL } else { 0 };
    let [low, high] = [capabilities as u16, (capabilities >> 16) as u16].map(u16::to_le_bytes);
    let parts: [&[u8]; 9] = [
        b"\x0a8.4.0\0",
        &1_u32.to_le_bytes(), // the id of the connection
        b"12345678\0",        // the first part of a nonce
        &low,
        &[45, 2, 0], // utf8mb4, autocommit
        &high,
        &[21], // the length of the nonce
        &[0; 10],
        b"123456789012\0mysql_native_password\0",
    ];
    parts.concat()
}

fn write_packet(stream: &mut impl Write, sequence: u8, payload: &[u8]) -> io::Result<()> {
    let [a, b, c, _] = (payload.len() as u32).to_le_bytes();
    stream.write_all(&[&[a, b, c, sequence], payload].concat())?;
    stream.flush()
}

fn read_packet(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = [0; 4];
    stream.read_exact(&mut head)?;
    let [a, b, c, _] = head;
    let mut payload = vec![0; u32::from_le_bytes([a, b, c, 0]) as usize];
    stream.read_exact(&mut payload)?;
    Ok(payload)
}
