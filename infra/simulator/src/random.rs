//! Random draws, reproducible if the settings give a seed.
//!
//! The generator is `SplitMix64`, implemented here because it is a dozen lines, needs no dependency
//! and produces the same sequence on every machine.

use std::hash::{BuildHasher, Hasher, RandomState};

/// One possible result of a draw.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Share<T> {
    /// The name of the setting that holds the probability.
    pub(crate) setting: &'static str,
    /// The result.
    pub(crate) result: T,
    /// Its probability, from 0 to 1.
    pub(crate) probability: f64,
}

impl<T> Share<T> {
    /// Combines a setting's name, its effect and its value.
    pub(crate) fn new(setting: &'static str, result: T, probability: f64) -> Self {
        Self {
            setting,
            result,
            probability,
        }
    }
}

/// A sequence of random numbers.
pub(crate) struct Random(u64);

impl Random {
    /// Starts the sequence of `seed`. Without a seed, the sequence differs from run to run.
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self(seed.unwrap_or_else(entropy))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        scramble(self.0)
    }

    /// Draws a number from 0 to `max`, both included.
    pub(crate) fn up_to(&mut self, max: u64) -> u64 {
        match max.checked_add(1) {
            Some(count) => self.next() % count,
            None => self.next(),
        }
    }

    /// Draws one of `shares` by their probabilities. Returns `None` with the probability that the
    /// shares leave of 1.
    pub(crate) fn pick<T: Copy>(&mut self, shares: &[Share<T>]) -> Option<Share<T>> {
        let mut rest = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        for share in shares {
            if rest < share.probability {
                return Some(*share);
            }
            rest -= share.probability;
        }
        None
    }

    /// Puts `items` into a random order.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.up_to(last as u64) as usize;
            items.swap(last, other);
        }
    }
}

/// Returns an unpredictable number. The standard library seeds its hash maps with the same source.
pub(crate) fn entropy() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Computes `SplitMix64`'s output function, a one-to-one map of all 64-bit numbers.
/// [`unscramble`] is its inverse.
pub(crate) fn scramble(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// Computes the inverse of [`scramble`].
pub(crate) fn unscramble(number: u64) -> u64 {
    let number = (number ^ (number >> 31) ^ (number >> 62)).wrapping_mul(0x3196_42b2_d24d_8ec3);
    let number = (number ^ (number >> 27) ^ (number >> 54)).wrapping_mul(0x96de_1b17_3f11_9089);
    number ^ (number >> 30) ^ (number >> 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unscramble_is_the_inverse_of_scramble() {
        for number in [0, 1, 2, 0xffff, u64::MAX, 0x0123_4567_89ab_cdef] {
            assert_eq!(unscramble(scramble(number)), number);
        }
    }

    #[test]
    fn a_seed_repeats_its_sequence() {
        let sequence = |seed| {
            let mut random = Random::new(seed);
            (0..8).map(|_| random.up_to(1_000_000)).collect::<Vec<_>>()
        };
        assert_eq!(sequence(Some(7)), sequence(Some(7)));
        assert_ne!(sequence(Some(7)), sequence(Some(8)));
        assert_ne!(sequence(None), sequence(None));
    }

    #[test]
    fn each_result_occurs_with_its_probability() {
        let mut random = Random::new(Some(1));
        let mut counts = [0; 3];
        let shares = [Share::new("half", 0, 0.5), Share::new("fifth", 1, 0.2)];
        for _ in 0..10_000 {
            counts[random.pick(&shares).map_or(2, |share| share.result)] += 1;
        }
        for (count, expected) in counts.into_iter().zip([5_000_i32, 2_000, 3_000]) {
            assert!((count - expected).abs() < 200, "{counts:?}");
        }
    }
}
