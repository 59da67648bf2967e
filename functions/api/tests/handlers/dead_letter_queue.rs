//! The SQS client of the dead-letter queue, against a simulated SQS that hides received messages.

use std::sync::{Arc, Mutex};

use api::resources::attention::dead_letter_queue::{DeadLetterQueue, SqsDeadLetterQueue};
use aws_sdk_sqs::config::{Credentials, Region, SharedCredentialsProvider};
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::method};

/// A message of the simulated queue. A deleted message has no body.
struct Message {
    body: Option<String>,
    hidden: bool,
}

type Messages = Arc<Mutex<Vec<Message>>>;

fn attributes(messages: &[Message]) -> Value {
    let count = |hidden: bool| {
        let stored = messages.iter().filter(|message| message.body.is_some());
        stored.filter(|message| message.hidden == hidden).count()
    };
    json!({"Attributes": {
        "ApproximateNumberOfMessages": count(false).to_string(),
        "ApproximateNumberOfMessagesNotVisible": count(true).to_string(),
    }})
}

/// Returns at most seven messages, so that the client needs several calls.
fn receive(messages: &mut [Message], request: &Value) -> Value {
    assert_eq!(
        (&request["VisibilityTimeout"], &request["WaitTimeSeconds"]),
        (&json!(30), &json!(1))
    );
    let limit = request["MaxNumberOfMessages"].as_u64().unwrap() as usize;
    let visible = messages
        .iter_mut()
        .enumerate()
        .filter(|(_, message)| message.body.is_some() && !message.hidden);
    let received = visible.take(limit.min(7)).map(|(at, message)| {
        message.hidden = true;
        json!({
            "MessageId": format!("m{at}"), "ReceiptHandle": at.to_string(), "Body": message.body,
            "Attributes": {"SentTimestamp": "1767225600000"},
        })
    });
    json!({"Messages": received.collect::<Vec<_>>()})
}

/// Applies a change to each message that the entries of a batch request name.
fn change_each(messages: &mut [Message], request: &Value, change: impl Fn(&mut Message)) -> Value {
    let entries = request["Entries"].as_array().unwrap();
    for entry in entries {
        let at: usize = entry["ReceiptHandle"].as_str().unwrap().parse().unwrap();
        change(&mut messages[at]);
    }
    let ids: Vec<_> = entries
        .iter()
        .map(|entry| json!({"Id": entry["Id"]}))
        .collect();
    json!({"Successful": ids, "Failed": []})
}

fn respond(messages: &Messages, request: &Request) -> Value {
    let mut messages = messages.lock().unwrap();
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    match request.headers["x-amz-target"].to_str().unwrap() {
        "AmazonSQS.GetQueueAttributes" => attributes(&messages),
        "AmazonSQS.ReceiveMessage" => receive(&mut messages, &body),
        "AmazonSQS.ChangeMessageVisibilityBatch" => {
            assert_eq!(body["Entries"][0]["VisibilityTimeout"], 0);
            change_each(&mut messages, &body, |message| message.hidden = false)
        }
        "AmazonSQS.DeleteMessageBatch" => {
            change_each(&mut messages, &body, |message| message.body = None)
        }
        other => panic!("{other}"),
    }
}

/// Creates the client of a simulated queue.
async fn connect(server: &MockServer) -> Arc<dyn DeadLetterQueue> {
    let credentials = Credentials::new("test", "test", None, None, "test");
    let config = shared::platform::aws::sdk_config()
        .await
        .clone()
        .into_builder();
    let config = config
        .endpoint_url(server.uri())
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    SqsDeadLetterQueue::shared(
        aws_sdk_sqs::Client::new(&config),
        format!("{}/000000000000/q", server.uri()),
    )
}

#[tokio::test]
async fn dead_letters_are_taken_put_back_and_deleted_in_sqs() {
    let server = MockServer::start().await;
    let stored = (0..25).map(|n| Message {
        body: Some(format!("letter {n}")),
        hidden: false,
    });
    let messages: Messages = Arc::new(Mutex::new(stored.collect()));
    let template = move |request: &Request| {
        ResponseTemplate::new(200).set_body_json(respond(&messages, request))
    };
    let mock = Mock::given(method("POST")).respond_with(template);
    mock.mount(&server).await;
    let queue = connect(&server).await;

    assert_eq!(queue.count().await.unwrap(), 25);
    let taken = queue.take(18).await.unwrap();
    let bodies: Vec<_> = taken.iter().map(|letter| letter.body.as_str()).collect();
    assert_eq!(
        (bodies.len(), bodies[0], bodies[17]),
        (18, "letter 0", "letter 17"),
        "the client makes as many calls as it needs"
    );
    assert_eq!(
        taken[0].sent_at.unwrap().to_rfc3339(),
        "2026-01-01T00:00:00+00:00"
    );
    assert_eq!(
        queue.take(100).await.unwrap().len(),
        7,
        "taken messages are hidden"
    );
    assert_eq!(queue.count().await.unwrap(), 25, "hidden messages count");
    assert_eq!(queue.delete(&taken[..12]).await.unwrap(), 12);
    queue.put_back(&taken[12..]).await;
    assert_eq!(
        (
            queue.count().await.unwrap(),
            queue.take(100).await.unwrap().len()
        ),
        (13, 6)
    );
}
