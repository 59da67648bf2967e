//! Generated numbers: valid, distinct Malaysian mobile numbers in ascending order.

/// The number of distinct numbers: `+6011`, a digit from 1 to 5, and seven more digits.
pub const COUNT: u64 = 50_000_000;

/// Returns the number at an index, in E.164. The index wraps around after [`COUNT`].
pub fn number(at: u64) -> String {
    format!("+6011{:08}", 10_000_000 + at % COUNT)
}

/// Returns the index of the first number of a run that begins at a given second. Two runs within an
/// hour share no numbers unless they are large.
pub fn start(unix_s: u64) -> u64 {
    // A prime, so that start positions repeat late.
    unix_s.wrapping_mul(1_000_003) % COUNT
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_number_is_valid() {
        // Numbers through the whole range, at a prime step, and both ends.
        for at in (0..COUNT).step_by(99_991).chain([0, COUNT - 1]) {
            let text = number(at);
            let parsed = phonenumber::parse(None, &text).unwrap();
            assert!(phonenumber::is_valid(&parsed), "{text}");
        }
    }

    #[test]
    fn numbers_differ_until_the_index_wraps_around() {
        let numbers: HashSet<_> = (COUNT - 500..COUNT + 500).map(number).collect();
        assert_eq!(numbers.len(), 1000);
        assert_eq!(number(0), number(COUNT));
    }

    #[test]
    fn runs_a_second_apart_start_apart() {
        assert!(start(1_000_000_001).abs_diff(start(1_000_000_000)) > 1_000_000);
    }
}
