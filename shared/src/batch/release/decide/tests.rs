//! What a release is told after each kind of pass.

use super::*;
use crate::platform::backoff::Backoff;

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
        schedule_status: "running".into(),
        message: "x".into(),
        parts: 1,
        sender: None,
        rate: None,
        send_window: None,
        max_lateness_s: 3600,
        max_resends: 2,
        resend_within_s: 3600,
        on_uncertain: "hold".into(),
        wants_final_events: false,
    }
}

fn row(status: Status, resends: u32, sent_at: DateTime<Utc>) -> BatchRow {
    let phone = "+60123456789".to_owned();
    let (message_id, carrier_status, sent_at, final_at) = (
        None,
        None,
        Some(sent_at),
        status.is_final().then_some(sent_at),
    );
    BatchRow {
        seq: 1,
        phone,
        status,
        attempt: 1,
        resends,
        message_id,
        carrier_status,
        sent_at,
        final_at,
    }
}

const SENT: Ended = Ended::Sent {
    accepted: true,
    refused: false,
    wait: Duration::from_secs(4),
};

#[test]
fn only_what_the_policy_allows_is_sent_again() {
    let now = Utc::now();
    let resend = ClaimedBatch {
        on_uncertain: "resend".into(),
        ..batch(now)
    };
    let over = ClaimedBatch {
        planned_at: now - TimeDelta::hours(2),
        ..resend.clone()
    };
    let cancelled = ClaimedBatch {
        schedule_status: "cancelled".into(),
        ..resend.clone()
    };
    let paused = ClaimedBatch {
        schedule_status: "paused".into(),
        ..batch(now)
    };
    let missed = ClaimedBatch {
        missed: true,
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
        (&missed, Status::Undeliv, 0, false, Some(later)),
    ];
    for (batch, status, resends, can_ask, expected) in table {
        let policy = Policy::of(batch, can_ask, now);
        let at = policy.send_at(&row(status, resends, now), &timing(), now);
        assert_eq!(
            at, expected,
            "{status:?} {resends} {can_ask} {}",
            batch.schedule_status
        );
    }
}

#[test]
fn a_recheck_does_not_put_off_a_planned_send() {
    let now = Utc::now();
    let planned = now + TimeDelta::seconds(20);
    let batch = ClaimedBatch {
        send_at: Some(planned),
        ..batch(now)
    };
    let policy = Policy::of(&batch, false, now);
    let next =
        |rows: &[BatchRow]| next_send(&batch, rows, &timing(), (policy, Ended::Checked), now);
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
fn what_is_pending_waits_as_the_back_off_says() {
    let now = Utc::now();
    let rows = [row(Status::Pending, 0, now), row(Status::Undeliv, 0, now)];
    let policy = Policy::of(&batch(now), false, now);
    assert_eq!(
        next_send(&batch(now), &rows, &timing(), (policy, SENT), now),
        now + TimeDelta::seconds(4)
    );
}

#[test]
fn rechecks_grow_slower_and_end_at_the_deadline() {
    let now = Utc::now();
    let after = |checks, ended| {
        let batch = ClaimedBatch {
            checks,
            ..batch(now)
        };
        (next_check(
            &batch,
            &[row(Status::Enroute, 0, now)],
            &timing(),
            ended,
            now,
        ) - now)
            .num_seconds()
    };
    assert_eq!(
        [
            after(7, SENT),
            after(1, Ended::Checked),
            after(2, Ended::Checked),
            after(9, Ended::Checked)
        ],
        [10, 30, 60, 60]
    );
    let old = [row(
        Status::Enroute,
        0,
        now - TimeDelta::hours(23) + TimeDelta::seconds(5),
    )];
    assert_eq!(
        next_check(&batch(now), &old, &timing(), Ended::Checked, now),
        now + TimeDelta::seconds(5)
    );
}

#[test]
fn a_message_that_waits_on_its_queue_is_not_sent_again() {
    let now = Utc::now();
    let claimed_at = now - TimeDelta::seconds(10);
    let at = |seconds| now + TimeDelta::seconds(seconds);
    let table = [
        (Some(at(60)), at(60), true, "it comes in a minute"),
        (
            Some(at(-60)),
            at(-60),
            true,
            "it is late, or lost: the sweep's",
        ),
        (
            Some(at(-5)),
            at(-5),
            false,
            "it came during the pass, and found the batch owned",
        ),
        (
            Some(at(2)),
            at(2),
            false,
            "it may have come early, during the pass",
        ),
        (Some(at(60)), at(30), false, "another time"),
        (None, at(60), false, "not planned before"),
        (Some(at(1000)), at(1000), false, "too far away for a queue"),
    ];
    for (planned, due, waits, why) in table {
        assert_eq!(is_on_queue(planned, due, (claimed_at, now)), waits, "{why}");
    }
}
