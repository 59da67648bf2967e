//! `gateway PORT TARGET_URL`: forwards requests that arrive on that loopback port to the target.
//! Stops on SIGTERM and SIGINT.

use std::env;
use std::net::Ipv4Addr;

use anyhow::{Context, bail};
use gateway::Target;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [port, target] = arguments.as_slice() else {
        bail!("usage: gateway PORT TARGET_URL");
    };
    let port: u16 = port
        .parse()
        .with_context(|| format!("{port} is not a port number"))?;
    let target: Target = target.parse()?;
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .with_context(|| format!("can't listen on port {port}"))?;
    println!("listening on http://{}", listener.local_addr()?);
    tokio::select! {
        served = gateway::serve(listener, target) => served.context("serving"),
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    }
}
