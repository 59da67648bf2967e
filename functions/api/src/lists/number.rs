//! Reads one phone number of a list: its country, its kind, and what is suggested if it is refused.

use shared::message::phone::{Phone, PhoneError};

use crate::lists::options::{NumberTypes, Options};

/// A phone number that a list may not have.
#[derive(Debug)]
pub struct RefusedNumber {
    /// What was expected, as a stable code for programs.
    pub code: &'static str,
    /// What was expected, as text.
    pub detail: String,
    /// The number that was probably meant.
    pub suggestion: Option<Phone>,
}

/// Reads a number as the options say.
pub fn read_number(input: &str, options: &Options) -> Result<Phone, RefusedNumber> {
    let phone = read_of_type(input, options)?;
    if !options.countries.contains(phone) {
        return Err(RefusedNumber {
            code: "country-not-allowed",
            detail: format!(
                "expected a number of a country to which this deployment may send: {}",
                options.countries
            ),
            suggestion: None,
        });
    }
    match options.number_types.refuse(phone) {
        None => Ok(phone),
        Some(number_type) => Err(RefusedNumber {
            code: "number-type-not-allowed",
            detail: format!(
                "expected a number of a type to which this deployment may send ({}); this one is {}",
                options.number_types,
                number_type.as_str()
            ),
            suggestion: None,
        }),
    }
}

fn read_of_type(input: &str, options: &Options) -> Result<Phone, RefusedNumber> {
    let region = options.region.as_ref();
    let is_mobile = options.types == Some(NumberTypes::Mobile);
    match Phone::parse_in(input, region) {
        Ok(phone) if is_mobile && !phone.can_be_mobile() => Err(not_mobile()),
        Ok(phone) => Ok(phone),
        Err(error @ PhoneError::Ambiguous) => region
            .filter(|_| is_mobile)
            .and_then(|region| Phone::parse_mobile_in(input, region))
            .ok_or_else(|| refused(error, None)),
        Err(error) => {
            let suggestion = Phone::suggest(input, region);
            let suggestion = suggestion.filter(|phone| {
                (!is_mobile || phone.can_be_mobile())
                    && options.countries.contains(*phone)
                    && options.number_types.refuse(*phone).is_none()
            });
            Err(refused(error, suggestion))
        }
    }
}

fn not_mobile() -> RefusedNumber {
    let detail = "expected a mobile number, because `types` is `mobile`; this one is a landline, or that of a service (premium rate, shared \
                  cost, toll-free)";
    RefusedNumber {
        code: "not-mobile",
        detail: detail.to_owned(),
        suggestion: None,
    }
}

fn refused(error: PhoneError, suggestion: Option<Phone>) -> RefusedNumber {
    let advice = match (error, suggestion) {
        (PhoneError::UnknownCountryCode, Some(phone)) => format!("; is {phone} meant?"),
        (_, Some(phone)) => format!("; plus sign missing? {phone} is valid"),
        (PhoneError::NoCountryCode, None) => {
            "; country code missing? give default_country".to_owned()
        }
        (_, None) => String::new(),
    };
    RefusedNumber {
        code: error.code(),
        detail: format!("{error}{advice}"),
        suggestion,
    }
}

#[cfg(test)]
mod tests {
    use shared::message::phone::{AllowedCountries, AllowedTypes, Region};

    use super::*;

    #[test]
    fn a_refused_number_has_a_code_an_advice_and_a_suggestion() {
        #[rustfmt::skip]
        let table = [
            (None, NumberTypes::Any, "60123456789", "no-country-code", "; plus sign missing? +60123456789 is valid", Some("+60123456789")),
            (None, NumberTypes::Any, "0123456789", "no-country-code", "; country code missing? give default_country", None),
            (None, NumberTypes::Any, "6.01235E+10", "digits-lost", "most of them are lost; format the column as text in the spreadsheet", None),
            (Some("MY"), NumberTypes::Any, "6581234567", "not-valid-for-country", "; plus sign missing? +6581234567 is valid", Some("+6581234567")),
            (Some("MY"), NumberTypes::Any, "+0123456789", "unknown-country-code", "; is +60123456789 meant?", Some("+60123456789")),
            (Some("MY"), NumberTypes::Any, "0123", "too-short", "behind +60", None),
            (Some("DE"), NumberTypes::Any, "491711234567", "ambiguous-number", "it can be read as two numbers", None),
            (Some("MY"), NumberTypes::Mobile, "0323856789", "not-mobile", "toll-free)", None),
            (None, NumberTypes::Mobile, "+18002345678", "not-mobile", "toll-free)", None),
            // A landline is not suggested.
            (None, NumberTypes::Mobile, "60323856789", "no-country-code", "give default_country", None),
        ];
        for (country, types, input, code, advice, suggestion) in table {
            let options = Options {
                region: country.and_then(Region::parse),
                types: Some(types),
                ..Options::default()
            };
            let refused = read_number(input, &options).unwrap_err();
            assert_eq!(refused.code, code, "{input}");
            assert!(refused.detail.ends_with(advice), "{}", refused.detail);
            let suggested = refused.suggestion.map(|phone| phone.to_string());
            assert_eq!(suggested.as_deref(), suggestion, "{input}");
        }
    }

    #[test]
    fn mobile_numbers_are_accepted_where_they_may_be_landlines_too() {
        for (country, input, expected) in [
            (None, "+12015550123", "+12015550123"),
            (Some("MY"), "012-345 6789", "+60123456789"),
            // Only one of two readings is a mobile number.
            (Some("DE"), "491711234567", "+491711234567"),
        ] {
            let options = Options {
                region: country.and_then(Region::parse),
                types: Some(NumberTypes::Mobile),
                ..Options::default()
            };
            let read = read_number(input, &options).unwrap();
            assert_eq!(read.to_string(), expected);
        }
    }

    #[test]
    fn a_number_of_an_expensive_type_is_refused_and_not_suggested() {
        let options = Options::default();
        for input in ["+19002345678", "+870773111632"] {
            let refused = read_number(input, &options).unwrap_err();
            assert_eq!(refused.code, "number-type-not-allowed", "{input}");
        }
        let refused = read_number("19002345678", &options).unwrap_err();
        assert_eq!(
            (refused.code, refused.suggestion),
            ("no-country-code", None)
        );
        let options = Options {
            number_types: AllowedTypes::parse("mobile,premium-rate").unwrap(),
            ..options
        };
        assert!(read_number("+19002345678", &options).is_ok());
        let refused = read_number("+60323856789", &options).unwrap_err();
        let detail = "(mobile, premium-rate); this one is fixed-line";
        assert!(refused.detail.ends_with(detail), "{}", refused.detail);
    }

    #[test]
    fn a_number_of_another_country_is_refused_and_not_suggested() {
        let options = Options {
            countries: AllowedCountries::parse("MY,SG").unwrap(),
            ..Options::default()
        };
        assert!(read_number("+6581234567", &options).is_ok());
        let refused = read_number("+12015550123", &options).unwrap_err();
        assert_eq!(refused.code, "country-not-allowed");
        assert!(refused.detail.ends_with(": MY, SG"), "{}", refused.detail);
        let refused = read_number("12015550123", &options).unwrap_err();
        assert_eq!(refused.code, "no-country-code");
        assert_eq!(refused.suggestion, None);
    }
}
