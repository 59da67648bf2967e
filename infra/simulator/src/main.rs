//! Runs the carrier as a program, on the loopback port `SIMULATOR_PORT` (0 or unset: a free port).
//!
//! `SIMULATOR_SETTINGS` contains the initial settings as JSON. The program uses one core and stops
//! on SIGTERM and SIGINT.

use std::env;

use anyhow::Context;
use simulator::{Settings, Simulator};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let port = match env::var("SIMULATOR_PORT") {
        Ok(port) => port
            .parse()
            .context("SIMULATOR_PORT is invalid; expected a port number, or 0 for a free port")?,
        Err(_) => 0,
    };
    let settings = match env::var("SIMULATOR_SETTINGS") {
        Ok(json) => parse(&json)
            .context("SIMULATOR_SETTINGS is invalid; expected a JSON object with settings")?,
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

fn parse(json: &str) -> anyhow::Result<Settings> {
    Ok(Settings::default().patched(serde_json::from_str(json)?)?)
}
