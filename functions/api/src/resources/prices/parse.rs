//! Reads a list of prices: CSV with the columns `prefix`, `price` and, if wanted, `name`.

use std::collections::HashMap;

use csv::{ReaderBuilder, StringRecord, Trim};
use shared::money::{
    amount::{AMOUNT, Amount},
    prices::Price,
};

use crate::{
    http::error::{ApiError, FieldError},
    resources::prices::{LONGEST_NAME, MOST_PRICES},
};

/// Errors that are shown.
const SHOWN_ERRORS: usize = 100;
/// Digits of a prefix: those of the longest number.
const PREFIX_DIGITS: usize = 15;
/// The highest price of a part, in millionths: a thousand.
const HIGHEST: u64 = 1_000_000_000;

/// The places of the columns.
struct Columns {
    prefix: usize,
    price: usize,
    name: Option<usize>,
}

/// Wrong rows: the first ones, and how many there are.
#[derive(Default)]
struct Wrong {
    shown: Vec<FieldError>,
    total: usize,
}

impl Wrong {
    fn add(&mut self, line: u32, (field, code): (&str, &'static str), detail: impl Into<String>) {
        self.total += 1;
        if self.shown.len() < SHOWN_ERRORS {
            self.shown.push(FieldError {
                position: Some(line),
                ..FieldError::new(field, code, detail)
            });
        }
    }
}

/// Returns the prices of a list. Fails with all that is wrong, by line.
pub fn parse(text: &[u8]) -> Result<Vec<Price>, ApiError> {
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    let mut reader = ReaderBuilder::new().trim(Trim::All).from_reader(text);
    let header = reader.headers().map_err(|error| unreadable(&error))?;
    let columns = Columns::read(header)?;
    let (mut prices, mut wrong) = (Vec::new(), Wrong::default());
    let mut lines: HashMap<String, u32> = HashMap::new();
    for record in reader.records() {
        let record = record.map_err(|error| unreadable(&error))?;
        let line = record.position().map_or(0, csv::Position::line) as u32;
        if prices.len() == MOST_PRICES {
            let detail = format!("expected at most {MOST_PRICES} prices");
            wrong.add(line, ("", "too-many"), detail);
            break;
        }
        let Some(price) = columns.price_of(&record, line, &mut wrong) else {
            continue;
        };
        if let Some(first) = lines.insert(price.prefix.clone(), line) {
            let detail = format!("expected each prefix once; line {first} has it too");
            wrong.add(line, ("prefix", "duplicate"), detail);
        }
        prices.push(price);
    }
    if wrong.total > 0 {
        return Err(ApiError::Invalid(wrong.shown, wrong.total));
    }
    Ok(prices)
}

fn unreadable(error: &csv::Error) -> ApiError {
    ApiError::Malformed(format!("expected CSV: {error}"))
}

impl Columns {
    fn read(header: &StringRecord) -> Result<Self, ApiError> {
        let mut wrong = Wrong::default();
        let known = ["prefix", "price", "name"];
        for name in header.iter().filter(|name| !known.contains(name)) {
            let shown: String = name.chars().take(LONGEST_NAME).collect();
            let detail = "expected only the columns prefix, price and name";
            wrong.add(1, (&shown, "unknown-column"), detail);
        }
        let mut place = |wanted: &'static str| {
            let mut places = header
                .iter()
                .enumerate()
                .filter(|(_, name)| *name == wanted);
            let place = places.next().map(|(at, _)| at);
            if places.next().is_some() {
                wrong.add(1, (wanted, "given-twice"), "expected this column once");
            }
            if place.is_none() && wanted != "name" {
                wrong.add(1, (wanted, "required"), "expected this column");
            }
            place
        };
        let (prefix, price, name) = (place("prefix"), place("price"), place("name"));
        match (prefix, price) {
            (Some(prefix), Some(price)) if wrong.total == 0 => Ok(Self {
                prefix,
                price,
                name,
            }),
            _ => Err(ApiError::Invalid(wrong.shown, wrong.total)),
        }
    }

