//! A batch, the unit of work: a contiguous range of a schedule's recipients that one worker owns
//! at a time.
//!
//! A pass over a batch reads [`claim`] → [`rows`] and [`in_place`] (mark, record) → [`release`];
//! [`worker`] is the frame that `send` and `recheck` share.

pub mod admission;
pub mod brake;
pub mod canary;
pub mod claim;
pub mod in_place;
pub mod release;
pub mod rows;
pub mod suppressions;
pub mod texts;
pub mod worker;

pub use crate::message::seq_range::SeqRange;
