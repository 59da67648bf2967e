//! Injects faults into the system, then compares the carrier's ledger with the database.
//!
//! Faults run in two places. On the *stack* ([`stack`]) the real binaries run under the AWS
//! emulator and are killed, disconnected and given wrong answers while they work. In the *lab*
//! ([`lab`]) the same handlers run in this process on a clock that the test controls, for faults
//! that need exact timing or hours: an environment that wakes up after its lease expired, a carrier
//! that forgets a message after a day. Both use a real database and a real HTTP carrier. After
//! every run the same [`verification`] compares the carrier's ledger with the database, row by row.
//!
//! A run is one schedule under one fault. Everything random in a run comes from its seed. A run
//! that fails prints how to repeat it.
#![allow(clippy::missing_panics_doc)]

pub mod history;
pub mod lab;
pub mod options;
pub mod outcome;
mod registry;
pub mod server;
pub mod stack;
pub mod table;
pub mod verification;
