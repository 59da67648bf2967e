//! The numbers of each country code: the ranges of Google's libphonenumber, compiled once per code
//! at its first use.

use std::sync::OnceLock;

use phonenumber::metadata::{DATABASE, Descriptor, Descriptors, Metadata};
use regex::bytes::{Regex, RegexBuilder};

use crate::message::phone::{NumberType, PhoneError};

/// One country code, and the numbers that may follow it.
///
/// `phonenumber::is_valid` could answer too, but it keeps 100 compiled patterns for the whole
/// world, with `\d` for the digits of each script: about a hundred times slower in a list of many
/// countries (`examples/phones.rs`), and it accepts a number that only starts like a valid one. So
/// the patterns are taken from its data, joined, and compiled once, for ASCII.
pub(super) struct Country {
    code: u16,
    /// The ranges of all regions that share the code.
    ranges: Regex,
    /// Compiled when a number's type is asked for.
    types: OnceLock<TypeRanges>,
    /// The prefixes that are often left in after the country code: `+44 (0)20…`.
    trunk_prefixes: Vec<String>,
    least: u8,
    most: u8,
}

/// The ranges of a country code by type. One that it does not have is `None`.
struct TypeRanges {
    mobile: Option<Regex>,
    /// Those that outweigh the mobile numbers and the fixed lines: most numbers need this check only.
    others: Option<Regex>,
    /// The same, each for itself, in the order in which they outweigh each other.
    each: Vec<(NumberType, Regex)>,
    /// Whether the code belongs to a network instead of a country.
    is_network: bool,
}

/// Returns the country with whose code `digits` start. Country codes have one to three digits, none
/// starts with 0, and none is a prefix of another.
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
        let ranges = compile(kinds.iter().copied())?;
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
            types: OnceLock::new(),
            trunk_prefixes,
            least,
            most,
        })
    }

    /// Returns the code.
    pub(super) const fn code(&self) -> u16 {
        self.code
    }

    /// Returns the number of digits of the code.
    pub(super) fn code_digits(&self) -> usize {
        self.code.ilog10() as usize + 1
    }

    /// Returns the digits behind the code, if they start with it.
    pub(super) fn behind_code<'a>(&self, digits: &'a [u8]) -> Option<&'a [u8]> {
        let (code, national) = digits.split_at_checked(self.code_digits())?;
        let is_code = code.iter().try_fold(0, |value: u16, digit| {
            value.checked_mul(10)?.checked_add(u16::from(digit - b'0'))
        }) == Some(self.code);
        is_code.then_some(national)
    }

    /// Returns whether a valid national number may be that of a mobile phone.
    pub(super) fn has_mobile(&self, national: &[u8]) -> bool {
        let types = self.types();
        is_in(types.mobile.as_ref(), national) && !is_in(types.others.as_ref(), national)
    }

    /// Returns the type of a valid national number.
    pub(super) fn number_type(&self, national: &[u8]) -> NumberType {
        self.types().find(national)
    }

    fn types(&self) -> &TypeRanges {
        self.types.get_or_init(|| TypeRanges::load(self.code))
    }

    /// Returns the national number if it is in a range, unchanged or without a trunk prefix.
    pub(super) fn find<'a>(&self, national: &'a [u8]) -> Option<&'a [u8]> {
        let without_prefix = self
            .trunk_prefixes
            .iter()
            .filter_map(|prefix| national.strip_prefix(prefix.as_bytes()));
        std::iter::once(national)
            .chain(without_prefix)
            .find(|digits| self.ranges.is_match(digits))
    }

    /// Returns why a national number of that many digits is in no range.
    pub(super) fn reason(&self, length: usize) -> PhoneError {
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

/// Returns the range of one type of a region.
type RangeOf = fn(&Descriptors) -> Option<&Descriptor>;

impl TypeRanges {
    fn load(code: u16) -> Self {
        let regions = DATABASE.by_code(&code).unwrap_or_default();
        let compiled = |find: RangeOf| {
            compile(
                regions
                    .iter()
                    .filter_map(|region| find(region.descriptors())),
            )
        };
        // In the order of libphonenumber: a number in several ranges has the first of these types.
        let others: [(NumberType, RangeOf); 8] = [
            (NumberType::PremiumRate, Descriptors::premium_rate),
            (NumberType::TollFree, Descriptors::toll_free),
            (NumberType::SharedCost, Descriptors::shared_cost),
            (NumberType::Voip, Descriptors::voip),
            (NumberType::Personal, Descriptors::personal_number),
            (NumberType::Pager, Descriptors::pager),
            (NumberType::Company, Descriptors::uan),
            (NumberType::Voicemail, Descriptors::voicemail),
        ];
        let all = regions.iter().flat_map(|region| {
            let found = others.map(|(_, find)| find(region.descriptors()));
            found.into_iter().flatten()
        });
        Self {
            mobile: compiled(Descriptors::mobile),
            others: compile(all),
            each: others
                .iter()
                .filter_map(|(kind, find)| Some((*kind, compiled(*find)?)))
                .collect(),
            is_network: regions.iter().all(|region| region.id() == "001"),
        }
    }

    fn find(&self, national: &[u8]) -> NumberType {
        let other = is_in(self.others.as_ref(), national)
            .then(|| {
                self.each
                    .iter()
                    .find(|(_, ranges)| ranges.is_match(national))
            })
            .flatten();
        match other {
            Some((kind, _)) if !self.is_network || *kind != NumberType::Voip => *kind,
            _ if self.is_network => NumberType::Satellite,
            _ if is_in(self.mobile.as_ref(), national) => NumberType::Mobile,
            _ => NumberType::FixedLine,
        }
    }
}

fn is_in(ranges: Option<&Regex>, national: &[u8]) -> bool {
    ranges.is_some_and(|ranges| ranges.is_match(national))
}

/// Joins the patterns of kinds of numbers; `None` if there are none.
pub(super) fn compile<'a>(kinds: impl Iterator<Item = &'a Descriptor>) -> Option<Regex> {
    let mut patterns: Vec<&str> = kinds.map(|kind| kind.national_number().as_str()).collect();
    patterns.sort_unstable();
    patterns.dedup();
    if patterns.is_empty() {
        return None;
    }
    pattern(&format!("^(?:{})$", patterns.join("|")))
}

