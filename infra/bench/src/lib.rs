//! `make bench`: measures the function binaries against bare loops that do the same work without
//! them, in the same run on the same machine.
//!
//! A [`driver`] serves the Lambda Runtime API, SQS and EventBridge Scheduler from memory to the real
//! binaries; the database is real, and the carrier is the simulator. Each scenario ([`scenarios`])
//! starts a [`stage`], runs schedules on it, checks that every message ended as it should, and
//! returns [`figure`]s. No scenario asserts a time.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod bench;
pub mod carrier;
pub mod collector;
pub mod cost;
pub mod deployment;
pub mod driver;
pub mod figure;
pub mod load;
pub mod options;
pub mod process;
pub mod report;
pub mod run;
pub mod scenarios;
pub mod server;
pub mod stage;
