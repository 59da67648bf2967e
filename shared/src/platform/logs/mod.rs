//! The log lines of a function, on the standard output, from which Lambda takes them: as JSON if
//! `AWS_LAMBDA_LOG_FORMAT` says so, as text otherwise. Their level is that of `RUST_LOG`, until an
//! operator changes it while the function runs.
//!
//! A line has the fields of the spans around it ([`context`]), so that each line names the schedule
//! and the batch, however deep in the code it is logged.

pub mod context;
mod json_line;

use std::{env, sync::OnceLock};

use lambda_runtime::tracing::subscriber::{
    EnvFilter, Layer, Registry,
    filter::LevelFilter,
    fmt::{self, format::JsonFields},
    layer::SubscriberExt,
    reload,
    util::SubscriberInitExt,
};

use self::json_line::JsonLine;
use super::traces;

/// Replaces the filter of this process.
static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Starts to write log lines, and to record spans if traces are exported. A process calls it once, before anything is logged.
pub fn init() {
    let (filter, handle) = reload::Layer::new(deployed_filter());
    let lines = fmt::layer().with_target(false).without_time();
    let format = env::var("AWS_LAMBDA_LOG_FORMAT").unwrap_or_default();
    let lines = if format.eq_ignore_ascii_case("json") {
        lines
            .fmt_fields(JsonFields::new())
            .event_format(JsonLine)
            .boxed()
    } else {
        lines.boxed()
    };
    Registry::default()
        .with(lines.with_filter(filter))
        .with(traces::layer())
        .init();
    // `init` refuses a second call.
    drop(FILTER.set(handle));
}

/// Enables the span of the runtime that has the id of the invocation. It is of the level INFO, but the
/// lines of each level need its fields. Nothing else in its module is logged.
const INVOCATION: &str = "lambda_runtime::layers::trace=info";

/// Returns the filter of `RUST_LOG`; `info` if it is missing or wrong.
fn deployed_filter() -> EnvFilter {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .from_env_lossy();
    with_invocation(filter)
}

fn with_invocation(filter: EnvFilter) -> EnvFilter {
    match INVOCATION.parse() {
        Ok(directive) => filter.add_directive(directive),
        Err(_) => filter,
    }
}

/// Changes the level, in the notation of `RUST_LOG`; `None`: as it was deployed. Fails if the notation
/// is wrong; the level then stays.
pub fn set_level(level: Option<&str>) -> anyhow::Result<()> {
    let filter = match level {
        Some(level) => with_invocation(EnvFilter::builder().parse(level)?),
        None => deployed_filter(),
    };
    if let Some(handle) = FILTER.get() {
        handle.reload(filter)?;
    }
    Ok(())
}
