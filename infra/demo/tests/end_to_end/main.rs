//! End-to-end tests on a running local stack: real functions, the emulator's queues and schedules,
//! and a carrier that keeps a ledger. `STACK_ENV` names the file of the stack's settings; without a
//! stack the tests fail.
//!
//! The tests run concurrently on one stack. Each test uses its own numbers, and no test changes a
//! setting that affects another.
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
