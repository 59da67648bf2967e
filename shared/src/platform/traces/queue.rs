//! The ended spans of a process until they are exported. They are bounded: a pass with more spans
//! loses the latest ones.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use opentelemetry::Context;
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanProcessor},
};

/// The most spans that wait: those of a few invocations, about 2 MB.
pub const MOST_SPANS: usize = 4096;

/// Spans that have ended.
#[derive(Debug, Default)]
pub struct SpanQueue(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    spans: Vec<SpanData>,
    dropped: u64,
}

impl SpanQueue {
    /// Adds a span, or counts it if there is no room.
    pub fn push(&self, span: SpanData) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.spans.len() < MOST_SPANS {
            waiting.spans.push(span);
        } else {
            waiting.dropped += 1;
        }
    }

    /// Returns the spans that wait, and how many were dropped since the last call.
    pub fn take(&self) -> (Vec<SpanData>, u64) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Waiting { spans, dropped } = std::mem::take(&mut *waiting);
        (spans, dropped)
    }
}

/// Queues each span that ends. The SDK's own batch processor exports from a thread of its own, which
/// Lambda freezes after an invocation, and its flush blocks the thread that calls it.
#[derive(Debug)]
pub struct QueueingProcessor(pub Arc<SpanQueue>);

impl SpanProcessor for QueueingProcessor {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
