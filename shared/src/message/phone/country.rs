//! What may follow each country code: the ranges of Google's libphonenumber, compiled once for each code that is met.

use std::sync::OnceLock;

use phonenumber::metadata::{DATABASE, Descriptor, Metadata};
use regex::bytes::{Regex, RegexBuilder};

use crate::message::phone::PhoneError;

/// One country code: what follows it. `phonenumber::is_valid` would answer too, but it keeps 100 compiled patterns for the whole
/// world, with `\d` for every script's digits: some hundred times slower in a list of many countries (`examples/phones.rs`), and it
/// takes a number that only begins like a valid one. So the patterns are taken from its data, joined, and compiled once, for ASCII.
pub(super) struct Country {
    code: u16,
    /// All ranges of all regions that share the code.
    ranges: Regex,
    /// What people leave in behind the country code: `+44 (0)20…`.
    trunk_prefixes: Vec<String>,
    least: u8,
    most: u8,
}

/// The country that digits begin with. Country codes have one to three digits, none begins with 0, and none is the beginning of
/// another.
pub(super) fn of(digits: &[u8]) -> Option<&'static Country> {
    static COUNTRIES: [OnceLock<Option<Country>>; 1000] = [const { OnceLock::new() }; 1000];
    if digits.first() == Some(&b'0') {
        return None;
    }
    let mut code = 0;
    digits.iter().take(3).find_map(|digit| {
        code = code * 10 + usize::from(digit - b'0');
        COUNTRIES[code]
            .get_or_init(|| Country::load(code as u16))
            .as_ref()
    })
}

impl Country {
    fn load(code: u16) -> Option<Self> {
        let regions = DATABASE.by_code(&code)?;
        let kinds: Vec<&Descriptor> = regions.iter().flat_map(|region| kinds(region)).collect();
        let mut patterns: Vec<&str> = kinds
            .iter()
            .map(|kind| kind.national_number().as_str())
            .collect();
        patterns.sort_unstable();
        patterns.dedup();
        let ranges = RegexBuilder::new(&format!("^(?:{})$", patterns.join("|")))
            .unicode(false)
            .ignore_whitespace(true)
            .build()
            .ok()?;
        let mut trunk_prefixes: Vec<String> = regions
            .iter()
            .filter_map(|region| region.national_prefix().map(str::to_owned))
            .collect();
        trunk_prefixes.dedup();
        let lengths = || kinds.iter().flat_map(|kind| kind.possible_length());
        let (least, most) = (*lengths().min()? as u8, *lengths().max()? as u8);
        Some(Self {
            code,
            ranges,
            trunk_prefixes,
            least,
            most,
        })
    }

    /// The code itself.
    pub(super) const fn code(&self) -> u16 {
        self.code
    }

    /// Digits of the code itself.
    pub(super) fn code_digits(&self) -> usize {
        self.code.ilog10() as usize + 1
    }

    /// The national number as it is, or else without a trunk prefix.
    pub(super) fn find<'a>(&self, national: &'a [u8]) -> Option<&'a [u8]> {
        let without_prefix = self
            .trunk_prefixes
            .iter()
            .filter_map(|prefix| national.strip_prefix(prefix.as_bytes()));
        std::iter::once(national)
            .chain(without_prefix)
            .find(|digits| self.ranges.is_match(digits))
    }

    /// What is wrong with a national number of that many digits that was not found.
    pub(super) fn complaint(&self, length: usize) -> PhoneError {
        if length < usize::from(self.least) {
            PhoneError::TooShort {
                country: self.code,
                least: self.least,
            }
        } else if length > usize::from(self.most) {
            PhoneError::TooLong {
                country: Some(self.code),
                most: self.most,
            }
        } else {
            PhoneError::NotValidForCountry { country: self.code }
        }
    }
}

/// Every kind of number in a region. `general` is looser than their sum, and has no lengths.
fn kinds(region: &Metadata) -> impl Iterator<Item = &Descriptor> {
    let kinds = region.descriptors();
    [
        kinds.mobile(),
        kinds.fixed_line(),
        kinds.voip(),
        kinds.personal_number(),
        kinds.toll_free(),
        kinds.premium_rate(),
        kinds.shared_cost(),
        kinds.pager(),
        kinds.uan(),
        kinds.voicemail(),
    ]
    .into_iter()
    .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::phone::Phone;

    #[test]
    fn every_country_is_loaded_and_takes_its_own_examples() {
        let codes: Vec<u16> = (1..1000)
            .filter(|code| DATABASE.by_code(code).is_some())
            .collect();
        assert!(codes.len() > 200);
        for code in codes {
            for kind in DATABASE.by_code(&code).unwrap().into_iter().flat_map(kinds) {
                let number = format!("+{code}{}", kind.example().unwrap());
                assert_eq!(
                    Phone::parse(&number).map(|phone| phone.to_string()),
                    Ok(number)
                );
            }
        }
    }
}
