//! The countries to which messages may be sent: a limit to the damage of toll fraud and mistakes.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use phonenumber::metadata::{DATABASE, Metadata};
use regex::bytes::Regex;

use crate::message::phone::{
    Phone,
    country::{self, compile, kinds, pattern},
};

/// The expected form of the setting, for error messages.
pub const ALLOWED_COUNTRIES: &str = "countries' two letters (ISO 3166) or, for a code without a country such as that of a satellite \
     network, its plus sign and digits, separated by commas, such as MY,SG or MY,+870; or * for all";

/// The countries to which messages may be sent. Cheap to clone.
#[derive(Clone)]
pub struct AllowedCountries(Arc<Allowed>);

enum Allowed {
    All,
    Some {
        /// As they were given, for error messages.
        names: String,
        /// Sorted by their code.
        codes: Vec<(u16, Part)>,
    },
}

/// The allowed numbers of one country code.
enum Part {
    /// All.
    Whole,
    /// Those of some of the regions that share the code, by their places in [`regions_of`].
    Regions(Vec<bool>),
}

impl AllowedCountries {
    /// Returns those without any limit.
    pub fn all() -> Self {
        Self(Arc::new(Allowed::All))
    }

    /// Parses `*`, or countries separated by commas; nothing allows none. The error names what is
    /// not known.
    pub fn parse(given: &str) -> Result<Self, String> {
        if given.trim() == "*" {
            return Ok(Self::all());
        }
        let names: Vec<String> = given
            .split(',')
            .map(|name| name.trim().to_ascii_uppercase())
            .filter(|name| !name.is_empty())
            .collect();
        let mut codes = Vec::with_capacity(names.len());
        for name in &names {
            codes.push(code_of(name).ok_or_else(|| name.clone())?);
        }
        codes.sort_unstable();
        codes.dedup();
        let codes = codes
            .into_iter()
            .filter_map(|code| Some((code, Part::load(code, &names)?)));
        Ok(Self(Arc::new(Allowed::Some {
            codes: codes.collect(),
            names: names.join(", "),
        })))
    }

    /// Returns whether messages may be sent to a number.
    pub fn contains(&self, phone: Phone) -> bool {
        let Allowed::Some { codes, .. } = &*self.0 else {
            return true;
        };
        let digits = phone.0.to_string();
        let digits = digits.as_bytes();
        let Some(country) = country::of(digits) else {
            return false;
        };
        codes
            .binary_search_by_key(&country.code(), |(code, _)| *code)
            .is_ok_and(|found| {
                codes[found]
                    .1
                    .contains(country.code(), &digits[country.code_digits()..])
            })
    }
}

impl Default for AllowedCountries {
    fn default() -> Self {
        Self::all()
    }
}

/// The countries, for an error message.
impl fmt::Display for AllowedCountries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Allowed::All => f.write_str("all countries"),
            Allowed::Some { names, .. } if names.is_empty() => f.write_str("no country"),
            Allowed::Some { names, .. } => f.write_str(names),
        }
    }
}

impl fmt::Debug for AllowedCountries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AllowedCountries({self})")
    }
}

impl Part {
    fn load(code: u16, names: &[String]) -> Option<Self> {
        let regions = DATABASE.by_code(&code)?;
        let is_allowed = |id: &str| {
            let is_named = |name: &String| match name.strip_prefix('+') {
                Some(digits) => digits.parse() == Ok(code),
                None => name == id,
            };
            names.iter().any(is_named)
        };
        if regions.iter().all(|region| is_allowed(region.id())) {
            return Some(Self::Whole);
        }
        let regions = regions_of(code).iter();
        let allowed = regions.map(|(id, _)| is_allowed(id));
        Some(Self::Regions(allowed.collect()))
    }

    fn contains(&self, code: u16, national: &[u8]) -> bool {
        match self {
            Self::Whole => true,
            Self::Regions(allowed) => regions_of(code)
                .iter()
                .zip(allowed)
                .find(|((_, numbers), _)| numbers.is_match(national))
                .is_some_and(|(_, allowed)| *allowed),
        }
    }
}

/// Returns the regions that share a code, in the order of the metadata: a number belongs to the
/// first one whose pattern it matches. Compiled once per code, at its first use.
fn regions_of(code: u16) -> &'static [(&'static str, Regex)] {
    static REGIONS: [OnceLock<Vec<(&str, Regex)>>; 1000] = [const { OnceLock::new() }; 1000];
    REGIONS[usize::from(code)].get_or_init(|| {
        let regions = DATABASE.by_code(&code).unwrap_or_default();
        let compiled = regions
            .into_iter()
            .filter_map(|region| Some((region.id(), numbers_of(region)?)));
        compiled.collect()
    })
}

