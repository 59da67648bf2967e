//! Texts kept once, however many messages carry them.

use std::collections::HashMap;
use std::sync::Arc;

/// A numbered set of texts: 0 is the first, and so on without gaps.
#[derive(Default)]
pub(crate) struct Names {
    names: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
}

impl Names {
    /// The number of `name`, a new one if it wasn't known.
    pub(crate) fn intern(&mut self, name: &str) -> u32 {
        if let Some(number) = self.find(name) {
            return number;
        }
        let name: Arc<str> = name.into();
        let number = self.names.len() as u32;
        self.names.push(Arc::clone(&name));
        self.numbers.insert(name, number);
        number
    }

    /// The number of `name`, if it is known.
    pub(crate) fn find(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    /// The text with this number.
    pub(crate) fn get(&self, number: u32) -> &str {
        &self.names[number as usize]
    }
}