    /// Returns the price of a row, unless it is wrong.
    fn price_of(&self, record: &StringRecord, line: u32, wrong: &mut Wrong) -> Option<Price> {
        let before = wrong.total;
        let cell = |at: usize| record.get(at).unwrap_or_default();
        let prefix = cell(self.prefix);
        let prefix = prefix.strip_prefix('+').unwrap_or(prefix);
        let is_digits = prefix.bytes().all(|byte| byte.is_ascii_digit());
        if !(1..=PREFIX_DIGITS).contains(&prefix.len()) || !is_digits || prefix.starts_with('0') {
            let detail = "expected the first digits of international numbers, such as 60 or +6012";
            wrong.add(line, ("prefix", "not-a-prefix"), detail);
        }
        let micros = match cell(self.price).parse::<Amount>() {
            Ok(Amount(micros)) if micros <= HIGHEST => micros,
            Ok(_) => {
                let detail = format!("expected at most {}", Amount(HIGHEST));
                wrong.add(line, ("price", "out-of-range"), detail);
                0
            }
            Err(()) => {
                wrong.add(
                    line,
                    ("price", "not-an-amount"),
                    format!("expected {AMOUNT}"),
                );
                0
            }
        };
        let name = self.name.map(cell).filter(|name| !name.is_empty());
        if name.is_some_and(|name| name.chars().count() > LONGEST_NAME) {
            let detail = format!("expected at most {LONGEST_NAME} characters");
            wrong.add(line, ("name", "too-long"), detail);
        }
        (wrong.total == before).then(|| Price {
            prefix: prefix.to_owned(),
            micros,
            name: name.map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    fn errors(text: &str) -> Vec<(Option<u32>, String, &'static str)> {
        match parse(text.as_bytes()) {
            Err(ApiError::Invalid(errors, _)) => errors
                .into_iter()
                .map(|error| (error.position, error.field, error.code))
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn rows_become_prices() {
        let list = "\u{feff}price, prefix,name\r\n0.05,+60,Malaysia\r\n\"0.045\",6012,\r\n0,1,\"US, CA\"\r\n";
        let prices = parse(list.as_bytes()).unwrap();
        let shown: Vec<_> = prices
            .iter()
            .map(|price| (price.prefix.as_str(), price.micros, price.name.as_deref()))
            .collect();
        let expected = [
            ("60", 50_000, Some("Malaysia")),
            ("6012", 45_000, None),
            ("1", 0, Some("US, CA")),
        ];
        assert_eq!(shown, expected);
        assert!(parse(b"prefix,price\n").unwrap().is_empty());
    }

    #[test]
    fn what_is_wrong_is_named_by_line() {
        let at = |line, field: &str, code| (Some(line), field.to_owned(), code);
        let list = "prefix,price,name\n60,0.05,\n+60,0.06,\nx,1,\n061,1,\n61,-1,\n62,0.0000001,\n63,1001,\n64,1,2,\n";
        let Err(ApiError::Malformed(detail)) = parse(list.as_bytes()) else {
            panic!("a row with four cells was accepted");
        };
        assert!(detail.contains("line: 9"), "{detail}");
        let found = errors(list.trim_end_matches("64,1,2,\n"));
        let expected = [
            at(3, "prefix", "duplicate"),
            at(4, "prefix", "not-a-prefix"),
            at(5, "prefix", "not-a-prefix"),
            at(6, "price", "not-an-amount"),
            at(7, "price", "not-an-amount"),
            at(8, "price", "out-of-range"),
        ];
        assert_eq!(found, expected);
        let long = format!("prefix,price,name\n60,1,{}\n", "x".repeat(65));
        assert_eq!(errors(&long), [at(2, "name", "too-long")]);
        let found = errors("prefix,cost\n60,1\n");
        let expected = [at(1, "cost", "unknown-column"), at(1, "price", "required")];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_list_has_at_most_a_hundred_thousand_prices() {
        let mut list = "prefix,price\n".to_owned();
        for prefix in 1_000_000..1_100_000 {
            writeln!(list, "{prefix},1").unwrap();
        }
        assert_eq!(parse(list.as_bytes()).unwrap().len(), MOST_PRICES);
        list += "9,1\n";
        let too_many = (Some(100_002), String::new(), "too-many");
        assert_eq!(errors(&list), [too_many]);
    }
}
