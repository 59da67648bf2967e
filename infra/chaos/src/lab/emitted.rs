//! The metrics that the functions of a run emit, as lines in the embedded metric format with the times
//! of the run's clock, and the errors and dead letters that AWS itself would measure. `METRICS_DIR`
//! names a folder for them; `infra/local/alarm_proof.py` evaluates the alarms over them.

use std::{cell::RefCell, fs, ops::Range, path::PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use dispatch::sweep::{
    figures::CANARY_SHOWN,
    store::{connections_used, failed_canaries, read_due},
    velocity::{VelocityRule, read_velocities},
};
use serde_json::{Map, Value, json};
use shared::platform::{
    db::Db,
    metrics::{Counter, Figures, Measure},
};

use super::function::Function;

/// A metric of AWS itself, by the name of its resource in the template.
struct AwsMetric {
    namespace: &'static str,
    dimension: &'static str,
    resource: String,
    name: &'static str,
}

impl AwsMetric {
    fn of_function(function: Function, name: &'static str) -> Self {
        Self {
            namespace: "AWS/Lambda",
            dimension: "FunctionName",
            resource: function.name().to_owned(),
            name,
        }
    }
}

/// The lines of a run.
#[derive(Default)]
pub struct Emitted(RefCell<Vec<String>>);

impl Emitted {
    /// Adds the figures of an invocation that has ended at `at`. One that was killed has none.
    pub fn add(&self, at: DateTime<Utc>, figures: &Figures) {
        let counts = figures.counts();
        let counts = counts.map(|(counter, sum)| (counter.listed().name.to_owned(), json!(sum)));
        let values = figures.measures();
        let values = values.map(|(measure, all)| (measure.listed().name.to_owned(), json!(all)));
        self.write(at, counts.chain(values).collect());
    }

    fn write(&self, at: DateTime<Utc>, values: Map<String, Value>) {
        if values.is_empty() {
            return;
        }
        let names: Vec<_> = values.keys().map(|name| json!({"Name": name})).collect();
        let mut line = json!({"_aws": {
            "Timestamp": at.timestamp_millis(),
            "CloudWatchMetrics": [{"Metrics": names}],
        }});
        if let Some(members) = line.as_object_mut() {
            members.extend(values);
        }
        self.0.borrow_mut().push(line.to_string());
    }

    /// Adds an invocation that has failed.
    pub fn add_error(&self, function: Function, at: DateTime<Utc>) {
        self.write_aws(at, &AwsMetric::of_function(function, "Errors"), 1.0);
    }

    /// Adds an invocation that Lambda has throttled.
    pub fn add_throttle(&self, function: Function, at: DateTime<Utc>) {
        self.write_aws(at, &AwsMetric::of_function(function, "Throttles"), 1.0);
    }

    /// Adds the number of messages in a dead-letter queue.
    pub fn add_dead_letter(&self, queue: &str, at: DateTime<Utc>, count: u32) {
        let metric = AwsMetric {
            namespace: "AWS/SQS",
            dimension: "QueueName",
            resource: queue.to_owned(),
            name: "ApproximateNumberOfMessagesVisible",
        };
        self.write_aws(at, &metric, count.into());
    }

    /// Adds the age of the oldest message of a function's queue.
    pub fn add_age(&self, function: Function, at: DateTime<Utc>, age: TimeDelta) {
        let metric = AwsMetric {
            namespace: "AWS/SQS",
            dimension: "QueueName",
            resource: format!("{}Queue", function.name()),
            name: "ApproximateAgeOfOldestMessage",
        };
        self.write_aws(at, &metric, age.as_seconds_f64());
    }

    fn write_aws(&self, at: DateTime<Utc>, metric: &AwsMetric, value: f64) {
        let line = json!({"_aws": {
            "Timestamp": at.timestamp_millis(),
            "CloudWatchMetrics": [{
                "Namespace": metric.namespace,
                "Dimensions": [[metric.dimension]],
                "Metrics": [{"Name": metric.name}],
            }],
        }, metric.dimension: metric.resource, metric.name: value});
        self.0.borrow_mut().push(line.to_string());
    }

    /// Adds the sweeps that the run leaves out because they would find nothing, each minute of an
    /// interval: meanwhile nothing changes.
    pub async fn add_idle_sweeps(
        &self,
        db: &Db,
        rule: VelocityRule,
        minutes: Range<DateTime<Utc>>,
    ) -> anyhow::Result<()> {
        let Range { start, end } = minutes;
        if start >= end {
            return Ok(());
        }
        // A sweep that finds a schedule to cut, or a batch to look at, is not left out. So what is stuck
        // here is what is enqueued again and again.
        let long_ago = start - TimeDelta::days(1);
        let due = read_due(db, start, long_ago, long_ago).await?;
        let connections = connections_used(db).await?;
        let failed = failed_canaries(db, start - CANARY_SHOWN).await?;
        let mut at = start;
        while at < end {
            let failed = failed
                .iter()
                .filter(|decided| at - **decided < CANARY_SHOWN);
            let age = due
                .oldest_at
                .map_or(0.0, |oldest| (at - oldest).as_seconds_f64());
            let mut values = vec![
                (Measure::OldestDueBatch, age),
                (Measure::SchedulesStuck, due.stuck as f64),
                (Measure::UncertainRecipients, due.uncertain as f64),
                (Measure::DatabaseConnections, connections),
                (Measure::CanariesFailed, failed.count() as f64),
            ];
            if !rule.is_off() {
                let found = read_velocities(db, rule, at).await?;
                let exceeded = found.iter().filter(|each| each.is_exceeded).count();
                values.push((Measure::VelocityExceeded, exceeded as f64));
            }
            let values = values.into_iter();
            let values = values.map(|(measure, value)| (measure.listed().name, json!([value])));
            let heartbeat = (Counter::SweepsFinished.listed().name, json!(1));
            let values = values.chain([heartbeat]);
            let values = values.map(|(name, value)| (name.to_owned(), value));
            self.write(at, values.collect());
            at += TimeDelta::minutes(1);
        }
        Ok(())
    }

    /// Writes the lines of a run, and when it began and ended, if a folder is named.
    pub fn save(
        &self,
        name: &str,
        began: DateTime<Utc>,
        ended: DateTime<Utc>,
    ) -> anyhow::Result<()> {
        let Some(folder) = std::env::var_os("METRICS_DIR") else {
            return Ok(());
        };
        fs::create_dir_all(&folder)?;
        let file = PathBuf::from(folder)
            .join(name.replace(' ', "-"))
            .with_extension("jsonl");
        let bounds = json!({"began": began.timestamp(), "ended": ended.timestamp()});
        let lines = self.0.borrow().join("\n");
        fs::write(&file, format!("{bounds}\n{lines}\n"))?;
        Ok(())
    }
}
