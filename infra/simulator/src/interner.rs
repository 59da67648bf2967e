//! Stores each distinct string once, however many messages use it.

use std::collections::HashMap;
use std::sync::Arc;

/// A numbered set of strings. The numbers start at 0 and have no gaps.
#[derive(Default)]
pub(crate) struct Interner {
    strings: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
}

impl Interner {
    /// Returns the number of `string`, and adds it if it is new.
    pub(crate) fn intern(&mut self, string: &str) -> u32 {
        if let Some(number) = self.find(string) {
            return number;
        }
        let string: Arc<str> = string.into();
        let number = self.strings.len() as u32;
        self.strings.push(Arc::clone(&string));
        self.numbers.insert(string, number);
        number
    }

    /// Returns the number of `string` if the set contains it.
    pub(crate) fn find(&self, string: &str) -> Option<u32> {
        self.numbers.get(string).copied()
    }

    /// Returns the string with this number.
    pub(crate) fn get(&self, number: u32) -> &str {
        &self.strings[number as usize]
    }
}
