//! The proxies between the functions and the two servers. A server has one only if the plan
//! disconnects it.

use std::net::SocketAddr;

use anyhow::Context;
use proxy::{Mode, Proxy};
use tokio::net::lookup_host;

use super::{conditions::Conditions, plan::Plan};
use crate::server::Server;

/// The proxies of a run.
pub struct Proxies {
    carrier: Option<Proxy>,
    database: Option<Proxy>,
}

impl Proxies {
    /// Starts those that the plan needs.
    pub async fn start(plan: &Plan, carrier_url: &str, database_url: &str) -> anyhow::Result<Self> {
        Ok(Self {
            carrier: start_if(plan.disconnects(Server::Carrier), carrier_url).await?,
            database: start_if(plan.disconnects(Server::Database), database_url).await?,
        })
    }

    /// Returns the address of a server's proxy, if it has one.
    pub fn address(&self, server: Server) -> Option<SocketAddr> {
        self.get(server).map(Proxy::address)
    }

    /// Resets all connections to a server.
    pub async fn cut(&self, server: Server) -> anyhow::Result<()> {
        self.required(server)?.cut().await;
        Ok(())
    }

    /// Opens and closes the ports as the conditions require, and resets the connections of those
    /// that change.
    pub async fn apply(&self, conditions: &Conditions) -> anyhow::Result<()> {
        for server in Server::ALL {
            let refuse = conditions.refuses(server);
            let refuses_now = self.get(server).is_some_and(|proxy| proxy.mode().refuse);
            if refuse != refuses_now {
                let proxy = self.required(server)?;
                let mode = Mode {
                    refuse,
                    ..Mode::default()
                };
                proxy.set(mode).await?;
                proxy.cut().await;
            }
        }
        Ok(())
    }

    fn get(&self, server: Server) -> Option<&Proxy> {
        match server {
            Server::Carrier => self.carrier.as_ref(),
            Server::Database => self.database.as_ref(),
        }
    }

    fn required(&self, server: Server) -> anyhow::Result<&Proxy> {
        self.get(server)
            .with_context(|| format!("the plan started no proxy for the {server:?}"))
    }
}

async fn start_if(needed: bool, url: &str) -> anyhow::Result<Option<Proxy>> {
    if !needed {
        return Ok(None);
    }
    Proxy::start(resolve(url).await?).await.map(Some)
}

async fn resolve(url: &str) -> anyhow::Result<SocketAddr> {
    let url: reqwest::Url = url.parse().context("the server's URL")?;
    let host = (
        url.host_str().context("the URL names no host")?,
        url.port().unwrap_or(3306),
    );
    lookup_host(host)
        .await?
        .find(SocketAddr::is_ipv4)
        .context("the host has no IPv4 address")
}
