//! The handler loop of a function with a queue: each message succeeds or fails on its own.

use anyhow::Context;
use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use serde::de::DeserializeOwned;
use tracing::{Instrument, Span};

use super::TRACEPARENT;
use crate::platform::{
    db::describe::describe,
    logs::context::{Named, fail},
};

/// Reads the body of a message.
pub fn read_body<T: DeserializeOwned>(body: &str) -> anyhow::Result<T> {
    serde_json::from_str(body).context("malformed body")
}

/// Passes each message of an invocation to `handle`, one after the other, in the span of the message.
/// A body that cannot be read or an error fails only that message.
pub async fn handle_each<T: DeserializeOwned + Named>(
    event: SqsEvent,
    mut handle: impl AsyncFnMut(T) -> anyhow::Result<()>,
) -> SqsBatchResponse {
    let mut response = SqsBatchResponse::default();
    for record in event.records {
        // An empty identifier would fail the whole batch.
        let Some(message_id) = record.message_id else {
            tracing::error!("a record without a message id is skipped");
            continue;
        };
        let (span, handled) = match read_body::<T>(record.body.as_deref().unwrap_or_default()) {
            Ok(message) => {
                let traceparent = record.message_attributes.get(TRACEPARENT);
                let traceparent = traceparent.and_then(|value| value.string_value.as_deref());
                let span = message.span(traceparent);
                (span.clone(), handle(message).instrument(span).await)
            }
            Err(error) => (Span::none(), Err(error)),
        };
        if let Err(error) = handled {
            fail(&span);
            let receives = record.attributes.get("ApproximateReceiveCount");
            span.in_scope(|| {
                tracing::error!(
                    sqs.message_id = message_id,
                    sqs.receives = receives.map(String::as_str),
                    error = describe(&error),
                    "message failed"
                );
            });
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = message_id;
            response.batch_item_failures.push(failure);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::platform::queue::BatchMessage;

    #[tokio::test]
    async fn each_message_is_handled_on_its_own_and_only_failed_ones_are_redelivered() {
        let id = Uuid::nil();
        let body = |batch_no: u32| json!({"schedule_id": id, "batch_no": batch_no}).to_string();
        let event = json!({"Records": [
            {"messageId": "good", "body": body(1)},
            {"messageId": "failing", "body": body(2)},
            {"messageId": "not JSON", "body": "+60123456789"},
            {"messageId": "unknown field", "body": json!({"schedule_id": id, "batch_no": 1, "text": "x"}).to_string()},
            {"messageId": "no body"},
            {"body": body(3)},
            {"messageId": "good too", "body": body(4)},
        ]});
        let mut handled = Vec::new();
        let response = handle_each(
            serde_json::from_value(event).unwrap(),
            async |message: BatchMessage| {
                handled.push(message.batch_no);
                anyhow::ensure!(message.batch_no != 2, "failing");
                Ok(())
            },
        )
        .await;
        assert_eq!(
            handled,
            [1, 2, 4],
            "a record without an id is skipped: it could only fail the whole batch"
        );
        let failed: Vec<_> = response
            .batch_item_failures
            .iter()
            .map(|failure| failure.item_identifier.as_str())
            .collect();
        assert_eq!(failed, ["failing", "not JSON", "unknown field", "no body"]);
    }
}
