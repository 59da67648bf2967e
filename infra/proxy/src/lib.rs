//! A TCP proxy on the loopback interface between the functions and a server, to take the network away from them: connections are
//! refused, reset, stalled, slowed, or reset in the middle of an answer, at any moment and without the server's knowledge.
//!
//! It knows no protocol. The path of a connection: `accept` → `relay`; [`Mode`] says how it fares.
//!
//! ```no_run
//! # async fn example(server: std::net::SocketAddr) -> anyhow::Result<()> {
//! let proxy = proxy::Proxy::start(server).await?;
//! // … connect to proxy.address() …
//! proxy.set(proxy::Mode { refuse: true, ..Default::default() }).await?;
//! proxy.cut().await; // now the server seems to be gone
//! # Ok(())
//! # }
//! ```

mod accept;
mod control;
mod line;
mod mode;
mod relay;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context;
use serde_json::Value;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

use crate::accept::Port;
use crate::line::Line;

pub use control::control;
pub use line::Stats;
pub use mode::{Mode, ModeError};

/// A proxy running on a loopback port. It stops when this is dropped, and its connections end.
pub struct Proxy {
    address: SocketAddr,
    line: Arc<Line>,
    // Whether the port is open. Closed for good, and an error to its receivers, if it could not be opened again.
    listening: Mutex<watch::Receiver<bool>>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy for the server `target` on a free port, on the runtime of the caller. Nobody need listen there yet.
    pub async fn start(target: SocketAddr) -> anyhow::Result<Self> {
        Self::start_on(0, target).await
    }

    /// Starts a proxy on `port`.
    // Async, though nothing is awaited: sockets want a runtime, and without one this would panic.
    #[allow(clippy::unused_async)]
    pub async fn start_on(port: u16, target: SocketAddr) -> anyhow::Result<Self> {
        let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let port = Port::reserve(wanted).with_context(|| format!("can't listen on {wanted}"))?;
        let address = port.address();
        let listener = port
            .open()
            .with_context(|| format!("can't listen on {address}"))?;
        let line = Arc::new(Line::new(target));
        let (sender, listening) = watch::channel(true);
        let task = tokio::spawn(accept::accept(port, listener, Arc::clone(&line), sender));
        Ok(Self {
            address,
            line,
            listening: Mutex::new(listening),
            task,
        })
    }

    /// Where it listens, also while it refuses.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The settings in force.
    pub fn mode(&self) -> Mode {
        *self.line.mode.borrow()
    }

    /// Changes all settings. When it returns, the port is open or closed as they say.
    pub async fn set(&self, mode: Mode) -> anyhow::Result<()> {
        let mut listening = self.listening.lock().await;
        self.apply(mode, &mut listening).await
    }

    /// Changes the settings that `patch`, a JSON object, names; returns all of them.
    pub async fn patch(&self, patch: Value) -> anyhow::Result<Mode> {
        // Under one lock, lest two patches at the same time undo each other, or wait for what the other has undone.
        let mut listening = self.listening.lock().await;
        let mode = self.mode().patched(patch)?;
        self.apply(mode, &mut listening).await?;
        Ok(mode)
    }

    async fn apply(&self, mode: Mode, listening: &mut watch::Receiver<bool>) -> anyhow::Result<()> {
        self.line.mode.send_replace(mode);
        listening
            .wait_for(|listening| *listening != mode.refuse)
            .await
            .context("the port could not be opened again")?;
        Ok(())
    }

    /// Resets all open connections, to the client and to the server. When it returns, both have been reset.
    pub async fn cut(&self) {
        self.line.cut().await;
    }

    /// The connections until now.
    pub fn stats(&self) -> Stats {
        self.line.stats()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}
