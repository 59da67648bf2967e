//! The region in which a number without a country code is dialed.

use phonenumber::metadata::DATABASE;
use regex::bytes::Regex;

use crate::message::phone::country::{self, Country};

/// A country or territory with its own numbering plan.
#[derive(Clone)]
pub struct Region {
    country: &'static Country,
    /// The digits that are dialed there before a country code, such as 00.
    international_prefix: Option<Regex>,
}

impl Region {
    /// Returns the region with an ISO 3166-1 code of two letters, such as MY.
    pub fn parse(code: &str) -> Option<Self> {
        let code = code.to_ascii_uppercase();
        // The database has an entry 001 for codes without a country.
        let metadata = DATABASE
            .by_id(&code)
            .filter(|_| code.bytes().all(|byte| byte.is_ascii_uppercase()))?;
        let country = country::of(metadata.country_code().to_string().as_bytes())?;
        let prefix = metadata
            .international_prefix()
            .map(|prefix| format!("^(?:{})", prefix.as_str()));
        Some(Self {
            country,
            international_prefix: prefix.and_then(|prefix| country::pattern(&prefix)),
        })
    }

    /// Returns the country whose numbers are dialed there without a code.
    pub(super) const fn country(&self) -> &'static Country {
        self.country
    }

    /// Returns the digits after the international prefix, if they start with it.
    pub(super) fn behind_international_prefix<'a>(&self, digits: &'a [u8]) -> Option<&'a [u8]> {
        let found = self.international_prefix.as_ref()?.find(digits)?;
        Some(&digits[found.end()..])
    }
}

impl std::fmt::Debug for Region {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Region(+{})", self.country.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::phone::{Phone, PhoneError};

    #[test]
    fn a_number_is_read_as_it_is_dialed_in_its_region() {
        let table = [
            ("MY", "012-345 6789", Ok("+60123456789")),
            ("my", "0060123456789", Ok("+60123456789")),
            ("MY", "123456789", Ok("+60123456789")),
            ("MY", "+12015550123", Ok("+12015550123")),
            ("MY", "00 1 201 555 0123", Ok("+12015550123")),
            ("US", "(201) 555-0123", Ok("+12015550123")),
            ("US", "1 201 555 0123", Ok("+12015550123")),
            ("US", "011 60 12 345 6789", Ok("+60123456789")),
            ("IT", "06 1234 5678", Ok("+390612345678")),
            ("GB", "07400 123456", Ok("+447400123456")),
            ("DE", "0171 1234567", Ok("+491711234567")),
            ("MY", "0123", Err("too-short")),
            ("MY", "01234567890123456", Err("too-long")),
            ("MY", "0992345678", Err("not-valid-for-country")),
            ("MY", "abc", Err("not-a-number")),
            ("MY", "00", Err("unknown-country-code")),
        ];
        for (code, input, expected) in table {
            let region = Region::parse(code);
            assert!(region.is_some(), "{code}");
            let parsed = Phone::parse_in(input, region.as_ref());
            assert_eq!(
                parsed
                    .map(|phone| phone.to_string())
                    .map_err(PhoneError::code),
                expected.map(str::to_owned),
                "{code} {input}"
            );
        }
        for code in ["", "M", "XX", "001", "MYS", "ÄÖ"] {
            assert!(Region::parse(code).is_none(), "{code}");
        }
    }
}
