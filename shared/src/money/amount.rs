//! Amounts of money as whole millionths of the currency unit, and their text. Pure.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

/// Digits behind the point.
const DECIMALS: usize = 6;
/// Digits before the point, so that sums of many amounts fit into 64 bits.
const WHOLE_DIGITS: usize = 9;

/// The form of an amount as a regular expression.
pub const AMOUNT_PATTERN: &str = r"^[0-9]{1,9}(\.[0-9]{1,6})?$";
/// The form of an amount, for error messages.
pub const AMOUNT: &str =
    "a decimal number such as 12.50, with at most 9 digits before the point and 6 behind it";

/// An amount of money, in millionths of the currency unit. As JSON, a decimal number in a string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(pub u64);

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / 1_000_000, self.0 % 1_000_000);
        let fraction = format!("{fraction:06}");
        // At least two decimals, as people write amounts.
        let shown = fraction.trim_end_matches('0').len().max(2);
        write!(f, "{whole}.{}", &fraction[..shown])
    }
}

impl FromStr for Amount {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let is_number = |digits: &str, most| {
            (1..=most).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !is_number(whole, WHOLE_DIGITS) || !is_number(fraction, DECIMALS) {
            return Err(());
        }
        let digits = format!("{whole}{fraction:0<DECIMALS$}");
        digits.parse().map(Self).map_err(|_| ())
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Amount {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Amount".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": r"^[0-9]+\.[0-9]{2,6}$",
            "description": "An amount of money as a decimal number.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact_decimal_numbers() {
        for (text, micros, shown) in [
            ("0", 0, "0.00"),
            ("0.045", 45_000, "0.045"),
            ("12.5", 12_500_000, "12.50"),
            ("0.000001", 1, "0.000001"),
            ("007", 7_000_000, "7.00"),
            ("999999999.999999", 999_999_999_999_999, "999999999.999999"),
        ] {
            assert_eq!(text.parse(), Ok(Amount(micros)), "{text}");
            assert_eq!(Amount(micros).to_string(), shown);
        }
        for wrong in [
            "",
            ".",
            ".5",
            "1.",
            "-1",
            "+1",
            "1e3",
            "1,5",
            "0.0000001",
            "1 ",
            "1.2.3",
            "1234567890",
            "٣",
        ] {
            assert_eq!(wrong.parse::<Amount>(), Err(()), "{wrong}");
        }
    }
}
