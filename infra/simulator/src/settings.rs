//! The carrier's behaviour, which can be changed while it runs. By default all faults are off: the
//! carrier accepts every message and delivers it at once.
//!
//! The outcome of a message is drawn when it is accepted. A change of settings applies only to
//! messages that are accepted after it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::rate_limit::{Counting, Limit};

/// All settings. In JSON each field has the same name. A *share* is a probability from 0 to 1.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// If set, requests with another user name get 401.
    pub username: Option<String>,
    /// If set, requests with another password get 401.
    pub password: Option<String>,
    /// Seed of the random draws. With a seed, the same requests in the same order have the same
    /// results.
    pub seed: Option<u64>,

    /// Delay between acceptance (or refusal) and the response to a submit request.
    pub latency_ms: u32,
    /// Upper limit of a random delay that is added to `latency_ms`, drawn for each request.
    pub latency_jitter_ms: u32,
    /// Delay before the response to a status query.
    pub status_latency_ms: u32,
    /// Submit requests that are admitted per second. Further ones get 429. 0: no limit.
    pub capacity_rps: u32,
    /// Message parts that are admitted per second, each number counted with the parts of the text.
    /// A submit request that exceeds the limit gets 429 as a whole. 0: no limit.
    pub capacity_parts: u32,
    /// Status queries that are admitted per second. Further ones get 429. 0: no limit.
    pub capacity_queries: u32,
    /// How these limits are counted.
    pub limit_counting: Counting,
    /// The time in which an empty token bucket fills, which is its contents. 0: one second.
    pub limit_burst_ms: u32,
    /// The `Retry-After` header of each 429. If unset, the header is omitted.
    pub retry_after_s: Option<u32>,

    /// The shortest time from acceptance to the final status.
    pub delivery_delay_ms_min: u32,
    /// The longest time from acceptance to the final status.
    pub delivery_delay_ms_max: u32,
    /// Share of messages that end UNDELIV.
    pub undeliv: f64,
    /// Share of messages that end EXPIRED.
    pub expired: f64,
    /// Share of messages that end REJECTD.
    pub rejectd: f64,
    /// Share of messages that end DELETED.
    pub deleted: f64,
    /// Share of messages whose status is always UNKNOWN.
    pub unknown: f64,
    /// Share of messages with an undocumented status (`IM_EXPD`, `delivrd`, or `ACCEPTD` and a
    /// blank) until they are delivered.
    pub odd: f64,
    /// Keeps the undocumented status of those messages for ever.
    pub odd_for_ever: bool,
    /// Share of messages that stay ENROUTE for ever.
    pub stuck: f64,
    /// The first `undeliv_first_attempts` messages to each number end UNDELIV, later ones DELIVRD.
    /// Unless it is 0, it overrides the shares.
    pub undeliv_first_attempts: u32,
    /// Messages to numbers with one of these prefixes always end UNDELIV.
    pub undeliv_prefixes: Vec<String>,
    /// The response to a status query for an id that was never issued.
    pub unknown_id: UnknownId,

    /// Time until the connection of a hanging request is closed. 0: the request hangs as long as
    /// the client waits.
    pub hang_ms: u32,
    /// Share of requests that are accepted and then hang.
    pub hang_after_accept: f64,
    /// Share of requests that are accepted and then get a TCP reset.
    pub reset_after_accept: f64,
    /// Share of requests that are accepted and then get 503.
    pub error_5xx_after_accept: f64,
    /// Share of requests that are accepted and then get `{}`.
    pub empty_object: f64,
    /// Share of requests that are accepted and then get `[]`.
    pub empty_array: f64,
    /// Share of requests that are accepted and get a response without some of their numbers.
    pub partial: f64,
    /// Share of requests that are accepted and then get a web page.
    pub html: f64,

    /// Delay of each request before its acceptance.
    pub slow_ms: u32,
    /// Share of requests that are refused with `400 NO ROUTES`.
    pub refuse_4xx: f64,
    /// A request with a number that has one of these prefixes is refused as a whole with
    /// `400 NO ROUTES`.
    pub refuse_numbers: Vec<String>,
    /// Refuses all requests, including status queries, with 401.
    pub unauthorized: bool,
    /// Share of requests that are refused with 429.
    pub busy_429: f64,
    /// Share of requests that get 503 and are not accepted.
    pub error_5xx_before: f64,

    /// Message parts that the account's credit pays for. Each accepted part reduces it, and a
    /// request that it does not pay for is refused as a whole. A patch tops it up. If unset, the
    /// account needs no credit.
    pub credit_parts: Option<u64>,
    /// The HTTP status of requests for which there is no credit. If unset, 402.
    pub credit_status: Option<u16>,
    /// Their text. If unset, `402 Not enough credit`.
    pub credit_text: Option<String>,

    /// If set, the final status of each message is pushed to this URL. Its scheme is `http` and its
    /// host this machine. See `push`.
    pub callback_url: Option<String>,
    /// The secret that signs pushed receipts. Required with `callback_url`.
    pub callback_secret: Option<String>,

    /// Share of status queries that get 500.
    pub status_error: f64,
    /// Share of status queries that get a web page.
    pub status_html: f64,
    /// Share of status queries that hang.
    pub status_hang: f64,
}

impl Settings {
    /// Returns a limit of `per_second`, counted as the settings say.
    pub(crate) fn limit(&self, per_second: u32) -> Limit {
        let burst_ms = match self.limit_burst_ms {
            0 => 1_000,
            burst_ms => burst_ms,
        };
        Limit {
            per_second,
            counting: self.limit_counting,
            burst_ms,
        }
    }
}

/// The response to a status query for an id that was never issued.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownId {
    /// `{"status":"UNKNOWN"}`.
    #[default]
    Unknown,
    /// 404 and `404 message not found`.
    NotFound,
}

/// Why settings were refused. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError {
    /// The invalid field, or several fields, separated by commas, whose values conflict.
    pub field: String,
    /// What is wrong, and what was expected.
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
