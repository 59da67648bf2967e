//! Letters in an SQS that hides what is taken: looked at, put back, deleted.
#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use api::resources::attention::dead_letter_queue::{DeadLetterQueue, SqsDeadLetterQueue};
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::method};

/// `(body, hidden)` of each letter; a deleted one has no body.
type Letters = Arc<Mutex<Vec<(Option<String>, bool)>>>;

fn answer(letters: &Letters, request: &Request) -> Value {
    let mut letters = letters.lock().unwrap();
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let places = || {
        body["Entries"].as_array().unwrap().iter().map(|entry| {
            entry["ReceiptHandle"]
                .as_str()
                .unwrap()
                .parse::<usize>()
                .unwrap()
        })
    };
    let done: Vec<_> = body["Entries"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|entry| json!({"Id": entry["Id"]}))
        .collect();
    match request.headers["x-amz-target"].to_str().unwrap() {
        "AmazonSQS.GetQueueAttributes" => {
            let hidden = letters
                .iter()
                .filter(|(body, hidden)| body.is_some() && *hidden)
                .count();
            let shown = letters
                .iter()
                .filter(|(body, hidden)| body.is_some() && !*hidden)
                .count();
            json!({"Attributes": {"ApproximateNumberOfMessages": shown.to_string(), "ApproximateNumberOfMessagesNotVisible": hidden.to_string()}})
        }
        "AmazonSQS.ReceiveMessage" => {
            assert_eq!(
                (&body["VisibilityTimeout"], &body["WaitTimeSeconds"]),
                (&json!(30), &json!(1))
            );
            let most = body["MaxNumberOfMessages"].as_u64().unwrap() as usize;
            let shown = letters
                .iter_mut()
                .enumerate()
                .filter(|(_, (body, hidden))| body.is_some() && !*hidden);
            let taken = shown.take(most.min(7)).map(|(at, (body, hidden))| {
                *hidden = true;
                json!({"MessageId": format!("m{at}"), "ReceiptHandle": at.to_string(), "Body": body, "Attributes": {"SentTimestamp": "1767225600000"}})
            });
            json!({"Messages": taken.collect::<Vec<_>>()})
        }
        "AmazonSQS.ChangeMessageVisibilityBatch" => {
            assert_eq!(body["Entries"][0]["VisibilityTimeout"], 0);
            places().for_each(|at| letters[at].1 = false);
            json!({"Successful": done, "Failed": []})
        }
        "AmazonSQS.DeleteMessageBatch" => {
            places().for_each(|at| letters[at].0 = None);
            json!({"Successful": done, "Failed": []})
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn letters_are_looked_at_put_back_and_deleted() {
    let server = MockServer::start().await;
    let letters: Letters = Arc::new(Mutex::new(
        (0..25)
            .map(|n| (Some(format!("letter {n}")), false))
            .collect(),
    ));
    let shown = letters.clone();
    let respond =
        move |request: &Request| ResponseTemplate::new(200).set_body_json(answer(&shown, request));
    Mock::given(method("POST"))
        .respond_with(respond)
        .mount(&server)
        .await;
    let credentials = aws_sdk_sqs::config::Credentials::new("test", "test", None, None, "test");
    let config = shared::platform::aws::sdk_config().await.into_builder();
    let config = config
        .endpoint_url(server.uri())
        .region(aws_sdk_sqs::config::Region::new("us-east-1"));
    let config = config
        .credentials_provider(aws_sdk_sqs::config::SharedCredentialsProvider::new(
            credentials,
        ))
        .build();
    let queue: Arc<dyn DeadLetterQueue> = SqsDeadLetterQueue::shared(
        aws_sdk_sqs::Client::new(&config),
        format!("{}/000000000000/q", server.uri()),
    );

    assert_eq!(queue.count().await.unwrap(), 25);
    let taken = queue.take(18).await.unwrap();
    let bodies: Vec<_> = taken.iter().map(|letter| letter.body.as_str()).collect();
    assert_eq!(
        (bodies.len(), bodies[0], bodies[17]),
        (18, "letter 0", "letter 17"),
        "as many calls as it takes"
    );
    assert_eq!(
        taken[0].sent_at.unwrap().to_rfc3339(),
        "2026-01-01T00:00:00+00:00"
    );
    assert_eq!(
        queue.take(100).await.unwrap().len(),
        7,
        "what is taken is hidden"
    );
    assert_eq!(queue.count().await.unwrap(), 25, "and counted all the same");
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
