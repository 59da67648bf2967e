//! What is to be posted, from the environment: `make demo N=… FILE=… TEXT=… AT=…` hands its variables on.

use std::{fmt::Display, path::PathBuf, str::FromStr, time::Duration};

use anyhow::{Context, bail};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};

/// A run's settings.
#[derive(Clone, Debug)]
pub struct Options {
    /// `N`: generated numbers.
    pub count: u64,
    /// `START`: the first generated number; else another one every second.
    pub start: Option<u64>,
    /// `FILE`: a list of one's own, instead of generated numbers.
    pub file: Option<PathBuf>,
    /// `TEXT`, or `LONG=1` for one of three parts.
    pub text: String,
    /// `AT`: when it is to go out; else shortly after the lead, so that EventBridge fires.
    pub at: Option<DateTime<Utc>>,
    /// `MAX_ATTEMPTS`
    pub max_attempts: Option<u32>,
    /// `SENDER`
    pub sender: Option<String>,
    /// `PATIENCE_S`: for so long nothing may change.
    pub backoff: Duration,
}

const TEXT: &str = "Your appointment is tomorrow at 9:00. Reply STOP to opt out.";
const LONG_SENTENCE: &str =
    "This text is long enough for three parts, so that every one of them has to arrive. ";
const DEFAULT_COUNT: u64 = 10_000;
const DEFAULT_PATIENCE_S: u64 = 300;

/// Between the end of posting and the moment at which EventBridge should fire; what is due within five seconds goes by the queue.
const SPARE_S: i64 = 8;
/// Numbers a second that posting is sure to manage: 58,000 were measured on two busy cores, in the dev profile.
const POSTED_PER_SECOND: u64 = 20_000;

impl Options {
    /// Reads this process's environment.
    pub fn from_environment() -> anyhow::Result<Self> {
        Self::read(|name| std::env::var(name).ok())
    }

    fn read(variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        let variable = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let at = variable("AT").map(|at| {
            DateTime::parse_from_rfc3339(at.trim())
                .with_context(|| format!("AT={at}: {AT_EXPECTED}"))
        });
        let long = variable("LONG").is_some_and(|value| value != "0");
        let options = Self {
            count: number(&variable, "N")?.unwrap_or(DEFAULT_COUNT),
            start: number(&variable, "START")?,
            file: variable("FILE").map(PathBuf::from),
            text: variable("TEXT").unwrap_or_else(|| {
                if long {
                    LONG_SENTENCE.repeat(5)
                } else {
                    TEXT.to_owned()
                }
            }),
            at: at.transpose()?.map(|at| at.to_utc()),
            max_attempts: number(&variable, "MAX_ATTEMPTS")?,
            sender: variable("SENDER"),
            backoff: Duration::from_secs(
                number(&variable, "PATIENCE_S")?.unwrap_or(DEFAULT_PATIENCE_S),
            ),
        };
        if !(1..=crate::numbers::HOW_MANY).contains(&options.count) {
            bail!(
                "N={}: expected a number from 1 to {}",
                options.count,
                crate::numbers::HOW_MANY
            );
        }
        Ok(options)
    }

    /// When the schedule is to go out, if it is posted from `now` on: after the posting and the lead, at a whole second.
    pub fn run_at(&self, now: DateTime<Utc>, lead_s: u32, count: u64) -> DateTime<Utc> {
        let posting_s = count.div_ceil(POSTED_PER_SECOND) as i64;
        let soon = now + TimeDelta::seconds(posting_s + i64::from(lead_s) + SPARE_S + 1);
        self.at
            .unwrap_or_else(|| soon.duration_trunc(TimeDelta::seconds(1)).unwrap_or(soon))
    }
}

const AT_EXPECTED: &str = "expected a time such as 2030-01-01T09:00:00+08:00";

fn number<T: FromStr<Err: Display>>(
    variable: &impl Fn(&str) -> Option<String>,
    name: &str,
) -> anyhow::Result<Option<T>> {
    let Some(value) = variable(name) else {
        return Ok(None);
    };
    // N=1_000_000 and N=1,000,000 read better than N=1000000.
    let digits = value.trim().replace(['_', ','], "");
    digits
        .parse()
        .map(Some)
        .map_err(|error| anyhow::anyhow!("{name}={value}: expected a whole number ({error})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> anyhow::Result<Options> {
        Options::read(|name| {
            pairs
                .iter()
                .find(|(there, _)| *there == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn everything_has_a_default() {
        let options = read(&[("N", ""), ("TEXT", " ")]).unwrap();
        assert_eq!(
            (
                options.count,
                options.text.as_str(),
                options.backoff.as_secs()
            ),
            (10_000, TEXT, 300)
        );
        assert!(options.at.is_none() && options.file.is_none() && options.max_attempts.is_none());
    }

    #[test]
    fn what_is_given_is_read() {
        let options = read(&[
            ("N", "1_000"),
            ("LONG", "1"),
            ("AT", "2030-01-01T09:00:00+08:00"),
            ("MAX_ATTEMPTS", "2"),
        ])
        .unwrap();
        assert_eq!((options.count, options.max_attempts), (1_000, Some(2)));
        assert_eq!(options.text.len().div_ceil(153), 3);
        assert_eq!(
            options.run_at(Utc::now(), 20, 1).to_rfc3339(),
            "2030-01-01T01:00:00+00:00"
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (name, value) in [
            ("N", "x"),
            ("N", "0"),
            ("N", "-1"),
            ("AT", "2030-01-01T09:00:00"),
            ("PATIENCE_S", "1.5"),
        ] {
            let error = read(&[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(&format!("{name}={value}")), "{error}");
        }
    }

    #[test]
    fn the_time_lies_behind_posting_and_lead() {
        let now = DateTime::from_timestamp_millis(1_000_000_000_400).unwrap();
        let run_at = read(&[]).unwrap().run_at(now, 20, 1);
        assert_eq!(run_at.timestamp_millis(), 1_000_000_030_000);
    }
}
