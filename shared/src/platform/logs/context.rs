//! The spans whose fields each log line inside them has: the schedule, the batch, the delivery.
//!
//! They are spans of the level ERROR, so that a line of that level still has its context if the
//! log level is `error`; a span by itself logs nothing.
//!
//! `trace.id` is the id of the schedule without hyphens: a schedule is one trace, from the API call
//! that creates it to its end. So no hop over a queue or the database can lose it.

use std::time::Duration;

use tracing::{Span, error_span, field::Empty, trace_span};
use uuid::Uuid;

use crate::platform::{
    queue::{BatchMessage, DeliveryMessage, DispatchMessage},
    traces,
};

/// A message of a queue that names what it is about.
pub trait Named {
    /// Returns the span of the message. `traceparent` is that of the message.
    fn span(&self, traceparent: Option<&str>) -> Span;
}

impl Named for BatchMessage {
    fn span(&self, traceparent: Option<&str>) -> Span {
        let span = error_span!(
            "batch",
            otel.kind = "consumer",
            otel.status_code = Empty,
            schedule.id = %self.schedule_id,
            batch.no = self.batch_no,
            trace.id = %self.schedule_id.simple(),
            attempt = Empty,
            carrier.requests = Empty,
            carrier.failures = Empty,
            carrier.slowest_ms = Empty,
        );
        traces::continue_schedule(&span, self.schedule_id, traceparent);
        span
    }
}

impl Named for DispatchMessage {
    fn span(&self, traceparent: Option<&str>) -> Span {
        let span = error_span!(
            "dispatch",
            otel.name = "cut schedule",
            otel.kind = "consumer",
            otel.status_code = Empty,
            schedule.id = %self.schedule_id,
            schedule.version = self.version,
            trace.id = %self.schedule_id.simple(),
        );
        traces::continue_schedule(&span, self.schedule_id, traceparent);
        span
    }
}

impl Named for DeliveryMessage {
    fn span(&self, traceparent: Option<&str>) -> Span {
        let span = error_span!(
            "deliver",
            otel.kind = "consumer",
            otel.status_code = Empty,
            webhook.id = %self.webhook_id,
            event.id = %self.event_id,
        );
        traces::continue_trace(&span, traceparent);
        span
    }
}

/// Marks the span of a message as failed.
pub fn fail(span: &Span) {
    span.record("otel.status_code", "ERROR");
}

/// Returns the span of a request to the API. `traceparent` is the header of its caller.
pub fn request_span(request_id: &str, traceparent: Option<&str>) -> Span {
    let span = error_span!(
        "request",
        otel.kind = "server",
        request.id = request_id,
        schedule.id = Empty,
        trace.id = Empty,
    );
    traces::continue_trace(&span, traceparent);
    span
}

/// Returns the span of a request to the carrier, which only the traces have.
pub fn carrier_span(numbers: usize) -> Span {
    trace_span!(
        "carrier request",
        otel.kind = "client",
        numbers,
        outcome = Empty
    )
}

/// Returns the span of messages to a queue, which only the traces have.
pub fn enqueue_span(messages: usize) -> Span {
    trace_span!("enqueue", otel.kind = "producer", messages, refused = Empty)
}

/// Returns the span of a post to a webhook, which only the traces have. It is part of the trace of
/// the event's schedule.
pub fn post_span(message: DeliveryMessage, schedule_id: Option<Uuid>, attempt: u32) -> Span {
    let span = trace_span!(
        "post webhook",
        otel.kind = "client",
        webhook.id = %message.webhook_id,
        event.id = %message.event_id,
        attempt,
        http.status = Empty,
    );
    if let Some(schedule_id) = schedule_id {
        traces::continue_schedule(&span, schedule_id, traces::traceparent().as_deref());
    }
    span
}

/// Adds the schedule to the span of this request: its path names it, or it has created it.
pub fn name_schedule(schedule_id: Uuid) {
    let span = Span::current();
    span.record("schedule.id", tracing::field::display(schedule_id));
    span.record("trace.id", tracing::field::display(schedule_id.simple()));
}

/// Adds the number of the pass to the span of this batch: the passes of its kind in a row, this one
/// included.
pub fn number_attempt(attempt: u32) {
    Span::current().record("attempt", attempt);
}

/// What the requests of a pass to the carrier were like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CarrierRequests {
    /// The requests that have ended.
    pub count: u32,
    /// Those that failed: no answer, or one that is no acceptance and no status.
    pub failures: u32,
    /// How long the slowest took.
    pub slowest: Duration,
}

impl CarrierRequests {
    /// Counts a request that has ended.
    pub fn count(&mut self, took: Duration, failed: bool) {
        self.count += 1;
        self.failures += u32::from(failed);
        self.slowest = self.slowest.max(took);
    }

    /// Adds them to the span of this batch, if there are any.
    pub fn record(&self) {
        if self.count > 0 {
            let span = Span::current();
            span.record("carrier.requests", self.count);
            span.record("carrier.failures", self.failures);
            span.record("carrier.slowest_ms", self.slowest.as_millis() as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_request_and_the_failures_of_a_pass_are_counted() {
        let mut requests = CarrierRequests::default();
        for (ms, failed) in [(40, false), (900, true), (60, false)] {
            requests.count(Duration::from_millis(ms), failed);
        }
        let expected = CarrierRequests {
            count: 3,
            failures: 1,
            slowest: Duration::from_millis(900),
        };
        assert_eq!(requests, expected);
    }
}
