//! The settings of a run, read from the environment: `make demo N=… FILE=… TEXT=… AT=…` passes its
//! variables on.

use std::{fmt::Display, path::PathBuf, str::FromStr, time::Duration};

use anyhow::{Context, bail};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use shared::message::text::parts;

/// The settings of a run.
#[derive(Clone, Debug)]
pub struct Options {
    /// `N`: how many numbers are generated.
    pub count: u64,
    /// `START`: the index of the first generated number. The default changes every second.
    pub start: Option<u64>,
    /// `FILE`: a list of numbers, instead of generated ones.
    pub file: Option<PathBuf>,
    /// `TEXT`, or `LONG=1` for a text of three parts.
    pub text: String,
    /// `AT`: when the messages are sent. The default is shortly after the lead, so that EventBridge
    /// dispatches the schedule.
    pub at: Option<DateTime<Utc>>,
    /// `MAX_ATTEMPTS`: how often a message is sent at most.
    pub max_attempts: Option<u32>,
    /// `SENDER`: the sender address.
    pub sender: Option<String>,
    /// `CAPACITY`: the carrier's limit in message parts per second. The run proves that it is used
    /// and kept.
    pub capacity: Option<u32>,
    /// `LEARN=1`: the system is not told the limit.
    pub learn: bool,
    /// `FAIR=1`: instead of one schedule, two large and twenty small ones share the limit.
    pub fair: bool,
    /// `STALL_TIMEOUT_S`: the run fails if nothing changes for this long.
    pub stall_timeout: Duration,
}

const TEXT: &str = "Your appointment is tomorrow at 9:00. Reply STOP to opt out.";
const LONG_SENTENCE: &str =
    "This text is long enough for three parts, so that each of the parts has to arrive. ";
const DEFAULT_COUNT: u64 = 10_000;
/// With a limit, the default list takes the carrier this long.
const LIMITED_S: u64 = 40;
const DEFAULT_STALL_TIMEOUT_S: u64 = 300;

/// Time between the end of posting and the moment at which EventBridge should fire. A schedule that
/// is due within five seconds is dispatched through the queue instead.
const SPARE_S: i64 = 8;
/// A posting rate that is always reached, in numbers per second. Measured on two busy cores, in the
/// dev profile: 58,000.
const POSTED_PER_SECOND: u64 = 20_000;

impl Options {
    /// Reads the options from this process's environment.
    pub fn from_environment() -> anyhow::Result<Self> {
        Self::read(|name| std::env::var(name).ok())
    }

    fn read(variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        let variable = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let at = variable("AT").map(|at| {
            DateTime::parse_from_rfc3339(at.trim())
                .with_context(|| format!("AT={at}: {AT_EXPECTED}"))
        });
        let flag = |name| variable(name).is_some_and(|value| value != "0");
        let text = variable("TEXT").unwrap_or_else(|| {
            if flag("LONG") {
                LONG_SENTENCE.repeat(5)
            } else {
                TEXT.to_owned()
            }
        });
        let capacity: Option<u32> = number(&variable, "CAPACITY")?;
        let default_count = capacity.map_or(DEFAULT_COUNT, |capacity| {
            (u64::from(capacity) * LIMITED_S).div_ceil(parts(&text).parts as u64)
        });
        let options = Self {
            count: number(&variable, "N")?.unwrap_or(default_count),
            start: number(&variable, "START")?,
            file: variable("FILE").map(PathBuf::from),
            text,
            at: at.transpose()?.map(|at| at.to_utc()),
            // The last acceptance must not be a resend, which waits while the limit is not used.
            max_attempts: number(&variable, "MAX_ATTEMPTS")?.or(capacity.map(|_| 1)),
            sender: variable("SENDER"),
            capacity,
            learn: flag("LEARN"),
            fair: flag("FAIR"),
            stall_timeout: Duration::from_secs(
                number(&variable, "STALL_TIMEOUT_S")?.unwrap_or(DEFAULT_STALL_TIMEOUT_S),
            ),
        };
        options.check()?;
        Ok(options)
    }

    fn check(&self) -> anyhow::Result<()> {
        let options = self;
        if options.capacity == Some(0) {
            bail!("CAPACITY=0: expected at least one message part per second");
        }
        if (options.learn || options.fair) && options.capacity.is_none() {
            bail!("LEARN and FAIR need CAPACITY, such as CAPACITY=1000");
        }
        if !(1..=crate::numbers::COUNT).contains(&options.count) {
            bail!(
                "N={}: expected a number from 1 to {}",
                options.count,
                crate::numbers::COUNT
            );
        }
        Ok(())
    }

    /// Returns the time at which the messages are sent if posting starts at `now`: after posting
    /// and the lead, at a whole second.
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
    // N=1_000_000 and N=1,000,000 are more readable than N=1000000.
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
                .find(|(given, _)| *given == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn every_option_has_a_default() {
        let options = read(&[("N", ""), ("TEXT", " ")]).unwrap();
        assert_eq!(
            (
                options.count,
                options.text.as_str(),
                options.stall_timeout.as_secs()
            ),
            (10_000, TEXT, 300)
        );
        assert!(options.at.is_none() && options.file.is_none() && options.max_attempts.is_none());
    }

    #[test]
    fn given_options_are_read() {
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
    fn a_limited_run_takes_forty_seconds_and_resends_nothing() {
        let read = |pairs: &[(&str, &str)]| read(pairs).unwrap();
        let options = read(&[("CAPACITY", "1000"), ("LEARN", "1")]);
        assert_eq!(
            (options.count, options.max_attempts, options.learn),
            (40_000, Some(1), true)
        );
        assert_eq!(read(&[("CAPACITY", "1000"), ("LONG", "1")]).count, 13_334);
        assert_eq!(read(&[("CAPACITY", "1000"), ("N", "7")]).count, 7);
        assert!(Options::read(|name| (name == "FAIR").then(|| "1".to_owned())).is_err());
    }

    #[test]
    fn an_error_names_the_wrong_option() {
        for (name, value) in [
            ("N", "x"),
            ("N", "0"),
            ("N", "-1"),
            ("CAPACITY", "0"),
            ("AT", "2030-01-01T09:00:00"),
            ("STALL_TIMEOUT_S", "1.5"),
        ] {
            let error = read(&[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(&format!("{name}={value}")), "{error}");
        }
    }

    #[test]
    fn the_default_time_is_after_posting_and_the_lead() {
        let now = DateTime::from_timestamp_millis(1_000_000_000_400).unwrap();
        let run_at = read(&[]).unwrap().run_at(now, 20, 1);
        assert_eq!(run_at.timestamp_millis(), 1_000_000_030_000);
    }
}
