//! A carrier for tests and demonstrations: speaks the protocol over loopback HTTP, fails in all the ways seen in the wild, and
//! keeps a ledger of what it accepted.
//!
//! It shares no code with the scheduler, so that each checks the other. The path of a request: [`serve()`] → [`router`] →
//! `parameters` → `submission` → `submit` (or `status`) → `ledger`.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! let simulator = simulator::Simulator::start(simulator::Settings { undeliv: 0.1, ..Default::default() }).await?;
//! let api = format!("{}/api", simulator.url());
//! // … send through `api` …
//! assert_eq!(simulator.carrier().accepted(), 100);
//! # Ok(())
//! # }
//! ```

mod answers;
mod carrier;
mod draws;
mod ids;
mod ledger;
mod life;
mod names;
mod number;
mod parameters;
mod parts;
mod push;
mod routes;
mod serve;
mod settings;
mod shares;
mod stats;
mod status;
mod submission;
mod submit;

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use carrier::Carrier;
pub use ledger::LedgerLine;
pub use routes::router;
pub use serve::serve;
pub use settings::{Settings, SettingsError, UnknownId};
pub use stats::Stats;

/// A carrier running on a loopback port. It stops when this is dropped.
pub struct Simulator {
    address: SocketAddr,
    carrier: Carrier,
    task: JoinHandle<()>,
}

impl Simulator {
    /// Starts a carrier on a free port, on the runtime of the caller.
    pub async fn start(settings: Settings) -> anyhow::Result<Self> {
        Self::start_on(0, settings).await
    }

    /// Starts a carrier on `port`.
    pub async fn start_on(port: u16, settings: Settings) -> anyhow::Result<Self> {
        let carrier = Carrier::new(settings)?;
        let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let listener = TcpListener::bind(wanted)
            .await
            .with_context(|| format!("can't listen on {wanted}"))?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(serve(listener, router(carrier.clone())));
        Ok(Self {
            address,
            carrier,
            task,
        })
    }

    /// Its URL without a path: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its settings, ledger and counts.
    pub fn carrier(&self) -> &Carrier {
        &self.carrier
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.task.abort();
    }
}
