//! The HTTP API, where the path of a message begins. A request becomes rows, all of them or none, and only then word goes to
//! dispatch ([`announce`]). A call that comes twice finds its numbers there already, or the schedule moved.
//!
//! One folder a resource; in each file the request, then its handler. What a client did wrong is an [`error::ApiError`].
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod announce;
pub mod answer;
pub mod api_keys;
pub mod audit;
pub mod auth;
pub mod callbacks;
pub mod config;
pub mod error;
pub mod fields;
pub mod forecast;
pub mod gateway;
pub mod health;
pub mod intake;
pub mod load;
pub mod messages;
pub mod once;
pub mod openapi;
pub mod origin;
pub mod path;
pub mod problems;
pub mod query;
pub mod recipients;
pub mod routes;
pub mod schedules;
pub mod sessions;
pub mod suppressions;
pub mod transaction;
pub mod trouble;
pub mod uncertain;
pub mod users;
pub mod webhooks;

use std::time::Duration;

use chrono::TimeDelta;
pub use routes::router;
use shared::{
    db::Db,
    dead_letters::DeadLetters,
    queue::SharedQueue,
    scheduler::SharedScheduler,
    webhooks::{keys::SharedKeys, target::Reach},
};

/// What the handlers work with, made once.
#[derive(Clone)]
pub struct App {
    /// The rows.
    pub db: Db,
    /// Takes what is due at once.
    pub dispatch_queue: SharedQueue,
    /// Takes batches with something to ask.
    pub recheck_queue: SharedQueue,
    /// Takes deliveries to webhooks that are due at once.
    pub notify_queue: SharedQueue,
    /// What the secrets of webhooks are made of.
    pub webhook_keys: SharedKeys,
    /// Which URLs a webhook may have.
    pub webhook_reach: Reach,
    /// Takes what is due later.
    pub scheduler: SharedScheduler,
    /// What nobody could take from a queue.
    pub dead_letters: Vec<DeadLetters>,
    /// How long before its time a schedule is dispatched.
    pub dispatch_lead: Duration,
    /// Before so long after its request, an UNCERTAIN message is not sent again: it may still be on its way.
    pub quiet_time: TimeDelta,
    /// What the deployment sends at a time.
    pub capacity: forecast::Capacity,
    /// What it takes to let somebody in.
    pub gate: auth::Gate,
    /// The carriers that push receipts.
    pub callbacks: callbacks::secrets::Callbacks,
    /// The commit that this was built from.
    pub commit: String,
}
