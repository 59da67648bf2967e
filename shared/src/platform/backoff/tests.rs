//! How the waits grow, and where they end.

use super::*;

fn usual() -> Backoff {
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
fn waits_double_up_to_their_limit() {
    for (tries, ms) in [
        (0, 1000),
        (1, 1000),
        (2, 2000),
        (6, 32_000),
        (7, 60_000),
        (4_000_000, 60_000),
    ] {
        assert!(within(usual().through_queue(tries, None), ms), "{tries}");
    }
    for (in_a_row, ms) in [(1, 250), (2, 500), (5, 4000), (40, 60_000)] {
        assert!(within(in_place(in_a_row, None), ms), "{in_a_row}");
    }
}

#[test]
fn a_delivery_is_tried_for_three_days_and_a_receiver_may_ask_for_more_time() {
    let waits: Vec<_> = (1..)
        .map_while(|tries| before_delivery(tries, None))
        .collect();
    assert!(waits.len() == 9 && within(waits[0], 5000) && within(waits[8], 86_400_000));
    assert!(waits.iter().sum::<Duration>() > Duration::from_hours(75));
    assert!(WEBHOOK_FAILING.to_std().unwrap() > waits.iter().sum::<Duration>());
    let asked =
        |tries, seconds| before_delivery(tries, Some(Duration::from_secs(seconds))).unwrap();
    assert!(within(asked(1, 60), 60_000) && within(asked(2, 60), 300_000));
    assert!(within(asked(1, 1_000_000), 3_600_000), "an hour at most");
    assert_eq!(before_delivery(10, Some(Duration::from_secs(1))), None);
}

#[test]
fn what_the_carrier_asks_for_is_kept() {
    let asked = Some(Duration::from_secs(7));
    assert!(within(in_place(1, asked), 7000));
    assert!(within(usual().through_queue(1, asked), 7000));
    assert!(within(usual().through_queue(9, asked), 60_000));
    assert!(within(
        usual().through_queue(1, Some(Duration::from_secs(100_000))),
        900_000
    ));
}

#[test]
fn requests_get_smaller_with_each_refusal() {
    for (refusals, max, size) in [
        (0, 100, 100),
        (1, 100, 10),
        (2, 100, 1),
        (7, 100, 1),
        (0, 1, 1),
        (1, 1, 1),
    ] {
        assert_eq!(request_size(refusals, max), size);
    }
    assert!(
        within(usual().after_refusal(1), 1000)
            && within(usual().after_refusal(7), 600_000)
            && within(usual().after_refusal(90), 600_000)
    );
}

#[test]
fn the_sweep_grows_patient_up_to_32_minutes() {
    let minutes: Vec<_> = (0..7)
        .map(|requeues| usual().sweep_again(requeues).num_minutes())
        .collect();
    assert_eq!(minutes, [2, 4, 8, 16, 32, 32, 32]);
    assert_eq!(
        [0, 1, 2].map(|requeues| usual().sweep_after(requeues).num_minutes()),
        [2, 6, 14]
    );
}

#[test]
fn the_sweep_comes_after_a_message_or_before_a_far_due_time() {
    let now = Utc::now();
    let due = now + TimeDelta::seconds(900);
    assert_eq!(usual().sweep_at(due, now), due + TimeDelta::seconds(120));
    let due = now + TimeDelta::seconds(901);
    assert_eq!(usual().sweep_at(due, now), due - TimeDelta::seconds(75));
}

#[test]
fn a_deployment_may_set_them() {
    let mut env = Env::from_pairs([("SWEEP_PATIENCE_S", "3"), ("LEASE_MARGIN_S", "0")]);
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
