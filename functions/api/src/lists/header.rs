//! The first row of a CSV: which column has the phone numbers, and whether the row is a header.

use csv::ByteRecord;

use crate::{
    http::error::{ApiError, FieldError},
    lists::{entry::Sink, number::read_number},
};

/// The name of the column with the phone numbers in documents and examples.
const PHONE: &str = "phone";
/// Columns of a first row that are shown in an error, at most.
const SHOWN_COLUMNS: usize = 10;
/// Characters of each of them.
const SHOWN_CHARACTERS: usize = 32;

/// Names of columns with phone numbers, in many languages: in lower case, without spaces and
/// punctuation. Only one column of a header may have one of them.
#[rustfmt::skip]
const NAMES: &[&str] = &[
    "phones", "phonenumber", "phonenumbers", "phoneno", "phone1", "phone1value", "telephone", "telephonenumber", "tel", "telno", "telnumber",
    "mobile", "mobiles", "mobilephone", "mobilephonenumber", "mobilenumber", "mobileno", "cell", "cellphone", "cellnumber", "cellphonenumber",
    "msisdn", "number", "numbers", "smsnumber", "gsm", "gsmnumber",
    // German, Dutch, Scandinavian languages, Finnish
    "handy", "handynummer", "handynr", "mobil", "mobilnummer", "mobilnr", "mobiltelefon", "mobilfunknummer", "rufnummer", "telefon", "telefonnummer",
    "telefonnr", "telefoon", "telefoonnummer", "mobiel", "mobielnummer", "puhelin", "puhelinnumero", "matkapuhelin",
    // Indonesian, Malay, Tagalog
    "telepon", "nomortelepon", "nomortelefon", "nomorhp", "nohp", "notelp", "notelepon", "notelefon", "nombortelefon", "telefonbimbit", "selpon",
    // Spanish, Portuguese, Italian, French
    "telefono", "teléfono", "móvil", "movil", "celular", "teléfonomóvil", "numerodetelefono", "númerodeteléfono", "telefone", "telemóvel",
    "telemovel", "cellulare", "numeroditelefono", "téléphone", "téléphoneportable", "portable", "numérodetéléphone",
    // Polish, Czech, Turkish, Russian, Ukrainian, Greek
    "komórka", "numertelefonu", "nrtelefonu", "telefonkomórkowy", "telefonníčíslo", "ceptelefonu", "telefonnumarası", "телефон",
    "номертелефона", "мобильный", "мобильныйтелефон", "мобільний", "номертелефону", "τηλέφωνο", "κινητό",
    // Arabic, Hebrew, Hindi
    "الهاتف", "رقمالهاتف", "الجوال", "رقمالجوال", "الموبايل", "טלפון", "נייד", "फ़ोन", "मोबाइल",
    // Chinese, Japanese, Korean, Thai, Vietnamese
    "手机", "手机号", "手机号码", "电话", "电话号码", "手機", "手機號碼", "電話", "電話號碼", "電話番号", "携帯", "携帯番号", "携帯電話", "携帯電話番号",
    "전화번호", "휴대폰", "휴대폰번호", "휴대전화", "เบอร์โทร", "เบอร์โทรศัพท์", "เบอร์มือถือ", "โทรศัพท์", "sđt", "sdt", "sốđiệnthoại", "điệnthoại",
];

/// The first row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The column with the phone numbers, from 0.
    pub column: usize,
    /// Whether the row is a header; otherwise it is an entry.
    pub is_present: bool,
}

impl Header {
    /// Finds the column that the request selects by its name or its position, or else the one that
    /// is named like phone numbers. Fails if the row does not show which one it is: in another
    /// column, other numbers than the recipients' would be found.
    pub fn find(record: &ByteRecord, sink: &Sink) -> Result<Self, ApiError> {
        let header = |column| Self {
            column,
            is_present: true,
        };
        let row = FirstRow::read(record);
        let selected = sink.options().column.as_deref();
        if let Some(position) = selected.and_then(|selected| selected.parse::<usize>().ok()) {
            let column = position.saturating_sub(1);
            let is_present = row.cells.get(column).is_some_and(|cell| is_title(cell));
            return Ok(Self { column, is_present });
        }
        let name = selected.map_or_else(|| PHONE.to_owned(), comparable);
        let named = row.cells.iter().position(|cell| comparable(cell) == name);
        if let Some(column) = named {
            return Ok(header(column));
        }
        let numbers = row.numbers(sink);
        if selected.is_none() {
            match row.known()[..] {
                [column] if numbers.is_empty() => return Ok(header(column)),
                [_, _, ..] if numbers.is_empty() => return Err(row.several(sink)),
                _ => {}
            }
            if row.is_single(&numbers) {
                return Ok(Self {
                    column: 0,
                    is_present: false,
                });
            }
        }
        Err(row.missing(selected, &numbers, sink))
    }
}

/// The fields of the first row that is not blank.
struct FirstRow {
    cells: Vec<String>,
}

impl FirstRow {
    fn read(record: &ByteRecord) -> Self {
        let cells = record
            .iter()
            .map(|field| trimmed(&String::from_utf8_lossy(field)).to_owned());
        Self {
            cells: cells.collect(),
        }
    }

    /// Returns whether there is one column. A spreadsheet may write empty ones behind it; then it
    /// must have a number, because otherwise the row may be a title above the header.
    fn is_single(&self, numbers: &[usize]) -> bool {
        self.cells.len() == 1 || (numbers == [0] && self.cells.iter().skip(1).all(String::is_empty))
    }

