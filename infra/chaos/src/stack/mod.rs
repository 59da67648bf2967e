//! The stack: the real binaries under the AWS emulator, while faults happen around them.
//!
//! [`points`] kills, holds and panics processes at their fault points. [`settings`] changes the
//! behaviour of the carrier, the network and the database for an interval. [`StackClient`] gives
//! access to everything else. A [`Fault`] uses them, and [`run_faults`] runs it.

mod client;
mod fault;
mod faults;
mod points;
mod run;
mod settings;

pub use client::StackClient;
pub use fault::{Fault, GlobalRun, Injection, ScheduleRun};
pub use run::{phone_numbers, run_faults};

/// All faults of the stack.
pub const FAULTS: &[Fault] = faults::ALL;
