//! A carrier simulator for tests and demonstrations. It implements the carrier's HTTP protocol over
//! loopback, injects the faults that occur at real carriers, and keeps a ledger of all acceptances.
//!
//! It shares no code with the scheduler, so that each checks the other. The path of a request:
//! [`serve()`] → [`router`] → `parameters` → `submission` → `submit` (or `status`) → `acceptance` →
//! `ledger`.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! # use simulator::{Settings, Simulator};
//! let simulator = Simulator::start(Settings { undeliv: 0.1, ..Default::default() }).await?;
//! let api = format!("{}/api", simulator.url());
//! // … send through `api` …
//! assert_eq!(simulator.carrier().accepted(), 100);
//! # Ok(())
//! # }
//! ```

mod acceptance;
mod callback_target;
mod carrier;
mod clock;
mod ids;
mod interner;
mod ledger;
mod message;
mod number;
mod parameters;
mod parts;
mod push;
mod random;
mod rate_limit;
mod responses;
mod routes;
mod serve;
mod settings;
mod shares;
mod stats;
mod status;
mod submission;
mod submit;
mod validation;

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use carrier::Carrier;
pub use ledger::LedgerLine;
pub use rate_limit::Counting;
pub use routes::router;
pub use serve::serve;
pub use settings::{Settings, SettingsError, UnknownId};
pub use stats::Stats;

/// A carrier that runs on a loopback port. It stops when this value is dropped.
pub struct Simulator {
    address: SocketAddr,
    carrier: Carrier,
    task: JoinHandle<()>,
}

impl Simulator {
    /// Starts a carrier on a free port, on the caller's runtime.
    pub async fn start(settings: Settings) -> anyhow::Result<Self> {
        Self::start_on(0, settings).await
    }

    /// Starts a carrier on `port`.
    pub async fn start_on(port: u16, settings: Settings) -> anyhow::Result<Self> {
        let carrier = Carrier::new(settings)?;
        let requested = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let listener = TcpListener::bind(requested)
            .await
            .with_context(|| format!("cannot listen on {requested}"))?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(serve(listener, router(carrier.clone())));
        Ok(Self {
            address,
            carrier,
            task,
        })
    }

    /// Returns the URL without a path: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the handle to its settings, ledger and counts.
    pub fn carrier(&self) -> &Carrier {
        &self.carrier
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.task.abort();
    }
}
