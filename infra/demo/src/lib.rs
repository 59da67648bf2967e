//! The demo: posts a schedule as a client would, watches it, and then compares the carrier's ledger
//! with the database. The end-to-end tests use the same modules.
//!
//! A run ([`run`]) proceeds in this order: it posts a list of numbers ([`list`], [`numbers`]) to
//! the API ([`api`], [`post`]) and shows the progress ([`watch`], [`view`], [`memory`]). Then it
//! reads ([`gather`]) the rows ([`rows`]) and the ledger ([`ledger`]), compares them ([`proof`])
//! and prints a [`summary`]. With `CAPACITY` the carrier has a limit ([`carrier`]), and the run
//! proves that it is used and kept ([`capacity`]), or shared fairly ([`fairness`]).
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod api;
pub mod aws;
pub mod capacity;
pub mod carrier;
pub mod evidence;
pub mod fairness;
pub mod gather;
pub mod ledger;
pub mod list;
pub mod memory;
pub mod numbers;
pub mod options;
pub mod post;
pub mod proof;
pub mod rows;
pub mod run;
pub mod stack;
pub mod summary;
pub mod view;
pub mod watch;
