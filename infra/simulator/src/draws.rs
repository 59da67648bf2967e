//! Random draws, reproducible when the settings give a seed.
//!
//! `SplitMix64`, written out here: a dozen lines, no dependency, and the same sequence on every machine.

use std::hash::{BuildHasher, Hasher, RandomState};

use crate::shares::Share;

/// A sequence of draws.
pub(crate) struct Draws(u64);

impl Draws {
    /// The sequence that belongs to `seed`; without a seed, one that differs from run to run.
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self(seed.unwrap_or_else(entropy))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        scramble(self.0)
    }

    /// A number from 0 to `most`, both included.
    pub(crate) fn up_to(&mut self, most: u64) -> u64 {
        match most.checked_add(1) {
            Some(count) => self.next() % count,
            None => self.next(),
        }
    }

    /// One of `choices` with its name, each with its share of all draws; none with what the shares leave of 1.
    pub(crate) fn pick<T: Copy>(&mut self, choices: &[Share<T>]) -> Option<(&'static str, T)> {
        let mut rest = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        for (name, choice, share) in choices {
            if rest < *share {
                return Some((name, *choice));
            }
            rest -= share;
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

/// A number that nobody can foresee: the standard library seeds its hash maps with such.
pub(crate) fn entropy() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// `SplitMix64`'s output function: a one-to-one map of all 64-bit numbers, so it can be undone.
pub(crate) fn scramble(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// Undoes [`scramble`].
pub(crate) fn unscramble(number: u64) -> u64 {
    let number = (number ^ (number >> 31) ^ (number >> 62)).wrapping_mul(0x3196_42b2_d24d_8ec3);
    let number = (number ^ (number >> 27) ^ (number >> 54)).wrapping_mul(0x96de_1b17_3f11_9089);
    number ^ (number >> 30) ^ (number >> 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scrambling_can_be_undone() {
        for number in [0, 1, 2, 0xffff, u64::MAX, 0x0123_4567_89ab_cdef] {
            assert_eq!(unscramble(scramble(number)), number);
        }
    }

    #[test]
    fn a_seed_repeats_its_sequence() {
        let sequence = |seed| {
            let mut draws = Draws::new(seed);
            (0..8).map(|_| draws.up_to(1_000_000)).collect::<Vec<_>>()
        };
        assert_eq!(sequence(Some(7)), sequence(Some(7)));
        assert_ne!(sequence(Some(7)), sequence(Some(8)));
        assert_ne!(sequence(None), sequence(None));
    }

    #[test]
    fn each_choice_gets_its_share() {
        let mut draws = Draws::new(Some(1));
        let mut counts = [0; 3];
        for _ in 0..10_000 {
            let choice = draws.pick(&[("half", 0, 0.5), ("fifth", 1, 0.2)]);
            counts[choice.map_or(2, |(_, place)| place)] += 1;
        }
        for (count, expected) in counts.into_iter().zip([5_000_i32, 2_000, 3_000]) {
            assert!((count - expected).abs() < 200, "{counts:?}");
        }
    }
}
