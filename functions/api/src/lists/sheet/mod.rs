//! Lists as spreadsheets: XLSX and ODS. The cells of a sheet become the rows of a [`Table`], as the
//! lines of CSV do; the position of an entry is its row.
//!
//! [`archive`] reads the whole file once before anything is interpreted: a small file may contain a
//! very large one. Then XLSX is read with calamine, cell by cell. ODS is not, because calamine keeps
//! all sheets in memory and repeats cells as often as the file says.
//!
//! [`Table`]: super::table::Table

mod archive;
mod lines;
mod ods;
mod rows;
mod text;
mod xlsx;

use crate::{
    http::error::{ApiError, FieldError},
    lists::{
        entry::Sink,
        sheet::{archive::Kind, lines::Lines, rows::Rows},
    },
};

/// Characters of an error of a reader that are shown.
const SHOWN: usize = 200;
/// Sheets of a file, at most.
const MAX_SHEETS: usize = 1_000;
/// Bytes of the name of a sheet, at most. The programs allow 31 characters, or hundreds.
const MAX_NAME: usize = 2_048;
/// Names of sheets that an error shows, at most.
const SHOWN_SHEETS: usize = 20;

/// Returns whether a file may be a spreadsheet: a ZIP file, or a compound file of older programs.
pub fn is_spreadsheet(bytes: &[u8]) -> bool {
    archive::is_zip(bytes) || archive::is_compound(bytes)
}

/// The names of the sheets of a file.
pub struct Sheets {
    /// The one that was read.
    pub sheet: String,
    /// All of them.
    pub all: Vec<String>,
}

/// A sheet as CSV.
pub struct Converted {
    /// The names of the sheets.
    pub sheets: Sheets,
    /// Its lines.
    pub lines: Lines,
}

/// Parses a list.
pub fn parse(bytes: &[u8], sink: &mut Sink) -> Result<(), ApiError> {
    let wanted = sink.options().sheet.clone();
    read(bytes, wanted.as_deref(), &mut Rows::of_entries(sink)).map(|_| ())
}

/// Converts the rows of a sheet after one of them to CSV.
pub fn convert(bytes: &[u8], wanted: Option<&str>, after: u32) -> Result<Converted, ApiError> {
    let mut rows = Rows::of_lines(after);
    let sheets = read(bytes, wanted, &mut rows)?;
    let lines = rows.into_lines();
    Ok(Converted { sheets, lines })
}

fn read(bytes: &[u8], wanted: Option<&str>, rows: &mut Rows<'_>) -> Result<Sheets, ApiError> {
    match archive::inspect(bytes)? {
        Kind::Xlsx => xlsx::read(bytes, wanted, rows),
        Kind::Ods => ods::read(bytes, wanted, rows),
    }
}

/// Fails if there are too many sheets, or one has a name that is too long: an answer lists them.
fn check_names(names: &[String]) -> Result<(), ApiError> {
    if names.len() > MAX_SHEETS {
        return Err(ApiError::TooLarge(format!(
            "expected at most {MAX_SHEETS} sheets; save the one with the list as a file of its own"
        )));
    }
    if names.iter().any(|name| name.len() > MAX_NAME) {
        return Err(damaged("the name of a sheet is too long"));
    }
    Ok(())
}

/// Returns the error for a file that cannot be read.
fn damaged(reason: impl std::fmt::Display) -> ApiError {
    let reason: String = reason.to_string().chars().take(SHOWN).collect();
    ApiError::Malformed(format!(
        "expected an XLSX or ODS file that is not damaged: {reason}"
    ))
}

/// Returns the error for a file without the sheet that the request names.
fn no_such_sheet(known: &[String]) -> ApiError {
    let names: Vec<_> = known
        .iter()
        .take(SHOWN_SHEETS)
        .map(|name| format!("`{}`", name.chars().take(64).collect::<String>()))
        .collect();
    let detail = format!(
        "expected the name of a sheet of the file: {}",
        names.join(", ")
    );
    ApiError::invalid(vec![FieldError::new("sheet", "no-such-sheet", detail)])
}

#[cfg(test)]
mod damage;
#[cfg(test)]
mod files;
#[cfg(test)]
mod tests;
