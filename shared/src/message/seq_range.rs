//! A range of places in the recipient list of a schedule.

/// A contiguous range of `recipients.seq`, both ends included.
///
/// It lives in `message` because `events`, `schedule` and `batch` use it and import each other only
/// downwards; functions import it as `shared::batch::SeqRange`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeqRange {
    /// The first place.
    pub first: u32,
    /// The last place.
    pub last: u32,
}

impl SeqRange {
    /// Returns the places from `first` to `last`.
    pub const fn new(first: u32, last: u32) -> Self {
        Self { first, last }
    }
}
