//! The event source mapping: passes each message of a queue to a function, as Lambda does with a
//! batch size of one and `ReportBatchItemFailures`.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{function::Function, queue::MemoryQueue};

/// Passes messages to the function one after the other, without end. As many of these tasks run as
/// the mapping's concurrency.
pub(super) async fn poll(queue: Arc<MemoryQueue>, function: Arc<Function>) {
    loop {
        let message = queue.receive().await;
        let event = json!({"Records": [{
            "messageId": message.id(),
            "receiptHandle": message.id(),
            "body": message.body,
            "attributes": {},
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:bench:queue",
            "awsRegion": "us-east-1",
        }]});
        match function.call(&event).await {
            Ok(answer) if is_success(&answer) => queue.delete(),
            Ok(_) => {
                function.report("a message failed: see the log");
                queue.give_back(message);
            }
            // Counted by the function.
            Err(_) => queue.give_back(message),
        }
    }
}

fn is_success(answer: &Value) -> bool {
    let failures = answer.get("batchItemFailures").and_then(Value::as_array);
    failures.is_none_or(Vec::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reported_failure_is_no_success() {
        assert!(is_success(&json!({"batchItemFailures": []})) && is_success(&json!(null)));
        let failed = json!({"batchItemFailures": [{"itemIdentifier": "1"}]});
        assert!(!is_success(&failed));
    }
}
