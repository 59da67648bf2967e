//! End to end on a running local stack: real functions, real queues and schedules of the emulator, and a carrier that keeps a
//! ledger. `STACK_ENV` names the stack's settings; without a stack the tests fail.
//!
//! They run side by side on one stack: each has numbers of its own, and none changes a setting that another would notice.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod cancel;
mod dispatch;
mod lists;
mod queues;
mod resends;
mod stage;
mod webhooks;
