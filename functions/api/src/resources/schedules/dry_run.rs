//! `POST /v1/schedules?dry_run=true`: reports the effect of a call. The call is read as usual, and
//! nothing is written.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, FixedOffset, Offset, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use shared::{
    batch::suppressions::suppressed_among,
    message::{
        phone::Phone,
        template::fixed_text,
        text::{self, Encoding},
        window::Window,
    },
    schedule::{priority::Priority, status::ScheduleStatus},
};
use sqlx::MySqlConnection;

use crate::{
    App,
    http::error::ApiError,
    lists::{
        List,
        entry::{Entry, Personal, RejectedEntry},
        load::{SHOWN_SKIPPED, Wrong},
        options::OnInvalid,
    },
    openapi::parameters::AHEAD,
    resources::schedules::{
        forecast::{DeploymentCapacity, Forecast, Forecaster, Load, Planned},
        priority,
        store::NewSchedule,
    },
};

/// The effect that the call would have.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "DryRun")]
pub struct Report {
    /// Always true.
    #[schemars(extend("const" = true))]
    dry_run: bool,
    /// Whether the call would be accepted. An invalid number refuses it under `on_invalid: reject`,
    /// and so does a list without a valid number.
    accepted: bool,
    run_at: DateTime<FixedOffset>,
    /// Distinct numbers.
    valid: u64,
    /// Of these, numbers that have opted out so far, to which nothing would be sent.
    suppressed: u64,
    /// Entries whose number is in the list already.
    duplicates: u64,
    /// Entries that are no valid numbers.
    invalid_count: u64,
    /// The first thousand of the invalid entries.
    invalid: Vec<RejectedEntry>,
    /// Of a text with variables: of what is the same for all recipients. `longest` has the encoding of
    /// the longest text.
    #[schemars(extend("enum" = [Encoding::Gsm7.as_str(), Encoding::Ucs2.as_str()]))]
    encoding: &'static str,
    /// The character that is in no GSM 03.38 alphabet, if the encoding is UCS-2.
    forced_by: Option<char>,
    /// The longest text, if it has variables and the list is not empty.
    longest: Option<LongestText>,
    /// Parts per message; for texts with variables, of the longest.
    parts: u16,
    /// Parts of all messages.
    parts_total: u64,
    /// Requests to the carrier, if each holds as many numbers as it can.
    requests: u64,
    /// The priority that the schedule would have.
    priority: Priority,
    #[serde(flatten)]
    forecast: Forecast,
}

/// The longest text of a list, first by parts, then by length.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct LongestText {
    /// Its recipient.
    phone: String,
    #[schemars(extend("enum" = [Encoding::Gsm7.as_str(), Encoding::Ucs2.as_str()]))]
    encoding: &'static str,
    /// The character that is in no GSM 03.38 alphabet, if the encoding is UCS-2.
    forced_by: Option<char>,
    /// Its length in septets (GSM-7) or UTF-16 code units (UCS-2).
    units: u16,
    parts: u16,
}

impl LongestText {
    fn of(personal: &Personal) -> Self {
        let encoding = match personal.forced_by {
            None => Encoding::Gsm7,
            Some(_) => Encoding::Ucs2,
        };
        Self {
            phone: personal.phone.to_string(),
            encoding: encoding.as_str(),
            forced_by: personal.forced_by,
            units: personal.units,
            parts: personal.parts,
        }
    }

    const fn size(&self) -> (u16, u16) {
        (self.parts, self.units)
    }
}

/// A schedule to create, and its list.
#[derive(Clone, Copy)]
pub struct NewList<'a> {
    /// The row, without recipients.
    pub schedule: &'a NewSchedule,
    /// The list, if the call has one.
    pub list: Option<&'a List>,
    /// The effect of invalid entries.
    pub on_invalid: OnInvalid,
}

/// Reads the list, and reports the effect of the call.
pub async fn dry_run(app: &App, new: NewList<'_>) -> Result<Report, ApiError> {
    let schedule = new.schedule;
    let mut parsed = ParsedList::default();
    if let Some(list) = new.list {
        parsed.read(list.clone()).await?;
    }
    let duplicates = parsed.remove_duplicates();
    let valid = parsed.messages.len();
    remove_suppressed(&mut *app.db.acquire().await?, &mut parsed.messages).await?;
    parsed
        .messages
        .sort_unstable_by_key(|message| message.position);
    let counted = text::parts(&fixed_text(&schedule.message));
    let load = parsed.load(schedule, app.capacity);
    let draft = schedule.status == ScheduleStatus::Draft;
    let offset: FixedOffset = schedule.run_at_offset.parse().unwrap_or_else(|_| Utc.fix());
    let planned = planned(app, schedule, load, valid as u64);
    let forecast = Forecaster::read(app, &[])
        .await?
        .forecast_new(&planned, offset);
    Ok(Report {
        dry_run: true,
        accepted: (valid > 0 || draft)
            && (parsed.invalid_count == 0 || new.on_invalid == OnInvalid::Skip),
        run_at: schedule.run_at.with_timezone(&offset),
        valid: valid as u64,
        suppressed: valid as u64 - load.messages,
        duplicates: duplicates as u64,
        invalid_count: parsed.invalid_count,
        invalid: parsed.invalid,
        encoding: counted.encoding.as_str(),
        forced_by: counted.forced_by,
        longest: parsed.longest,
        parts: parsed.most_parts.max(schedule.parts),
        parts_total: load.parts,
        requests: load.requests,
        priority: planned.priority,
        forecast,
    })
}

