//! A phone number in eight bytes, because the ledger stores millions of them.

use std::fmt;

const PLUS: u64 = 1 << 63;
const LENGTH_SHIFT: u32 = 58;
const DIGITS: u64 = (1 << LENGTH_SHIFT) - 1;
const MAX_DIGITS: usize = 17;

/// A number as the client wrote it: an optional `+`, then 1 to 17 digits (E.164 allows at most 15).
/// Leading zeros are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Number(u64);

impl Number {
    /// Parses a number. Returns `None` unless it consists of digits after an optional `+`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('+').unwrap_or(text);
        let fits = (1..=MAX_DIGITS).contains(&digits.len());
        if !fits || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let value = digits
            .bytes()
            .fold(0, |value, byte| value * 10 + u64::from(byte - b'0'));
        let plus = if digits.len() == text.len() { 0 } else { PLUS };
        Some(Self(plus | ((digits.len() as u64) << LENGTH_SHIFT) | value))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plus = if self.0 & PLUS == 0 { "" } else { "+" };
        let length = ((self.0 & !PLUS) >> LENGTH_SHIFT) as usize;
        write!(formatter, "{plus}{:0length$}", self.0 & DIGITS)
    }
}

/// Checks whether a number starts with one of `prefixes`. A leading `+` is ignored on both sides.
pub(crate) fn has_prefix(number: &str, prefixes: &[String]) -> bool {
    let number = number.trim_start_matches('+');
    prefixes
        .iter()
        .any(|prefix| number.starts_with(prefix.trim_start_matches('+')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_displayed_as_it_was_written() {
        for text in [
            "491701234567",
            "+491701234567",
            "0049170",
            "0",
            "99999999999999999",
        ] {
            assert_eq!(
                Number::parse(text)
                    .map(|number| number.to_string())
                    .as_deref(),
                Some(text)
            );
        }
    }

    #[test]
    fn invalid_numbers_are_refused() {
        for text in [
            "",
            "+",
            "49 170",
            "49170x",
            "++49",
            "100000000000000000",
            "٣٤",
        ] {
            assert_eq!(Number::parse(text), None, "{text}");
        }
    }
}
