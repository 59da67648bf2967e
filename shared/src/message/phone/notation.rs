//! The digits of a number as people, contact apps and spreadsheets write it.

use crate::message::phone::{MAX_DIGITS, PhoneError};

/// The most visible characters of an input, more than any way of writing 15 digits needs.
const MAX_INPUT: usize = 40;
/// The fewest digits of a whole number from which `.0` behind it is taken for a decimal.
const MIN_FLOAT_DIGITS: usize = 7;

/// The digits of an input.
pub(super) struct Written {
    /// Whether a plus sign is before them.
    pub(super) has_plus: bool,
    digits: [u8; MAX_INPUT],
    count: usize,
}

impl Written {
    /// Returns the digits, in ASCII.
    pub(super) fn digits(&self) -> &[u8] {
        &self.digits[..self.count]
    }
}

/// Returns the digits of a plus sign and ASCII digits only, as most lists have them.
pub(super) fn plain(input: &str) -> Option<&[u8]> {
    let digits = input.strip_prefix('+')?.as_bytes();
    let is_plain =
        (1..=MAX_DIGITS).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    is_plain.then_some(digits)
}

/// Reads an input in any notation. Which number its digits are is decided by the caller: nothing is
/// added to them, and no other digit is left out than that of `.0`.
pub(super) fn read(input: &str) -> Result<Written, PhoneError> {
    let body = without_decimals(undecorated(input));
    let mut written = Written {
        has_plus: false,
        digits: [0; MAX_INPUT],
        count: 0,
    };
    for (at, character) in body.chars().filter(|c| !is_invisible(*c)).enumerate() {
        if at == MAX_INPUT {
            return Err(PhoneError::NotANumber);
        }
        if let Some(digit) = digit(character) {
            written.digits[written.count] = digit;
            written.count += 1;
        } else if is_plus(character) && !written.has_plus && written.count == 0 {
            written.has_plus = true;
        } else if !is_separator(character) {
            return Err(reason(body));
        }
    }
    if written.count == 0 {
        return Err(PhoneError::NotANumber);
    }
    Ok(written)
}

/// Returns why an input with other characters is no number.
fn reason(body: &str) -> PhoneError {
    if is_scientific(body) {
        PhoneError::DigitsLost
    } else {
        PhoneError::NotANumber
    }
}

/// Returns the input without what is around it: white space, invisible characters, `tel:`, and
/// what makes a spreadsheet keep a number as a text (`'0123` and `="0123"`).
fn undecorated(input: &str) -> &str {
    let input = trimmed(input);
    let input = input
        .strip_prefix("=\"")
        .and_then(|formula| formula.strip_suffix('"'))
        .unwrap_or(input);
    let input = match input.strip_prefix(is_apostrophe) {
        Some(text) => text.strip_suffix(is_apostrophe).unwrap_or(text),
        None => input,
    };
    let input = trimmed(input);
    match input.get(..4) {
        Some(scheme) if scheme.eq_ignore_ascii_case("tel:") => trimmed(&input[4..]),
        _ => input,
    }
}

fn trimmed(input: &str) -> &str {
    input.trim_matches(|c: char| c.is_whitespace() || is_invisible(c))
}

/// Returns a whole number without its decimals: a program that takes phone numbers for numbers
/// writes 60123456789 as `60123456789.0`.
fn without_decimals(body: &str) -> &str {
    let Some((whole, decimals)) = body.rsplit_once(['.', ',']) else {
        return body;
    };
    let digits = whole.strip_prefix('+').unwrap_or(whole);
    // A number that begins with 0 is not written by such a program.
    let is_whole =
        digits.len() >= MIN_FLOAT_DIGITS && !digits.starts_with('0') && is_digits(digits);
    if is_whole && matches!(decimals, "0" | "00") {
        whole
    } else {
        body
    }
}

/// Returns whether a spreadsheet has shortened a number, such as `6.01235E+10`.
fn is_scientific(body: &str) -> bool {
    let Some((mantissa, exponent)) = body.split_once(['e', 'E']) else {
        return false;
    };
    let mantissa = unsigned(mantissa);
    let (whole, fraction) = mantissa.split_once(['.', ',']).unwrap_or((mantissa, "0"));
    is_digits(whole) && is_digits(fraction) && is_digits(unsigned(exponent))
}

fn unsigned(number: &str) -> &str {
    number.strip_prefix(['+', '-']).unwrap_or(number)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns the ASCII digit that a character is; also of the full-width digits of East Asian texts.
fn digit(character: char) -> Option<u8> {
    match character {
        '0'..='9' => Some(character as u8),
        '\u{ff10}'..='\u{ff19}' => Some(b'0' + (character as u32 - 0xff10) as u8),
        _ => None,
    }
}

/// Returns whether a character is a plus sign: ASCII, small or full-width.
const fn is_plus(character: char) -> bool {
    matches!(character, '+' | '\u{fe62}' | '\u{ff0b}')
}

/// Returns whether a character is an apostrophe, or one of the characters that replace it.
const fn is_apostrophe(character: char) -> bool {
    matches!(
        character,
        '\'' | '`' | '\u{b4}' | '\u{2bc}' | '\u{2018}' | '\u{2019}' | '\u{201b}' | '\u{2032}'
    )
}

/// Returns whether a character cannot be seen: soft hyphens, byte order marks, and the marks of
/// direction in which contact apps enclose a copied number. U+202E is none of them: it shows the
/// digits in the reverse order, so that the number that was seen is another.
const fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202d}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
    )
}

/// Returns whether a character separates digits: spaces, dashes, dots, slashes and brackets. Line
/// breaks and tabs are none: they separate numbers.
const fn is_separator(character: char) -> bool {
    is_space(character)
        || is_dash(character)
        || matches!(character, '.' | '\u{b7}' | '\u{ff0e}' | '/' | '\u{ff0f}')
        || matches!(character, '(' | ')' | '\u{ff08}' | '\u{ff09}')
}

const fn is_space(character: char) -> bool {
    matches!(
        character,
        ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'
            ..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}'
    )
}

const fn is_dash(character: char) -> bool {
    matches!(
        character,
        '-' | '\u{2010}'
            ..='\u{2015}' | '\u{2212}' | '\u{30fc}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}'
    )
}
