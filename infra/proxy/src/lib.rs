//! A TCP proxy on the loopback interface between the functions and a server. It simulates network
//! faults: connections are refused, reset, stalled, delayed, or reset in the middle of a response,
//! at any moment and without involving the server.
//!
//! The proxy is independent of the protocol. A connection passes from `accept` to `relay`;
//! [`Mode`] controls its behaviour.
//!
//! ```no_run
//! # async fn example(server: std::net::SocketAddr) -> anyhow::Result<()> {
//! let proxy = proxy::Proxy::start(server).await?;
//! // … connect to proxy.address() …
//! proxy.set(proxy::Mode { refuse: true, ..Default::default() }).await?;
//! proxy.cut().await; // from now on the server appears to be down
//! # Ok(())
//! # }
//! ```

mod accept;
mod control;
mod mode;
mod relay;
mod state;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context;
use serde_json::Value;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

use crate::accept::Port;
use crate::state::SharedState;

pub use control::control;
pub use mode::{Mode, ModeError};
pub use state::Stats;

/// A running proxy on a loopback port. When it is dropped, it stops and its connections end.
pub struct Proxy {
    address: SocketAddr,
    state: Arc<SharedState>,
    // Whether the port is open. If the port could not be reopened, the channel is closed and its
    // receivers get an error.
    listening: Mutex<watch::Receiver<bool>>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy for the server `target` on a free port, on the caller's runtime. The server
    /// need not be listening yet.
    pub async fn start(target: SocketAddr) -> anyhow::Result<Self> {
        Self::start_on(0, target).await
    }

    /// Starts a proxy on `port`.
    // Async although nothing is awaited: creating a socket panics without a runtime.
    #[allow(clippy::unused_async)]
    pub async fn start_on(port: u16, target: SocketAddr) -> anyhow::Result<Self> {
        let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let port = Port::reserve(wanted).with_context(|| format!("can't listen on {wanted}"))?;
        let address = port.address();
        let listener = port
            .open()
            .with_context(|| format!("can't listen on {address}"))?;
        let state = Arc::new(SharedState::new(target));
        let (sender, listening) = watch::channel(true);
        let task = tokio::spawn(accept::accept(port, listener, Arc::clone(&state), sender));
        Ok(Self {
            address,
            state,
            listening: Mutex::new(listening),
            task,
        })
    }

    /// Returns the address of the proxy, also while it refuses connections.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the settings in force.
    pub fn mode(&self) -> Mode {
        *self.state.mode.borrow()
    }

    /// Replaces all settings. When it returns, the port is open or closed accordingly.
    pub async fn set(&self, mode: Mode) -> anyhow::Result<()> {
        let mut listening = self.listening.lock().await;
        self.apply(mode, &mut listening).await
    }

    /// Changes the settings that are named in `patch`, a JSON object, and returns all settings.
    pub async fn patch(&self, patch: Value) -> anyhow::Result<Mode> {
        // One lock covers the whole change. Otherwise two concurrent patches could undo each other,
        // or wait for a state that the other has undone.
        let mut listening = self.listening.lock().await;
        let mode = self.mode().patched(patch)?;
        self.apply(mode, &mut listening).await?;
        Ok(mode)
    }

    async fn apply(&self, mode: Mode, listening: &mut watch::Receiver<bool>) -> anyhow::Result<()> {
        self.state.mode.send_replace(mode);
        listening
            .wait_for(|listening| *listening != mode.refuse)
            .await
            .context("the port could not be opened again")?;
        Ok(())
    }

    /// Resets all open connections on both sides. When it returns, both sides have been reset.
    pub async fn cut(&self) {
        self.state.cut().await;
    }

    /// Returns the connection counts since the start.
    pub fn stats(&self) -> Stats {
        self.state.stats()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}
