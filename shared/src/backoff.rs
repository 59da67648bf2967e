//! How long to wait before trying again, each number with its reason. Pure, but for the jitter, which keeps many workers that met
//! the same trouble from coming back at the same moment.

use std::time::Duration;

use chrono::TimeDelta;

/// Inside an invocation, after the n-th 429 or refused connection in a row (from 1): short, because a carrier's limit counts
/// seconds. What the carrier asks for (`Retry-After`) wins.
pub fn in_place(in_a_row: u32, retry_after: Option<Duration>) -> Duration {
    jitter(retry_after.unwrap_or_else(|| doubled(Duration::from_millis(250), in_a_row, Duration::from_secs(60))))
}

/// Through the queue, after `tries` send passes in a row without an acceptance: up to a minute, so that an outage of hours costs a
/// batch one claim a minute and ends within a minute of the carrier's coming back.
pub fn through_queue(tries: u32, retry_after: Option<Duration>) -> Duration {
    let wait = doubled(Duration::from_secs(1), tries, Duration::from_secs(60));
    jitter(wait.max(retry_after.unwrap_or_default().min(Duration::from_secs(900))))
}

/// Passes with a refused request (4xx text) after which its numbers end REJECTD.
pub const MAX_REFUSALS: u32 = 8;

/// After the n-th refusal (from 1): first soon, with smaller requests, which keeps one bad number from holding ninety-nine good ones;
/// then slower, some twenty minutes in all, since a missing route may be a carrier's passing mistake.
pub fn after_refusal(refusals: u32) -> Duration {
    const WAITS_S: [u64; 7] = [1, 2, 15, 60, 180, 300, 600];
    let at = (refusals.max(1) as usize - 1).min(WAITS_S.len() - 1);
    jitter(Duration::from_secs(WAITS_S[at]))
}

/// How many numbers go into one request after so many refusals: a hundred, ten, one.
pub const fn request_size(refusals: u32, max_numbers: usize) -> usize {
    let size = match refusals {
        0 => max_numbers,
        1 => 10,
        _ => 1,
    };
    if size < max_numbers { size } else { max_numbers }
}

/// How long the sweep waits before it enqueues a batch again that it has enqueued `requeues` times: two minutes, doubled to 32.
/// Without it a backlog of batches is enqueued again and again, and the queue grows faster than it is worked off.
pub fn sweep_patience(requeues: u32) -> TimeDelta {
    TimeDelta::minutes(2_i64 << requeues.min(4))
}

/// How long after its due time the sweep enqueues a batch for the time `requeues` + 1: the sum of its patience so far.
pub fn sweep_after(requeues: u32) -> TimeDelta {
    (0..=requeues.min(40)).map(sweep_patience).sum()
}

fn doubled(first: Duration, times: u32, most: Duration) -> Duration {
    (first * 2_u32.pow(times.saturating_sub(1).min(16))).min(most)
}

/// Up to a quarter longer, never shorter: a `Retry-After` is kept.
fn jitter(wait: Duration) -> Duration {
    wait.mul_f64(1.0 + fastrand::f64() / 4.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within(wait: Duration, from_ms: u64) -> bool {
        let (least, most) = (Duration::from_millis(from_ms), Duration::from_millis(from_ms + from_ms / 4 + 1));
        (least..=most).contains(&wait)
    }

    #[test]
    fn waits_double_up_to_their_limit() {
        for (tries, ms) in [(0, 1000), (1, 1000), (2, 2000), (6, 32_000), (7, 60_000), (4_000_000, 60_000)] {
            assert!(within(through_queue(tries, None), ms), "{tries}");
        }
        for (in_a_row, ms) in [(1, 250), (2, 500), (5, 4000), (40, 60_000)] {
            assert!(within(in_place(in_a_row, None), ms), "{in_a_row}");
        }
    }

    #[test]
    fn what_the_carrier_asks_for_is_kept() {
        let asked = Some(Duration::from_secs(7));
        assert!(within(in_place(1, asked), 7000));
        assert!(within(through_queue(1, asked), 7000));
        assert!(within(through_queue(9, asked), 60_000));
        assert!(within(through_queue(1, Some(Duration::from_secs(100_000))), 900_000));
    }

    #[test]
    fn requests_get_smaller_with_each_refusal() {
        for (refusals, max, size) in [(0, 100, 100), (1, 100, 10), (2, 100, 1), (7, 100, 1), (0, 1, 1), (1, 1, 1)] {
            assert_eq!(request_size(refusals, max), size);
        }
        assert!(within(after_refusal(1), 1000) && within(after_refusal(7), 600_000) && within(after_refusal(90), 600_000));
    }

    #[test]
    fn the_sweep_grows_patient_up_to_32_minutes() {
        let minutes: Vec<_> = (0..7).map(|requeues| sweep_patience(requeues).num_minutes()).collect();
        assert_eq!(minutes, [2, 4, 8, 16, 32, 32, 32]);
        assert_eq!([0, 1, 2].map(|requeues| sweep_after(requeues).num_minutes()), [2, 6, 14]);
    }
}
