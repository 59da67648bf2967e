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
//! sent now. Operators resolve UNCERTAIN rows. The carrier refuses numbers, or the account. The
//! schedule's end passes at any moment, and an operator moves it. A batch waits for its turn after the
//! cut and returns to waiting after a pass, while an admission reads and writes in two steps. Before the batch exists, appends and changes of text,
//! time and window race with the cut, which waits for the window ([`cut`]). A list in which a number
//! occurs more than once is divided so that no batch has it twice ([`copies`]). At the end, the last
//! two batches race for the finish ([`finish`]).
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
//! `resend_within_s`, suppressions, which of several turns is first, the carrier's limits, several batches except for the finish, deadlocks (they are
//! retried), the offset of the clock, a third concurrent worker, and more attempts per recipient
//! than the mix allows. SENDING or ACCEPTD rows that a crashed owner leaves in a batch of a paused
//! schedule remain until the schedule is resumed. The model allows that.
//!
//! The model revealed two of the rules. "Not found" is judged by the time of the query
//! (`QuietTimeCheckedAtRecord` is the variant without this rule). Status updates after the lease
//! make the batch due again (`StatusUpdateThatMakesNothingDue`). For the schedule's end it shows that a
//! mark needs no check of its own: the check when a request starts, and the exclusion of expired rows
//! from resends, suffice.
//!
//! # Size
//!
//! `cargo run -p model --example explore` prints the sizes. The number of states is the same in
//! each run. The depth varies a little, because two threads explore. On two cores that also compiled,
//! with this crate compiled at level 2:
//!
//! ```text
//!       656 states, depth  29,   0.0 s: processes crash
//!    140054 states, depth  54,   1.1 s: processes crash, leases end while their owners run
//!    126980 states, depth  52,   0.6 s: answers are lost
//!    113813 states, depth  43,   0.6 s: three recipients in two requests, partial answers
//!    238480 states, depth  54,   0.9 s: 429 and 4xx
//!   2335071 states, depth  66,   8.5 s: numbers and the account are refused
//!    189361 states, depth  47,   0.8 s: the schedule ends
//!   1777560 states, depth  63,   6.2 s: the schedule ends, UNDELIV is resent
//!   2189570 states, depth  66,   7.5 s: a resend is throttled, lateness
//!    503588 states, depth  48,   2.8 s: batches wait for their turn
//!   1408274 states, depth  49,   9.2 s: batches wait for their turn, pause, resume, cancel
//!    483344 states, depth  62,   2.3 s: a batch waits for its turn while it is checked
//!    246993 states, depth  51,   0.7 s: a commit whose answer is lost
//!    432703 states, depth  64,   1.5 s: UNDELIV is resent
//!    459446 states, depth  53,   1.6 s: UNCERTAIN is resent by policy
//!    366765 states, depth  65,   1.6 s: UNCERTAIN is queried by own ids
//!     36156 states, depth  48,   0.1 s: two parts
//!   1857587 states, depth  61,   9.2 s: pause, resume, cancel
//!    764528 states, depth  64,   3.5 s: lateness, send now
//!   1687417 states, depth  61,   7.0 s: an operator resolves UNCERTAIN
//!    119754 states, depth  46,   0.6 s: queues lose and duplicate messages
//!    478520 states, depth  57,   2.6 s: two parts, carrier ids
//!    656477 states, depth  52,   3.5 s: receipts pushed
//!   1009862 states, depth  50,   5.7 s: receipts pushed, own ids
//!     45744 states, depth  44,   0.2 s: receipts pushed, two parts
//!   2175922 states, depth  57,  13.1 s: most faults, one recipient
//! ```
#![allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "all rules take references, whatever the size of the row"
)]

pub mod actions;
pub mod apply;
pub mod broken;
pub mod copies;
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
