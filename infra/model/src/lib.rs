//! The send protocol as a model that is explored completely: all interleavings and all crashes
//! within its bounds. It is in no binary. `docs/protocol.md` describes the rules. The model proves
//! that they are sufficient together and that each one is necessary.
//!
//! [`rules`] contains the statements of `shared::batch` and of the functions as plain Rust
//! functions. The model changes its rows only with them. `tests/sql` compares each with its
//! statement on a real server, over all combinations of the values that it distinguishes (about
//! 40,000 cases). Without these tests, the model could differ from the implementation.
//!
//! # Scope
//!
//! One batch from the cut to its end ([`world`], [`actions`], [`apply`], [`send_pass`],
//! [`requests`], [`recheck_pass`], [`receipt`]): up to three recipients in two requests, two
//! workers, a carrier and an operator. A worker crashes between any two statements. Its lease ends
//! while it is frozen, and it continues later, within the limits of its time budget. Requests
//! arrive late or never. Answers are lost, partial, 429 or 4xx. The answer to a commit is lost.
//! Queues lose and duplicate messages. Schedules are paused, resumed, cancelled, found too late and
//! sent now. Operators resolve UNCERTAIN rows. Before the batch exists, appends and changes of time
//! race with the cut ([`cut`]). At the end, the last two batches race for the finish ([`finish`]).
//!
//! [`properties`] lists what must hold in each state. [`broken`] omits rules, one or two at a time.
//! Each omission violates a property, which proves that the check can fail.
//!
//! Time is nondeterministic: a later due time can be reached at any moment. The quiet time can end
//! only when no request of the attempt is on the wire or can still start. This is the only
//! assumption about time: the quiet time is longer than a lease and a request together.
//!
//! # Out of scope
//!
//! Durations (back-off, delays, the sweep's grace period), rates, request sizes after refusals,
//! `resend_within_s`, suppressions, several batches except for the finish, deadlocks (they are
//! retried), the offset of the clock, a third concurrent worker, and more attempts per recipient
//! than the mix allows. SENDING or ACCEPTD rows that a crashed owner leaves in a batch of a paused
//! schedule remain until the schedule is resumed. The model allows that.
//!
//! The model revealed two of the rules. "Not found" is judged by the time of the query
//! (`QuietTimeCheckedAtRecord` is the variant without this rule). Status updates after the lease
//! make the batch due again (`StatusUpdateThatMakesNothingDue`).
//!
//! # Size
//!
//! `cargo run -p model --example explore` prints the sizes. The number of states is the same in
//! each run. The depth varies a little, because two threads explore. On two cores of a small
//! machine, with this crate compiled at level 2:
//!
//! ```text
//!       656 states, depth  29,   0.0 s: processes crash
//!    140054 states, depth  58,   0.2 s: processes crash, leases end while their owners run
//!    126980 states, depth  50,   0.2 s: answers are lost
//!    113813 states, depth  43,   0.1 s: three recipients in two requests, partial answers
//!    242129 states, depth  59,   0.3 s: 429 and 4xx
//!    246993 states, depth  51,   0.3 s: a commit whose answer is lost
//!    432703 states, depth  57,   0.6 s: UNDELIV is resent
//!    459446 states, depth  54,   0.6 s: UNCERTAIN is resent by policy
//!    366765 states, depth  60,   0.5 s: UNCERTAIN is queried by own ids
//!     36156 states, depth  48,   0.0 s: two parts
//!   1283205 states, depth  63,   2.4 s: pause, resume, cancel
//!    852142 states, depth  61,   1.4 s: lateness, send now
//!   1206872 states, depth  55,   2.0 s: an operator resolves UNCERTAIN
//!    119754 states, depth  46,   0.2 s: queues lose and duplicate messages
//!    478520 states, depth  70,   0.8 s: two parts, carrier ids
//!    656477 states, depth  52,   1.5 s: receipts pushed
//!    987942 states, depth  52,   2.9 s: receipts pushed, own ids
//!     45744 states, depth  44,   0.1 s: receipts pushed, two parts
//!   2063158 states, depth  54,   3.7 s: most faults, one recipient
//! ```
#![allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "all rules take references, whatever the size of the row"
)]

pub mod actions;
pub mod apply;
pub mod broken;
pub mod cut;
pub mod finish;
pub mod mix;
pub mod mixes;
pub mod properties;
pub mod receipt;
pub mod recheck_pass;
pub mod requests;
pub mod rows;
pub mod rules;
pub mod send_pass;
pub mod world;
