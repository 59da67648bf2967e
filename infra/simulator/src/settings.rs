//! The carrier's behaviour, changeable while it runs. Everything is off by default: a perfect carrier that delivers at once.
//!
//! A message keeps what was drawn for it at acceptance; a change of settings is for the messages after it.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::push;

/// All settings. In JSON each field has the same name; shares lie between 0 and 1.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// With it, requests that name another user get 401.
    pub username: Option<String>,
    /// With it, requests that give another password get 401.
    pub password: Option<String>,
    /// Start of the random draws; the same requests in the same order then fare the same.
    pub seed: Option<u64>,

    /// Between acceptance (or refusal) and the answer to a submit request.
    pub latency_ms: u32,
    /// At most that much is added to `latency_ms`, drawn for each request.
    pub latency_jitter_ms: u32,
    /// Before the answer to a status query.
    pub status_latency_ms: u32,
    /// Submit requests admitted in any one second, 0 for any number; those beyond get 429.
    pub capacity_rps: u32,
    /// The `Retry-After` of every 429; without it the header is missing.
    pub retry_after_s: Option<u32>,

    /// The shortest time from acceptance to the final status.
    pub delivery_delay_ms_min: u32,
    /// The longest.
    pub delivery_delay_ms_max: u32,
    /// Share of messages that end UNDELIV.
    pub undeliv: f64,
    /// Share of messages that end EXPIRED.
    pub expired: f64,
    /// Share of messages that end REJECTD.
    pub rejectd: f64,
    /// Share of messages that end DELETED.
    pub deleted: f64,
    /// Share of messages whose status is UNKNOWN for ever.
    pub unknown: f64,
    /// Share of messages with an odd status (`IM_EXPD`, `delivrd`, `ACCEPTD` and a blank) until they are delivered.
    pub odd: f64,
    /// Keeps those odd messages odd for ever.
    pub odd_for_ever: bool,
    /// Share of messages that stay ENROUTE for ever.
    pub stuck: f64,
    /// The first so many messages to each number end UNDELIV, all later ones DELIVRD; overrides the shares unless 0.
    pub undeliv_first_attempts: u32,
    /// Messages to numbers that begin so end UNDELIV always.
    pub undeliv_prefixes: Vec<String>,
    /// What a query for an id never given out is answered.
    pub unknown_id: UnknownId,

    /// How long a hanging request hangs before its connection is closed; 0 for as long as the client waits.
    pub hang_ms: u32,
    /// Share of requests accepted, then left hanging.
    pub hang_after_accept: f64,
    /// Share of requests accepted, then reset.
    pub reset_after_accept: f64,
    /// Share of requests accepted, then answered 503.
    pub error_5xx_after_accept: f64,
    /// Share of requests accepted, then answered `{}`.
    pub empty_object: f64,
    /// Share of requests accepted, then answered `[]`.
    pub empty_array: f64,
    /// Share of requests accepted whose answer leaves out some of the numbers.
    pub partial: f64,
    /// Share of requests accepted, then answered a web page.
    pub html: f64,

    /// How long every request waits before its acceptance.
    pub slow_ms: u32,
    /// Share of requests refused with `400 NO ROUTES`.
    pub refuse_4xx: f64,
    /// Requests with a number that begins so are refused whole with `400 NO ROUTES`.
    pub refuse_numbers: Vec<String>,
    /// Refuses every request, status queries too, with 401.
    pub unauthorized: bool,
    /// Share of requests refused with 429.
    pub busy_429: f64,
    /// Share of requests answered 503 and not accepted.
    pub error_5xx_before: f64,

    /// With it, the final status of every message is pushed there: an http URL of this machine. See `push`.
    pub callback_url: Option<String>,
    /// What pushes are signed with; goes with `callback_url`.
    pub callback_secret: Option<String>,

    /// Share of status queries answered 500.
    pub status_error: f64,
    /// Share of status queries answered a web page.
    pub status_html: f64,
    /// Share of status queries left hanging.
    pub status_hang: f64,
}

/// The answer for an id never given out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownId {
    /// `{"status":"UNKNOWN"}`.
    #[default]
    Unknown,
    /// 404 and `404 message not found`.
    NotFound,
}

impl Settings {
    /// These settings with the fields of `patch`, a JSON object, in place of their own.
    pub fn patched(&self, patch: Value) -> Result<Self, SettingsError> {
        let Value::Object(patch) = patch else {
            return Err(SettingsError::new("settings", "must be a JSON object"));
        };
        let mut merged =
            serde_json::to_value(self).map_err(|error| SettingsError::new("settings", error))?;
        if let Value::Object(fields) = &mut merged {
            fields.extend(patch);
        }
        let settings: Self = serde_path_to_error::deserialize(merged)
            .map_err(|error| SettingsError::new(&error.path().to_string(), error.inner()))?;
        settings.check()?;
        Ok(settings)
    }

    /// Whether every value lies within its range, and the shares of one draw within 1.
    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        self.check_shares()?;
        if self.delivery_delay_ms_min > self.delivery_delay_ms_max {
            return Err(SettingsError::new(
                "delivery_delay_ms_min",
                "must not exceed delivery_delay_ms_max",
            ));
        }
        if self
            .callback_url
            .as_deref()
            .is_some_and(|url| push::target(url).is_none())
        {
            return Err(SettingsError::new(
                "callback_url",
                "must be an http URL of this machine: 127.0.0.1, localhost or ::1",
            ));
        }
        if self.callback_url.is_some() && self.callback_secret.is_none() {
            return Err(SettingsError::new(
                "callback_secret",
                "must be there with callback_url",
            ));
        }
        Ok(())
    }
}

/// Settings that were not taken over, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError {
    /// The field; several, with commas, where they don't fit together.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

impl SettingsError {
    pub(crate) fn new(field: &str, problem: impl fmt::Display) -> Self {
        Self {
            field: field.to_owned(),
            problem: problem.to_string(),
        }
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.field, self.problem)
    }
}

impl std::error::Error for SettingsError {}
