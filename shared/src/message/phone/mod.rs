//! Phone numbers: an input is either a valid number in E.164 or refused with a reason.
//!
//! Ranges and lengths are those of Google's libphonenumber, from the crate `phonenumber`; `country`
//! matches them. `notation` finds the digits of an input, `readings` the number that they are.

mod allowed;
mod country;
mod notation;
mod number_type;
mod readings;
mod region;

use std::{fmt, num::NonZeroU64, str::FromStr};

use self::readings::Readings;
pub use self::{
    allowed::{ALLOWED_COUNTRIES, AllowedCountries},
    number_type::{ALLOWED_NUMBER_TYPES, AllowedTypes, NumberType},
    region::Region,
};

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
    /// The input is in scientific notation, such as `6.01235E+10`.
    DigitsLost,
    /// Without a plus sign, the input is one number as it is dialed nationally, and another one as
    /// an international number.
    Ambiguous,
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
    /// Returns the digits of the number, without the plus sign.
    pub const fn digits(self) -> u64 {
        self.0.get()
    }

    /// Parses an international number, in the notations that people use. Never panics.
    pub fn parse(input: &str) -> Result<Self, PhoneError> {
        Self::parse_in(input, None)
    }

    /// Parses a number. Without a plus sign it is one as it is dialed in `region`, or one that starts
    /// with the country code of `region`; if it can be read as two numbers, it is refused. Never
    /// panics.
    pub fn parse_in(input: &str, region: Option<&Region>) -> Result<Self, PhoneError> {
        if let Some(digits) = notation::plain(input) {
            return Self::international(digits);
        }
        let written = notation::read(input)?;
        if written.has_plus {
            return Self::international(written.digits());
        }
        let region = region.ok_or(PhoneError::NoCountryCode)?;
        Readings::of(written.digits(), region).only()
    }

    /// Returns the only mobile number that an ambiguous input can be; `None` if there are two.
    pub fn parse_mobile_in(input: &str, region: &Region) -> Option<Self> {
        let written = notation::read(input).ok()?;
        let readings = Readings::of(written.digits(), region);
        readings.filter(Self::can_be_mobile).only().ok()
    }

    /// Returns the number that a refused input is with a plus sign before it, or without one. It is a
    /// guess, to be shown to people.
    pub fn suggest(input: &str, region: Option<&Region>) -> Option<Self> {
        let written = notation::read(input).ok()?;
        let digits = written.digits();
        let behind_zeros = digits.strip_prefix(b"00").unwrap_or(digits);
        Self::international(behind_zeros)
            .or_else(|error| {
                region.map_or(Err(error), |region| Readings::of(digits, region).only())
            })
            .ok()
    }

    /// Returns whether the number is in a range of mobile numbers. Where these are also those of
    /// fixed lines, as in North America, it may be either.
    pub fn can_be_mobile(&self) -> bool {
        let digits = self.0.to_string();
        let digits = digits.as_bytes();
        country::of(digits)
            .is_some_and(|country| country.has_mobile(&digits[country.code_digits()..]))
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
            Self::DigitsLost => "digits-lost",
            Self::Ambiguous => "ambiguous-number",
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
            Self::DigitsLost => f.write_str(
                "expected all digits: this number is in scientific notation, in which most of them are lost; format the column as text in the spreadsheet",
            ),
            Self::Ambiguous => f.write_str(
                "expected a plus sign, or the leading 0 with which the number is dialed nationally: without them it can be read as two numbers",
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

#[cfg(test)]
mod tests;
