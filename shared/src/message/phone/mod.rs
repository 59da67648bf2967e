//! Phone numbers: an input is either a valid number in E.164 or refused with a reason.
//!
//! Ranges and lengths are those of Google's libphonenumber, from the crate `phonenumber`; `country`
//! matches them.

mod country;
mod region;

use std::{fmt, num::NonZeroU64, str::FromStr};

pub use self::region::Region;

/// The most characters of an input, more than any way of writing 15 digits needs.
const MAX_INPUT: usize = 40;
/// The most digits of a number, including the country code (ITU-T E.164, section 6).
const MAX_DIGITS: usize = 15;

/// The form of a number in E.164 as a regular expression; not each match is a valid number.
pub const E164: &str = r"^\+[1-9][0-9]{6,14}$";

/// A valid number in E.164. It takes eight bytes, also as `Option<Phone>`: a million take 8 MB.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Phone(NonZeroU64);

/// Why an input is not a [`Phone`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PhoneError {
    /// The input has characters that no number has, or no digits.
    NotANumber,
    /// The input has no leading plus sign.
    NoCountryCode,
    /// No country has this code.
    UnknownCountryCode,
    /// Too few digits for the country of that code.
    TooShort {
        /// The country code.
        country: u16,
        /// The fewest digits that may follow it.
        least: u8,
    },
    /// Too many digits, for E.164 (without a country) or for the country of that code.
    TooLong {
        /// The country code.
        country: Option<u16>,
        /// The most digits that may follow it, or the most digits in total without a country.
        most: u8,
    },
    /// The length is right, but the number is in no range of the country of that code.
    NotValidForCountry {
        /// The country code.
        country: u16,
    },
}

impl Phone {
    /// Parses an international number, which may contain spaces and `-./()`. Never panics.
    pub fn parse(input: &str) -> Result<Self, PhoneError> {
        Self::parse_in(input, None)
    }

    /// Parses a number; without a plus sign it is read as it is dialed in `region`. Never panics.
    pub fn parse_in(input: &str, region: Option<&Region>) -> Result<Self, PhoneError> {
        let mut buffer = [0; MAX_INPUT];
        let (has_plus, digits) = digits(input, &mut buffer)?;
        if has_plus {
            return Self::international(digits);
        }
        let region = region.ok_or(PhoneError::NoCountryCode)?;
        match region.behind_international_prefix(digits) {
            Some(digits) => Self::international(digits),
            None => Self::of_parts(region.country(), digits),
        }
    }

    fn international(digits: &[u8]) -> Result<Self, PhoneError> {
        if digits.len() > MAX_DIGITS {
            return Err(PhoneError::TooLong {
                country: None,
                most: MAX_DIGITS as u8,
            });
        }
        let country = country::of(digits).ok_or(PhoneError::UnknownCountryCode)?;
        Self::of_parts(country, &digits[country.code_digits()..])
    }

    fn of_parts(country: &country::Country, national: &[u8]) -> Result<Self, PhoneError> {
        let national = country
            .find(national)
            .ok_or_else(|| country.reason(national.len()))?;
        let value = national
            .iter()
            .fold(u64::from(country.code()), |value, digit| {
                value * 10 + u64::from(digit - b'0')
            });
        NonZeroU64::new(value)
            .map(Self)
            .ok_or(PhoneError::NotANumber)
    }
}

impl FromStr for Phone {
    type Err = PhoneError;

    fn from_str(input: &str) -> Result<Self, PhoneError> {
        Self::parse(input)
    }
}

impl fmt::Display for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{}", self.0)
    }
}

/// Hides the number, so that `{:?}` writes none to a log.
impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phone(…)")
    }
}

impl PhoneError {
    /// Returns a stable code for programs, which is part of the API.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotANumber => "not-a-number",
            Self::NoCountryCode => "no-country-code",
            Self::UnknownCountryCode => "unknown-country-code",
            Self::TooShort { .. } => "too-short",
            Self::TooLong { .. } => "too-long",
            Self::NotValidForCountry { .. } => "not-valid-for-country",
        }
    }
}

