//! The HTTP API, where the path of a message begins.
//!
//! A handler writes rows in one transaction, all of them or none, and notifies the dispatch
//! function only after the commit. A repeated call does no harm: its numbers are duplicates, or
//! the schedule has already changed its state.
//!
//! Each resource has its own folder in [`resources`]; a file contains the request types, then the
//! handler. An error that a client can cause is an [`http::error::ApiError`]. [`routes`] is the
//! only file that names every resource.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod app;
pub mod auth;
pub mod config;
pub mod http;
pub mod lists;
pub mod openapi;
pub mod resources;
pub mod route;
pub mod routes;

pub use app::{App, CALL_BUDGET, ENQUEUE_TIMEOUT, RESEND_CHUNK};
