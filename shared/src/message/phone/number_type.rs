//! The types of numbers, and those to which messages may be sent: a message to a premium-rate or
//! satellite number costs many times as much, and part of it can go to whoever owns the number.

use std::fmt;

use crate::message::phone::{Phone, country};

/// The expected form of the setting, for error messages.
pub const ALLOWED_NUMBER_TYPES: &str = "types of numbers separated by commas, of mobile, fixed-line, voip, toll-free, premium-rate, \
     shared-cost, personal, pager, company, voicemail and satellite; or * for all";

/// The type of a number, by the range of libphonenumber that it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberType {
    /// Mobile phones, and all of a country in which these share their ranges with fixed lines.
    Mobile,
    /// Fixed lines.
    FixedLine,
    /// Voice over IP.
    Voip,
    /// Numbers whose calls the called pays.
    TollFree,
    /// Numbers whose calls the caller pays, partly to the called.
    PremiumRate,
    /// Numbers whose calls both pay.
    SharedCost,
    /// Numbers of a person that are forwarded to another number, often at a high price.
    Personal,
    /// Pagers.
    Pager,
    /// Numbers of companies for a whole country ("universal access numbers").
    Company,
    /// Voicemail boxes.
    Voicemail,
    /// Satellite phones, and other networks that belong to no country.
    Satellite,
}

impl NumberType {
    /// All types.
    pub const ALL: [Self; 11] = [
        Self::Mobile,
        Self::FixedLine,
        Self::Voip,
        Self::TollFree,
        Self::PremiumRate,
        Self::SharedCost,
        Self::Personal,
        Self::Pager,
        Self::Company,
        Self::Voicemail,
        Self::Satellite,
    ];

    /// Returns the name in the setting and in error messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mobile => "mobile",
            Self::FixedLine => "fixed-line",
            Self::Voip => "voip",
            Self::TollFree => "toll-free",
            Self::PremiumRate => "premium-rate",
            Self::SharedCost => "shared-cost",
            Self::Personal => "personal",
            Self::Pager => "pager",
            Self::Company => "company",
            Self::Voicemail => "voicemail",
            Self::Satellite => "satellite",
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// The types of numbers to which messages may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllowedTypes(u16);

impl AllowedTypes {
    /// Returns those without any limit.
    pub const fn all() -> Self {
        Self((1 << NumberType::ALL.len()) - 1)
    }

    /// Parses `*`, or types separated by commas. The error names what is not known.
    pub fn parse(given: &str) -> Result<Self, String> {
        if given.trim() == "*" {
            return Ok(Self::all());
        }
        let mut allowed = Self(0);
        for name in given.split(',').map(str::trim) {
            let known = NumberType::ALL
                .into_iter()
                .find(|kind| kind.as_str() == name);
            allowed.0 |= known.ok_or_else(|| name.to_owned())?.bit();
        }
        Ok(allowed)
    }

    /// Returns the type of a number if messages may not be sent to it.
    pub fn refuse(self, phone: Phone) -> Option<NumberType> {
        if self == Self::all() {
            return None;
        }
        phone.number_type().filter(|kind| !self.contains(*kind))
    }

    const fn contains(self, kind: NumberType) -> bool {
        self.0 & kind.bit() != 0
    }
}

/// Those of people: mobile phones, fixed lines and voice over IP.
impl Default for AllowedTypes {
    fn default() -> Self {
        let people = [NumberType::Mobile, NumberType::FixedLine, NumberType::Voip];
        Self(people.into_iter().fold(0, |bits, kind| bits | kind.bit()))
    }
}

/// The types, for an error message.
impl fmt::Display for AllowedTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let allowed = NumberType::ALL
            .into_iter()
            .filter(|kind| self.contains(*kind));
        let names: Vec<_> = allowed.map(NumberType::as_str).collect();
        f.write_str(&names.join(", "))
    }
}

