//! Metrics: what an invocation counts and measures, written as one line of CloudWatch's embedded
//! metric format when it ends.
//!
//! [`count`] and [`record`] add to the invocation that [`Metrics::during`] runs; outside of one they
//! do nothing. Nothing is written per message, and the memory is bounded. A process that ends before
//! its invocation does writes nothing. No metric has a dimension, because each value of a dimension
//! is a metric of its own that costs as much.

mod list;
mod samples;

use std::{
    cell::RefCell,
    io,
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use metrics::{Key, Level, Metadata};
use metrics_cloudwatch_embedded::{Builder, Collector};

pub use self::list::{Counter, Listed, Measure, Unit};
use self::samples::Samples;
use crate::platform::config::Env;

tokio::task_local! {
    /// The figures of the invocation that this task runs.
    static FIGURES: RefCell<Figures>;
}

/// Adds to a counter of this invocation.
pub fn count(counter: Counter, by: u64) {
    // Fails outside of an invocation.
    let _ = FIGURES.try_with(|figures| figures.borrow_mut().counts[counter as usize] += by);
}

/// Records a value of this invocation.
pub fn record(measure: Measure, value: f64) {
    let _ = FIGURES.try_with(|figures| figures.borrow_mut().samples[measure as usize].add(value));
}

/// Records a duration of this invocation in the unit of the metric, seconds or milliseconds.
pub fn record_time(measure: Measure, time: Duration) {
    let seconds = time.as_secs_f64();
    let is_ms = measure.listed().unit == Unit::Milliseconds;
    record(measure, if is_ms { seconds * 1000.0 } else { seconds });
}

/// Runs `work`, and returns its figures beside its result.
pub async fn collect<T>(work: impl Future<Output = T>) -> (T, Figures) {
    let figures = RefCell::new(Figures::default());
    let work = async {
        let done = work.await;
        (done, FIGURES.with(RefCell::take))
    };
    FIGURES.scope(figures, work).await
}

/// The figures of one invocation.
#[derive(Debug)]
pub struct Figures {
    counts: Box<[u64; Counter::ALL.len()]>,
    samples: Box<[Samples; Measure::ALL.len()]>,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            counts: Box::new([0; Counter::ALL.len()]),
            samples: Box::new(std::array::from_fn(|_| Samples::default())),
        }
    }
}

impl Figures {
    /// Returns the sum of a counter.
    pub fn count(&self, counter: Counter) -> u64 {
        self.counts[counter as usize]
    }

    /// Returns the values of a measure, in no order.
    pub fn values(&self, measure: Measure) -> Vec<f64> {
        self.samples[measure as usize].values().collect()
    }

    /// Returns the counters that are not zero.
    pub fn counts(&self) -> impl Iterator<Item = (Counter, u64)> {
        let counts = Counter::ALL
            .iter()
            .map(|&counter| (counter, self.count(counter)));
        counts.filter(|(_, sum)| *sum > 0)
    }

    /// Returns each measure that has values, and these.
    pub fn measures(&self) -> impl Iterator<Item = (Measure, Vec<f64>)> {
        let values = Measure::ALL
            .iter()
            .map(|&measure| (measure, self.values(measure)));
        values.filter(|(_, values)| !values.is_empty())
    }
}

/// No invocation has begun in this process.
static IS_COLD: AtomicBool = AtomicBool::new(true);

/// What the library wants to know about the place of an emission; it ignores it.
const METADATA: Metadata<'_> = Metadata::new(module_path!(), Level::INFO, None);

/// Writes the metrics of a function.
pub struct Metrics {
    /// `None`: nothing is counted or written.
    sink: Option<Sink>,
}

impl Metrics {
    /// Reads `METRICS_NAMESPACE`, the stack's name. Without it, nothing is counted or written.
    pub fn namespace(env: &mut Env) -> Option<String> {
        env.optional("METRICS_NAMESPACE", "a namespace of CloudWatch")
    }

    /// Prepares the metrics of a function in a namespace, once per process.
    pub fn open(function: &'static str, namespace: Option<String>) -> anyhow::Result<Self> {
        let sink = namespace
            .map(|name| Sink::new(function, name))
            .transpose()?;
        Ok(Self { sink })
    }

    /// Runs an invocation, and writes its metrics to the standard output.
    pub async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        let Some(sink) = &self.sink else {
            return work.await;
        };
        let (done, figures) = collect(with_start(work)).await;
        if let Err(error) = sink.write(&figures, io::stdout().lock()) {
            tracing::warn!(%error, "the metrics could not be written");
        }
        done
    }
}

/// Runs an invocation, and counts whether it is the first one of its process.
async fn with_start<T>(work: impl Future<Output = T>) -> T {
    count(
        Counter::ColdStarts,
        IS_COLD.swap(false, Ordering::Relaxed).into(),
    );
    work.await
}

/// The library's collector, which writes the embedded metric format: one per process.
static COLLECTOR: OnceLock<&'static Collector> = OnceLock::new();

/// The usual size of a line in bytes.
const LINE_SIZE: usize = 4096;

/// Held from the first figure of a line until it is written.
static LINE: Mutex<()> = Mutex::new(());

/// Writes the lines of a function.
struct Sink(&'static Collector);

impl Sink {
    fn new(function: &'static str, namespace: String) -> anyhow::Result<Self> {
        let _line = LINE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(&collector) = COLLECTOR.get() {
            return Ok(Self(collector));
        }
        let collector = Builder::new().cloudwatch_namespace(namespace).init();
        let collector = collector.map_err(|error| anyhow::anyhow!("preparing metrics: {error}"))?;
        collector.set_property("function", function);
        metrics::with_recorder(|recorder| {
            for listed in all() {
                let unit = library_unit(listed.unit);
                recorder.describe_counter(listed.name.into(), Some(unit), "".into());
            }
        });
        Ok(Self(COLLECTOR.get_or_init(|| collector)))
    }

    /// Writes one line, or none if there is no figure.
    fn write(&self, figures: &Figures, mut out: impl io::Write) -> io::Result<()> {
        let _line = LINE.lock().unwrap_or_else(PoisonError::into_inner);
        metrics::with_recorder(|recorder| {
            for (counter, sum) in figures.counts() {
                let key = Key::from_static_name(counter.listed().name);
                recorder.register_counter(&key, &METADATA).increment(sum);
            }
            for (measure, values) in figures.measures() {
                let key = Key::from_static_name(measure.listed().name);
                let histogram = recorder.register_histogram(&key, &METADATA);
                for value in values {
                    histogram.record(value);
                }
            }
        });
        // The library writes word by word, and the standard output would pass them on in small pieces.
        let mut line = Vec::with_capacity(LINE_SIZE);
        self.0.flush(&mut line)?;
        out.write_all(&line)
    }
}

/// Returns the whole list.
pub fn all() -> impl Iterator<Item = Listed> {
    let counters = Counter::ALL.iter().map(|counter| counter.listed());
    counters.chain(Measure::ALL.iter().map(|measure| measure.listed()))
}

const fn library_unit(unit: Unit) -> metrics::Unit {
    match unit {
        Unit::Count => metrics::Unit::Count,
        Unit::CountPerSecond => metrics::Unit::CountPerSecond,
        Unit::Microseconds => metrics::Unit::Microseconds,
        Unit::Milliseconds => metrics::Unit::Milliseconds,
        Unit::Percent => metrics::Unit::Percent,
        Unit::Seconds => metrics::Unit::Seconds,
    }
}

#[cfg(test)]
mod tests;
