//! The decision of a release after each kind of pass.

use super::*;
use crate::{
    platform::{backoff::Backoff, queue::BatchMessage},
    schedule::priority::Priority,
};

fn timing() -> Timing {
    Timing {
        recheck_delays: [10, 30, 60].map(Duration::from_secs).to_vec(),
        recheck_deadline: TimeDelta::hours(23),
        resend_delay: TimeDelta::seconds(300),
        quiet_time: TimeDelta::seconds(300),
        backoff: Backoff::default(),
    }
}

fn batch(now: DateTime<Utc>) -> ClaimedBatch {
    ClaimedBatch {
        first_seq: 1,
        last_seq: 9,
        planned_at: now,
        send_at: None,
        check_at: None,
        tries: 0,
        refusals: 0,
        checks: 0,
        requeues: 0,
        missed: false,
        is_canary: false,
        schedule_status: ScheduleStatus::Running,
        message: "x".into(),
        parts: 1,
        sender: None,
        rate: None,
        priority: Priority::Normal,
        send_window: None,
        max_lateness_s: 3600,
        ends_at: None,
        max_resends: 2,
        resend_within_s: 3600,
        on_uncertain: OnUncertain::Hold,
        wants_final_events: false,
        turns_exist: false,
        prices_version: None,
        budgets_exist: false,
        limit_known: false,
        open_slots: 8,
        progress_at: None,
        outage_from: None,
        outage_until: None,
    }
}

fn row(status: Status, resends: u32, sent_at: DateTime<Utc>) -> BatchRow {
    BatchRow {
        seq: 1,
        phone: "+60123456789".to_owned(),
        status,
        attempt: 1,
        resends,
        message_id: None,
        carrier_status: None,
        sent_at: Some(sent_at),
        final_at: status.is_final().then_some(sent_at),
        suppressed: false,
    }
}

fn claim(at: DateTime<Utc>) -> Claim {
    let message = BatchMessage {
        schedule_id: uuid::Uuid::nil(),
        batch_no: 1,
    };
    Claim::new(message, at, at + TimeDelta::seconds(60))
}

const SENT: PassResult = PassResult::Sent {
    accepted: true,
    refused: false,
    was_busy: false,
    wait: Duration::from_secs(4),
    back_to_waiting: false,
};

const CHECKED: PassResult = PassResult::Checked {
    least_delay: TimeDelta::zero(),
};

/// A recheck under a limit on status queries.
fn checked_slowly(seconds: i64) -> PassResult {
    PassResult::Checked {
        least_delay: TimeDelta::seconds(seconds),
    }
}

fn next_send(
    batch: &ClaimedBatch,
    rows: &[BatchRow],
    result: PassResult,
    now: DateTime<Utc>,
) -> DateTime<Utc> {
    let pass = EndedPass {
        claim: &claim(now),
        batch,
        rows,
        result,
        can_ask: false,
    };
    pass.next_send(Policy::of(batch, false, now), &timing(), now)
}

/// The seconds from `now` to the next recheck.
fn next_check_s(
    batch: &ClaimedBatch,
    row: BatchRow,
    result: PassResult,
    now: DateTime<Utc>,
) -> i64 {
    let pass = EndedPass {
        claim: &claim(now),
        batch,
        rows: &[row],
        result,
        can_ask: false,
    };
    (pass.next_check(&timing(), now) - now).num_seconds()
}

#[test]
fn only_messages_that_the_policy_allows_are_sent_again() {
    let now = Utc::now();
    let resend = ClaimedBatch {
        on_uncertain: OnUncertain::Resend,
        ..batch(now)
    };
    let over = ClaimedBatch {
        planned_at: now - TimeDelta::hours(2),
        ..resend.clone()
    };
    let cancelled = ClaimedBatch {
        schedule_status: ScheduleStatus::Cancelled,
        ..resend.clone()
    };
    let paused = ClaimedBatch {
        schedule_status: ScheduleStatus::Paused,
        ..batch(now)
    };
    let missed = ClaimedBatch {
        missed: true,
        ..batch(now)
    };
    let ended = ClaimedBatch {
        ends_at: Some(now),
        ..batch(now)
    };
    let later = now + TimeDelta::seconds(300);
    let table = [
        (&batch(now), Status::Pending, 0, false, Some(now)),
        (&batch(now), Status::Undeliv, 1, false, Some(later)),
        (&batch(now), Status::Expired, 2, false, None),
        (&batch(now), Status::Unknown, 0, false, None),
        (&batch(now), Status::Uncertain, 0, false, None),
        (&resend, Status::Uncertain, 0, false, Some(later)),
        (&resend, Status::Uncertain, 2, false, None),
        (&resend, Status::Uncertain, 0, true, None),
        (&over, Status::Undeliv, 0, false, None),
        (&over, Status::Pending, 0, false, Some(now)),
        (&cancelled, Status::Undeliv, 0, false, None),
        (&paused, Status::Undeliv, 0, false, Some(later)),
        (&missed, Status::Pending, 0, false, None),
        (&missed, Status::Pending, 1, false, Some(now)),
        (&missed, Status::Undeliv, 0, false, Some(later)),
        (&ended, Status::Undeliv, 0, false, None),
    ];
    for (batch, status, resends, can_ask, expected) in table {
        let policy = Policy::of(batch, can_ask, now);
        let at = policy.send_at(&row(status, resends, now), &timing(), now);
        let schedule = batch.schedule_status;
        assert_eq!(at, expected, "{status:?} {resends} {can_ask} {schedule:?}");
    }
}