/// Returns the country code of a name in the setting.
fn code_of(name: &str) -> Option<u16> {
    if let Some(digits) = name.strip_prefix('+') {
        let code = digits.parse().ok()?;
        // A code with countries is named by them.
        let regions = DATABASE.by_code(&code)?;
        return regions
            .iter()
            .all(|region| region.id() == "001")
            .then_some(code);
    }
    // The database has an entry 001 for codes without a country.
    let is_country = name.len() == 2 && name.bytes().all(|byte| byte.is_ascii_uppercase());
    let metadata = DATABASE.by_id(name).filter(|_| is_country)?;
    Some(metadata.country_code())
}

/// Returns the pattern of a region among those that share its code, as in libphonenumber: its
/// leading digits if it has some, otherwise its ranges.
fn numbers_of(region: &Metadata) -> Option<Regex> {
    region.leading_digits().map_or_else(
        || compile(kinds(region)),
        |digits| pattern(&format!("^(?:{})", digits.as_str())),
    )
}

#[cfg(test)]
mod tests {
    use phonenumber::country::Id;

    use super::*;

    fn allows(setting: &str, number: &str) -> bool {
        let allowed = AllowedCountries::parse(setting).unwrap();
        allowed.contains(Phone::parse(number).unwrap())
    }

    #[test]
    fn only_numbers_of_allowed_countries_are_accepted() {
        for (setting, number, expected) in [
            ("*", "+60123456789", true),
            ("*", "+870773111632", true),
            ("", "+60123456789", false),
            ("MY", "+60123456789", true),
            (" my , sg", "+6581234567", true),
            ("MY,SG", "+12015550123", false),
            // Countries that share a code.
            ("US", "+12015550123", true),
            ("US", "+12042345678", false),
            ("CA", "+15062345678", true),
            ("CA", "+12015550123", false),
            ("US,CA", "+18762101234", false),
            ("JM", "+18762101234", true),
            ("RU", "+79123456789", true),
            ("RU", "+77710009998", false),
            ("KZ", "+77710009998", true),
            ("GB", "+447400123456", true),
            // A range of Guernsey.
            ("GB", "+447911123456", false),
            ("GG", "+447911123456", true),
            ("GB", "+447797712345", false),
            ("JE", "+447797712345", true),
            // Codes without a country.
            ("MY", "+870773111632", false),
            ("MY,+870", "+870773111632", true),
        ] {
            assert_eq!(allows(setting, number), expected, "{setting} {number}");
        }
    }

    /// Compares with the library, for the examples of each kind in each region.
    #[test]
    fn the_country_of_a_number_is_that_of_the_library() {
        let codes = (1..1000).filter(|code| DATABASE.by_code(code).is_some());
        let mut compared = 0;
        for code in codes {
            for kind in DATABASE.by_code(&code).unwrap().into_iter().flat_map(kinds) {
                let national = kind.example().unwrap();
                // The library removes a zero that belongs to the number.
                if national.starts_with('0') {
                    continue;
                }
                let number = format!("+{code}{national}");
                let parsed = phonenumber::parse(None, &number).unwrap();
                let Some(country) = parsed.country().id() else {
                    continue;
                };
                let name = format!("{country:?}");
                assert!(allows(&name, &number), "{number} is of {name}");
                let others = DATABASE.by_code(&code).unwrap();
                let others = others.iter().filter(|other| other.id() != name);
                for other in others.filter(|other| other.id().parse::<Id>().is_ok()) {
                    assert!(!allows(other.id(), &number), "{number} is of {name}");
                }
                compared += 1;
            }
        }
        assert!(compared > 900, "{compared}");
    }

    #[test]
    fn an_unknown_country_is_named() {
        for (given, unknown) in [
            ("MY,XX", "XX"),
            ("Malaysia", "MALAYSIA"),
            ("001", "001"),
            ("MY;SG", "MY;SG"),
            ("MY,*", "*"),
            // Codes of countries are named by their letters.
            ("+60", "+60"),
            ("+", "+"),
            ("+999", "+999"),
            ("ÄÖ", "ÄÖ"),
        ] {
            assert_eq!(AllowedCountries::parse(given).unwrap_err(), unknown);
        }
        let shown = |given: &str| AllowedCountries::parse(given).unwrap().to_string();
        assert_eq!(shown("my,sg"), "MY, SG");
        assert_eq!(shown(" "), "no country");
    }
}