impl Phone {
    /// Returns the type of the number; `None` only if its country code does not exist.
    pub fn number_type(&self) -> Option<NumberType> {
        let digits = self.0.to_string();
        let digits = digits.as_bytes();
        country::of(digits).map(|country| country.number_type(&digits[country.code_digits()..]))
    }
}

#[cfg(test)]
mod tests {
    use phonenumber::{Type, metadata::DATABASE};

    use super::*;
    use crate::message::phone::country::kinds;

    #[test]
    fn numbers_have_the_types_of_their_ranges() {
        for (number, expected) in [
            ("+60123456789", NumberType::Mobile),
            ("+60323856789", NumberType::FixedLine),
            ("+12015550123", NumberType::Mobile),
            ("+18002345678", NumberType::TollFree),
            ("+19002345678", NumberType::PremiumRate),
            ("+449012345678", NumberType::PremiumRate),
            ("+447012345678", NumberType::Personal),
            ("+491801234567", NumberType::SharedCost),
            ("+80012345678", NumberType::TollFree),
            ("+80812345678", NumberType::SharedCost),
            ("+979123456789", NumberType::PremiumRate),
            // Networks of no country, also those that the metadata calls mobile or voice over IP.
            ("+870773111632", NumberType::Satellite),
            ("+881612345678", NumberType::Satellite),
            ("+883510012345", NumberType::Satellite),
        ] {
            let phone = Phone::parse(number).unwrap();
            assert_eq!(phone.number_type(), Some(expected), "{number}");
        }
    }

    /// Compares with the library, for the examples of each kind in each region.
    #[test]
    fn the_type_of_a_number_is_that_of_the_library() {
        let mut compared = 0;
        for code in (1..1000).filter(|code| DATABASE.by_code(code).is_some()) {
            let regions = DATABASE.by_code(&code).unwrap();
            for kind in regions.iter().copied().flat_map(kinds) {
                let national = kind.example().unwrap();
                let number = format!("+{code}{national}");
                // The library removes a zero that belongs to the number.
                let Ok(phone) = Phone::parse(&number) else {
                    continue;
                };
                if national.starts_with('0') || regions[0].id() == "001" {
                    continue;
                }
                let parsed = phonenumber::parse(None, &number).unwrap();
                let expected = match parsed.number_type(&DATABASE) {
                    Type::Mobile | Type::FixedLineOrMobile => NumberType::Mobile,
                    Type::FixedLine => NumberType::FixedLine,
                    Type::Voip => NumberType::Voip,
                    Type::TollFree => NumberType::TollFree,
                    Type::PremiumRate => NumberType::PremiumRate,
                    Type::SharedCost => NumberType::SharedCost,
                    Type::PersonalNumber => NumberType::Personal,
                    Type::Pager => NumberType::Pager,
                    Type::Uan => NumberType::Company,
                    Type::Voicemail => NumberType::Voicemail,
                    // The library looks in one of the regions that share a code only.
                    Type::Unknown => continue,
                    other => panic!("{number} is {other:?}"),
                };
                assert_eq!(phone.number_type(), Some(expected), "{number}");
                compared += 1;
            }
        }
        assert!(compared > 900, "{compared}");
    }

    #[test]
    fn a_type_that_is_not_allowed_is_refused_and_named() {
        let phone = |number: &str| Phone::parse(number).unwrap();
        let allowed = AllowedTypes::default();
        assert_eq!(allowed.to_string(), "mobile, fixed-line, voip");
        assert_eq!(allowed.refuse(phone("+60123456789")), None);
        let premium = phone("+19002345678");
        assert_eq!(allowed.refuse(premium), Some(NumberType::PremiumRate));
        assert_eq!(AllowedTypes::parse("*").unwrap().refuse(premium), None);
        let mobile = AllowedTypes::parse("mobile , premium-rate").unwrap();
        assert_eq!(mobile.refuse(premium), None);
        assert_eq!(
            mobile.refuse(phone("+60323856789")),
            Some(NumberType::FixedLine)
        );
        for unknown in ["", "landline", "mobile,"] {
            assert!(AllowedTypes::parse(unknown).is_err(), "{unknown}");
        }
    }
}