#[test]
fn a_batch_is_over_at_the_end_of_its_schedule_or_if_the_window_opens_after_it() {
    let noon = DateTime::from_timestamp(1_772_366_400, 0).unwrap(); // 2026-03-01T12:00:00Z
    let hours = |hours| noon + TimeDelta::hours(hours);
    let window = r#"{"days":["Mon","Tue","Wed","Thu","Fri","Sat","Sun"],"from":"09:00","to":"13:00","zone":"UTC"}"#;
    for (ends_at, window, now, expected) in [
        (None, None, noon, false),
        (Some(hours(1)), None, noon, false),
        (Some(noon), None, noon, true),
        (Some(hours(4)), Some(window), noon, false),
        (Some(hours(4)), Some(window), hours(2), true),
        (Some(hours(22)), Some(window), hours(2), false),
    ] {
        let batch = ClaimedBatch {
            ends_at,
            send_window: window.map(str::to_owned),
            ..batch(noon)
        };
        assert_eq!(batch.is_over(now), expected, "{ends_at:?} {window:?} {now}");
    }
}

#[test]
fn what_is_left_is_due_at_the_end_of_the_schedule() {
    let now = Utc::now();
    let batch = ClaimedBatch {
        ends_at: Some(now + TimeDelta::seconds(3)),
        ..batch(now)
    };
    let pass = EndedPass {
        claim: &claim(now),
        batch: &batch,
        rows: &[row(Status::Pending, 0, now)],
        result: SENT,
        can_ask: false,
    };
    let release = pass.plan_release(&timing(), now);
    assert_eq!(Some(release.send_at), batch.ends_at);
}

#[test]
fn a_recheck_does_not_postpone_a_planned_send() {
    let now = Utc::now();
    let planned = now + TimeDelta::seconds(20);
    let batch = ClaimedBatch {
        send_at: Some(planned),
        ..batch(now)
    };
    let next = |rows: &[BatchRow]| next_send(&batch, rows, CHECKED, now);
    assert_eq!(
        next(&[row(Status::Pending, 0, now), row(Status::Undeliv, 0, now)]),
        planned
    );
    let ended = now - TimeDelta::seconds(299);
    assert_eq!(
        next(&[row(Status::Undeliv, 0, ended), row(Status::Undeliv, 0, now)]),
        now + TimeDelta::seconds(1)
    );
}

#[test]
fn pending_rows_wait_for_the_back_off() {
    let now = Utc::now();
    let rows = [row(Status::Pending, 0, now), row(Status::Undeliv, 0, now)];
    assert_eq!(
        next_send(&batch(now), &rows, SENT, now),
        now + TimeDelta::seconds(4)
    );
}

#[test]
fn recheck_delays_grow_and_end_at_the_deadline() {
    let now = Utc::now();
    let table = [
        (7, SENT, 10),
        (1, CHECKED, 30),
        (2, CHECKED, 60),
        (9, CHECKED, 60),
        (1, checked_slowly(20), 30),
        (1, checked_slowly(700), 700),
    ];
    for (checks, result, expected_s) in table {
        let batch = ClaimedBatch {
            checks,
            ..batch(now)
        };
        let delay_s = next_check_s(&batch, row(Status::Enroute, 0, now), result, now);
        assert_eq!(delay_s, expected_s, "after {checks} checks, {result:?}");
    }
    let sent_at = now - TimeDelta::hours(23) + TimeDelta::seconds(5);
    let old = row(Status::Enroute, 0, sent_at);
    for result in [CHECKED, checked_slowly(700)] {
        assert_eq!(next_check_s(&batch(now), old.clone(), result, now), 5);
    }
}

#[test]
fn a_message_that_waits_on_its_queue_is_not_enqueued_again() {
    let now = Utc::now();
    let at = |seconds| now + TimeDelta::seconds(seconds);
    let pass = EndedPass {
        claim: &claim(at(-10)),
        batch: &batch(now),
        rows: &[],
        result: SENT,
        can_ask: false,
    };
    let table = [
        (Some(60), 60, true, "it arrives in a minute"),
        (
            Some(-60),
            -60,
            true,
            "it is late or lost: left to the sweep",
        ),
        (
            Some(-5),
            -5,
            false,
            "it arrived during the pass and found the batch owned",
        ),
        (
            Some(2),
            2,
            false,
            "it may have arrived early, during the pass",
        ),
        (Some(60), 30, false, "another due time"),
        (None, 60, false, "not planned before"),
        (Some(1000), 1000, false, "beyond the reach of a queue"),
    ];
    for (planned, due, waits, why) in table {
        let on_queue = pass.is_on_queue(planned.map(at), at(due), now);
        assert_eq!(on_queue, waits, "{why}");
    }
}
