//! The checks can fail: each defect, made by hand in a schedule that is right otherwise, is reported.

use proptest::{prop_assert, prop_assert_eq, test_runner::TestCaseError};
use shared::carrier::Submit;
use sqlx::MySqlPool;

use super::{
    lifecycle::Lifecycle,
    limits::{LimitStep, Limits},
    states::{By, Call, RecipientCall, Step, Subscription, What},
};

/// When the defect happens.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moment {
    Waiting,
    Sent,
    Ended,
    /// It waits for an approval.
    Unapproved,
    /// It is approved, and waits for its time.
    Approved,
    /// The budget of the day is used up.
    UsedUp,
}

/// What happens.
enum Defect {
    Nothing,
    /// Rows are written that no function would have written.
    Rows(&'static str),
    /// A message is sent once more.
    SentAgain,
    /// A client polls from a time that is too late.
    LatePoll,
}

use Defect::{LatePoll, Rows, SentAgain};
use Moment::{Approved, Ended, Sent, Unapproved, UsedUp, Waiting};

/// The defects, each with a part of the report.
const DEFECTS: &[(Moment, Defect, &str)] = &[
    (
        Waiting,
        Rows("UPDATE recipients SET status = 'PENDING', final_at = NULL WHERE seq = 1"),
        "by group, and of the schedule",
    ),
    (Sent, SentAgain, "was sent 2 times"),
    (
        Sent,
        Rows("UPDATE recipients SET status = 'PENDING', id_start = NULL, final_at = NULL WHERE seq = 2"),
        "it was sent",
    ),
    (
        Sent,
        Rows("UPDATE recipients SET status = 'UNKNOWN', error = 'resolved as sent', final_at = sent_at WHERE seq = 2"),
        "UNKNOWN",
    ),
    (
        Sent,
        Rows("UPDATE batches SET acceptd = acceptd + 1"),
        "counts differ",
    ),
    (
        Sent,
        Rows("UPDATE recipient_references SET group_name = 'G9' WHERE seq = 2"),
        "G9",
    ),
    (
        Sent,
        Rows("UPDATE schedules SET status = 'paused', paused_at = created_at WHERE status = 'scheduled'"),
        "the schedule beside it",
    ),
    (
        Ended,
        Rows("DELETE FROM webhook_deliveries WHERE type = 'messages.final'"),
        "messages without their event",
    ),
    (
        Ended,
        Rows("DELETE d FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook_id WHERE w.callback_hash IS NOT NULL"),
        "the events of webhook",
    ),
    (
        Ended,
        Rows("INSERT INTO webhook_deliveries (webhook_id, event_id, type, schedule_id, data, due_at, created_at)
            SELECT DISTINCT w.id, d.event_id, d.type, d.schedule_id, '{}', d.due_at, d.created_at FROM webhooks w JOIN webhook_deliveries d
            WHERE w.owner IS NOT NULL AND w.labels IS NULL AND w.callback_hash IS NULL AND d.type = 'schedule.started'"),
        "the events of webhook",
    ),
    (
        Ended,
        Rows("UPDATE recipients SET status = 'DELIVRD', id_start = 'm', attempt = 1, sent_at = '2099-01-01' WHERE seq = 1 AND status = 'CANCELLED'"),
        "1 DELIVRD 0 finished",
    ),
    (
        Ended,
        Rows("UPDATE recipients SET phone = '+60129999998' WHERE seq = 2"),
        "2 DELIVRD 0 finished",
    ),
    (
        Ended,
        Rows("UPDATE recipient_references SET reference = 'R2' WHERE seq = 3"),
        "R2",
    ),
    (
        Ended,
        Rows("UPDATE schedules SET run_at = run_at + INTERVAL 1 DAY"),
        "sent before run_at",
    ),
    (
        Ended,
        Rows("UPDATE schedule_summaries SET sent_to_final_count = sent_to_final_count + 1"),
        "sent_to_final_ms",
    ),
    (Ended, LatePoll, "None"),
    (
        Unapproved,
        Rows("UPDATE schedules SET status = 'scheduled' WHERE status = 'awaiting-approval'"),
        "without an approval of this content",
    ),
    (
        Approved,
        Rows("UPDATE schedules SET message = 'Hello again' WHERE id IN (SELECT schedule_id FROM schedule_approvals)"),
        "without an approval of this content",
    ),
    (
        Approved,
        Rows("UPDATE schedules SET run_at = run_at - INTERVAL 1 SECOND WHERE id IN (SELECT schedule_id FROM schedule_approvals)"),
        "without an approval of this content",
    ),
    (
        Approved,
        Rows("UPDATE recipients SET phone = '+60129999998' WHERE seq = 2"),
        "without an approval of this content",
    ),
    (
        Approved,
        Rows("UPDATE recipient_references SET reference = 'R3' WHERE seq = 4"),
        "without an approval of this content",
    ),
    // As a pass would send that ignores the budget, and as one that does not count.
    (Approved, Rows("UPDATE budgets SET amount = 100"), "sent beyond"),
    (UsedUp, Rows("UPDATE spending SET used = 0"), "counted"),
    (UsedUp, Rows("UPDATE spending SET used = used + 5"), "counted beyond"),
    (UsedUp, SentAgain, "sent beyond"),
];
/// The budget of a schedule of twelve recipients, of whom one is cancelled: batches of four, five and two,
/// of the second of which three fit.
const PARTS: u64 = 7;

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn each_defect_is_reported(pool: MySqlPool) {
    let mut wrong = Vec::new();
    for (place, (moment, defect, report)) in DEFECTS.iter().enumerate() {
        match run(&pool, *moment, defect).await {
            Err(error) if error.to_string().contains(report) => {}
            other => wrong.push(format!("{place}: {report} was expected, but got {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for moment in [Ended, UsedUp] {
        let result = run(&pool, moment, &Defect::Nothing).await;
        result.expect("no defect, no report");
    }
}

/// Runs a schedule with a callback, of which a recipient is cancelled in time.
async fn run(pool: &MySqlPool, moment: Moment, defect: &Defect) -> Result<(), TestCaseError> {
    let is_limited = matches!(moment, Unapproved | Approved | UsedUp);
    if is_limited {
        return run_limited(pool, moment, defect).await;
    }
    let mut lifecycle = Lifecycle::new(pool, false, Limits::default()).await;
    let cancel = RecipientCall {
        what: What::Cancel,
        by: By::Seq,
        place: 0,
    };
    for step in [
        Step::Subscribe(Subscription::Callback(Some(true))),
        Step::Call(Call::Activate),
        Step::Recipient(cancel),
    ] {
        lifecycle.step(&step).await?;
    }
    if moment == Waiting {
        defect.happen(&mut lifecycle).await?;
    }
    for step in [Step::Wait(100), Step::Sweep, Step::Work { twice: false }] {
        lifecycle.step(&step).await?;
    }
    if moment == Sent {
        defect.happen(&mut lifecycle).await?;
        lifecycle.check_state("running").await?;
    }
    lifecycle.finish().await?;
    lifecycle.wait(120);
    lifecycle.sweep().await;
    if moment == Ended {
        defect.happen(&mut lifecycle).await?;
    }
    lifecycle.check_events().await?;
    lifecycle.check_final_state().await
}

/// Runs a schedule that is approved, and that a budget pauses until it is raised.
async fn run_limited(
    pool: &MySqlPool,
    moment: Moment,
    defect: &Defect,
) -> Result<(), TestCaseError> {
    let mut lifecycle = Lifecycle::new(pool, false, Limits::of(true, true)).await;
    let cancel = RecipientCall {
        what: What::Cancel,
        by: By::Seq,
        place: 0,
    };
    lifecycle.step(&Step::Call(Call::Activate)).await?;
    prop_assert_eq!(lifecycle.status().await, "awaiting-approval");
    if moment == Unapproved {
        defect.happen(&mut lifecycle).await?;
        lifecycle.check_state("scheduled").await?;
    }
    for step in [
        Step::Limit(LimitStep::ReadAndApprove),
        Step::Recipient(cancel),
        Step::Limit(LimitStep::Budget(PARTS)),
    ] {
        lifecycle.step(&step).await?;
    }
    prop_assert_eq!(
        lifecycle.status().await,
        "scheduled",
        "a cancellation voids nothing"
    );
    if moment == Approved {
        defect.happen(&mut lifecycle).await?;
        lifecycle.check_state("scheduled").await?;
    }
    for step in [Step::Wait(100), Step::Sweep, Step::Work { twice: false }] {
        lifecycle.step(&step).await?;
    }
    prop_assert_eq!(
        lifecycle.accepted(),
        PARTS,
        "exactly what the budget allows"
    );
    prop_assert!(
        lifecycle.is_paused_by_budget().await,
        "and the rest is paused"
    );
    if moment == UsedUp {
        defect.happen(&mut lifecycle).await?;
        lifecycle.check_state("paused").await?;
    }
    lifecycle.check_end().await
}

impl Defect {
    async fn happen(&self, lifecycle: &mut Lifecycle) -> Result<(), TestCaseError> {
        match self {
            Self::Nothing => {}
            Rows(sql) => {
                let done = sqlx::query(sql).execute(&lifecycle.stage.db).await;
                let done = done.map_err(|error| TestCaseError::fail(error.to_string()))?;
                prop_assert!(done.rows_affected() > 0, "no row has the defect");
            }
            SentAgain => {
                let number = lifecycle.model.recipients[&2].phone();
                let submit = Submit {
                    numbers: &[&number],
                    text: "Hello",
                    sender: None,
                    own_id: None,
                    parts: 1,
                };
                let carrier = &lifecycle.stage.sender.worker.carrier;
                carrier.submit(submit).await.unwrap();
            }
            LatePoll => {
                "2099-01-01T00:00:00Z".clone_into(&mut lifecycle.changed_since);
                lifecycle.polled.clear();
            }
        }
        Ok(())
    }
}
