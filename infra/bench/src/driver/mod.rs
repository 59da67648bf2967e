//! The driver: what the functions need of AWS, in memory, in one process.
//!
//! It starts the function binaries as child processes and serves to each of them the Lambda Runtime
//! API ([`environment`]), SQS and EventBridge Scheduler ([`aws`]) and an HTTP API ([`gateway`]). An
//! event source mapping ([`mapping`]) passes each message of a queue to its function, with a batch
//! size of one and the template's concurrency. It ends only what it has started.

mod aws;
pub mod environment;
pub mod function;
mod gateway;
mod mapping;
pub mod queue;

use std::{
    collections::{BTreeMap, HashMap},
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use serde_json::json;
use tokio::{net::TcpListener, task::JoinSet};

use self::{
    environment::{Environment, Start},
    function::{Function, Totals},
    queue::{MemoryQueue, QueueRequests},
};
use crate::{deployment::Deployment, process::Usage};

/// The sweep of the template: once a minute.
const SWEEP: Duration = Duration::from_secs(60);

/// Where the functions find what they need, and settings that differ from the deployment's.
pub struct Setup<'a> {
    /// The folder of the binaries.
    pub binaries: &'a Path,
    /// The folder of the functions' logs.
    pub logs: PathBuf,
    /// `mysql://…`
    pub database: String,
    /// The carrier's URL, with its path.
    pub carrier: String,
    /// Variables that replace those of the template.
    pub settings: &'a [(&'a str, &'a str)],
}

/// The running functions and their queues.
pub struct Driver {
    deployment: Deployment,
    binaries: PathBuf,
    logs: PathBuf,
    functions: BTreeMap<String, Arc<Function>>,
    queues: HashMap<String, Arc<MemoryQueue>>,
    environments: BTreeMap<String, Vec<Environment>>,
    api: String,
    tasks: JoinSet<()>,
}

impl Driver {
    /// Starts the endpoints. Nothing runs until [`Driver::provide`] and [`Driver::map`] are called.
    pub async fn start(deployment: &Deployment, setup: Setup<'_>) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&setup.logs).context("the folder of the logs")?;
        let functions: BTreeMap<_, _> = deployment
            .functions
            .iter()
            .map(|(name, function)| {
                let timeout = Duration::from_secs(function.timeout_s);
                (name.clone(), Arc::new(Function::new(name, timeout)))
            })
            .collect();
        let queues: HashMap<_, Arc<MemoryQueue>> = deployment
            .sources
            .iter()
            .map(|source| (source.queue.clone(), Arc::default()))
            .collect();
        let mut tasks = JoinSet::new();
        let endpoints = Arc::new(aws::Endpoints {
            queues: queues.clone(),
            dispatch: of(&functions, "dispatch")?,
            schedules: tokio::sync::Mutex::default(),
        });
        let aws = listen(&mut tasks, aws::router(endpoints)).await?;
        let api = listen(&mut tasks, gateway::router(of(&functions, "api")?)).await?;
        let deployment = deployment.resolved(&aws, &setup);
        Ok(Self {
            deployment,
            binaries: setup.binaries.to_owned(),
            logs: setup.logs,
            functions,
            queues,
            environments: BTreeMap::new(),
            api,
            tasks,
        })
    }

    /// Starts environments of a function, and waits until they are ready.
    pub async fn provide(&mut self, function: &str, count: usize) -> anyhow::Result<()> {
        let mut started = Vec::new();
        for _ in 0..count {
            started.push(self.environment(function).await?);
        }
        for environment in &mut started {
            let ready = environment.ready().await;
            ready.with_context(|| format!("{function}: see {}", self.log(function).display()))?;
        }
        let environments = self.environments.entry(function.to_owned()).or_default();
        environments.extend(started);
        Ok(())
    }

    /// Starts one environment that the caller owns.
    pub async fn environment(&self, function: &str) -> anyhow::Result<Environment> {
        let described = self.deployment.function(function)?;
        let start = Start {
            binary: &self.binaries.join(function),
            memory_mb: described.memory_mb,
            variables: &described.environment,
            log: &self.log(function),
        };
        Environment::start(self.function(function)?, start).await
    }

    fn log(&self, function: &str) -> PathBuf {
        self.logs.join(format!("{function}.log"))
    }

