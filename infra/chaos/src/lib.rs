//! Faults of every kind against the system, and after each the question: who got the text, and does the database say so?
//!
//! Two places. On the *stack* ([`stack`]) the real binaries run under the AWS emulator, killed, cut off and contradicted while they work.
//! In the *lab* ([`lab`]) the same handlers run in this process, on a clock of the test's, where a fault needs exact timing or hours: an
//! environment that wakes up after its lease, a carrier that forgets after a day. Both use a real database and a real HTTP carrier, and
//! after every run the same [`witness`] compares the carrier's ledger with the database, row by row.
//!
//! A run is one schedule under one fault. Everything random in it comes from its seed; a run that fails prints how to play it again.
#![allow(clippy::missing_panics_doc)]

pub mod history;
pub mod lab;
pub mod options;
pub mod outcome;
pub mod stack;
pub mod table;
pub mod witness;
