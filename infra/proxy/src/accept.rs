//! The accept loop, and the port that it opens and closes.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::line::Line;
use crate::relay::relay;

/// As many connections may wait to be accepted as MySQL lets wait.
const BACKLOG: u32 = 151;

/// A port that is ours even while nothing listens there: without a bound socket the system would give it to somebody's outgoing
/// connection, and it could not be opened again.
pub(crate) struct Port {
    _bound: TcpSocket,
    address: SocketAddr,
}

impl Port {
    pub(crate) fn reserve(address: SocketAddr) -> io::Result<Self> {
        let bound = bound(address)?;
        let address = bound.local_addr()?;
        Ok(Self {
            _bound: bound,
            address,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn open(&self) -> io::Result<TcpListener> {
        bound(self.address)?.listen(BACKLOG)
    }
}

/// Several sockets may share a port as long as all of them say so, and at most one listens.
fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Accepts while the mode doesn't say to refuse, until it is dropped; its connections go with it.
pub(crate) async fn accept(
    port: Port,
    first: TcpListener,
    line: Arc<Line>,
    listening: watch::Sender<bool>,
) {
    let mut mode = line.mode.subscribe();
    let mut connections = JoinSet::new();
    let mut listener = first;
    loop {
        tokio::select! {
            // The line, and with it the sender, lives as long as this.
            _ = mode.wait_for(|mode| mode.refuse) => {}
            () = spawn_accepted(&listener, &line, &mut connections) => {}
        }
        drop(listener);
        listening.send_replace(false);
        let _ = mode.wait_for(|mode| !mode.refuse).await;
        listener = match port.open() {
            Ok(listener) => listener,
            Err(error) => {
                eprintln!("can't listen on {} again: {error}", port.address());
                // Dropping `listening` tells whoever waits for it.
                return;
            }
        };
        listening.send_replace(true);
    }
}

async fn spawn_accepted(listener: &TcpListener, line: &Arc<Line>, connections: &mut JoinSet<()>) {
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let (cut, line) = (line.next_cut(), Arc::clone(line));
                    connections.spawn(async move { relay(cut, &line, stream).await });
                }
                // Out of file descriptors, most likely: some will come back.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            // Only to forget the connections that have ended.
            Some(_) = connections.join_next() => {}
        }
    }
}
