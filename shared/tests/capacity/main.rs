//! The carrier's limits: the statements against a real server, and how a limit is kept and learned
//! at simulated carriers.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod bucket;
mod carriers;
mod comparison;
mod learning;
mod simulation;
mod statements;
