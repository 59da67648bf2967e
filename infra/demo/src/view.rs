//! The live view: two lines that are redrawn in place on a terminal; otherwise one line at most
//! every two seconds, if something has changed.

use std::{
    collections::VecDeque,
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use shared::message::status::Status;

use crate::api::Schedule;

const BAR: usize = 40;
/// The period over which speeds are measured.
const WINDOW: Duration = Duration::from_secs(10);
/// The minimum time between two plain lines.
const PLAIN_EVERY: Duration = Duration::from_secs(2);

/// The progress of a schedule at one moment.
#[derive(Clone, Copy)]
struct Sample {
    at: Instant,
    sent: u64,
    done: u64,
}

/// Shows a schedule's progress.
pub struct View {
    terminal: bool,
    drawn: bool,
    samples: VecDeque<Sample>,
    last_plain: Option<(Instant, String)>,
    /// Text that follows the counts.
    pub note: String,
}

impl Default for View {
    fn default() -> Self {
        Self {
            terminal: io::stdout().is_terminal(),
            drawn: false,
            samples: VecDeque::new(),
            last_plain: None,
            note: String::new(),
        }
    }
}

/// The counts that the lines show.
struct Progress {
    total: u64,
    sent: u64,
    done: u64,
}

impl Progress {
    fn of(schedule: &Schedule) -> Self {
        let sum = |is_counted: fn(Status) -> bool| {
            Status::ALL
                .into_iter()
                .filter(|&s| is_counted(s))
                .map(|s| schedule.count(s.as_str()))
                .sum()
        };
        let counted: u64 = sum(|status| status != Status::Invalid);
        Self {
            total: counted.max(schedule.recipients.total),
            sent: sum(|status| {
                !matches!(status, Status::Pending | Status::Sending | Status::Invalid)
            }),
            done: sum(|status| status.is_final() && status != Status::Invalid),
        }
    }
}

impl View {
    /// Shows the schedule's current state.
    pub fn show(&mut self, schedule: &Schedule) {
        let now = Instant::now();
        let progress = Progress::of(schedule);
        self.samples.push_back(Sample {
            at: now,
            sent: progress.sent,
            done: progress.done,
        });
        // One sample that is older than the window, or before the first send, is kept as the start
        // of the measurement.
        while self
            .samples
            .get(1)
            .is_some_and(|second| now - second.at > WINDOW || second.sent == 0)
        {
            self.samples.pop_front();
        }
        let (first, second) = (
            self.headline(schedule, &progress, Utc::now()),
            [counts(schedule), self.note.clone()]
                .join("  ")
                .trim_end()
                .to_owned(),
        );
        // An error of standard output is ignored: the view is only informative.
        let _ = if self.terminal {
            self.draw(&first, &second)
        } else {
            self.print(&format!("{first}  {second}"), now)
        };
    }

    fn draw(&mut self, first: &str, second: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        // Line wrap is off while drawing: a long line is truncated, so that the next drawing starts
        // at the correct position.
        let up = if self.drawn { "\x1b[2A\r" } else { "" };
        self.drawn = true;
        write!(out, "\x1b[?7l{up}\x1b[2K{first}\n\x1b[2K{second}\n\x1b[?7h")?;
        out.flush()
    }

    fn print(&mut self, line: &str, now: Instant) -> io::Result<()> {
        let skip = self
            .last_plain
            .as_ref()
            .is_some_and(|(at, last)| now - *at < PLAIN_EVERY || last == line);
        if skip {
            return Ok(());
        }
        self.last_plain = Some((now, line.to_owned()));
        writeln!(io::stdout(), "{line}")
    }

    fn headline(&self, schedule: &Schedule, progress: &Progress, now: DateTime<Utc>) -> String {
        let Progress { total, sent, done } = *progress;
        let percent = done * 100 / total.max(1);
        let filled = |count: u64| {
            (count as usize * BAR)
                .checked_div(total as usize)
                .unwrap_or(0)
                .min(BAR)
        };
        let bar = format!(
            "{:-<BAR$}",
            "#".repeat(filled(done)) + &"=".repeat(filled(sent) - filled(done).min(filled(sent)))
        );
        let wait_s = (schedule.run_at - now).num_milliseconds() as f64 / 1000.0;
        let rest = if sent == 0 && wait_s > 0.0 {
            format!("{}, {wait_s:.0} s to go", schedule.status)
        } else {
            let (sending, ending) = self.speeds();
            let left = (total.saturating_sub(done)) as f64 / ending;
            let left = if left.is_finite() && done < total {
                format!(", about {left:.0} s left")
            } else {
                String::new()
            };
            format!(
                "{}, {sending:.0} sent/s, {ending:.0} final/s{left}",
                schedule.status
            )
        };
        format!("[{bar}] {percent:>3} % of {total}  {rest}")
    }

    /// Returns two rates in messages per second: sent, and final.
    fn speeds(&self) -> (f64, f64) {
        let (Some(first), Some(last)) = (self.samples.front(), self.samples.back()) else {
            return (0.0, 0.0);
        };
        let seconds = (last.at - first.at).as_secs_f64().max(0.1);
        (
            last.sent.saturating_sub(first.sent) as f64 / seconds,
            last.done.saturating_sub(first.done) as f64 / seconds,
        )
    }
}

/// Returns the non-zero counts, in the order of the message's lifecycle.
fn counts(schedule: &Schedule) -> String {
    let counts = Status::ALL
        .into_iter()
        .map(|status| (status.as_str(), schedule.count(status.as_str())));
    let counts: Vec<_> = counts
        .filter(|(_, count)| *count > 0)
        .map(|(status, count)| format!("{status} {count}"))
        .collect();
    counts.join("  ")
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use uuid::Uuid;

    use super::*;
    use crate::api::Totals;

    fn schedule(counts: &[(&str, u64)]) -> Schedule {
        Schedule {
            id: Uuid::nil(),
            status: "running".to_owned(),
            version: 1,
            run_at: DateTime::UNIX_EPOCH,
            counts: counts
                .iter()
                .map(|&(status, count)| (status.to_owned(), count))
                .collect(),
            recipients: Totals {
                total: 200,
                ..Totals::default()
            },
            dispatched_by: None,
        }
    }

    #[test]
    fn the_headline_shows_the_progress() {
        let schedule = schedule(&[
            ("PENDING", 50),
            ("ACCEPTD", 50),
            ("DELIVRD", 90),
            ("UNDELIV", 10),
            ("INVALID", 7),
        ]);
        let progress = Progress::of(&schedule);
        assert_eq!(
            (progress.total, progress.sent, progress.done),
            (200, 150, 100)
        );
        let mut view = View {
            terminal: false,
            drawn: false,
            samples: VecDeque::new(),
            last_plain: None,
            note: String::new(),
        };
        let now = Instant::now();
        view.samples.push_back(Sample {
            at: now,
            sent: 50,
            done: 0,
        });
        view.samples.push_back(Sample {
            at: now + Duration::from_secs(2),
            sent: 150,
            done: 100,
        });
        let line = view.headline(
            &schedule,
            &progress,
            DateTime::UNIX_EPOCH + TimeDelta::seconds(9),
        );
        let bar = "####################==========----------";
        assert_eq!(
            line,
            format!("[{bar}]  50 % of 200  running, 50 sent/s, 50 final/s, about 2 s left")
        );
        assert_eq!(
            counts(&schedule),
            "PENDING 50  ACCEPTD 50  DELIVRD 90  UNDELIV 10  INVALID 7"
        );
    }

    #[test]
    fn the_headline_counts_down_before_run_at() {
        let schedule = schedule(&[("PENDING", 200)]);
        let view = View {
            terminal: false,
            drawn: false,
            samples: VecDeque::new(),
            last_plain: None,
            note: String::new(),
        };
        let line = view.headline(
            &schedule,
            &Progress::of(&schedule),
            DateTime::UNIX_EPOCH - TimeDelta::seconds(9),
        );
        assert!(line.ends_with("0 % of 200  running, 9 s to go"), "{line}");
    }

    #[test]
    fn an_empty_schedule_causes_no_division_by_zero() {
        let mut empty = schedule(&[]);
        empty.recipients.total = 0;
        let view = View {
            terminal: false,
            drawn: false,
            samples: VecDeque::new(),
            last_plain: None,
            note: String::new(),
        };
        assert!(
            view.headline(&empty, &Progress::of(&empty), Utc::now())
                .contains("0 % of 0")
        );
    }
}
