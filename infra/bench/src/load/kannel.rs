//! Kannel, the SMS gateway in C, with its HTTP connection to the same carrier: one number a request,
//! everything in memory. Its Debian package is `kannel`; nothing here installs it.

use std::{
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use tokio::{
    process::{Child, Command},
    task::JoinSet,
};

use super::{Rate, TEXT, bare::join};
use crate::carrier::Carrier;

const CONFIGURATION: &str = include_str!("../../kannel.conf");
/// Clients that post messages at a time.
const CLIENTS: u64 = 32;
/// The longest time without an acceptance.
const STALL: Duration = Duration::from_secs(20);

/// A running Kannel. Its two processes are killed when this value is dropped.
pub struct Kannel {
    boxes: [Child; 2],
    sendsms: u16,
}

/// Returns the folder of Kannel's programs: `KANNEL`, or where the Debian package puts them.
pub fn installed() -> Option<PathBuf> {
    let given = std::env::var("KANNEL").ok().filter(|dir| !dir.is_empty());
    let folder = PathBuf::from(given.unwrap_or_else(|| "/usr/sbin".to_owned()));
    ["bearerbox", "smsbox"]
        .iter()
        .all(|program| folder.join(program).exists())
        .then_some(folder)
}

impl Kannel {
    /// Starts both boxes with `in_flight` requests in flight. `state` is a folder for their files.
    pub async fn start(
        programs: &Path,
        state: &Path,
        carrier: &Carrier,
        in_flight: usize,
    ) -> anyhow::Result<Self> {
        let state = state.join("kannel");
        std::fs::create_dir_all(&state)?;
        let [admin, smsbox, receive, sendsms] = free_ports()?;
        let configuration = CONFIGURATION
            .replace("{admin}", &admin.to_string())
            .replace("{smsbox}", &smsbox.to_string())
            .replace("{receive}", &receive.to_string())
            .replace("{sendsms}", &sendsms.to_string())
            .replace("{carrier}", &carrier.api_url())
            .replace("{in-flight}", &in_flight.to_string());
        let file = state.join("kannel.conf");
        std::fs::write(&file, configuration)?;
        let bearerbox = start(&programs.join("bearerbox"), &file, &state)?;
        wait_for(smsbox).await?;
        let smsbox = start(&programs.join("smsbox"), &file, &state)?;
        wait_for(sendsms).await?;
        Ok(Self {
            boxes: [bearerbox, smsbox],
            sendsms,
        })
    }

    /// Sends messages to the numbers from index `first`, and waits until the carrier, which must be
    /// new or reset, has accepted them all.
    pub async fn send(&self, carrier: &Carrier, first: u64, messages: u64) -> anyhow::Result<Rate> {
        let client = demo::api::http_client()?;
        let url = format!("http://127.0.0.1:{}/cgi-bin/sendsms", self.sendsms);
        let (next, begun) = (Arc::new(AtomicU64::new(0)), Instant::now());
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS.min(messages) {
            let (client, url, next) = (client.clone(), url.clone(), next.clone());
            clients.spawn(async move {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= messages {
                        return anyhow::Ok(());
                    }
                    let number = demo::numbers::number(first + at);
                    let call = client.get(&url).query(&[
                        ("username", "bench"),
                        ("password", "bench"),
                        ("to", &number),
                        ("text", TEXT),
                    ]);
                    call.send().await?.error_for_status()?.bytes().await?;
                }
            });
        }
        join(clients).await?;
        let (mut accepted, mut changed) = (0, Instant::now());
        while accepted < messages {
            let now = carrier.stats().await?.accepted;
            if now > accepted {
                (accepted, changed) = (now, Instant::now());
            }
            let stalled = changed.elapsed() > STALL;
            anyhow::ensure!(!stalled, "Kannel sent {accepted} of {messages} messages");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(Rate {
            messages,
            took: begun.elapsed(),
        })
    }

    /// Ends both boxes.
    pub async fn stop(self) {
        for mut child in self.boxes {
            // Fails only if the process has ended already.
            let _ = child.kill().await;
        }
    }
}

fn start(program: &Path, configuration: &Path, state: &Path) -> anyhow::Result<Child> {
    let name = program.file_name().unwrap_or_default();
    let log = std::fs::File::create(state.join(name).with_extension("log"))?;
    Command::new(program)
        .arg(configuration)
        .current_dir(state)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| program.display().to_string())
}

fn free_ports() -> anyhow::Result<[u16; 4]> {
    // All are bound before the first is released, so that they differ.
    let mut listeners = Vec::new();
    let mut ports = [0; 4];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(ports)
}

async fn wait_for(port: u16) -> anyhow::Result<()> {
    for _ in 0..100 {
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    anyhow::bail!("Kannel does not listen on port {port}; see its logs")
}
