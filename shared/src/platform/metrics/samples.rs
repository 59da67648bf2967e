//! The values of one metric in one invocation: all of them, or a random sample of bounded size.

/// Most values of a metric in a line; the format allows a hundred.
const MOST: usize = 100;

/// Values, or a uniform sample of them (reservoir sampling) and the largest one.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    kept: Vec<f64>,
    seen: usize,
    largest: f64,
}

impl Samples {
    /// Adds a value.
    pub fn add(&mut self, value: f64) {
        self.largest = if self.seen == 0 {
            value
        } else {
            self.largest.max(value)
        };
        self.seen += 1;
        // One place is left for the largest value.
        if self.kept.len() < MOST - 1 {
            self.kept.push(value);
        } else if let Some(place) = self.kept.get_mut(fastrand::usize(..self.seen)) {
            *place = value;
        }
    }

    /// Returns the values that were kept.
    pub fn values(&self) -> impl Iterator<Item = f64> {
        let largest = (self.seen >= MOST).then_some(self.largest);
        self.kept.iter().copied().chain(largest)
    }
}
