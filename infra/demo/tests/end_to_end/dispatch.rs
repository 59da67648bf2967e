//! The three ways in which a schedule is dispatched: EventBridge, the queue and the sweep.

use crate::stage::{Stage, first_sent_ms, numbers};

/// The requirement: the first send is within one second of `run_at`.
const PRECISION_MS: i64 = 1_000;

#[tokio::test]
#[ignore = "needs the local stack: make test"]
async fn a_schedule_whose_event_is_lost_is_dispatched_by_the_sweep() {
    let stage = Stage::connect().await;
    let schedule = stage
        .post(stage.time_for_eventbridge(), "By the sweep", numbers(0, 3))
        .await;
    let group = stage.stack.value("SCHEDULE_GROUP").unwrap();
    // The group's name is the stack's name. The name of a schedule begins with 16 characters of it.
    let name = format!("{group:.16}-{}-{}", schedule.id, schedule.version);
    let deleted = stage
        .scheduler()
        .delete_schedule()
        .name(name)
        .group_name(group)
        .send()
        .await;
    deleted.expect("the one-time schedule exists, so it can be deleted");
    let proof = stage.prove_delivered(schedule.id, 3).await;
    assert_eq!(proof.schedule.dispatched_by.as_deref(), Some("sweep"));
}

#[tokio::test]
#[ignore = "needs the local stack: make test"]
async fn a_schedule_due_immediately_is_dispatched_through_the_queue() {
    let stage = Stage::connect().await;
    let schedule = stage
        .post(Stage::soon(3), "By the queue", numbers(1, 20))
        .await;
    let proof = stage.prove_delivered(schedule.id, 20).await;
    assert_eq!(proof.schedule.dispatched_by.as_deref(), Some("queue"));
    assert!(
        first_sent_ms(&proof) < PRECISION_MS,
        "{} ms late",
        first_sent_ms(&proof)
    );
}

#[tokio::test]
#[ignore = "needs the local stack: make test"]
async fn a_schedule_due_later_is_dispatched_by_eventbridge() {
    let stage = Stage::connect().await;
    let schedule = stage
        .post(
            stage.time_for_eventbridge(),
            "By EventBridge",
            numbers(2, 20),
        )
        .await;
    let proof = stage.prove_delivered(schedule.id, 20).await;
    assert_eq!(proof.schedule.dispatched_by.as_deref(), Some("eventbridge"));
    assert!(
        first_sent_ms(&proof) < PRECISION_MS,
        "{} ms late",
        first_sent_ms(&proof)
    );
}
