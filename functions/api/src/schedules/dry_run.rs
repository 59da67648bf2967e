//! `POST /v1/schedules?dry_run=true`: what would come of a call. It is read as the call itself is, and nothing is written.

use chrono::{DateTime, FixedOffset};
use serde::Serialize;
use shared::{
    db::{
        schedules::{NewSchedule, ScheduleStatus},
        suppressions::suppressed_among,
    },
    phone::Phone,
    text::{self, Encoding},
};

use sqlx::MySqlConnection;

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
    /// Distinct numbers.
    valid: u64,
    /// Of these, numbers that have opted out by now, and would get nothing.
    suppressed: u64,
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
    connection: &mut MySqlConnection,
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
    let suppressed = count_suppressed(connection, &found.phones).await?;
    let counted = text::parts(&schedule.message);
    let messages = valid - suppressed;
    let load = Load { messages, parts: messages * u64::from(schedule.parts), rate: schedule.rate };
    let draft = schedule.status == ScheduleStatus::Draft;
    let offset: Option<FixedOffset> = schedule.run_at_offset.parse().ok();
    Ok(Report {
        dry_run: true,
        accepted: (valid > 0 || draft) && (found.invalid_count == 0 || on_invalid == OnInvalid::Skip),
        run_at: offset.map_or_else(|| schedule.run_at.fixed_offset(), |offset| schedule.run_at.with_timezone(&offset)),
        valid,
        suppressed,
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

async fn count_suppressed(connection: &mut MySqlConnection, phones: &[Phone]) -> Result<u64, ApiError> {
    let mut count = 0;
    for phones in phones.chunks(10_000) {
        let phones: Vec<_> = phones.iter().map(Phone::to_string).collect();
        let phones: Vec<&str> = phones.iter().map(String::as_str).collect();
        count += suppressed_among(connection, &phones).await?.len() as u64;
    }
    Ok(count)
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
