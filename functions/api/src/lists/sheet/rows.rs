//! The rows of a sheet, collected from its cells.

use csv::ByteRecord;

use crate::{
    http::error::ApiError,
    lists::{
        entry::Sink,
        guard::MAX_LIST,
        place::Place,
        sheet::{damaged, lines::Lines},
        table::Table,
    },
};

/// Bytes of a row, at most.
pub(super) const MAX_ROW: usize = 256 * 1024;
/// Columns of a sheet, at most, as in the programs.
const MAX_COLUMNS: usize = 16_384;
/// Rows of a sheet, at most, as in the programs.
const MAX_ROWS: u32 = 1_048_576;
/// Cells of all rows, at most, also empty ones that others follow.
const MAX_CELLS: u64 = 20_000_000;

/// What becomes of rows.
enum Target<'a> {
    /// Each is an entry.
    Entries(Table, &'a mut Sink),
    /// Each is a line.
    Lines(Lines),
}

/// A sheet whose cells are added from left to right, row by row.
pub struct Rows<'a> {
    target: Target<'a>,
    /// The row, from 0.
    row: u32,
    /// Its cells up to the last one that is filled.
    record: ByteRecord,
    /// Its cells with the error of a formula.
    errors: Vec<(usize, String)>,
    /// Bytes and cells of all rows.
    bytes: u64,
    cells: u64,
}

impl<'a> Rows<'a> {
    /// Returns a sheet whose rows are entries.
    pub fn of_entries(sink: &'a mut Sink) -> Self {
        Self::new(Target::Entries(Table::default(), sink))
    }

    /// Returns a sheet whose rows are lines after a row.
    pub fn of_lines(after: u32) -> Self {
        Self::new(Target::Lines(Lines::new(after)))
    }

    fn new(target: Target<'a>) -> Self {
        Self {
            target,
            row: 0,
            record: ByteRecord::new(),
            errors: Vec::new(),
            bytes: 0,
            cells: 0,
        }
    }

    /// Begins the sheet.
    pub fn begin(&mut self, sheet: &str) {
        if let Target::Entries(_, sink) = &mut self.target {
            sink.place = Some(Place {
                sheet: sheet.to_owned(),
                column: 0,
            });
        }
    }

    /// Returns the lines; those of entries are none.
    pub fn into_lines(self) -> Lines {
        match self.target {
            Target::Entries(..) => Lines::new(0),
            Target::Lines(lines) => lines,
        }
    }

    /// Goes to a row, from 0; before, the row that was collected is read.
    pub fn go_to(&mut self, row: u32) -> Result<(), ApiError> {
        if row == self.row {
            return Ok(());
        }
        if row < self.row {
            return Err(damaged("its rows are not in their order"));
        }
        self.finish(1)?;
        self.row = row;
        Ok(())
    }

    /// Adds a cell to the row. An empty one has no effect.
    pub fn cell(&mut self, column: usize, value: &str) -> Result<(), ApiError> {
        if value.is_empty() {
            return Ok(());
        }
        if column >= MAX_COLUMNS || self.row >= MAX_ROWS {
            return Err(damaged("a cell is outside of the sheet"));
        }
        if column < self.record.len() {
            return Err(damaged("its cells are not in their order"));
        }
        self.cells += (column - self.record.len()) as u64 + 1;
        if self.cells > MAX_CELLS {
            return Err(too_large(&format!("{MAX_CELLS} cells")));
        }
        while self.record.len() < column {
            self.record.push_field(b"");
        }
        if self.record.as_slice().len() + value.len() > MAX_ROW {
            return Err(row_too_long());
        }
        self.record.push_field(value.as_bytes());
        Ok(())
    }

    /// Adds a cell with the error of a formula, such as `#N/A`.
    pub fn error(&mut self, column: usize, error: String) -> Result<(), ApiError> {
        self.cell(column, &error)?;
        self.errors.push((column, error));
        Ok(())
    }

    /// Reads the row that was collected, which the file repeats so often, and goes to the row behind.
    pub fn finish(&mut self, repeats: u32) -> Result<(), ApiError> {
        if self.record.is_empty() {
            self.row = self.row.saturating_add(repeats);
            return Ok(());
        }
        for _ in 0..repeats {
            self.bytes += self.record.as_slice().len() as u64;
            if self.row >= MAX_ROWS {
                return Err(damaged("a row is outside of the sheet"));
            }
            if self.bytes > MAX_LIST {
                return Err(too_large(&format!("{} MB of text", MAX_LIST / 1024 / 1024)));
            }
            self.row += 1;
            self.read()?;
        }
        self.record.clear();
        self.errors.clear();
        Ok(())
    }

    fn read(&mut self) -> Result<(), ApiError> {
        let (table, sink) = match &mut self.target {
            Target::Entries(table, sink) => (table, sink),
            Target::Lines(lines) => {
                lines.add(self.row, &self.record);
                return Ok(());
            }
        };
        sink.position = self.row;
        let used = self.errors.iter().find(|(column, _)| table.uses(*column));
        let Some((column, error)) = used else {
            return table.row(&self.record, sink);
        };
        sink.set_column(*column);
        let detail = format!("expected a value, found the error {error} of a formula");
        let refused = sink.refuse(error, "formula-error", detail);
        // The sink has recorded the reason.
        refused.map_err(|stopped| ApiError::Internal(stopped.to_string()))
    }
}

/// Returns the error for a row, or a cell, with too much text.
pub(super) fn row_too_long() -> ApiError {
    too_large(&format!("{} KB in each row", MAX_ROW / 1024))
}

fn too_large(limit: &str) -> ApiError {
    ApiError::TooLarge(format!(
        "expected a sheet of at most {limit}; save it as CSV, and append it in several calls"
    ))
}
