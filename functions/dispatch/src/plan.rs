//! The plan of a cut: which recipients make a batch, and when each batch is sent. Pure.

use crate::cut::store::{NewBatch, PendingRange};
use chrono::{DateTime, TimeDelta, Utc};
use shared::{
    message::window::Window,
    platform::backoff::{SECONDS_OF_RATE, before_due},
};

use crate::Settings;

/// How many places of the list make a batch.
pub fn stretch_size(batch_size: u32, rate: Option<u32>) -> u32 {
    rate.map_or(batch_size, |rate| {
        batch_size.min(rate.saturating_mul(SECONDS_OF_RATE)).max(1)
    })
}

/// Over what time the batches go out.
#[derive(Clone, Debug)]
pub struct Spread {
    /// Nothing is sent before.
    pub start: DateTime<Utc>,
    /// Messages a second; none: all at once.
    pub rate: Option<u32>,
    /// The only hours that count; none: all.
    pub window: Option<Window>,
}

impl Spread {
    /// When the message is planned that has so many before it.
    fn at(&self, before: i64) -> DateTime<Utc> {
        let offset =
            TimeDelta::milliseconds(self.rate.map_or(0, |rate| before * 1000 / i64::from(rate)));
        self.window.as_ref().map_or(self.start + offset, |window| {
            window.after(self.start, offset)
        })
    }
}

/// The batches of a schedule: all at once, or spread so that at no time more has been planned than `rate`
/// allows. What is due within `lead` is enqueued by whoever cuts; until that is done the sweep may do it.
pub fn plan(
    stretches: &[PendingRange],
    spread: &Spread,
    now: DateTime<Utc>,
    settings: &Settings,
) -> Vec<NewBatch> {
    let mut before: i64 = 0;
    let mut batches = Vec::with_capacity(stretches.len());
    for (stretch, batch_no) in stretches.iter().zip(1..) {
        let send_at = spread.at(before);
        let sweep_at = if is_enqueued_now(send_at, now, settings.lead) {
            now
        } else {
            before_due(send_at)
        };
        let (first_seq, last_seq) = (stretch.first_seq, stretch.last_seq);
        batches.push(NewBatch {
            batch_no,
            first_seq,
            last_seq,
            pending: stretch.pending,
            send_at,
            sweep_at,
        });
        before += i64::from(stretch.pending);
    }
    batches
}

/// Whether whoever cuts puts it on the queue; the sweep does so with what is due later.
pub fn is_enqueued_now(send_at: DateTime<Utc>, now: DateTime<Utc>, lead: TimeDelta) -> bool {
    send_at <= now + lead
}

#[cfg(test)]
mod tests {
    use shared::platform::backoff::Backoff;

    use super::*;

    fn settings() -> Settings {
        let (lead, sweep_lead) = (TimeDelta::seconds(90), TimeDelta::seconds(70));
        Settings {
            lead,
            sweep_lead,
            batch_size: 500,
            backoff: Backoff::default(),
        }
    }

    fn stretches(pending: &[u32]) -> Vec<PendingRange> {
        let stretch = |(n, pending): (u32, &u32)| PendingRange {
            first_seq: n * 500 + 1,
            last_seq: n * 500 + 500,
            pending: *pending,
        };
        (0..).zip(pending).map(stretch).collect()
    }

    #[test]
    fn without_a_rate_all_batches_are_sent_at_once() {
        let now = Utc::now();
        let start = now + TimeDelta::seconds(60);
        let batches = plan(
            &stretches(&[500, 499]),
            &Spread {
                start,
                rate: None,
                window: None,
            },
            now,
            &settings(),
        );
        assert_eq!(
            batches
                .iter()
                .map(|batch| (batch.batch_no, batch.send_at, batch.sweep_at))
                .collect::<Vec<_>>(),
            [(1, start, now), (2, start, now)]
        );
    }

    #[test]
    fn what_does_not_fit_into_a_window_goes_on_in_the_next() {
        let column = r#"{"days":["Mon","Wed"],"from":"09:00","to":"09:01","zone":"UTC"}"#;
        let start = DateTime::from_timestamp(1_795_420_800, 0).unwrap_or_default(); // 2026-11-23, a Monday, 08:00
        let spread = Spread {
            start,
            rate: Some(10),
            window: Window::of(Some(column)),
        };
        let batches = plan(&stretches(&[500, 100, 400, 1]), &spread, start, &settings());
        let times: Vec<_> = batches
            .iter()
            .map(|batch| batch.send_at.to_rfc3339())
            .collect();
        let expected = [
            "2026-11-23T09:00:00",
            "2026-11-23T09:00:50",
            "2026-11-25T09:00:00",
            "2026-11-25T09:00:40",
        ];
        assert_eq!(times, expected.map(|time| format!("{time}+00:00")));
    }

    #[test]
    fn a_rate_is_never_exceeded_from_the_start_to_any_batch() {
        let now = Utc::now();
        let batches = plan(
            &stretches(&[20, 13, 20, 20]),
            &Spread {
                start: now,
                rate: Some(10),
                window: None,
            },
            now,
            &settings(),
        );
        let mut sent = 0.0;
        for batch in &batches {
            let seconds = (batch.send_at - now).as_seconds_f64();
            assert!(
                sent <= seconds * 10.0 + 0.01,
                "batch {}: {sent} in {seconds} s",
                batch.batch_no
            );
            sent += f64::from(batch.pending);
        }
    }

    #[test]
    fn what_is_due_later_than_the_lead_is_left_to_the_sweep() {
        let now = Utc::now();
        let batches = plan(
            &stretches(&[100, 100]),
            &Spread {
                start: now,
                rate: Some(1),
                window: None,
            },
            now,
            &settings(),
        );
        assert_eq!(batches[0].sweep_at, now);
        assert_eq!(
            batches[1].sweep_at,
            batches[1].send_at - TimeDelta::seconds(75)
        );
    }

    #[test]
    fn a_slow_rate_makes_small_batches() {
        for (batch_size, rate, size) in [
            (500, None, 500),
            (500, Some(1), 2),
            (500, Some(100), 200),
            (500, Some(9000), 500),
            (1, Some(5), 1),
        ] {
            assert_eq!(stretch_size(batch_size, rate), size);
        }
    }
}
