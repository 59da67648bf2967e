//! Numbers that are valid, all different, and nobody's list: Malaysian mobile numbers, counted up.

/// How many there are: `+6011`, a digit from 1 to 5, and seven more.
pub const HOW_MANY: u64 = 50_000_000;

/// The `at`-th number in E.164; counting goes round after [`HOW_MANY`].
pub fn number(at: u64) -> String {
    format!("+6011{:08}", 10_000_000 + at % HOW_MANY)
}

/// Where a run that begins at that second starts to count, so that two runs within an hour share no numbers unless they are
/// large.
pub fn start(unix_s: u64) -> u64 {
    // A prime, so that the steps don't come round soon.
    unix_s.wrapping_mul(1_000_003) % HOW_MANY
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_number_is_valid() {
        // A prime step through the whole range, and both ends.
        for at in (0..HOW_MANY).step_by(99_991).chain([0, HOW_MANY - 1]) {
            let text = number(at);
            let parsed = phonenumber::parse(None, &text).unwrap();
            assert!(phonenumber::is_valid(&parsed), "{text}");
        }
    }

    #[test]
    fn numbers_differ_until_counting_goes_round() {
        let numbers: HashSet<_> = (HOW_MANY - 500..HOW_MANY + 500).map(number).collect();
        assert_eq!(numbers.len(), 1000);
        assert_eq!(number(0), number(HOW_MANY));
    }

    #[test]
    fn runs_a_second_apart_start_apart() {
        assert!(start(1_000_000_001).abs_diff(start(1_000_000_000)) > 1_000_000);
    }
}
