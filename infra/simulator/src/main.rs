//! The carrier as a program of its own, on `SIMULATOR_PORT` (0 or unset for a free one) of the loopback interface.
//!
//! `SIMULATOR_SETTINGS` holds the settings to begin with, as JSON. One core; stops on SIGTERM and SIGINT.

use std::env;

use anyhow::Context;
use simulator::{Settings, Simulator};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let port = match env::var("SIMULATOR_PORT") {
        Ok(port) => port
            .parse()
            .context("SIMULATOR_PORT must be a port, or 0 for a free one")?,
        Err(_) => 0,
    };
    let settings = match env::var("SIMULATOR_SETTINGS") {
        Ok(json) => read(&json).context("SIMULATOR_SETTINGS")?,
        Err(_) => Settings::default(),
    };
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let simulator = Simulator::start_on(port, settings).await?;
    println!("listening on {}", simulator.url());
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

fn read(json: &str) -> anyhow::Result<Settings> {
    Ok(Settings::default().patched(serde_json::from_str(json)?)?)
}
