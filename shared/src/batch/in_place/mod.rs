//! Writes of rows that lie next to each other: one statement by range, without a list that the
//! database has to parse and to join.
//!
//! Such a statement is its own transaction, and changes nothing if the claim is lost. What it
//! cannot write, the statements of [`rows`](super::rows) write.

mod flush;
mod statuses;

pub use flush::FlushInPlace;
pub use statuses::StatusesInPlace;

use super::SeqRange;

/// A range may contain at most so many rows for each row that is written.
const SPARSEST: u64 = 8;

/// Returns whether a range is dense enough for a statement that writes `written` of its rows.
fn is_dense(range: SeqRange, written: usize) -> bool {
    let rows = u64::from(range.last - range.first) + 1;
    rows <= SPARSEST * written as u64
}

/// Returns the range from the first to the last of these positions.
fn span(seqs: impl Iterator<Item = u32>) -> Option<SeqRange> {
    seqs.fold(None, |span: Option<SeqRange>, seq| {
        Some(span.map_or(SeqRange::new(seq, seq), |span| {
            SeqRange::new(span.first.min(seq), span.last.max(seq))
        }))
    })
}

/// Values of equal width, one for each position of a range, in one string that the database cuts
/// into its parts without parsing it. A position without a value is blank.
struct Packed {
    bytes: Vec<u8>,
    width: usize,
    first: u32,
}

impl Packed {
    fn new(range: SeqRange, width: usize) -> Self {
        let positions = (range.last - range.first) as usize + 1;
        Self {
            bytes: vec![b' '; positions * width],
            width,
            first: range.first,
        }
    }

    fn set(&mut self, seq: u32, value: &[u8]) {
        let at = (seq - self.first) as usize * self.width;
        self.bytes[at..at + value.len()].copy_from_slice(value);
    }
}
