//! A log line as one JSON object: `{"fields":{"message":…},"level":"INFO"}`.
//!
//! `fields` has the fields of the event and those of each span around it; an inner field replaces an
//! outer one of the same name. So one expression, `fields.schedule.id`, finds each line about a
//! schedule, and no field is written twice.

use std::fmt::{self, Debug};

use lambda_runtime::tracing::subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormattedFields,
        format::{JsonFields, Writer},
    },
    registry::{LookupSpan, Scope},
};
use serde_json::{Map, Value, json};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};

/// The names that the runtime of Lambda gives to the fields of its span, and ours.
const RENAMED: [(&str, &str); 2] = [
    ("requestId", "lambda.request_id"),
    ("xrayTraceId", "xray.trace_id"),
];
/// Fields that are no part of a line: they are instructions for the traces.
const INSTRUCTION: &str = "otel.";

/// Formats each event as one line.
pub struct JsonLine;

impl<S> FormatEvent<S, JsonFields> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        let spans = context.event_scope().into_iter();
        for span in spans.flat_map(Scope::from_root) {
            if let Some(of_span) = span.extensions().get::<FormattedFields<JsonFields>>() {
                fields.add_span(of_span);
            }
        }
        event.record(&mut fields);
        let level = event.metadata().level().as_str();
        writeln!(writer, "{}", json!({"level": level, "fields": fields.0}))
    }
}

/// The fields of a line.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    /// Adds the fields of a span, which are stored as a JSON object.
    fn add_span(&mut self, formatted: &str) {
        let Ok(Value::Object(of_span)) = serde_json::from_str(formatted) else {
            return;
        };
        for (name, value) in of_span {
            let renamed = RENAMED.iter().find(|(theirs, _)| *theirs == name);
            let name = renamed.map_or(name, |(_, ours)| (*ours).to_owned());
            self.add(name, value);
        }
    }

    fn add(&mut self, name: String, value: Value) {
        if !name.starts_with(INSTRUCTION) {
            self.0.insert(name, value);
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field.name().to_owned(), format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field.name().to_owned(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field.name().to_owned(), value.into());
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use lambda_runtime::{
        Context,
        layers::trace::request_span,
        tracing::subscriber::{EnvFilter, Layer, Registry, fmt, layer::SubscriberExt},
    };
    use uuid::Uuid;

    use super::*;
    use crate::platform::{
        logs::{
            context::{Named, number_attempt},
            with_invocation,
        },
        queue::BatchMessage,
    };

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Returns the lines that `work` logs.
    fn lines_of(work: impl FnOnce()) -> Vec<Value> {
        lines_at("trace", work)
    }

    /// Returns the lines that `work` logs at a level.
    fn lines_at(level: &str, work: impl FnOnce()) -> Vec<Value> {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let lines = fmt::layer()
            .fmt_fields(JsonFields::new())
            .event_format(JsonLine)
            .with_writer(move || writer.clone())
            .with_filter(with_invocation(EnvFilter::new(level)));
        let subscriber = Registry::default().with(lines);
        tracing::subscriber::with_default(subscriber, work);
        let written = String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap();
        let parsed = written
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        parsed.collect()
    }

    #[test]
    fn a_line_has_the_fields_of_the_spans_around_it_once() {
        let batch = BatchMessage {
            schedule_id: Uuid::from_u128(0x0190_a0b0_c0d0_7080_8000_0000_0000_000d),
            batch_no: 3,
        };
        let lines = lines_of(|| {
            let invocation = tracing::info_span!("invoke", requestId = "r-1", otel.kind = "server");
            let _invocation = invocation.enter();
            let span = batch.span(None);
            let _span = span.enter();
            number_attempt(2);
            tracing::info!(batch.no = 4, outcome = "accepted", ?batch.batch_no, "batch released");
        });
        let expected = json!({"level": "INFO", "fields": {
            "message": "batch released", "outcome": "accepted", "batch.batch_no": "3", "attempt": 2, "batch.no": 4,
            "schedule.id": "0190a0b0-c0d0-7080-8000-00000000000d", "trace.id": "0190a0b0c0d07080800000000000000d",
            "lambda.request_id": "r-1",
        }});
        assert_eq!(lines, [expected]);
    }

    #[test]
    fn at_each_level_a_line_has_the_id_of_its_invocation() {
        let mut context = Context::default();
        context.request_id = "r-1".to_owned();
        for (level, messages) in [
            ("error", &["failed"][..]),
            ("warn", &["failed", "odd"]),
            ("info", &["failed", "odd", "usual"]),
            ("off", &["failed"][..0]),
        ] {
            let lines = lines_at(level, || {
                let _invocation = request_span(&context).entered();
                tracing::error!("failed");
                tracing::warn!("odd");
                tracing::info!("usual");
            });
            let found: Vec<_> = lines
                .iter()
                .map(|line| &line["fields"]["message"])
                .collect();
            assert_eq!(found, messages, "{level}");
            let ids = lines
                .iter()
                .map(|line| &line["fields"]["lambda.request_id"]);
            assert!(ids.into_iter().all(|id| id == "r-1"), "{level}: {lines:?}");
        }
    }

    #[test]
    fn a_line_without_a_span_has_only_its_own_fields() {
        let lines = lines_of(|| {
            tracing::warn!(
                error = "a \"quoted\"\nreason",
                ok = false,
                seconds = 0.5,
                "failed"
            );
        });
        let fields = json!({"message": "failed", "error": "a \"quoted\"\nreason", "ok": false, "seconds": 0.5});
        assert_eq!(lines, [json!({"level": "WARN", "fields": fields})]);
    }
}
