//! The send protocol as it is implemented, as a model that is explored to the end: every interleaving, every crash, within its bounds.
//! In no binary. `docs/protocol.md` says what the rules are; here is shown that they hold together, and that each is needed.
//!
//! [`rules`] are the statements of `shared::platform::db` as plain functions. The model moves the database by these alone, and `tests/sql` holds
//! each against the statement that it stands for, on a real server, over every combination of the values that it tells apart (some
//! 40,000 cases): otherwise the model would be a model of itself.
//!
//! # What is modelled
//!
//! One batch from the cut to its end ([`world`], [`pass`], [`recheck`], [`push`], [`steps`], [`model`]): up to three recipients in two requests, two
//! workers, a carrier, people. A worker dies between any two statements; its lease ends while it is frozen, and it goes on later, with
//! what the budget still allows it; requests arrive late or never, answers are lost, partial, 429 or 4xx; commits are lost; queues lose
//! and double; schedules are paused, resumed, cancelled, found too late, sent now; operators decide. Before it, appends and changes of
//! time race with the cut ([`cut`]); after it, two last batches race for the finish ([`finish`]).
//!
//! What holds in every state is in [`properties`]. [`broken`] leaves rules out, one or two at a time: each is missed, which shows
//! that the check can fail.
//!
//! Time is what may happen: whatever is due later may be due at any moment; a quiet time is over only when nothing of the attempt is on
//! the wire, nor may start. That is the one assumption about time: the quiet time is longer than a lease and a request together.
//!
//! # What is not
//!
//! Times themselves (back-off, delays, patience of the sweep), rates, request sizes after refusals, `resend_within_s`, suppressions,
//! several batches but for the finish, deadlocks (they repeat), the clock's offset, a third worker at once, more attempts of a recipient
//! than a mix says. SENDING or ACCEPTD rows that a dead owner leaves in a batch of a paused schedule rest until it is resumed: the model
//! allows that.
//!
//! Two of the rules were found here: a "not found" is judged by the time when it was asked (`QuietWhenRecorded` is the variant without
//! it), and verdicts that come after the lease make the batch due again (`VerdictWithoutPoke`).
//!
//! # How large it is
//!
//! `cargo run --example explore` prints it; on two cores of a small machine, with this crate compiled at level 2:
//!
//! ```text
//!       656 states, depth  29,   0.0 s: processes die
//!    140054 states, depth  58,   0.2 s: processes die, leases end under living owners
//!    126980 states, depth  50,   0.2 s: answers are lost
//!    113813 states, depth  43,   0.1 s: three recipients in two requests, partial answers
//!    242129 states, depth  59,   0.3 s: 429 and 4xx
//!    246993 states, depth  51,   0.3 s: a commit whose answer is lost
//!    432703 states, depth  57,   0.6 s: UNDELIV, sent again
//!    459446 states, depth  54,   0.6 s: UNCERTAIN, sent again by policy
//!    366765 states, depth  60,   0.5 s: UNCERTAIN, asked by ids of ours
//!     36156 states, depth  48,   0.0 s: two parts
//!   1283205 states, depth  63,   2.4 s: pause, resume, cancel
//!    852142 states, depth  61,   1.4 s: lateness, send now
//!   1206872 states, depth  55,   2.0 s: an operator decides
//!    119754 states, depth  46,   0.2 s: queues that lose and double messages
//!    478520 states, depth  70,   0.8 s: two parts, ids of the carrier's
//!    656477 states, depth  52,   1.5 s: receipts pushed
//!    987942 states, depth  52,   2.9 s: receipts pushed, ids of ours
//!     45744 states, depth  44,   0.1 s: receipts pushed, two parts
//!   2063158 states, depth  54,   3.7 s: everything, to one recipient
//! ```
#![allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "a rule reads alike for a row of three bytes and one of thirty"
)]

pub mod broken;
pub mod cut;
pub mod database;
pub mod finish;
pub mod mix;
pub mod mixes;
pub mod model;
pub mod pass;
pub mod properties;
pub mod push;
pub mod recheck;
pub mod rules;
pub mod steps;
pub mod world;
