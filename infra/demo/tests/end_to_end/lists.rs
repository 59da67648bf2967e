//! Lists and texts of several sizes, and many schedules at the same time.

use demo::{
    api::NewSchedule,
    list,
    post::{MAX_IN_ONE_CALL, post},
};
use futures_util::future::join_all;

use crate::stage::{Stage, numbers};

#[tokio::test]
#[ignore = "needs the local stack: make test"]
async fn a_list_of_one_is_delivered() {
    let stage = Stage::connect().await;
    let schedule = stage.post(Stage::soon(4), "You alone", numbers(3, 1)).await;
    stage.prove_delivered(schedule.id, 1).await;
}

#[tokio::test]
#[ignore = "needs the local stack: make test"]
async fn a_list_of_999_is_delivered() {
    let stage = Stage::connect().await;
    let schedule = stage
        .post(Stage::soon(4), "You and 998 others", numbers(4, 999))
        .await;
    stage.prove_delivered(schedule.id, 999).await;
}

#[tokio::test]
#[ignore = "needs the local stack: make test"]
async fn all_parts_of_a_long_text_are_delivered() {
    let stage = Stage::connect().await;
    // Forty sentences of ten characters: more than 2 × 153, less than 3 × 153.
    let schedule = stage
        .post(
            Stage::soon(4),
            "A sentence".repeat(40).as_str(),
            numbers(5, 30),
        )
        .await;
    let proof = stage.prove_delivered(schedule.id, 30).await;
    assert_eq!(
        (proof.findings.accepted_messages, proof.findings.matched),
        (90, 90)
    );
}

#[tokio::test]
#[ignore = "needs the local stack: make test"]
async fn a_long_list_is_appended_in_several_calls() {
    let stage = Stage::connect().await;
    let numbers = numbers(6, MAX_IN_ONE_CALL as u32 + 1);
    let twice = numbers.clone().into_iter().take(7);
    let list: list::List = Box::new(numbers.into_iter().chain(twice).map(Ok));
    let schedule = NewSchedule::new(Stage::soon(12), "A long list", Vec::new());
    let posted = post(&stage.api, schedule, list, |_| ()).await.unwrap();
    assert_eq!(posted.schedule.recipients.duplicates, 7);
    stage
        .prove_delivered(posted.schedule.id, MAX_IN_ONE_CALL as u64 + 1)
        .await;
}

#[tokio::test]
#[ignore = "needs the local stack: make test"]
async fn twenty_schedules_for_the_same_second_can_share_a_number() {
    let stage = Stage::connect().await;
    let run_at = Stage::soon(8);
    let numbers = numbers(7, 20 * 20);
    let posted = numbers.chunks(20).map(|own| {
        // The first number is in every list, and the text is the same: only their ids distinguish
        // the twenty messages.
        let list = [&numbers[..1], own].concat();
        stage.post(run_at, "Twenty at once", list)
    });
    let posted = join_all(posted).await;
    for schedule in &posted {
        stage.over(schedule.id).await;
    }
    for (at, schedule) in posted.iter().enumerate() {
        // The first list contains the shared number twice.
        let recipients = if at == 0 { 20 } else { 21 };
        let proof = stage.prove_delivered(schedule.id, recipients).await;
        assert_eq!(
            proof.findings.others, 19,
            "the other nineteen messages to the shared number"
        );
    }
}
