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
//! schedule's end passes at any moment, and an operator moves it. A flush marks a part of its recipients,
//! and takes the marks back later. A batch waits for its turn after the
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
//! each run. The depth varies a little, because two threads explore. On two cores under a load of 15,
//! with this crate compiled at level 2:
//!
//! ```text
//!       656 states, depth  29,   0.0 s: processes crash
//!    178447 states, depth  56,   2.5 s: processes crash, leases end while their owners run
//!    174696 states, depth  54,   1.8 s: answers are lost
//!    143558 states, depth  46,   0.9 s: three recipients in two requests, partial answers
//!    322971 states, depth  72,   3.3 s: 429 and 4xx
//!   2579019 states, depth  67,  26.0 s: numbers and the account are refused
//!    308598 states, depth  49,   3.6 s: the schedule ends
//!   2058911 states, depth  57,  18.8 s: the schedule ends, UNDELIV is resent
//!   2609038 states, depth  70,  28.4 s: a resend is throttled, lateness
//!    949024 states, depth  47,  20.8 s: batches wait for their turn
//!   2572312 states, depth  50,  65.2 s: batches wait for their turn, pause, resume, cancel
//!    483344 states, depth  54,  11.5 s: a batch waits for its turn while it is checked
//!  12340648 states, depth  64, 383.2 s: sending is stopped and resumed
//!     19514 states, depth  31,   0.2 s: sending is stopped while batches wait for their turn
//!    271042 states, depth  49,   3.9 s: a commit whose answer is lost
//!    483225 states, depth  60,   7.6 s: UNDELIV is resent
//!    513789 states, depth  55,   8.6 s: UNCERTAIN is resent by policy
//!    397975 states, depth  58,   6.9 s: UNCERTAIN is queried by own ids
//!     36156 states, depth  48,   0.4 s: two parts
//!   2235037 states, depth  62,  40.4 s: pause, resume, cancel
//!   1213012 states, depth  61,  23.4 s: lateness, send now
//!   1700249 states, depth  64,  30.0 s: an operator resolves UNCERTAIN
//!    193044 states, depth  56,   6.0 s: queues lose and duplicate messages
//!    497412 states, depth  65,   9.8 s: two parts, carrier ids
//!    735589 states, depth  53,  13.3 s: receipts pushed
//!   1155078 states, depth  50,  26.1 s: receipts pushed, own ids
//!     45744 states, depth  47,   0.7 s: receipts pushed, two parts
//!   2488882 states, depth  62,  45.5 s: most faults, one recipient
//!   2790743 states, depth  53,  56.5 s: recipients are cancelled and changed, leases end while their owners run
//!    698412 states, depth  55,   7.8 s: recipients are cancelled and changed, 429, UNDELIV is resent
//!   5493326 states, depth  70, 125.1 s: recipients are cancelled and changed, pause, resume, cancel
//!    241274 states, depth  35,   4.6 s: recipients are cancelled and changed, batches wait for their turn
//!   1170845 states, depth  43,  13.4 s: marks that match in part are taken back while recipients are changed
//! ```
#![allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "all rules take references, whatever the size of the row"
)]

pub mod actions;
pub mod apply;
pub mod approval;
pub mod broken;
pub mod budget;
pub mod canary;
pub mod copies;
pub mod cut;
pub mod exploration;
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
