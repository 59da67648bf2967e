//! The state that a proxy's connections share: the server, the settings, the cut that ends them and
//! the counts.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::mode::Mode;

/// Shared by the proxy, its accept loop and its connections.
pub(crate) struct SharedState {
    pub(crate) target: SocketAddr,
    pub(crate) mode: watch::Sender<Mode>,
    /// Becomes true when the connections that are open now are cut. Connections accepted after that
    /// subscribe to a new channel.
    cut: Mutex<watch::Sender<bool>>,
    accepted: AtomicU64,
    open: AtomicU64,
    resets: AtomicU64,
}

impl SharedState {
    pub(crate) fn new(target: SocketAddr) -> Self {
        let (accepted, open, resets) = Default::default();
        Self {
            target,
            mode: watch::Sender::new(Mode::default()),
            cut: Mutex::new(watch::Sender::new(false)),
            accepted,
            open,
            resets,
        }
    }

    /// Returns the receiver that becomes true at the next cut. That cut waits until all its
    /// receivers are dropped.
    pub(crate) fn next_cut(&self) -> watch::Receiver<bool> {
        self.cut
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .subscribe()
    }

    /// Cuts the open connections and waits until they have ended.
    pub(crate) async fn cut(&self) {
        let mut current = watch::Sender::new(false);
        std::mem::swap(
            &mut *self.cut.lock().unwrap_or_else(PoisonError::into_inner),
            &mut current,
        );
        current.send_replace(true);
        current.closed().await;
    }

    /// Counts a connection as open until the returned value is dropped.
    pub(crate) fn count(&self) -> Open<'_> {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
        Open(self)
    }

    pub(crate) fn stats(&self) -> Stats {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Stats {
            accepted: read(&self.accepted),
            open: read(&self.open),
            cut: read(&self.resets),
        }
    }
}

/// A connection that is counted as open.
pub(crate) struct Open<'a>(&'a SharedState);

impl Open<'_> {
    /// Counts the connection as reset by the proxy, not by one of its ends.
    pub(crate) fn count_cut(&self) {
        self.0.resets.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts of connections since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Accepted from clients.
    pub accepted: u64,
    /// Open now.
    pub open: u64,
    /// Reset by a cut or by the byte limit. Connections that ended because the server could not be
    /// reached, or because it reset them itself, are not counted.
    pub cut: u64,
}