/// Returns an example of a report.
pub fn report_example() -> Value {
    json!({
        "dry_run": true, "accepted": true, "run_at": AHEAD, "valid": 2, "suppressed": 0, "duplicates": 0, "invalid_count": 0, "invalid": [],
        "encoding": "GSM-7", "forced_by": null, "longest": null, "parts": 1, "parts_total": 2, "requests": 1, "priority": "normal",
        "planned_start": AHEAD, "planned_end": AHEAD, "duration_s": 0.1, "parts_per_second": 20.0, "capacity_used": 0.2, "limited_by": "rate",
        "not_sent_in_time": 0,
    })
}

/// Returns the schedule as it would be sent, with `recipients` in its list.
fn planned(app: &App, schedule: &NewSchedule, load: Load, recipients: u64) -> Planned {
    let priority = if schedule.auto_priority {
        priority::by_size(recipients, app.capacity.bulk_above())
    } else {
        schedule.priority
    };
    Planned {
        priority,
        run_at: schedule.run_at,
        window: Window::of(schedule.send_window.as_deref()),
        end: schedule.end,
        load,
    }
}

async fn remove_suppressed(
    connection: &mut MySqlConnection,
    messages: &mut Vec<Message>,
) -> Result<(), ApiError> {
    for messages in messages.chunks_mut(10_000) {
        let phones: Vec<_> = messages
            .iter()
            .map(|message| message.phone.to_string())
            .collect();
        let phones: Vec<&str> = phones.iter().map(String::as_str).collect();
        let suppressed: HashSet<Phone> = suppressed_among(connection, &phones)
            .await?
            .iter()
            .filter_map(|phone| phone.parse().ok())
            .collect();
        for message in messages {
            message.is_suppressed = suppressed.contains(&message.phone);
        }
    }
    messages.retain(|message| !message.is_suppressed);
    Ok(())
}

/// One number of the list: 24 bytes, so that a list takes about as much memory as its body.
struct Message {
    phone: Phone,
    /// Its index in the list, without invalid entries.
    position: u32,
    parts: u16,
    is_suppressed: bool,
    /// A hash, equal for equal texts.
    text: u64,
}

#[derive(Default)]
struct ParsedList {
    messages: Vec<Message>,
    most_parts: u16,
    longest: Option<LongestText>,
    invalid: Vec<RejectedEntry>,
    invalid_count: u64,
}

impl ParsedList {
    fn push(&mut self, phone: Phone, parts: u16, text: u64) {
        let position = self.messages.len() as u32;
        self.most_parts = self.most_parts.max(parts);
        self.messages.push(Message {
            phone,
            position,
            parts,
            is_suppressed: false,
            text,
        });
    }

    /// Keeps the first entry of each number, and sorts by number. Returns how many entries it
    /// removed.
    fn remove_duplicates(&mut self) -> usize {
        let entries = self.messages.len();
        self.messages
            .sort_unstable_by_key(|message| (message.phone, message.position));
        self.messages.dedup_by_key(|message| message.phone);
        entries - self.messages.len()
    }

    /// Returns the load on the carrier. As in send, numbers with the same text share requests
    /// within a batch.
    fn load(&self, schedule: &NewSchedule, capacity: DeploymentCapacity) -> Load {
        let mut requests = 0;
        for batch in self.messages.chunks(capacity.batch as usize) {
            let mut equal: HashMap<u64, u64> = HashMap::new();
            for message in batch {
                *equal.entry(message.text).or_default() += 1;
            }
            requests += equal
                .values()
                .map(|count| count.div_ceil(capacity.numbers.into()))
                .sum::<u64>();
        }
        let parts = self
            .messages
            .iter()
            .map(|message| u64::from(message.parts.max(schedule.parts)));
        Load {
            messages: self.messages.len() as u64,
            parts: parts.sum(),
            requests,
            rate: schedule.rate,
        }
    }

    async fn read(&mut self, list: List) -> Result<(), ApiError> {
        let mut reading = list.read();
        let mut wrong = Wrong::default();
        while let Some(chunk) = reading.chunks.recv().await {
            wrong.extend(chunk.errors);
            for entry in chunk.entries {
                match entry {
                    Entry::Valid(phone) => self.push(phone, 0, 0),
                    Entry::Personal(personal) => {
                        let known = self.longest.as_ref().map_or((0, 0), LongestText::size);
                        if (personal.parts, personal.units) > known {
                            self.longest = Some(LongestText::of(&personal));
                        }
                        self.push(personal.phone, personal.parts, personal.text_hash);
                    }
                    Entry::Invalid(refused) => {
                        self.invalid_count += 1;
                        if self.invalid.len() < SHOWN_SKIPPED {
                            self.invalid.push(*refused);
                        }
                    }
                }
            }
        }
        reading
            .end
            .await
            .map_err(|error| ApiError::Internal(error.to_string()))??;
        wrong.refuse()
    }
}
