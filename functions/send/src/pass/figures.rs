//! The metrics of a pass: one call per request and one per pass, never per message.

use std::time::Duration;

use chrono::{DateTime, Utc};
use shared::{
    batch::{
        rows::{BatchRow, FlushRow},
        worker::Claimed,
    },
    carrier::SendError,
    message::status::Status,
    platform::metrics::{self, Counter, Measure},
};

use super::outcome::Answer;

/// Records how the carrier answered a request, and how long that took.
pub fn record_request(answer: &Answer, took: Duration) {
    let (kind, failed) = match answer {
        Ok(_) => (None, false),
        Err(SendError::Busy { .. }) => (Some(Counter::CarrierBusy), false),
        Err(SendError::Refused { .. }) => (Some(Counter::CarrierRefused), false),
        Err(SendError::AccountRefused { .. }) => (Some(Counter::CarrierAccountRefused), false),
        Err(SendError::Lost { .. }) => (Some(Counter::CarrierLost), true),
        Err(SendError::NotAccepted { .. }) => (Some(Counter::CarrierNotAccepted), true),
    };
    if let Some(kind) = kind {
        metrics::count(kind, 1);
    }
    metrics::record(Measure::CarrierFailures, f64::from(u8::from(failed) * 100));
    metrics::record_time(Measure::CarrierLatency, took);
}

/// Records what an answer means for the messages of its request, each of so many parts.
pub fn record_answer(rows: &[FlushRow], parts: u16) {
    let are = |status| rows.iter().filter(|row| row.status == status).count() as u64;
    let accepted = are(Status::Acceptd);
    metrics::count(Counter::Accepted, accepted);
    metrics::count(Counter::CapacityUsed, accepted * u64::from(parts));
    metrics::count(Counter::Uncertain, are(Status::Uncertain));
}

/// The rows of a batch before a pass.
pub struct Before {
    /// Nothing of the batch was ever sent.
    is_new: bool,
    has_pending: bool,
    resends: u64,
}

impl Before {
    /// Returns what the rows show.
    pub fn of(rows: &[BatchRow]) -> Self {
        Self {
            is_new: rows.iter().all(|row| row.attempt == 0),
            has_pending: has_pending(rows),
            resends: resends(rows),
        }
    }

    /// Records what the pass has sent again, and how late the first and the last send were.
    pub fn record(&self, claimed: &Claimed) {
        let Claimed {
            claim, batch, rows, ..
        } = claimed;
        metrics::count(Counter::Resent, resends(rows).saturating_sub(self.resends));
        let sends = || rows.iter().filter_map(|row| row.sent_at);
        let late = |at: Option<DateTime<Utc>>| (at? - batch.planned_at).to_std().ok();
        if self.is_new
            && claim.batch.batch_no == 1
            && let Some(late) = late(sends().min())
        {
            metrics::record_time(Measure::FirstSendLateness, late);
        }
        if self.has_pending
            && !has_pending(rows)
            && let Some(late) = late(sends().max())
        {
            metrics::record_time(Measure::LastSendLateness, late);
        }
    }
}

fn has_pending(rows: &[BatchRow]) -> bool {
    rows.iter()
        .any(|row| row.status == Status::Pending && row.resends == 0)
}

fn resends(rows: &[BatchRow]) -> u64 {
    rows.iter().map(|row| u64::from(row.resends)).sum()
}