impl fmt::Display for PhoneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotANumber => f.write_str(
                "expected a phone number such as +60123456789: a plus sign, digits, and between them only spaces and - . / ( )",
            ),
            Self::NoCountryCode => {
                f.write_str("expected an international number: a plus sign and the country code first, such as +60123456789")
            }
            Self::UnknownCountryCode => {
                f.write_str("expected a country code behind the plus sign, such as +60; no country has this one")
            }
            Self::TooShort { country, least } => write!(f, "expected at least {least} digits behind +{country}"),
            Self::TooLong { country: Some(country), most } => write!(f, "expected at most {most} digits behind +{country}"),
            Self::TooLong { country: None, most } => write!(f, "expected at most {most} digits in all"),
            Self::NotValidForCountry { country } => {
                write!(f, "expected a number in use behind +{country}; this one is in none of its ranges")
            }
        }
    }
}

impl std::error::Error for PhoneError {}

/// Returns whether the input has a plus sign, and its digits.
fn digits<'a>(
    input: &str,
    buffer: &'a mut [u8; MAX_INPUT],
) -> Result<(bool, &'a [u8]), PhoneError> {
    // Contact apps enclose a copied number in invisible marks of its direction.
    let input = input.trim_matches(|c: char| {
        c.is_whitespace() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    });
    let behind_plus = input.strip_prefix('+');
    let body = behind_plus.unwrap_or(input);
    let well_formed = body
        .chars()
        .all(|c| c.is_ascii_digit() || matches!(c, ' ' | '\u{a0}' | '-' | '.' | '/' | '(' | ')'));
    if !well_formed
        || input.chars().nth(MAX_INPUT).is_some()
        || !body.bytes().any(|byte| byte.is_ascii_digit())
    {
        return Err(PhoneError::NotANumber);
    }
    let mut count = 0;
    for digit in body.bytes().filter(u8::is_ascii_digit) {
        buffer[count] = digit;
        count += 1;
    }
    Ok((behind_plus.is_some(), &buffer[..count]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn valid_numbers_of_many_countries_are_accepted() {
        #[rustfmt::skip]
        let table = [
            // Malaysia, Singapore, Indonesia, Thailand, Vietnam, the Philippines, China, Hong Kong,
            // Japan, India
            "+60123456789", "+601112345678", "+60323856789", "+6581234567", "+62812345678", "+66812345678", "+84912345678",
            "+639051234567", "+8613123456789", "+85251234567", "+819012345678", "+918123456789",
            // Great Britain, Jersey, Germany (15 digits), Austria, France, Italy (mobile, and a
            // landline's zero), Spain, Poland
            "+447400123456", "+447797712345", "+498001234567890", "+43664123456", "+33612345678", "+393123456789", "+390612345678",
            "+34612345678", "+48512345678",
            // USA, Canada, Puerto Rico, Jamaica; Russia, Kazakhstan; Brazil, Argentina, Mexico;
            // Nigeria, Kenya, South Africa
            "+12015550123", "+15062345678", "+17872345678", "+18762101234", "+79123456789", "+77710009998", "+5511961234567",
            "+5491123456789", "+522221234567", "+2348021234567", "+254712123456", "+27711234567",
            // The shortest (Saint Helena), a satellite, a free call of no country
            "+29022158", "+881612345678", "+80012345678",
        ];
        for number in table {
            assert_eq!(
                Phone::parse(number)
                    .map(|phone| phone.to_string())
                    .as_deref(),
                Ok(number)
            );
        }
    }

    #[test]
    fn the_usual_notations_of_a_number_are_read() {
        let table = [
            ("+44 20 7946 0958", "+442079460958"),
            ("+44 (0)20 7946-0958", "+442079460958"),
            ("+4407400123456", "+447400123456"),
            ("  +1 (201) 555-0123\r\n", "+12015550123"),
            ("+1.201.555.0123", "+12015550123"),
            ("+49/30/123456", "+4930123456"),
            ("+60\u{a0}12-345\u{a0}6789", "+60123456789"),
            ("\u{202a}+60 12 345 6789\u{202c}", "+60123456789"),
            ("\u{3000}+60123456789\u{3000}", "+60123456789"),
            ("\u{feff}+60123456789", "+60123456789"),
            ("+39 (06) 1234 5678", "+390612345678"),
        ];
        for (input, number) in table {
            assert_eq!(
                input
                    .parse()
                    .map(|phone: Phone| phone.to_string())
                    .as_deref(),
                Ok(number),
                "{input:?}"
            );
        }
    }

    #[test]
    fn an_invalid_input_is_refused_with_what_was_expected() {
        #[rustfmt::skip]
        let table = [
            ("", "not-a-number"), (" ", "not-a-number"), ("+", "not-a-number"), ("+()", "not-a-number"), ("n/a", "not-a-number"),
            ("60123456789x", "not-a-number"), ("+6012345678O", "not-a-number"), ("++60123456789", "not-a-number"),
            ("+60123456789+60123456780", "not-a-number"), ("+60123456789,+60123456780", "not-a-number"),
            ("+60123456789 ext. 5", "not-a-number"), ("tel:+60123456789", "not-a-number"), ("+1-800-FLOWERS", "not-a-number"),
            ("6.0123E+10", "not-a-number"), ("+６０１２３４５６７８９", "not-a-number"), ("+٦٠١٢٣٤٥٦٧٨٩", "not-a-number"), ("＋60123456789", "not-a-number"),
            ("+6012345678 9 . . . . . . . . . . . . . . .", "not-a-number"), ("+60\t123456789", "not-a-number"),
            ("0123456789", "no-country-code"), ("60123456789", "no-country-code"), ("(012) 345-6789", "no-country-code"),
            ("0060123456789", "no-country-code"),
            ("+0123456789", "unknown-country-code"), ("+0060123456789", "unknown-country-code"), ("+9991234567", "unknown-country-code"),
            ("+2101234567", "unknown-country-code"), ("+2", "unknown-country-code"), ("+0", "unknown-country-code"),
            ("+60", "too-short"), ("+601234567", "too-short"), ("+1555012", "too-short"),
            ("+1201555012345", "too-long"), ("+65812345678901", "too-long"), ("+60123456789012345", "too-long"), ("+1234567890123456", "too-long"),
            ("+60992345678", "not-valid-for-country"), ("+12005550123", "not-valid-for-country"), ("+442079460958123", "too-long"),
            ("+447946095", "not-valid-for-country"), ("+60923856789", "not-valid-for-country"),
        ];
        for (input, code) in table {
            assert_eq!(
                Phone::parse(input).map_err(PhoneError::code),
                Err(code),
                "{input:?}"
            );
        }
        let message = |input| Phone::parse(input).map_err(|error| error.to_string());
        assert_eq!(
            message("+658123456789012"),
            Err("expected at most 11 digits behind +65".into())
        );
        assert_eq!(
            message("+1201555"),
            Err("expected at least 7 digits behind +1".into())
        );
        assert_eq!(
            message("+1234567890123456"),
            Err("expected at most 15 digits in all".into())
        );
        assert_eq!(
            message("0123456789"),
            Err("expected an international number: a plus sign and the country code first, such as +60123456789".into())
        );
    }

    #[test]
    fn no_input_panics() {
        let alphabet: Vec<char> = "+++0123456789012345678901234567890  -./()x;ü\u{202a}\u{a0}٣😀\0"
            .chars()
            .collect();
        let mut state = 1_u64;
        let mut next = |below: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) as usize % below
        };
        for _ in 0..20_000 {
            let input: String = (0..next(45))
                .map(|_| alphabet[next(alphabet.len())])
                .collect();
            if let Ok(phone) = Phone::parse(&input) {
                assert_eq!(Phone::parse(&phone.to_string()), Ok(phone));
            }
        }
    }

    #[test]
    fn a_phone_takes_eight_bytes_and_hides_its_digits() {
        assert_eq!(size_of::<Option<Phone>>(), 8);
        assert_eq!(
            format!("{:?}", Phone::parse("+60123456789")),
            "Ok(Phone(…))"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_written_in_e164(text in "\\PC{0,40}|[+0-9 ()./-]{0,40}|\\+(1|44|60|65|49)[0-9]{5,12}", at: proptest::sample::Index) {
            let regions = ["MY", "US", "GB", "IT", "RU", "DE", "AR", "MX"];
            for region in [None, Region::parse(regions[at.index(regions.len())])] {
                let Ok(phone) = Phone::parse_in(&text, region.as_ref()) else { continue };
                let written = phone.to_string();
                prop_assert!(written.len() <= 16 && written.starts_with('+'), "{}", written);
                prop_assert_eq!(Phone::parse(&written), Ok(phone), "{} is read as it was written", written);
            }
        }
    }
}
