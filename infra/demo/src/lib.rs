//! The demo: posts a schedule as a client would, watches it, and then holds the carrier's ledger against the database. The
//! end-to-end tests use the same pieces.
//!
//! In the order of a run: a list of numbers ([`list`], [`numbers`]) goes to the API ([`api`], [`post`]), the progress is shown
//! ([`watch`], [`view`], [`memory`]), then the rows ([`rows`]) and the ledger ([`ledger`]) are read ([`gather`]) and compared ([`proof`]), and all
//! of it is told ([`summary`]).
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod api;
pub mod aws;
pub mod evidence;
pub mod gather;
pub mod ledger;
pub mod list;
pub mod memory;
pub mod numbers;
pub mod options;
pub mod post;
pub mod proof;
pub mod rows;
pub mod stack;
pub mod story;
pub mod summary;
pub mod view;
pub mod watch;
