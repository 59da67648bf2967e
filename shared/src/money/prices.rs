//! Lists of prices by prefix: the longest prefix of a number decides.
//!
//! A list never changes, so a process reads it once, and keeps the last ones that it used.

use std::sync::{Arc, Mutex, PoisonError};

use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::message::phone::Phone;

/// Digits of the longest number.
const DIGITS: u32 = 15;
/// Lists that a process keeps.
const KEPT: usize = 4;

/// A list of prices, without its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceList {
    /// `price_lists.version`
    pub version: u32,
    /// `price_lists.id`
    pub id: Uuid,
    /// `price_lists.currency`
    pub currency: String,
    /// `price_lists.price_count`
    pub price_count: u32,
}

/// The price of a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// Digits, without the plus sign.
    pub prefix: String,
    /// Of a message part, in millionths of the currency unit.
    pub micros: u64,
    /// The country or the network.
    pub name: Option<String>,
}

/// The prices of a list, in memory.
#[derive(Debug)]
pub struct PriceTable {
    /// The list.
    pub list: PriceList,
    prices: Vec<Price>,
    /// For each price, the one of the next shorter prefix of it.
    parents: Vec<Option<u32>>,
    /// Where another price begins to apply: a number of 15 digits, and the price. Of equal numbers
    /// the last one counts.
    begins: Vec<(u64, Option<u32>)>,
}

impl PriceTable {
    /// Returns the table of these prices, whose prefixes are distinct.
    pub fn new(list: PriceList, mut prices: Vec<Price>) -> Self {
        // A prefix comes before the longer ones that begin with it.
        prices.sort_unstable_by(|one, other| one.prefix.cmp(&other.prefix));
        let mut parents = Vec::with_capacity(prices.len());
        let mut begins = Vec::with_capacity(prices.len() * 2);
        // The prices whose numbers include the current one, the shortest prefix first.
        let mut open: Vec<(u64, u32)> = Vec::new();
        let close = |open: &mut Vec<(u64, u32)>, begins: &mut Vec<_>, until: u64| {
            while let Some(&(end, _)) = open.last()
                && end <= until
            {
                open.pop();
                begins.push((end, open.last().map(|(_, at)| *at)));
            }
        };
        for (at, price) in (0..).zip(&prices) {
            let numbers = 10_u64.pow(DIGITS - price.prefix.len() as u32);
            let first = price.prefix.parse::<u64>().unwrap_or(0) * numbers;
            close(&mut open, &mut begins, first);
            parents.push(open.last().map(|(_, at)| *at));
            begins.push((first, Some(at)));
            open.push((first + numbers, at));
        }
        close(&mut open, &mut begins, u64::MAX);
        Self {
            list,
            prices,
            parents,
            begins,
        }
    }

    /// Returns the price of the longest prefix of a number.
    pub fn of(&self, phone: Phone) -> Option<&Price> {
        let digits = phone.digits();
        let len = digits.ilog10() + 1;
        let padded = digits * 10_u64.pow(DIGITS - len.min(DIGITS));
        let after = self.begins.partition_point(|(first, _)| *first <= padded);
        let mut found = self.begins.get(after.checked_sub(1)?)?.1;
        // A prefix that is longer than the number is none of it.
        while let Some(at) = found
            && self.prices[at as usize].prefix.len() > len as usize
        {
            found = self.parents[at as usize];
        }
        found.map(|at| &self.prices[at as usize])
    }

    /// Returns the price of a number as [`PriceTable::of`] does; `None` for a text that is no number.
    pub fn of_text(&self, phone: &str) -> Option<&Price> {
        self.of(Phone::parse(phone).ok()?)
    }

    /// Returns the highest price, which a budget counts for a number without a price.
    pub fn highest(&self) -> u64 {
        let micros = self.prices.iter().map(|price| price.micros);
        micros.max().unwrap_or(0)
    }

    /// Returns the prices in the order of their prefixes.
    pub fn prices(&self) -> &[Price] {
        &self.prices
    }
}

/// Reads which list is current; `None` if there are no prices.
pub async fn current_list(connection: &mut MySqlConnection) -> sqlx::Result<Option<PriceList>> {
    let list = sqlx::query_as!(
        PriceList,
        r#"SELECT version, id AS "id: Uuid", currency, price_count FROM price_lists ORDER BY version DESC LIMIT 1"#
    );
    let list = list.fetch_optional(connection).await?;
    Ok(list.filter(|list| list.price_count > 0))
}

/// Reads which list was current when a schedule was cut; `None` if it is not cut, or there were no
/// prices.
pub async fn list_of_schedule(
    connection: &mut MySqlConnection,
    schedule_id: Uuid,
) -> sqlx::Result<Option<PriceList>> {
    let list = sqlx::query_as!(
        PriceList,
        r#"SELECT p.version, p.id AS "id: Uuid", p.currency, p.price_count
           FROM schedule_costs c JOIN price_lists p ON p.version = c.prices_version WHERE c.schedule_id = ?"#,
        schedule_id
    );
    list.fetch_optional(connection).await
}

