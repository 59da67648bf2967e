//! The HTTP API, where the path of a message begins. A request becomes rows, all of them or none, and only then word goes to
//! dispatch ([`announce`]). A call that comes twice finds its numbers there already, or the schedule moved.
//!
//! One folder a resource; in each file the request, then its handler. What a client did wrong is an [`error::ApiError`].
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod auth;
pub mod config;
pub mod http;
pub mod lists;
pub mod openapi;
pub mod resources;
pub mod routes;

use std::time::Duration;

use crate::resources::attention::dead_letter_queue::DeadLetters;
use chrono::TimeDelta;
pub use routes::router;
use shared::{
    carrier::receipt::ReceiptFormat,
    events::{keys::SharedKeys, target::AllowedTargets},
    platform::{db::Db, queue::SharedQueue, scheduler::SharedScheduler},
};

/// The longest wait for a queue or the scheduler while the client waits. If the message is not
/// accepted in time, the sweep finds the row.
pub const ENQUEUE_TIMEOUT: Duration = Duration::from_secs(5);
/// A call that works through many batches or messages begins no further one after this time; the
/// client repeats the call for the rest. The gateway gives up at 30 s.
pub const CALL_BUDGET: Duration = Duration::from_secs(12);

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
    pub webhook_targets: AllowedTargets,
    /// Takes what is due later.
    pub scheduler: SharedScheduler,
    /// What nobody could take from a queue.
    pub dead_letters: Vec<DeadLetters>,
    /// How long before its time a schedule is dispatched.
    pub dispatch_lead: Duration,
    /// Before so long after its request, an UNCERTAIN message is not sent again: it may still be on its way.
    pub quiet_time: TimeDelta,
    /// What the deployment sends at a time.
    pub capacity: resources::schedules::forecast::Capacity,
    /// What it takes to let somebody in.
    pub gate: auth::Gate,
    /// How the carrier's receipts look and are signed.
    pub receipt_format: &'static dyn ReceiptFormat,
    /// The carriers that push receipts.
    pub callbacks: resources::receipts::secrets::Callbacks,
    /// The commit that this was built from.
    pub commit: String,
}
