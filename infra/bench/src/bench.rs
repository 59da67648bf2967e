//! What all scenarios share.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use anyhow::Context;

use crate::{
    deployment::{DeployedFunction, Deployment},
    options::Options,
    server::Server,
};

/// The name of the function that does nothing, and of its binary.
pub const HELLO: &str = "hello";

/// The options, the deployment and the server of a run of the benchmark.
pub struct Bench {
    /// The options.
    pub options: Options,
    /// The functions, with placeholders.
    pub deployment: Deployment,
    /// The database server.
    pub server: Server,
    /// The folder of the binaries.
    pub binaries: PathBuf,
    /// The build profile of the binaries.
    pub profile: String,
    /// The folder of logs and configurations.
    pub state: PathBuf,
    next_number: AtomicU64,
}

impl Bench {
    /// Reads the environment that `infra/local/bench` sets, and connects to the server.
    pub async fn from_environment() -> anyhow::Result<Self> {
        let options = Options::from_environment()?;
        let folder = variable("BENCH_STATE")?;
        let functions = Path::new(&folder).join("functions.json");
        let functions =
            std::fs::read_to_string(&functions).with_context(|| functions.display().to_string())?;
        let mut deployment = Deployment::parse(&functions)?;
        let hello = DeployedFunction {
            timeout_s: 10,
            memory_mb: 128,
            environment: HashMap::new(),
        };
        deployment.functions.insert(HELLO.to_owned(), hello);
        let pid = std::env::var("BENCH_DATABASE_PID")
            .ok()
            .and_then(|pid| pid.parse().ok());
        Ok(Self {
            options,
            deployment,
            server: Server::connect(&variable("DATABASE_URL")?, pid).await?,
            binaries: variable("BENCH_BINARIES")?.into(),
            profile: variable("PROFILE")?,
            state: folder.into(),
            next_number: AtomicU64::new(0),
        })
    }

    /// Returns the index of the first of `count` numbers that no other list uses.
    pub fn numbers(&self, count: u64) -> u64 {
        self.next_number.fetch_add(count, Ordering::Relaxed)
    }

    /// Returns the environments of send: its concurrency.
    pub fn senders(&self) -> anyhow::Result<usize> {
        Ok(self.deployment.source("send")?.concurrency)
    }
}

fn variable(name: &str) -> anyhow::Result<String> {
    std::env::var(name).with_context(|| format!("{name} is not set: run infra/local/bench"))
}
