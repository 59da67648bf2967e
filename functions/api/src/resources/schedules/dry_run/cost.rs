//! What a list would cost, by the current prices.

use std::{cmp::Reverse, collections::HashMap};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use shared::{
    message::phone::Phone,
    money::{amount::Amount, prices::PriceTable},
};

/// Destinations that are shown.
const SHOWN: usize = 100;

/// How a part of a list stands for the whole.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Recipients of the whole list.
    pub total: u64,
    /// Recipients that were examined.
    pub examined: u64,
}

impl Scale {
    /// All recipients were examined.
    pub const EXACT: Self = Self {
        total: 1,
        examined: 1,
    };

    /// Returns a number of the whole list.
    fn apply(self, examined: u64) -> u64 {
        let whole = u128::from(examined) * u128::from(self.total);
        let whole = whole.div_ceil(u128::from(self.examined.max(1)));
        u64::try_from(whole).unwrap_or(u64::MAX)
    }
}

/// What a list would cost if each message is sent once.
#[derive(Debug, JsonSchema, Serialize)]
pub struct CostEstimate {
    /// The currency (ISO 4217).
    currency: String,
    /// The version of the prices. If others are current when the schedule begins, it has those.
    prices_version: u32,
    /// The cost of all messages that have a price.
    total: Amount,
    /// Messages to numbers without a price, whose cost is not in `total`.
    unpriced: u64,
    /// The cost by destination, the highest first: at most a hundred.
    destinations: Vec<Destination>,
    /// How many more destinations there are.
    more_destinations: u64,
}

/// What the messages to a destination would cost.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "CostOfDestination")]
struct Destination {
    /// The name of its prices, or the prefix if they have none.
    name: String,
    messages: u64,
    parts: u64,
    cost: Amount,
}

impl CostEstimate {
    /// Returns the total in millionths of the currency unit.
    pub const fn micros(&self) -> u64 {
        self.total.0
    }

    /// Returns the cost of messages: their numbers and parts.
    pub fn of(
        table: &PriceTable,
        messages: impl Iterator<Item = (Phone, u16)>,
        scale: Scale,
    ) -> Self {
        let (mut unpriced, mut total) = (0, 0);
        let mut sums: HashMap<(Option<&str>, &str), (u64, u64, u64)> = HashMap::new();
        for (phone, parts) in messages {
            let Some(price) = table.of(phone) else {
                unpriced += 1;
                continue;
            };
            let parts = u64::from(parts);
            let name = price.name.as_deref();
            let prefix = if name.is_some() { "" } else { &price.prefix };
            let sum = sums.entry((name, prefix)).or_default();
            total += parts * price.micros;
            *sum = (sum.0 + 1, sum.1 + parts, sum.2 + parts * price.micros);
        }
        let mut sums: Vec<_> = sums.into_iter().collect();
        sums.sort_unstable_by_key(|(name, (_, _, micros))| (Reverse(*micros), *name));
        let more_destinations = sums.len().saturating_sub(SHOWN) as u64;
        sums.truncate(SHOWN);
        let destination =
            |((name, prefix), (messages, parts, micros)): ((Option<&str>, &str), _)| Destination {
                name: name.map_or_else(|| format!("+{prefix}"), str::to_owned),
                messages: scale.apply(messages),
                parts: scale.apply(parts),
                cost: Amount(scale.apply(micros)),
            };
        Self {
            currency: table.list.currency.clone(),
            prices_version: table.list.version,
            total: Amount(scale.apply(total)),
            unpriced: scale.apply(unpriced),
            destinations: sums.into_iter().map(destination).collect(),
            more_destinations,
        }
    }
}

/// Returns an example.
pub fn example() -> Value {
    let malaysia = json!({"name": "Malaysia", "messages": 2, "parts": 2, "cost": "0.10"});
    json!({"currency": "EUR", "prices_version": 7, "total": "0.10", "unpriced": 0, "destinations": [malaysia], "more_destinations": 0})
}
