//! `proxy PORT TARGET CONTROL_PORT`: forwards connections on that loopback port to the server at
//! `TARGET` (`ADDRESS:PORT`). Its behaviour is changed through the control port. Port 0 selects a
//! free port. Stops on SIGTERM and SIGINT.

use std::env;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context, bail};
use proxy::Proxy;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [port, target, control] = arguments.as_slice() else {
        bail!("usage: proxy PORT TARGET CONTROL_PORT");
    };
    let target: SocketAddr = target
        .parse()
        .with_context(|| format!("{target} is not ADDRESS:PORT"))?;
    let (port, control) = (parsed(port)?, parsed(control)?);
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, control))
        .await
        .with_context(|| format!("can't listen on {control}"))?;
    let proxy = Arc::new(Proxy::start_on(port, target).await?);
    println!("listening on {}", proxy.address());
    println!("controlled at http://{}", listener.local_addr()?);
    tokio::select! {
        served = axum::serve(listener, proxy::control(proxy)) => served.context("serving"),
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    }
}

fn parsed(port: &str) -> anyhow::Result<u16> {
    port.parse()
        .with_context(|| format!("{port} is not a port number"))
}
