//! The rows of a sheet as the lines of CSV. The line of a row has its number, so that errors in the
//! lines name the rows of the sheet: blank rows are empty lines, and line breaks in cells are spaces.

use csv::ByteRecord;

/// Bytes of lines in the event of Lambda, at most: its answer is at most 6 MB, in base64 if it is
/// compressed.
const MOST_COST: usize = 4_400_000;

/// Lines after a row.
pub struct Lines {
    /// The lines.
    pub text: String,
    /// The row of the last line.
    pub last_row: u32,
    /// Whether there are further rows.
    pub has_more: bool,
    after: u32,
    cost: usize,
}

impl Lines {
    /// Returns no lines; those up to a row, from 1, will not be added.
    pub const fn new(after: u32) -> Self {
        Self {
            text: String::new(),
            last_row: after,
            has_more: false,
            after,
            cost: 0,
        }
    }

    /// Adds a row, from 1, unless the lines would be too long.
    pub fn add(&mut self, row: u32, record: &ByteRecord) {
        if row <= self.after || self.has_more {
            return;
        }
        let mut line = String::new();
        for (at, field) in record.iter().enumerate() {
            if at > 0 {
                line.push(',');
            }
            // Cells are text, so that nothing is replaced.
            push_field(&mut line, &String::from_utf8_lossy(field));
        }
        let blank = (row - self.last_row - 1) as usize;
        let cost = blank * cost_of('\n') + line.chars().map(cost_of).sum::<usize>() + cost_of('\n');
        // The first line is always added, so that each call makes progress.
        if self.cost > 0 && self.cost + cost > MOST_COST {
            self.has_more = true;
            return;
        }
        self.cost += cost;
        self.text.extend(std::iter::repeat_n('\n', blank));
        self.text.push_str(&line);
        self.text.push('\n');
        self.last_row = row;
    }
}

fn push_field(line: &mut String, field: &str) {
    let is_quoted = field.contains(['"', ',', ';', '\t']);
    let quote = if is_quoted { "\"" } else { "" };
    line.push_str(quote);
    for character in field.chars() {
        match character {
            '\r' | '\n' => line.push(' '),
            '"' => line.push_str("\"\""),
            other => line.push(other),
        }
    }
    line.push_str(quote);
}

/// Returns how many bytes a character takes in a JSON string in a JSON string.
const fn cost_of(character: char) -> usize {
    match character {
        '"' | '\\' => 4,
        '\n' | '\t' => 3,
        '\0'..='\x1F' => 7,
        other => other.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_a_row_has_its_number() {
        let mut lines = Lines::new(0);
        lines.add(2, &ByteRecord::from(vec!["phone", "a \"b\", c"]));
        lines.add(5, &ByteRecord::from(vec!["", "two\nlines"]));
        assert_eq!(lines.text, "\nphone,\"a \"\"b\"\", c\"\n\n\n,two lines\n");
        assert_eq!((lines.last_row, lines.has_more), (5, false));
    }

    #[test]
    fn a_long_sheet_is_converted_in_several_calls() {
        let record = ByteRecord::from(vec!["\"".repeat(50_000)]);
        let (mut after, mut calls, mut rows) = (0, 0, 0);
        loop {
            let mut lines = Lines::new(after);
            for row in 1..=100 {
                lines.add(row, &record);
            }
            let answer = serde_json::json!(serde_json::json!(lines.text).to_string()).to_string();
            assert!(answer.len() < 6_000_000, "{}", answer.len());
            (after, calls, rows) = (lines.last_row, calls + 1, rows + lines.text.lines().count());
            if !lines.has_more {
                break;
            }
        }
        assert!(
            (rows, after) == (100, 100) && calls > 2,
            "{rows} {after} {calls}"
        );
    }
}
