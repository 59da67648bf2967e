//! The text of a cell, as a person would write it.

/// Returns a number without an exponent, and without decimals if it is whole: a phone number in a
/// spreadsheet is often stored as a number. It has the 15 digits that spreadsheets keep.
pub fn number(value: f64) -> String {
    // At most 15 digits are exact; the last ones of 0.1 + 0.2 are not shown by spreadsheets either.
    let rounded = format!("{value:.14e}").parse().unwrap_or(value);
    if rounded == 0.0 {
        return "0".to_owned();
    }
    format!("{rounded}")
}

/// Returns a day, a time of day, or both, in ISO 8601. `date` is missing if the cell has a time only.
pub fn moment(date: Option<(u16, u8, u8)>, (hour, minute, second): (u8, u8, u8)) -> String {
    let time = format!("{hour:02}:{minute:02}:{second:02}");
    match date {
        None => time,
        Some((year, month, day)) if (hour, minute, second) == (0, 0, 0) => {
            format!("{year:04}-{month:02}-{day:02}")
        }
        Some((year, month, day)) => format!("{year:04}-{month:02}-{day:02}T{time}"),
    }
}

/// Returns a day in ISO 8601 without the time of its beginning.
pub fn iso_moment(given: &str) -> &str {
    given.strip_suffix("T00:00:00").unwrap_or(given)
}

/// Returns a duration in days as hours, minutes and seconds.
pub fn days(value: f64) -> String {
    let seconds = (value * 86_400.0).round().abs() as u64;
    let sign = if value < 0.0 { "-" } else { "" };
    let (hours, rest) = (seconds / 3_600, seconds % 3_600);
    format!("{sign}{hours:02}:{:02}:{:02}", rest / 60, rest % 60)
}

/// Returns a duration such as `PT08H30M00S` as `08:30:00`; what is not one is returned unchanged.
pub fn iso_duration(given: &str) -> String {
    let parse = || {
        let mut seconds = 0.0;
        let mut number = String::new();
        for c in given.strip_prefix("PT")?.chars() {
            let unit = match c {
                '0'..='9' | '.' => {
                    number.push(c);
                    continue;
                }
                'H' => 3_600.0,
                'M' => 60.0,
                'S' => 1.0,
                _ => return None,
            };
            seconds += number.parse::<f64>().ok()? * unit;
            number.clear();
        }
        Some(days(seconds / 86_400.0))
    };
    parse().unwrap_or_else(|| given.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_neither_exponents_nor_needless_decimals() {
        for (value, expected) in [
            (60_123_456_789.0, "60123456789"),
            (123_456_789_012_345.0, "123456789012345"),
            (1e21, "1000000000000000000000"),
            (1.1 + 2.2, "3.3"),
            (-0.5, "-0.5"),
            (1.0e-7, "0.0000001"),
            (-0.0, "0"),
        ] {
            assert_eq!(number(value), expected);
        }
    }

    #[test]
    fn dates_and_times_are_written_in_iso_8601() {
        assert_eq!(moment(Some((2026, 11, 9)), (0, 0, 0)), "2026-11-09");
        assert_eq!(
            moment(Some((2026, 11, 9)), (8, 5, 0)),
            "2026-11-09T08:05:00"
        );
        assert_eq!(moment(None, (8, 30, 0)), "08:30:00");
        assert_eq!(iso_moment("2026-11-09T00:00:00"), "2026-11-09");
        assert_eq!(iso_moment("2026-11-09T08:05:00"), "2026-11-09T08:05:00");
        assert_eq!(days(1.5), "36:00:00");
        assert_eq!(iso_duration("PT08H30M00S"), "08:30:00");
        assert_eq!(iso_duration("PT36H"), "36:00:00");
        assert_eq!(iso_duration("P1D"), "P1D");
    }
}
