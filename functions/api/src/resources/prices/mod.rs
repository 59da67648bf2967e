//! `/v1/prices`: the prices of message parts by prefix, imported as a list.

mod import;
mod parse;
pub mod routes;
mod show;
mod store;

/// Rows of a list, at most.
const MOST_PRICES: usize = 100_000;
/// Characters of a name, at most.
const LONGEST_NAME: usize = 64;
/// The form of a currency.
const CURRENCY: &str = "^[A-Z]{3}$";

/// Returns whether a text names a currency.
fn is_currency(text: &str) -> bool {
    text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase())
}
