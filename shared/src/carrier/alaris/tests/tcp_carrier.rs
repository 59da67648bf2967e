//! A carrier that is a bare TCP server, for connections that break in every possible way.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::sleep,
    time::Duration,
};

/// Starts a TCP server. `talk` handles each connection in turn. Returns the URL and the number of
/// requests that were read.
pub fn carrier(talk: impl Fn(&mut Talk) + Send + 'static) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/api", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = requests.clone();
    std::thread::spawn(move || {
        for (connection, stream) in listener.incoming().enumerate() {
            talk(&mut Talk {
                connection,
                stream: stream.unwrap(),
                requests: counted.clone(),
            });
        }
    });
    (url, requests)
}

/// A connection.
pub struct Talk {
    /// Number of the connection, from 0.
    pub connection: usize,
    /// The stream.
    pub stream: TcpStream,
    requests: Arc<AtomicUsize>,
}

impl Talk {
    /// Reads a request up to the end of its JSON body.
    pub fn read_request(&mut self) {
        let mut request = Vec::new();
        let mut buffer = [0; 4096];
        while !request.ends_with(b"}") {
            let read = self.stream.read(&mut buffer).unwrap();
            assert!(read > 0, "closed by the client");
            request.extend_from_slice(&buffer[..read]);
        }
        self.requests.fetch_add(1, Ordering::SeqCst);
    }

    /// Reads one byte of a request and leaves the rest, so that closing the connection resets it.
    pub fn read_a_byte(&mut self) {
        self.stream.read_exact(&mut [0]).unwrap();
        self.requests.fetch_add(1, Ordering::SeqCst);
        sleep(Duration::from_millis(20));
    }

    /// Writes an answer.
    pub fn answer(&mut self, head: &str, body: &str) {
        write!(
            self.stream,
            "HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
    }
}
