//! A model of lists in which a number may occur more than once (`unique_by: reference`): appends,
//! also by the release before, and changes of numbers until the cut and after it. A carrier that
//! finds a number twice in one request sends one of the two messages, and answers with an id for
//! each; a request carries recipients of one batch.

use shared::message::place::{LAST_POSITION, LONGEST_BATCH, PLACES, Place};
use stateright::{Model, Property};

/// The maximum number of recipients.
const MAX_ROWS: usize = 4;
/// The numbers.
const NUMBERS: u8 = 2;
/// The sizes of a batch. 7 does not divide 100,000,000, so such a batch can reach into the next part.
const SIZES: [u32; 4] = [1, 2, 7, LONGEST_BATCH];

/// A row of `recipients`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CopyRow {
    /// `phone`
    pub number: u8,
    /// `seq`
    pub seq: u32,
    /// `copy`
    pub copy: u32,
}

/// A schedule with its list and its batches.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CopiesState {
    /// `recipients`
    pub rows: Vec<CopyRow>,
    /// `schedules.next_seq`
    pub next_position: u32,
    /// The size of its batches, if it is cut.
    pub cut: Option<u32>,
    /// The recipients that a caller was told of.
    pub accepted: usize,
}

/// One step of a caller or of dispatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are complete")]
pub enum CopiesStep {
    Append(u8),
    AppendByReleaseBefore(u8),
    ChangeNumber { row: usize, number: u8 },
    AppendInvalidEntries,
    Cut(u32),
}

/// A rule that an implementation leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopiesFlaw {
    /// A further recipient with a number gets the next place, like any other.
    PlacedInOrder,
    /// A change of the number ignores the other recipients that have it.
    ChangeIgnoresKey,
    /// A list may be so long that its end is next to the part of the copies.
    ListsWithoutEnd,
}

/// The implementation. By default, no rule is omitted.
#[derive(Clone, Copy, Debug, Default)]
pub struct CopiesModel {
    /// The rule that is left out.
    pub flaw: Option<CopiesFlaw>,
}

impl CopiesModel {
    fn has(self, flaw: CopiesFlaw) -> bool {
        self.flaw == Some(flaw)
    }

    fn last_position(self) -> u32 {
        if self.has(CopiesFlaw::ListsWithoutEnd) {
            PLACES - 1
        } else {
            LAST_POSITION
        }
    }
}

impl CopiesState {
    fn has(&self, number: u8, copy: u32) -> bool {
        let mut rows = self.rows.iter();
        rows.any(|row| (row.number, row.copy) == (number, copy))
    }

    /// Appends a recipient as a copy of those with its number.
    fn append(&mut self, model: CopiesModel, number: u8) {
        let of_number = self.rows.iter().filter(|row| row.number == number);
        let copy = of_number.map(|row| row.copy + 1).max().unwrap_or_default();
        let position = self.next_position;
        let seq = if model.has(CopiesFlaw::PlacedInOrder) {
            position
        } else {
            Place { position, copy }.seq()
        };
        self.rows.push(CopyRow { number, seq, copy });
        self.next_position += 1;
        self.accepted += 1;
    }

    /// Appends a number as code does that knows no copies: `ON DUPLICATE KEY` skips it.
    fn append_by_release_before(&mut self, number: u8) {
        if !self.has(number, 0) {
            let seq = self.next_position;
            self.rows.push(CopyRow {
                number,
                seq,
                copy: 0,
            });
            self.accepted += 1;
        }
        self.next_position += 1;
    }

    /// Returns whether a batch has a number twice.
    fn shares_batch(&self) -> bool {
        let Some(size) = self.cut else {
            return false;
        };
        let batch = |row: &CopyRow| (row.number, (row.seq - 1) / size);
        let mut batches: Vec<_> = self.rows.iter().map(batch).collect();
        batches.sort_unstable();
        batches.windows(2).any(|pair| pair[0] == pair[1])
    }

    fn has_distinct_places(&self) -> bool {
        let mut places: Vec<_> = self.rows.iter().map(|row| row.seq).collect();
        places.sort_unstable();
        places.dedup();
        places.len() == self.accepted
    }
}

impl Model for CopiesModel {
    type State = CopiesState;
    type Action = CopiesStep;

    fn init_states(&self) -> Vec<CopiesState> {
        vec![CopiesState {
            rows: Vec::new(),
            next_position: 1,
            cut: None,
            accepted: 0,
        }]
    }

    fn actions(&self, state: &CopiesState, steps: &mut Vec<CopiesStep>) {
        let rows = 0..state.rows.len();
        let changes = rows.flat_map(|row| (0..NUMBERS).map(move |number| (row, number)));
        steps.extend(changes.map(|(row, number)| CopiesStep::ChangeNumber { row, number }));
        if state.cut.is_some() {
            return;
        }
        steps.extend(SIZES.map(CopiesStep::Cut));
        if state.rows.len() < MAX_ROWS && state.next_position <= self.last_position() {
            steps.extend((0..NUMBERS).map(CopiesStep::Append));
            steps.extend((0..NUMBERS).map(CopiesStep::AppendByReleaseBefore));
        }
        if state.next_position < self.last_position() {
            steps.push(CopiesStep::AppendInvalidEntries);
        }
    }

    fn next_state(&self, state: &CopiesState, step: CopiesStep) -> Option<CopiesState> {
        let mut next = state.clone();
        match step {
            CopiesStep::Append(number) => next.append(*self, number),
            CopiesStep::AppendByReleaseBefore(number) => next.append_by_release_before(number),
            CopiesStep::ChangeNumber { row, number } => {
                let is_taken = state.has(number, state.rows[row].copy);
                if is_taken && !self.has(CopiesFlaw::ChangeIgnoresKey) {
                    return None;
                }
                next.rows[row].number = number;
            }
            CopiesStep::AppendInvalidEntries => next.next_position = self.last_position(),
            CopiesStep::Cut(size) => next.cut = Some(size),
        }
        // Skipped duplicates would use up places without an end.
        (next.next_position <= 8 || next.next_position >= LAST_POSITION).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no batch has a number twice", |_, state: &CopiesState| {
                !state.shares_batch()
            }),
            Property::always(
                "each accepted recipient has a place",
                |_, state: &CopiesState| state.has_distinct_places(),
            ),
        ]
    }
}
