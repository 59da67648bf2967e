//! The growth of the delays and their limits.

use super::*;

fn defaults() -> Backoff {
    Backoff::default()
}

fn within(wait: Duration, from_ms: u64) -> bool {
    let (least, most) = (
        Duration::from_millis(from_ms),
        Duration::from_millis(from_ms + from_ms / 4 + 1),
    );
    (least..=most).contains(&wait)
}

#[test]
fn delays_double_up_to_their_limit() {
    for (tries, ms) in [
        (0, 1000),
        (1, 1000),
        (2, 2000),
        (6, 32_000),
        (7, 60_000),
        (4_000_000, 60_000),
    ] {
        assert!(within(defaults().through_queue(tries, None), ms), "{tries}");
    }
    for (in_a_row, ms) in [(1, 250), (2, 500), (5, 4000), (40, 60_000)] {
        assert!(within(in_place(in_a_row), ms), "{in_a_row}");
    }
}

#[test]
fn a_retry_after_of_the_carrier_is_kept() {
    let asked = Some(Duration::from_secs(7));
    assert!(within(defaults().through_queue(1, asked), 7000));
    assert!(within(defaults().through_queue(9, asked), 60_000));
    assert!(within(
        defaults().through_queue(1, Some(Duration::from_secs(100_000))),
        900_000
    ));
}

#[test]
fn delays_after_refusals_are_short() {
    for (refusals, ms) in [(1, 1000), (2, 2000), (90, 5000)] {
        assert!(within(defaults().after_refusal(refusals), ms), "{refusals}");
    }
}

#[test]
fn the_delay_of_the_sweep_doubles_up_to_32_minutes() {
    let seconds: Vec<_> = (0..11)
        .map(|requeues| defaults().sweep_again(requeues).num_seconds())
        .collect();
    assert_eq!(
        seconds,
        [10, 50, 50, 50, 50, 120, 240, 480, 960, 1920, 1920]
    );
    assert_eq!(
        [0, 1, 2].map(|requeues| defaults().sweep_after(requeues).num_seconds()),
        [10, 60, 110]
    );
}

#[test]
fn the_sweep_runs_after_an_enqueued_message_or_before_a_distant_due_time() {
    let now = Utc::now();
    let due = now + TimeDelta::seconds(900);
    assert_eq!(defaults().sweep_at(due, now), due + TimeDelta::seconds(10));
    let due = now + TimeDelta::seconds(901);
    assert_eq!(defaults().sweep_at(due, now), due - TimeDelta::seconds(75));
}

#[test]
fn the_environment_overrides_the_defaults() {
    let mut env = Env::from_pairs([("SWEEP_GRACE_S", "3"), ("LEASE_MARGIN_S", "0")]);
    let backoff = Backoff::from_env(&mut env);
    assert_eq!(
        (backoff.sweep.num_seconds(), backoff.backoff_max.as_secs()),
        (3, 60)
    );
    assert!(
        env.finish(())
            .unwrap_err()
            .to_string()
            .contains("LEASE_MARGIN_S is `0`; expected a whole number from 1 to 900")
    );
}
