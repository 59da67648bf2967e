//! Of a batch of queue messages, only the malformed ones move to the dead-letter queue; the others
//! succeed.
//!
//! With the stack's own queues this takes five times six minutes. The test therefore creates
//! similar queues with a visibility timeout of four seconds, longer than an invocation takes.

use std::{collections::HashMap, time::Duration};

use aws_sdk_sqs::types::{QueueAttributeName, SendMessageBatchRequestEntry};
use demo::aws::ADMINISTRATOR;
use serde_json::{Value, json};

use crate::stage::{Stage, numbers};

#[tokio::test]
#[ignore = "needs the local stack: make test"]
async fn only_malformed_messages_become_dead_letters() {
    let stage = Stage::connect().await;
    let schedule = stage
        .post(
            Stage::soon(3),
            "A valid message",
            numbers(3, 11).split_off(1),
        )
        .await;
    let valid = json!({ "schedule_id": schedule.id, "batch_no": 1 }).to_string();
    let bodies = ["nonsense", &valid, r#"{"schedule_id":7}"#, &valid];
    let (send, recheck) = tokio::join!(
        deliver_bodies(&stage, "SEND", &bodies),
        deliver_bodies(&stage, "RECHECK", &bodies)
    );
    let mut malformed = vec!["nonsense".to_owned(), r#"{"schedule_id":7}"#.to_owned()];
    malformed.sort();
    assert_eq!(send, malformed, "send's dead letters");
    assert_eq!(recheck, malformed, "recheck's dead letters");
    stage.prove_delivered(schedule.id, 10).await;
}

/// Sends the bodies to a function through a new queue. Returns the dead letters once that queue is
/// empty.
async fn deliver_bodies(stage: &Stage, function: &str, bodies: &[&str]) -> Vec<String> {
    let sqs = stage.sqs();
    let name = format!("test-{function}-{}", uuid::Uuid::new_v4());
    let (dead, dead_arn) = create_queue(&sqs, &format!("{name}-dlq"), HashMap::new()).await;
    let redrive = json!({ "deadLetterTargetArn": dead_arn, "maxReceiveCount": 2 }).to_string();
    let attributes = [
        (QueueAttributeName::VisibilityTimeout, "4".to_owned()),
        (QueueAttributeName::RedrivePolicy, redrive),
    ];
    let (queue, arn) = create_queue(&sqs, &name, attributes.into()).await;
    let mapping = add_trigger(stage, &arn, function).await;
    let entries = bodies.iter().enumerate().map(|(at, body)| {
        SendMessageBatchRequestEntry::builder()
            .id(at.to_string())
            .message_body(*body)
            .build()
            .unwrap()
    });
    sqs.send_message_batch()
        .queue_url(&queue)
        .set_entries(Some(entries.collect()))
        .send()
        .await
        .unwrap();
    wait_until_empty(&sqs, &queue).await;
    let dead_letters = sqs
        .receive_message()
        .queue_url(&dead)
        .max_number_of_messages(10)
        .send()
        .await
        .unwrap();
    let mut dead_letters: Vec<_> = dead_letters
        .messages()
        .iter()
        .map(|dead_letter| dead_letter.body().unwrap().to_owned())
        .collect();
    dead_letters.sort();
    call_mappings(stage, reqwest::Method::DELETE, &mapping, &Value::Null).await;
    for queue in [queue, dead] {
        sqs.delete_queue().queue_url(queue).send().await.unwrap();
    }
    dead_letters
}

async fn create_queue(
    sqs: &aws_sdk_sqs::Client,
    name: &str,
    attributes: HashMap<QueueAttributeName, String>,
) -> (String, String) {
    let made = sqs
        .create_queue()
        .queue_name(name)
        .set_attributes(Some(attributes))
        .send()
        .await
        .unwrap();
    let url = made.queue_url().unwrap().to_owned();
    let arn = sqs
        .get_queue_attributes()
        .queue_url(&url)
        .attribute_names(QueueAttributeName::QueueArn)
        .send()
        .await
        .unwrap();
    (
        url,
        arn.attributes().unwrap()[&QueueAttributeName::QueueArn].clone(),
    )
}

/// Makes the queue a trigger of the function, with the failure handling of its existing trigger.
/// Returns the new trigger's id.
async fn add_trigger(stage: &Stage, queue_arn: &str, function: &str) -> String {
    let name = stage.stack.value(&format!("{function}_FUNCTION")).unwrap();
    let existing = call_mappings(
        stage,
        reqwest::Method::GET,
        &format!("?FunctionName={name}"),
        &Value::Null,
    )
    .await;
    let types = existing["EventSourceMappings"][0]["FunctionResponseTypes"].clone();
    assert_eq!(
        types,
        json!(["ReportBatchItemFailures"]),
        "{function}'s trigger from the template: {existing}"
    );
    let mapping = json!({ "EventSourceArn": queue_arn, "FunctionName": name, "BatchSize": 10, "FunctionResponseTypes": types });
    call_mappings(stage, reqwest::Method::POST, "", &mapping).await["UUID"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// Calls Lambda's API for triggers. It doesn't use the SDK, which would take another half minute to
/// compile, for three calls.
async fn call_mappings(stage: &Stage, method: reqwest::Method, rest: &str, body: &Value) -> Value {
    let endpoint = stage.stack.value("AWS_ENDPOINT_URL").unwrap();
    let call = stage
        .http
        .request(
            method,
            format!("{endpoint}/2015-03-31/event-source-mappings/{rest}"),
        )
        .header("authorization", ADMINISTRATOR)
        .json(body);
    call.send()
        .await
        .unwrap()
        .error_for_status()
        .unwrap()
        .json()
        .await
        .unwrap()
}

async fn wait_until_empty(sqs: &aws_sdk_sqs::Client, queue: &str) {
    for _ in 0..120 {
        let counts = sqs
            .get_queue_attributes()
            .queue_url(queue)
            .attribute_names(QueueAttributeName::All)
            .send()
            .await
            .unwrap();
        let counts = counts
            .attributes()
            .unwrap()
            .iter()
            .filter(|(name, _)| name.as_str().starts_with("ApproximateNumber"));
        if counts
            .map(|(_, count)| count.parse::<u32>().unwrap())
            .sum::<u32>()
            == 0
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    panic!("the queue is not empty after 30 s");
}
