//! The accept loop, and the port that it opens and closes.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::relay::relay;
use crate::state::SharedState;

/// The number of connections that can wait to be accepted; the same as MySQL's default.
const BACKLOG: u32 = 151;

/// A port that stays reserved while nothing listens on it. Without a bound socket the system could
/// assign the port to an outgoing connection, and it could not be opened again.
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

/// Binds a socket with `SO_REUSEADDR`. Several sockets can share a port if all of them set this
/// option and at most one listens.
fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Accepts connections unless the mode refuses them. Runs until the future is dropped, which drops
/// its connections too.
pub(crate) async fn accept(
    port: Port,
    first: TcpListener,
    state: Arc<SharedState>,
    listening: watch::Sender<bool>,
) {
    let mut mode = state.mode.subscribe();
    let mut connections = JoinSet::new();
    let mut listener = first;
    loop {
        tokio::select! {
            // `state` owns the sender and outlives this loop, so waiting can't fail.
            _ = mode.wait_for(|mode| mode.refuse) => {}
            () = spawn_accepted(&listener, &state, &mut connections) => {}
        }
        drop(listener);
        listening.send_replace(false);
        let _ = mode.wait_for(|mode| !mode.refuse).await;
        listener = match port.open() {
            Ok(listener) => listener,
            Err(error) => {
                eprintln!("can't listen on {} again: {error}", port.address());
                // Dropping `listening` returns an error to each task that waits for it.
                return;
            }
        };
        listening.send_replace(true);
    }
}

async fn spawn_accepted(
    listener: &TcpListener,
    state: &Arc<SharedState>,
    connections: &mut JoinSet<()>,
) {
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let (cut, state) = (state.next_cut(), Arc::clone(state));
                    connections.spawn(async move { relay(cut, &state, stream).await });
                }
                // Most likely no file descriptor is free; retry after some have been closed.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            // Removes connections that have ended from the set.
            Some(_) = connections.join_next() => {}
        }
    }
}
