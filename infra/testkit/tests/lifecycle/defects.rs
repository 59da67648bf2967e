//! The checks can fail: each defect, made by hand in a schedule that is right otherwise, is reported.

use proptest::{prop_assert, test_runner::TestCaseError};
use shared::carrier::Submit;
use sqlx::MySqlPool;

use super::{
    lifecycle::Lifecycle,
    states::{By, Call, RecipientCall, Step, Subscription, What},
};

/// When the defect happens.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moment {
    Waiting,
    Sent,
    Ended,
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
use Moment::{Ended, Sent, Waiting};

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
];

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
    let result = run(&pool, Ended, &Defect::Nothing).await;
    result.expect("no defect, no report");
}

/// Runs a schedule with a callback, of which a recipient is cancelled in time.
async fn run(pool: &MySqlPool, moment: Moment, defect: &Defect) -> Result<(), TestCaseError> {
    let mut lifecycle = Lifecycle::new(pool, false).await;
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
