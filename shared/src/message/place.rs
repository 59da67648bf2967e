//! The place of a recipient in the list of a schedule: `recipients.seq`.
//!
//! A schedule with `unique_by: reference` may have several recipients with one number. The first of
//! them has its position in the list as its place. A further one, the *copy*, has a place in a part
//! of the list of its own: its position, and 100,000,000 for each recipient with the number before.
//! A batch is a range of at most [`LONGEST_BATCH`] places, so it never contains two recipients with
//! one number, and no request carries a number twice. A carrier sends such a number one of the two
//! messages only, yet answers with an id for each.

/// The places of each part of a list.
pub const PLACES: u32 = 100_000_000;
/// The largest number of recipients of a schedule with one number.
pub const MOST_COPIES: u32 = 16;
/// The largest value of `BATCH_SIZE`.
pub const LONGEST_BATCH: u32 = 10_000;
/// The last position of a list whose numbers may occur more than once. The batch with the last
/// places of a part ends before the next part begins.
pub const LAST_POSITION: u32 = PLACES - LONGEST_BATCH;

/// A place, as the position of its entry and the number of recipients before with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The position in the list, from 1.
    pub position: u32,
    /// `recipients.copy`
    pub copy: u32,
}

impl Place {
    /// Returns what a place means.
    pub const fn of(seq: u32) -> Self {
        Self {
            position: seq % PLACES,
            copy: seq / PLACES,
        }
    }

    /// Returns `recipients.seq`.
    pub const fn seq(self) -> u32 {
        self.copy * PLACES + self.position
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns the batch of a place, as the cut divides a list.
    fn batch(place: Place, size: u32) -> u32 {
        (place.seq() - 1) / size
    }

    proptest! {
        #[test]
        fn two_copies_are_never_in_one_batch(
            positions in [1..=LAST_POSITION, 1..=LAST_POSITION],
            copies in [0..MOST_COPIES, 0..MOST_COPIES],
            size in 1..=LONGEST_BATCH,
        ) {
            let place = |at: usize| Place { position: positions[at], copy: copies[at] };
            prop_assert_eq!(Place::of(place(0).seq()), place(0));
            prop_assert!(copies[0] == copies[1] || batch(place(0), size) != batch(place(1), size));
        }
    }

    #[test]
    fn the_ends_of_two_parts_are_in_different_batches() {
        for copy in 0..MOST_COPIES - 1 {
            let last = Place {
                position: LAST_POSITION,
                copy,
            };
            let first = Place {
                position: 1,
                copy: copy + 1,
            };
            for size in 1..=LONGEST_BATCH {
                assert_ne!(batch(last, size), batch(first, size), "{copy} {size}");
            }
        }
    }
}