    /// Starts the environments of a function with a queue, and its event source mapping.
    pub async fn map(&mut self, function: &str) -> anyhow::Result<()> {
        let source = self.deployment.source(function)?.clone();
        let running = self.environments.get(function).map_or(0, Vec::len);
        let missing = source.concurrency.saturating_sub(running);
        self.provide(function, missing).await?;
        let queue = self.queue(&source.queue)?;
        for _ in 0..source.concurrency {
            let (queue, function) = (queue.clone(), self.function(function)?);
            self.tasks.spawn(mapping::poll(queue, function));
        }
        Ok(())
    }

    /// Invokes dispatch every minute, as the template's schedule does.
    pub fn sweep_every_minute(&mut self) -> anyhow::Result<()> {
        let dispatch = self.function("dispatch")?;
        self.tasks.spawn(async move {
            loop {
                tokio::time::sleep(SWEEP).await;
                // A failure is counted by the function, and fails the scenario.
                let _ = dispatch.call(&json!({"sweep": true})).await;
            }
        });
        Ok(())
    }

    /// Returns the URL of the HTTP API.
    pub fn api_url(&self) -> &str {
        &self.api
    }

    /// Returns a function.
    pub fn function(&self, name: &str) -> anyhow::Result<Arc<Function>> {
        of(&self.functions, name)
    }

    /// Returns the queue with this name in the template.
    pub fn queue(&self, name: &str) -> anyhow::Result<Arc<MemoryQueue>> {
        let found = self.queues.get(name).cloned();
        found.with_context(|| format!("the template has no queue {name}"))
    }

    /// Returns the deployment with the values of this run.
    pub fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// Returns whether no queue of these functions has a message in flight or due within `soon`.
    pub fn is_idle(&self, functions: &[&str], soon: Duration) -> bool {
        let mut sources = self.deployment.sources.iter();
        sources.all(|source| {
            !functions.contains(&source.function.as_str())
                || self.queues[&source.queue].is_idle(soon)
        })
    }

    /// Returns an error if an invocation failed, a message was given up, or an environment ended.
    pub fn check(&mut self) -> anyhow::Result<()> {
        for (name, function) in &self.functions {
            if let Some(error) = function.totals().first_error {
                anyhow::bail!("{name} failed: {error}; see {}", self.logs.display());
            }
        }
        for (name, queue) in &self.queues {
            let dead = queue.requests().dead_letters;
            anyhow::ensure!(dead == 0, "{name}: {dead} dead letters");
        }
        for (name, environments) in &mut self.environments {
            for environment in environments {
                let ended = environment.ended();
                let log = self.logs.display();
                anyhow::ensure!(!ended, "an environment of {name} ended; see {log}");
            }
        }
        Ok(())
    }

    /// Returns the totals of each function's invocations.
    pub fn totals(&self) -> BTreeMap<String, Totals> {
        let totals =
            |(name, function): (&String, &Arc<Function>)| (name.clone(), function.totals());
        self.functions.iter().map(totals).collect()
    }

    /// Returns the requests of each queue.
    pub fn queue_requests(&self) -> BTreeMap<String, QueueRequests> {
        let requests =
            |(name, queue): (&String, &Arc<MemoryQueue>)| (name.clone(), queue.requests());
        self.queues.iter().map(requests).collect()
    }

    /// Returns what the environments of each function have used.
    pub fn usage(&self) -> BTreeMap<String, Usage> {
        let sum = |environments: &Vec<Environment>| {
            let usages = environments.iter().filter_map(Environment::usage);
            usages.fold(Usage::default(), |sum, usage| sum + usage)
        };
        self.environments
            .iter()
            .map(|(name, environments)| (name.clone(), sum(environments)))
            .collect()
    }

    /// Ends all environments. The endpoints stay.
    pub async fn stop_environments(&mut self) {
        for environment in std::mem::take(&mut self.environments)
            .into_values()
            .flatten()
        {
            environment.stop().await;
        }
    }

    /// Ends all environments, then the endpoints.
    pub async fn stop(mut self) {
        self.stop_environments().await;
        self.tasks.shutdown().await;
    }
}

fn of(functions: &BTreeMap<String, Arc<Function>>, name: &str) -> anyhow::Result<Arc<Function>> {
    let found = functions.get(name).cloned();
    found.with_context(|| format!("the template has no function {name}"))
}

/// Serves a router on a free port; returns its URL.
async fn listen(tasks: &mut JoinSet<()>, router: axum::Router) -> anyhow::Result<String> {
    use axum::serve::ListenerExt;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let listener = listener.tap_io(|stream| {
        // Without it, answers are only slower.
        let _ = stream.set_nodelay(true);
    });
    tasks.spawn(async move {
        // Accepting does not fail: axum retries.
        let _ = axum::serve(listener, router).await;
    });
    Ok(url)
}
