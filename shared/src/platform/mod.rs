//! The base of each function: configuration, AWS clients, the database, queues, back-off.

pub mod aws;
pub mod backoff;
pub mod budget;
pub mod config;
pub mod db;
pub mod fault;
pub mod logs;
pub mod metrics;
pub mod queue;
pub mod refreshing;
pub mod run_time;
pub mod scheduler;
pub mod secret;
pub mod traces;