/// Returns the prices of a list: from memory, or read now.
pub async fn read_table(
    connection: &mut MySqlConnection,
    list: PriceList,
) -> sqlx::Result<Arc<PriceTable>> {
    static TABLES: Mutex<Vec<Arc<PriceTable>>> = Mutex::new(Vec::new());
    let known = || TABLES.lock().unwrap_or_else(PoisonError::into_inner);
    let found = known()
        .iter()
        .find(|table| table.list.id == list.id)
        .cloned();
    if let Some(found) = found {
        return Ok(found);
    }
    let prices = sqlx::query_as!(
        Price,
        "SELECT prefix, micros, name FROM prices WHERE version = ?",
        list.version
    );
    let table = Arc::new(PriceTable::new(list, prices.fetch_all(connection).await?));
    let mut tables = known();
    if tables.len() == KEPT {
        tables.remove(0);
    }
    tables.push(Arc::clone(&table));
    Ok(table)
}

/// Returns the current prices, if there are any.
pub async fn current_table(
    connection: &mut MySqlConnection,
) -> sqlx::Result<Option<Arc<PriceTable>>> {
    match current_list(connection).await? {
        Some(list) => read_table(connection, list).await.map(Some),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn table(prefixes: &[(&str, u64)]) -> PriceTable {
        let list = PriceList {
            version: 1,
            id: Uuid::nil(),
            currency: "EUR".to_owned(),
            price_count: prefixes.len() as u32,
        };
        let price = |(prefix, micros): &(&str, u64)| Price {
            prefix: (*prefix).to_owned(),
            micros: *micros,
            name: None,
        };
        PriceTable::new(list, prefixes.iter().map(price).collect())
    }

    #[test]
    fn the_longest_prefix_decides() {
        let table = table(&[
            ("6012", 3),
            ("60", 1),
            ("1", 9),
            ("601", 2),
            ("60123", 4),
            ("4", 5),
        ]);
        for (phone, micros) in [
            ("+60123456789", Some(4)),
            ("+60129456789", Some(3)),
            ("+60139456789", Some(2)),
            ("+60322345678", Some(1)),
            ("+12015550123", Some(9)),
            ("+4915112345678", Some(5)),
            ("+33612345678", None),
            ("+6591234567", None),
        ] {
            let found = table.of_text(phone).map(|price| price.micros);
            assert_eq!(found, micros, "{phone}");
        }
        assert_eq!(table.highest(), 9);
        assert!(table.of_text("nobody").is_none());
    }

    #[test]
    fn a_lookup_finds_what_a_search_of_all_prefixes_finds() {
        let mut prefixes = std::collections::BTreeMap::new();
        let mut random = fastrand::Rng::with_seed(7);
        for at in 0..3_000 {
            let len = random.usize(1..=11);
            let digits: String = (0..len).map(|_| random.char('1'..='4')).collect();
            prefixes.insert(digits, at);
        }
        let given: Vec<_> = prefixes.iter().map(|(p, m)| (p.as_str(), *m)).collect();
        let table = table(&given);
        let mut found_some = 0;
        for _ in 0..20_000 {
            let rest: String = (0..random.usize(6..=9))
                .map(|_| random.char('1'..='4'))
                .collect();
            let Ok(phone) = Phone::parse(&format!("+4915{rest}")) else {
                continue;
            };
            let text = phone.to_string();
            let expected = (1..=15)
                .rev()
                .find_map(|len| prefixes.get(text.get(1..=len)?));
            assert_eq!(
                table.of(phone).map(|price| price.micros),
                expected.copied(),
                "{text}"
            );
            found_some += usize::from(expected.is_some());
        }
        assert!(found_some > 1_000, "{found_some}");
    }

    #[test]
    fn a_prefix_longer_than_the_number_is_none_of_it() {
        let table = table(&[("3726001234", 7), ("372", 1)]);
        let micros = |phone| table.of_text(phone).map(|price| price.micros);
        let short = Phone::parse("+3725123456").unwrap();
        assert_eq!(table.of(short).map(|price| price.micros), Some(1));
        assert_eq!(micros("+3726001234"), Some(7));
    }

    #[test]
    fn a_million_lookups_are_cheap() {
        let prefixes: Vec<String> = (100_000..200_000).map(|n| n.to_string()).collect();
        let given: Vec<_> = prefixes.iter().map(|prefix| (prefix.as_str(), 1)).collect();
        let table = table(&given);
        let phone = Phone::parse("+12015550123").unwrap();
        let started = Instant::now();
        let found = (0..1_000_000).filter(|_| table.of(std::hint::black_box(phone)).is_some());
        assert_eq!(found.count(), 1_000_000);
        // Debug builds on a busy machine included; a search of 100,000 prefixes takes minutes.
        assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
    }
}
