//! The metrics that the functions of a run emit, as lines in the embedded metric format with the times
//! of the run's clock, and the errors and dead letters that AWS itself would measure. `METRICS_DIR`
//! names a folder for them; `infra/local/alarm_proof.py` evaluates the alarms over them.

use std::{cell::RefCell, fs, path::PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};
use shared::platform::metrics::{Counter, Figures, Measure};
use sqlx::MySqlPool;

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

    /// Adds the sweeps that the run leaves out because they would find nothing, from `from` to `to`:
    /// meanwhile nothing changes.
    pub async fn add_idle_sweeps(
        &self,
        pool: &MySqlPool,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> anyhow::Result<()> {
        if from >= to {
            return Ok(());
        }
        let uncertain = "SELECT CAST(COALESCE(SUM(uncertain), 0) AS DOUBLE) FROM batches";
        let uncertain: f64 = sqlx::query_scalar(uncertain).fetch_one(pool).await?;
        let mut at = from;
        while at < to {
            let values = [
                (Counter::SweepsFinished.listed().name, json!(1)),
                (Measure::OldestDueBatch.listed().name, json!([0.0])),
                (
                    Measure::UncertainRecipients.listed().name,
                    json!([uncertain]),
                ),
            ];
            let values = values.map(|(name, value)| (name.to_owned(), value));
            self.write(at, values.into_iter().collect());
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
