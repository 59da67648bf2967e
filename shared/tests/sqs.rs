//! The queue with an SQS that refuses entries: a 200 may contain a `Failed` list, and the SDK
//! returns `Ok`.
#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::{Value, json};
use shared::platform::queue::{Outgoing, SharedQueue, SqsQueue};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::method};

async fn queue(server: &MockServer) -> SharedQueue {
    let credentials = aws_sdk_sqs::config::Credentials::new("test", "test", None, None, "test");
    let config = shared::platform::aws::sdk_config()
        .await
        .clone()
        .into_builder();
    let config = config
        .endpoint_url(server.uri())
        .region(aws_sdk_sqs::config::Region::new("us-east-1"));
    let config = config
        .credentials_provider(aws_sdk_sqs::config::SharedCredentialsProvider::new(
            credentials,
        ))
        .build();
    SqsQueue::shared(
        aws_sdk_sqs::Client::new(&config),
        format!("{}/000000000000/q", server.uri()),
    )
}

/// Starts an SQS that refuses entries as `refuses` decides, from the number of the call (from 0)
/// and the delay of the message, which the tests use as a name. The decision is whether it is a
/// fault of the sender.
async fn sqs(
    refuses: impl Fn(usize, u64) -> Option<bool> + Send + Sync + 'static,
) -> (MockServer, Arc<AtomicUsize>) {
    let server = MockServer::start().await;
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let answer = move |request: &Request| {
        let call = counted.fetch_add(1, Ordering::SeqCst);
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let (mut accepted, mut failed) = (Vec::new(), Vec::new());
        for entry in body["Entries"].as_array().unwrap() {
            match refuses(call, entry["DelaySeconds"].as_u64().unwrap()) {
                None => accepted
                    .push(json!({"Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "x"})),
                Some(fault) => failed.push(
                    json!({"Id": entry["Id"], "SenderFault": fault, "Code": "InternalError"}),
                ),
            }
        }
        ResponseTemplate::new(200).set_body_json(json!({"Successful": accepted, "Failed": failed}))
    };
    Mock::given(method("POST"))
        .respond_with(answer)
        .mount(&server)
        .await;
    (server, calls)
}

fn messages(count: u32) -> Vec<Outgoing> {
    (0..count)
        .map(|delay_s| Outgoing {
            body: "{}".into(),
            delay_s,
            group: "g".into(),
            traceparent: None,
        })
        .collect()
}

#[tokio::test]
async fn only_entries_that_failed_are_sent_again() {
    let (server, calls) = sqs(|call, name| (call == 0 && name == 3).then_some(false)).await;
    assert!(queue(&server).await.send(&messages(5)).await.is_empty());
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    let second: Value =
        serde_json::from_slice(&server.received_requests().await.unwrap()[1].body).unwrap();
    assert_eq!(second["Entries"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn entries_that_sqs_never_accepts_are_returned_by_position() {
    let (server, _) = sqs(|_, name| (name == 3 || name == 14).then_some(false)).await;
    let mut failed = queue(&server).await.send(&messages(25)).await;
    failed.sort_unstable();
    assert_eq!(failed, [3, 14]);
}

#[tokio::test]
async fn a_fault_of_the_sender_is_not_retried() {
    let (server, calls) = sqs(|_, name| (name == 1).then_some(true)).await;
    assert_eq!(queue(&server).await.send(&messages(3)).await, [1]);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}
