//! Cancelling a schedule before its time.

use crate::stage::{Stage, numbers};

#[tokio::test]
#[ignore = "needs the local stack: make test"]
async fn a_schedule_cancelled_before_its_time_is_not_sent() {
    let stage = Stage::connect().await;
    let schedule = stage
        .post(stage.time_for_eventbridge(), "Never mind", numbers(8, 50))
        .await;
    stage.api.cancel(schedule.id).await.unwrap();
    let proof = stage.prove(schedule.id).await;
    let schedule = stage.api.schedule(schedule.id).await.unwrap();
    assert_eq!(
        (schedule.status.as_str(), schedule.count("CANCELLED")),
        ("cancelled", 50)
    );
    // Nothing is sent at `run_at` either.
    let left = (schedule.run_at - chrono::Utc::now())
        .to_std()
        .unwrap_or_default();
    tokio::time::sleep(left + std::time::Duration::from_secs(2)).await;
    let findings = stage.prove(schedule.id).await.findings;
    assert_eq!(
        (
            findings.accepted_attempts,
            findings.matched,
            findings.others
        ),
        (0, 0, 0)
    );
    assert_eq!(proof.findings.matched, 0);
}