    /// Returns the columns that are named like phone numbers.
    fn known(&self) -> Vec<usize> {
        let is_known = |cell: &String| NAMES.contains(&key(cell).as_str());
        let cells = self.cells.iter().enumerate();
        cells
            .filter(|(_, cell)| is_known(cell))
            .map(|(column, _)| column)
            .collect()
    }

    /// Returns the columns with a valid phone number, which no header has.
    fn numbers(&self, sink: &Sink) -> Vec<usize> {
        let is_number = |cell: &String| read_number(cell, sink.options()).is_ok();
        let cells = self.cells.iter().enumerate();
        cells
            .filter(|(_, cell)| is_number(cell))
            .map(|(column, _)| column)
            .collect()
    }

    /// Returns the error for a row with several columns that are named like phone numbers.
    fn several(&self, sink: &Sink) -> ApiError {
        let named: Vec<_> = self
            .known()
            .into_iter()
            .map(|column| format!("`{}` ({})", self.cells[column], column + 1))
            .collect();
        let detail = format!(
            "expected one column with phone numbers, or column with its name or position; found: {}",
            named.join(", ")
        );
        refuse("ambiguous-column", detail, sink)
    }

    /// Returns the error for a row without the column.
    fn missing(&self, selected: Option<&str>, numbers: &[usize], sink: &Sink) -> ApiError {
        let advice = match numbers {
            [] => String::new(),
            [column] => {
                let column = column + 1;
                format!("; is the header missing? The column {column} has a phone number: give column={column}")
            }
            _ => "; is the header missing? Several columns have phone numbers: give column with a position".to_owned(),
        };
        let detail = format!(
            "expected a column `{}`, or ?column= with its name or position; the first line has {} columns, found: {}{advice}",
            selected.unwrap_or(PHONE),
            self.cells.len(),
            self.shown()
        );
        refuse("no-phone-column", detail, sink)
    }

    /// Returns the beginning of the row for an error message.
    fn shown(&self) -> String {
        let cells = self.cells.iter().take(SHOWN_COLUMNS);
        let shown: Vec<String> = cells
            .map(|cell| cell.chars().take(SHOWN_CHARACTERS).collect())
            .collect();
        shown.join(", ")
    }
}

/// Returns the column that the request selects by its name in the header or its position, or that
/// has a known name. The column with the phone numbers is none.
pub fn named_column(row: &ByteRecord, header: Header, name: &str) -> Option<usize> {
    let other = |column: &usize| *column != header.column;
    if let Ok(position) = name.parse::<usize>() {
        return Some(position.saturating_sub(1)).filter(other);
    }
    let row = FirstRow::read(row);
    let name = comparable(name);
    let mut cells = row.cells.iter().enumerate();
    let found = cells.find(|(_, cell)| header.is_present && comparable(cell) == name);
    found.map(|(column, _)| column).filter(other)
}

/// Returns the error for a row without the column that was selected for `what`.
pub fn no_column(row: &ByteRecord, what: &str, selected: &str, sink: &Sink) -> ApiError {
    let row = FirstRow::read(row);
    let detail = format!(
        "expected a column `{selected}` other than the one with the phone numbers, as {what}_column says; the first line has {} columns, \
         found: {}",
        row.cells.len(),
        row.shown()
    );
    refuse("no-such-column", detail, sink)
}

fn refuse(code: &'static str, mut detail: String, sink: &Sink) -> ApiError {
    if let Some(place) = &sink.place {
        detail = format!("{detail}, in the sheet `{}`", place.sheet);
    }
    ApiError::invalid(vec![FieldError {
        position: Some(sink.position),
        ..FieldError::new("recipients", code, detail)
    }])
}

/// Returns a field without white space, invisible characters and quotes around it.
pub fn trimmed(field: &str) -> &str {
    field.trim_matches(|c: char| {
        c.is_whitespace()
            || matches!(
                c,
                '"' | '\'' | '\u{201c}' | '\u{201d}' | '\u{feff}' | '\u{200b}'
                    ..='\u{200f}' | '\u{2060}'
            )
    })
}

/// Returns whether no field of a row is filled. `fields` are its fields, one after the other.
pub fn is_blank(fields: &[u8]) -> bool {
    let fields = fields.trim_ascii_start();
    match fields.first() {
        None => true,
        Some(first) if first.is_ascii() => false,
        Some(_) => std::str::from_utf8(fields).is_ok_and(|fields| trimmed(fields).is_empty()),
    }
}

/// Returns whether a field in a column of phone numbers is its name.
fn is_title(cell: &str) -> bool {
    !cell.chars().any(char::is_numeric) || NAMES.contains(&key(cell).as_str())
}

/// Returns a name in lower case, with single spaces.
fn comparable(name: &str) -> String {
    let words: Vec<_> = trimmed(name).split_whitespace().collect();
    words.join(" ").to_lowercase()
}

/// Returns a name in lower case, without spaces and punctuation.
fn key(name: &str) -> String {
    let kept = |c: &char| !c.is_whitespace() && !c.is_ascii_punctuation();
    name.to_lowercase().chars().filter(kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_written_as_they_are_compared() {
        for name in NAMES {
            assert_eq!(key(name), *name);
        }
    }
}