/// Compiles a pattern of the metadata for ASCII digits.
pub(super) fn pattern(pattern: &str) -> Option<Regex> {
    RegexBuilder::new(pattern)
        .unicode(false)
        .ignore_whitespace(true)
        .build()
        .ok()
}

/// Returns the kinds of numbers in a region. `general` accepts more than all of them, and has no
/// lengths.
pub(super) fn kinds(region: &Metadata) -> impl Iterator<Item = &Descriptor> {
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
    use phonenumber::Type;

    use super::*;
    use crate::message::phone::Phone;

    #[test]
    fn each_country_accepts_its_own_examples() {
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

    /// Compares with the library, for the examples of each kind in each region.
    #[test]
    fn the_mobile_numbers_are_those_of_the_library() {
        let codes = (1..1000).filter(|code| DATABASE.by_code(code).is_some());
        let (mut mobile, mut others) = (0, 0);
        for code in codes {
            for kind in DATABASE.by_code(&code).unwrap().into_iter().flat_map(kinds) {
                let national = kind.example().unwrap();
                // The library removes a zero that belongs to the number.
                if national.starts_with('0') {
                    continue;
                }
                let number = format!("+{code}{national}");
                let kind = phonenumber::parse(None, &number).unwrap();
                let kind = kind.number_type(&DATABASE);
                let expected = matches!(kind, Type::Mobile | Type::FixedLineOrMobile);
                let phone = Phone::parse(&number).unwrap();
                assert_eq!(phone.can_be_mobile(), expected, "{number} {kind:?}");
                *(if expected { &mut mobile } else { &mut others }) += 1;
            }
        }
        assert!(mobile > 200 && others > 500, "{mobile} {others}");
    }
}
