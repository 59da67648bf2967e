//! The place of an entry in a spreadsheet.

/// The sheet, and the column, of the entry that is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The name of the sheet.
    pub sheet: String,
    /// The column, from 0.
    pub column: usize,
}

impl Place {
    /// Returns the name of the cell in a row, from 1, as spreadsheets write it: `Guests!B4`, or
    /// `'My guests'!B4`.
    pub fn cell(&self, row: u32) -> String {
        let is_plain = |name: &str| {
            name.chars().all(|c| c.is_alphanumeric() || c == '_')
                && name.starts_with(|c: char| c.is_alphabetic())
        };
        let column = letters(self.column);
        if is_plain(&self.sheet) {
            format!("{}!{column}{row}", self.sheet)
        } else {
            format!("'{}'!{column}{row}", self.sheet.replace('\'', "''"))
        }
    }
}

/// Returns the letters of a column: A to Z, AA, AB, ….
fn letters(column: usize) -> String {
    let mut letters = Vec::new();
    let mut rest = column + 1;
    while rest > 0 {
        rest -= 1;
        letters.insert(0, char::from(b'A' + (rest % 26) as u8));
        rest /= 26;
    }
    letters.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_has_the_name_that_a_spreadsheet_shows() {
        for (sheet, column, row, expected) in [
            ("Guests", 1, 4, "Guests!B4"),
            ("My guests", 25, 1, "'My guests'!Z1"),
            ("Jo's", 26, 1, "'Jo''s'!AA1"),
            ("2026", 701, 9, "'2026'!ZZ9"),
            ("Gäste_1", 702, 9, "Gäste_1!AAA9"),
            ("", 16_383, 1, "''!XFD1"),
        ] {
            let sheet = sheet.to_owned();
            assert_eq!(Place { sheet, column }.cell(row), expected);
        }
    }
}
