//! `POST /v1/schedules?dry_run=true`: what would come of a call. It is read as the call itself is, and nothing is written.

use chrono::{DateTime, FixedOffset};
use serde::Serialize;
use shared::{
    db::schedules::NewSchedule,
    phone::Phone,
    text::{self, Encoding},
};

use crate::{
    error::ApiError,
    forecast::{Capacity, Forecast, Load, forecast},
    intake::{
        List,
        entry::{Entry, Refused},
    },
    load::{OnInvalid, SHOWN_SKIPPED, refuse_wrong},
};

/// What would come of the call.
#[derive(Serialize)]
pub struct Report {
    /// Always true.
    dry_run: bool,
    /// Whether the call would be taken: an invalid number refuses it under `on_invalid: reject`, and a list without a valid one.
    accepted: bool,
    run_at: DateTime<FixedOffset>,
    /// Distinct numbers that would get the text.
    valid: u64,
    /// Entries whose number is in the list already.
    duplicates: u64,
    /// Entries that are no valid numbers.
    invalid_count: u64,
    /// The first thousand of them.
    invalid: Vec<Refused>,
    encoding: &'static str,
    /// The character that is in no GSM 03.38 alphabet, where the encoding is UCS-2.
    forced_by: Option<char>,
    /// Parts of a message.
    parts: u16,
    /// Parts of all messages.
    parts_total: u64,
    #[serde(flatten)]
    forecast: Forecast,
}

/// Reads the list, and says what would come of it.
pub async fn dry_run(
    schedule: &NewSchedule,
    list: Option<List>,
    on_invalid: OnInvalid,
    capacity: Capacity,
) -> Result<Report, ApiError> {
    let mut found = Found::default();
    if let Some(list) = list {
        found.read(list).await?;
    }
    let entries = found.phones.len();
    // Eight bytes a number: a list of a million takes as much memory as its body does.
    found.phones.sort_unstable();
    found.phones.dedup();
    let valid = found.phones.len() as u64;
    let counted = text::parts(&schedule.message);
    let load = Load { messages: valid, parts: valid * u64::from(schedule.parts), rate: schedule.rate };
    let draft = schedule.status == shared::db::schedules::ScheduleStatus::Draft;
    let offset: Option<FixedOffset> = schedule.run_at_offset.parse().ok();
    Ok(Report {
        dry_run: true,
        accepted: (valid > 0 || draft) && (found.invalid_count == 0 || on_invalid == OnInvalid::Skip),
        run_at: offset.map_or_else(|| schedule.run_at.fixed_offset(), |offset| schedule.run_at.with_timezone(&offset)),
        valid,
        duplicates: entries as u64 - valid,
        invalid_count: found.invalid_count,
        invalid: found.invalid,
        encoding: counted.encoding.as_str(),
        forced_by: counted.forced_by.filter(|_| counted.encoding == Encoding::Ucs2),
        parts: schedule.parts,
        parts_total: load.parts,
        forecast: forecast(load, capacity),
    })
}

#[derive(Default)]
struct Found {
    phones: Vec<Phone>,
    invalid: Vec<Refused>,
    invalid_count: u64,
}

impl Found {
    async fn read(&mut self, list: List) -> Result<(), ApiError> {
        let mut reading = list.read();
        let mut wrong = Vec::new();
        while let Some(chunk) = reading.chunks.recv().await {
            wrong.extend(chunk.wrong);
            for entry in chunk.entries {
                match entry {
                    Entry::Valid(phone) => self.phones.push(phone),
                    Entry::Invalid(refused) => {
                        self.invalid_count += 1;
                        if self.invalid.len() < SHOWN_SKIPPED {
                            self.invalid.push(*refused);
                        }
                    }
                }
            }
        }
        reading.end.await.map_err(|error| ApiError::Internal(error.to_string()))??;
        refuse_wrong(wrong)
    }
}
