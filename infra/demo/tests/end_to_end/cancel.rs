//! Cancelling.

use crate::stage::{Stage, numbers};

#[tokio::test]
#[ignore = "needs the local stack: make test"]
async fn nobody_gets_what_was_cancelled_before_its_time() {
    let stage = Stage::enter().await;
    let schedule = stage
        .post(
            stage.in_time_for_eventbridge(),
            "Never mind",
            numbers(8, 50),
        )
        .await;
    stage.api.cancel(schedule.id).await.unwrap();
    let proof = stage.prove(schedule.id).await;
    let schedule = stage.api.schedule(schedule.id).await.unwrap();
    assert_eq!(
        (schedule.status.as_str(), schedule.count("CANCELLED")),
        ("cancelled", 50)
    );
    // Its time goes by, and still nothing happens.
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
