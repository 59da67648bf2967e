//! Shared code of the functions' tests: queues in memory ([`FakeQueue`]), an external [`issuer`],
//! schedules and their rows ([`fixture`]), sending windows ([`window`]), [`webhooks`], and a
//! [`Stage`] with all workers, a real database and real HTTP to a carrier simulator. No deployed binary contains it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc)]

pub mod fixture;
pub mod issuer;
mod queue;
mod scheduler;
mod search;
mod stage;
pub mod webhooks;
pub mod window;

pub use queue::FakeQueue;
pub use scheduler::FakeScheduler;
pub use search::columns_with;
pub use stage::{INVOCATION, Stage, timing, with_own_ids};
pub use webhooks::{KEYS as WEBHOOK_KEYS, keys as webhook_keys};
