//! What the sequences have reached: a check of something that never happens proves nothing.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

static REACHED: Mutex<BTreeMap<String, u32>> = Mutex::new(BTreeMap::new());

/// What each run must reach, whatever its sequences are. The tests of the defects and the script reach
/// more, always.
const NEEDED: [&str; 7] = [
    "a callback is told",
    "a webhook is told",
    "a webhook is not told",
    "an entry of many: InTime",
    "an entry of many: TooLate",
    "a decision",
    "an approval",
];

/// Counts something that a check has examined.
pub fn reached(what: impl Into<String>) {
    let mut reached = REACHED.lock().unwrap_or_else(PoisonError::into_inner);
    *reached.entry(what.into()).or_default() += 1;
}

/// Returns what was not reached.
pub fn missing() -> Vec<&'static str> {
    let reached = REACHED.lock().unwrap_or_else(PoisonError::into_inner);
    println!("{reached:?}");
    let needed = NEEDED.into_iter();
    needed.filter(|what| !reached.contains_key(*what)).collect()
}
