//! A sheet of an XLSX file, cell by cell.

use std::{borrow::Cow, io::Cursor};

use calamine::{DataRef, ExcelDateTime, Reader, Sheet, SheetType, SheetVisible, Xlsx};

use crate::{
    http::error::ApiError,
    lists::sheet::{Rows, Sheets, check_names, damaged, no_such_sheet, text},
};

/// Reads the sheet that the request names, or else the first that is visible. Returns the names of
/// all sheets.
pub fn read(bytes: &[u8], wanted: Option<&str>, rows: &mut Rows<'_>) -> Result<Sheets, ApiError> {
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).map_err(damaged)?;
    let sheets = book.sheets_metadata();
    let sheets = sheets
        .iter()
        .filter(|sheet| sheet.typ == SheetType::WorkSheet);
    let sheets: Vec<_> = sheets.collect();
    let sheet = choose(&sheets, wanted)?;
    let all: Vec<_> = sheets.iter().map(|sheet| sheet.name.clone()).collect();
    check_names(&all)?;
    let mut cells = book.worksheet_cells_reader(&sheet).map_err(damaged)?;
    rows.begin(&sheet);
    while let Some(cell) = cells.next_cell().map_err(damaged)? {
        let (row, column) = cell.get_position();
        let value = match cell.get_value() {
            DataRef::Empty => continue,
            DataRef::Int(number) => Cow::Owned(number.to_string()),
            DataRef::Float(number) => Cow::Owned(text::number(*number)),
            DataRef::String(text) => Cow::Borrowed(text.as_str()),
            DataRef::SharedString(text) => Cow::Borrowed(*text),
            DataRef::Bool(value) => Cow::Borrowed(if *value { "TRUE" } else { "FALSE" }),
            DataRef::DateTime(moment) => Cow::Owned(date(moment)),
            DataRef::DateTimeIso(moment) => Cow::Borrowed(text::iso_moment(moment)),
            DataRef::DurationIso(duration) => Cow::Owned(text::iso_duration(duration)),
            DataRef::Error(error) => {
                rows.go_to(row)?;
                rows.error(column as usize, error.to_string())?;
                continue;
            }
        };
        rows.go_to(row)?;
        rows.cell(column as usize, &value)?;
    }
    rows.finish(1)?;
    Ok(Sheets { sheet, all })
}

fn choose(sheets: &[&Sheet], wanted: Option<&str>) -> Result<String, ApiError> {
    let find = |is_right: &dyn Fn(&Sheet) -> bool| sheets.iter().find(|sheet| is_right(sheet));
    let found = if let Some(wanted) = wanted {
        find(&|sheet| sheet.name == wanted)
    } else {
        find(&|sheet| sheet.visible == SheetVisible::Visible).or_else(|| sheets.first())
    };
    match (found, sheets) {
        (Some(sheet), _) => Ok(sheet.name.clone()),
        (None, []) => Err(damaged("it has no sheet")),
        (None, sheets) => {
            let names: Vec<_> = sheets.iter().map(|sheet| sheet.name.clone()).collect();
            Err(no_such_sheet(&names))
        }
    }
}

/// Returns the text of a day, a time or a duration.
fn date(moment: &ExcelDateTime) -> String {
    let days = moment.as_f64();
    if moment.is_duration() {
        return text::days(days);
    }
    let (year, month, day, hour, minute, second, _) = moment.to_ymd_hms_milli();
    // Below 1 it is a time of day, without a day.
    let day = (days >= 1.0).then_some((year, month, day));
    text::moment(day, (hour, minute, second))
}
