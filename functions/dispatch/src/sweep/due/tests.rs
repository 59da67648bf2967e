//! The state of work that the sweep finds, and when it looks again.

use uuid::Uuid;

use super::*;

fn batch(
    send_at: Option<DateTime<Utc>>,
    check_at: Option<DateTime<Utc>>,
    sweep_at: DateTime<Utc>,
) -> DueBatch {
    DueBatch {
        schedule_id: Uuid::nil(),
        batch_no: 1,
        send_at,
        waiting: false,
        check_at,
        sweep_at,
        claimed_until: None,
        requeues: 0,
        crashes: 0,
        schedule_status: ScheduleStatus::Running,
        is_stopped: false,
    }
}

fn seconds(seconds: i64) -> TimeDelta {
    TimeDelta::seconds(seconds)
}

fn next(batch: &DueBatch, kinds: [State; 2], now: DateTime<Utc>) -> DateTime<Utc> {
    push_back(batch, kinds, now, &Backoff::default()).next
}

#[test]
fn batches_of_a_paused_schedule_are_checked_and_not_sent() {
    let now = Utc::now();
    let paused = DueBatch {
        schedule_status: ScheduleStatus::Paused,
        ..batch(Some(now), Some(now), now)
    };
    let kinds = [send_state(&paused, now), check_state(&paused, now)];
    let new = State::New {
        due: now,
        crashed: false,
    };
    assert_eq!(kinds, [State::None, new]);
    let nothing = [State::None, State::None];
    assert_eq!(next(&paused, nothing, now), never(), "until it is resumed");
}

#[test]
fn a_batch_that_waits_for_its_turn_is_not_sent() {
    let now = Utc::now();
    let waiting = DueBatch {
        waiting: true,
        ..batch(Some(now), None, now)
    };
    assert_eq!(send_state(&waiting, now), State::None);
}

#[test]
fn a_parked_batch_is_not_enqueued_and_looked_at_rarely() {
    let now = Utc::now();
    let parked = DueBatch {
        crashes: MAX_CRASHES,
        ..batch(Some(now), Some(now), now)
    };
    let kinds = [send_state(&parked, now), check_state(&parked, now)];
    assert_eq!(kinds, [State::None, State::None]);
    assert_eq!(next(&parked, kinds, now), now + PARKED);
}

#[test]
fn a_message_may_be_lost_if_its_batch_was_enqueued_and_is_overdue() {
    let now = Utc::now();
    let due = now - seconds(11);
    let state = |sweep_at| send_state(&batch(Some(due), None, sweep_at), now);
    let new = State::New {
        due,
        crashed: false,
    };
    assert_eq!(state(due), new);
    assert_eq!(state(due + seconds(10)), State::Overdue(due));
    let crashed = DueBatch {
        claimed_until: Some(now - seconds(2)),
        ..batch(Some(due), None, now)
    };
    let new = State::New { due, crashed: true };
    assert_eq!(send_state(&crashed, now), new);
}

#[test]
fn the_sweep_looks_again_with_growing_delays() {
    let now = Utc::now();
    let due = now + seconds(70);
    let first = batch(Some(due), None, now);
    let new = send_state(&first, now);
    assert_eq!(next(&first, [new, State::None], now), due + seconds(10));
    for (requeues, wait_s) in [(0, 50), (3, 50), (4, 120), (5, 240), (9, 1920)] {
        let again = DueBatch {
            requeues,
            ..batch(Some(now - seconds(3600)), None, now)
        };
        let lost = [State::Lost(now - seconds(3600)), State::None];
        let back = push_back(&again, lost, now, &Backoff::default());
        assert_eq!(back.next, now + seconds(wait_s), "{requeues}");
        assert_eq!(back.requeued, 1);
    }
    assert_eq!(next(&first, [State::Slow, State::None], now), now + SLOW);
}

#[test]
fn batches_due_later_are_not_enqueued_yet() {
    let now = Utc::now();
    let later = batch(Some(now + seconds(121)), Some(now + seconds(119)), now);
    let kinds = [send_state(&later, now), check_state(&later, now)];
    assert_eq!(kinds[0], State::Later(now + seconds(121)));
    assert!(matches!(kinds[1], State::New { .. }));
    assert_eq!(next(&later, kinds, now), now + seconds(121 - 75));
}
