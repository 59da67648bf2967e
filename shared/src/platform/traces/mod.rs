//! Traces: OpenTelemetry spans, exported by OTLP (HTTP, protobuf) if `OTLP_ENDPOINT` is set
//! ([ADR 28](../../../../docs/adr/0029-one-trace-per-schedule.md)).
//!
//! A schedule is one trace. Its trace id is its own id, and the id of its first span is derived from
//! it, so that each function can continue the trace from the rows alone: after the hours until a
//! schedule begins, after a sweep, and if a message is lost. A message of a queue also carries the
//! span that has sent it (`traceparent`), which is then the parent.
//!
//! The spans are those of the log lines ([`logs::context`](super::logs::context)). Without an
//! endpoint nothing is recorded: the layer does not exist.

mod export;
mod queue;

use std::{
    borrow::Cow,
    env,
    sync::{Arc, OnceLock},
    time::SystemTime,
};

use lambda_runtime::tracing::subscriber::{
    Layer, filter::filter_fn, layer::Filter, registry::LookupSpan,
};
use opentelemetry::{
    Context, InstrumentationScope, KeyValue, SpanId, TraceFlags, TraceId,
    trace::{
        Link, SpanContext, SpanKind, Status, TraceContextExt, TraceState, TracerProvider as _,
    },
};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, SpanData, SpanEvents, SpanLinks};
use tracing::{Metadata, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use uuid::Uuid;

pub use self::export::{TraceExporter, TraceSettings};
use self::queue::{QueueingProcessor, SpanQueue};

/// The variable with the URL of the collector.
const ENDPOINT: &str = "OTLP_ENDPOINT";
/// The name of the spans' scope.
const SCOPE: &str = "sms";
/// Where the spans are defined that are exported. Those of dependencies are not.
const OUR_SPANS: &str = "shared::platform::";

/// The ended spans of this process; not set: nothing is recorded.
static ENDED: OnceLock<Arc<SpanQueue>> = OnceLock::new();

/// Returns the layer that records spans, if there is an endpoint. It is called before the
/// configuration is read, like the log level, because a span can only begin if its layer exists.
pub(super) fn layer<S>() -> Option<impl Layer<S>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let is_wanted = env::var(ENDPOINT).is_ok_and(|endpoint| !endpoint.trim().is_empty());
    is_wanted.then(recording_layer)
}

/// Returns the layer that records spans. Those that have ended wait for the
/// [`TraceExporter`] of this process.
pub fn recording_layer<S>() -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let ended = ENDED.get_or_init(Arc::default);
    let provider = SdkTracerProvider::builder()
        .with_sampler(Sampler::AlwaysOn)
        .with_span_processor(QueueingProcessor(Arc::clone(ended)))
        .build();
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(SCOPE))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_level(false)
        .with_tracked_inactivity(false)
        // Nothing here reads OpenTelemetry's own current context, and setting it costs at each poll.
        .with_context_activation(false)
        .with_filter(our_spans())
}

/// Events are not recorded: they are in the log.
fn our_spans<S>() -> impl Filter<S> {
    filter_fn(|metadata: &Metadata<'_>| {
        metadata.is_span() && metadata.target().starts_with(OUR_SPANS)
    })
}

fn is_enabled() -> bool {
    ENDED.get().is_some()
}

fn trace_id(schedule_id: Uuid) -> TraceId {
    TraceId::from_bytes(*schedule_id.as_bytes())
}

/// Returns the first span of a schedule's trace. Its id is the second half of the schedule's, which
/// is random and never 0.
fn first_span(schedule_id: Uuid) -> SpanContext {
    let mut span_id = [0; 8];
    span_id.copy_from_slice(&schedule_id.as_bytes()[8..]);
    remote(trace_id(schedule_id), SpanId::from_bytes(span_id))
}

fn remote(trace_id: TraceId, span_id: SpanId) -> SpanContext {
    let state = TraceState::default();
    SpanContext::new(trace_id, span_id, TraceFlags::SAMPLED, true, state)
}

/// Reads a `traceparent` (W3C Trace Context, section 3.2).
fn read_traceparent(header: &str) -> Option<SpanContext> {
    let mut parts = header.split('-');
    let (version, trace_id, span_id) = (parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    if version != "00" || !is_hex(trace_id, 32) || !is_hex(span_id, 16) {
        return None;
    }
    let trace_id = TraceId::from_hex(trace_id).ok()?;
    let context = remote(trace_id, SpanId::from_hex(span_id).ok()?);
    context.is_valid().then_some(context)
}

/// Makes a span part of the trace of its schedule. Its parent is the span that has sent the message,
/// or the first one of the trace.
pub fn continue_schedule(span: &Span, schedule_id: Uuid, traceparent: Option<&str>) {
    if is_enabled() {
        let sender = traceparent
            .and_then(read_traceparent)
            .filter(|sender| sender.trace_id() == trace_id(schedule_id));
        set_parent(span, sender.unwrap_or_else(|| first_span(schedule_id)));
    }
}

/// Makes a span part of the trace that a `traceparent` names, if it names one.
pub fn continue_trace(span: &Span, traceparent: Option<&str>) {
    if is_enabled()
        && let Some(parent) = traceparent.and_then(read_traceparent)
    {
        set_parent(span, parent);
    }
}

fn set_parent(span: &Span, parent: SpanContext) {
    // It fails only if the span is not recorded.
    let _ = span.set_parent(Context::new().with_remote_span_context(parent));
}

/// Returns the `traceparent` of the current span, for a message about this schedule. `None`: the
/// span is part of another trace, for example of the schedule whose release admits batches of this
/// one.
pub fn traceparent_of(schedule_id: Uuid) -> Option<String> {
    current()
        .filter(|span| span.trace_id() == trace_id(schedule_id))
        .map(|span| to_traceparent(&span))
}

/// Returns the `traceparent` of the current span, if one is recorded.
pub fn traceparent() -> Option<String> {
    current().map(|span| to_traceparent(&span))
}

fn current() -> Option<SpanContext> {
    is_enabled()
        .then(|| Span::current().context().span().span_context().clone())
        .filter(SpanContext::is_valid)
}

fn to_traceparent(span: &SpanContext) -> String {
    format!("00-{}-{}-01", span.trace_id(), span.span_id())
}

/// Gives a span that has begun another name in the traces.
pub fn rename(span: &Span, name: impl Into<Cow<'static, str>>) {
    if is_enabled() {
        span.context().span().update_name(name);
    }
}

/// Begins the trace of a schedule that this request has created. The request has a trace of its own,
/// mostly its caller's: the two are linked.
pub fn begin_schedule(schedule_id: Uuid) {
    let (Some(ended), Some(request)) = (ENDED.get(), current()) else {
        return;
    };
    let first = first_span(schedule_id);
    Span::current().add_link(first.clone());
    ended.push(schedule_span(first, request, schedule_id));
}

/// Returns the first span of a schedule: a moment, since its end is hours away.
fn schedule_span(first: SpanContext, request: SpanContext, schedule_id: Uuid) -> SpanData {
    let now = SystemTime::now();
    let mut links = SpanLinks::default();
    links.links.push(Link::new(request, Vec::new(), 0));
    SpanData {
        span_context: first,
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: "schedule".into(),
        start_time: now,
        end_time: now,
        attributes: vec![KeyValue::new("schedule.id", schedule_id.to_string())],
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links,
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::builder(SCOPE).build(),
    }
}

#[cfg(test)]
mod tests;
