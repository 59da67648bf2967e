//! What the functions' tests need: queues in memory ([`FakeQueue`]), an outside [`issuer`], schedules and their rows ([`fixture`]), [`webhooks`], and a [`Stage`] with all
//! workers on it, real database, real HTTP to a carrier simulator. In no binary that is deployed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc)]

pub mod fixture;
pub mod issuer;
mod keys;
mod queue;
mod scheduler;
mod stage;
pub mod webhooks;

pub use keys::{WEBHOOK_KEYS, webhook_keys};
pub use queue::FakeQueue;
pub use scheduler::FakeScheduler;
pub use stage::{INVOCATION, Stage, timing, with_own_ids};
