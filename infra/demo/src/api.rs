//! A client of the HTTP API. It reads responses leniently: it requires only the fields that the
//! demo shows.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use reqwest::{
    Method, RequestBuilder,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

/// The API of one stack.
#[derive(Clone)]
pub struct Api {
    client: reqwest::Client,
    url: String,
    authorization: HeaderValue,
}

/// The request body that creates a schedule.
#[derive(Clone, Debug, Serialize)]
pub struct NewSchedule {
    /// When the messages are sent.
    pub run_at: DateTime<Utc>,
    /// The text.
    pub message: String,
    /// The numbers; more can be appended to a draft.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<String>,
    /// Whether it is created as a draft, which has to be activated before anything is sent.
    pub draft: bool,
    /// How invalid numbers are handled: `reject` or `skip`.
    pub on_invalid: &'static str,
    /// How often a message that ended UNDELIV or EXPIRED is sent in total.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// The sender address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
}

impl NewSchedule {
    /// Returns a schedule whose numbers all have to be valid.
    pub fn new(run_at: DateTime<Utc>, message: &str, recipients: Vec<String>) -> Self {
        let message = message.to_owned();
        Self {
            run_at,
            message,
            recipients,
            draft: false,
            on_invalid: "reject",
            max_attempts: None,
            sender: None,
        }
    }
}

/// A schedule, as the API returns it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Schedule {
    /// Its id.
    pub id: Uuid,
    /// Its status: draft, scheduled, running, finished, paused, cancelled or missed.
    pub status: String,
    /// Increases with each change of its time.
    #[serde(default)]
    pub version: u32,
    /// When the messages are sent.
    pub run_at: DateTime<Utc>,
    /// The number of recipients per status.
    #[serde(default)]
    pub counts: BTreeMap<String, u64>,
    /// The result of reading the list.
    #[serde(default)]
    pub recipients: Totals,
    /// eventbridge, queue or sweep; none until it is dispatched.
    #[serde(default)]
    pub dispatched_by: Option<String>,
}

/// The result of reading a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// The number of distinct valid numbers.
    pub total: u64,
    /// Entries that are not valid numbers, kept with the reason.
    pub invalid: u64,
    /// Entries that were left out because the list has their number already.
    pub duplicates: u64,
}

/// The result of appending a part of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Appended {
    /// The number of added recipients.
    pub accepted: u64,
    /// Entries that were left out as duplicates.
    pub duplicates: u64,
    /// Entries that are not valid numbers.
    pub invalid_count: u64,
}

impl Schedule {
    /// Returns how many recipients have a status.
    pub fn count(&self, status: &str) -> u64 {
        self.counts.get(status).copied().unwrap_or_default()
    }
}

/// Longer than the gateway's limit for any call.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Creates an HTTP client. Create it once: it reuses its connections.
pub fn http_client() -> anyhow::Result<reqwest::Client> {
    // Fails only if a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // All its servers are configured by URL, so it must not use a proxy from the environment.
    reqwest::Client::builder()
        .no_proxy()
        .build()
        .context("creating an HTTP client")
}

impl Api {
    /// Creates a client for the API at a URL, with an API key.
    pub fn new(client: reqwest::Client, url: &str, key: &str) -> anyhow::Result<Self> {
        let mut authorization =
            HeaderValue::try_from(format!("Bearer {key}")).context("API_KEY")?;
        authorization.set_sensitive(true);
        Ok(Self {
            client,
            url: url.trim_end_matches('/').to_owned(),
            authorization,
        })
    }

    /// Returns an authorized request. The path begins with `/v1`.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.url))
            .header(AUTHORIZATION, self.authorization.clone())
    }

    /// Creates a schedule.
    pub async fn create(&self, schedule: &NewSchedule) -> anyhow::Result<Schedule> {
        send(self.request(Method::POST, "/v1/schedules").json(schedule))
            .await
            .context("POST /v1/schedules")
    }

    /// Appends recipients to a draft, given as NDJSON that is compressed with gzip.
    pub async fn append(&self, id: Uuid, gzip: Vec<u8>) -> anyhow::Result<Appended> {
        let call = self.request(
            Method::POST,
            &format!("/v1/schedules/{id}/recipients?format=ndjson"),
        );
        let call = call.header(CONTENT_TYPE, "application/gzip").body(gzip);
        send(call).await.context("POST …/recipients")
    }

    /// Activates a draft.
    pub async fn activate(&self, id: Uuid) -> anyhow::Result<()> {
        let call = self.request(Method::POST, &format!("/v1/schedules/{id}/activate"));
        send::<serde_json::Value>(call)
            .await
            .context("POST …/activate")
            .map(drop)
    }

    /// Cancels a schedule.
    pub async fn cancel(&self, id: Uuid) -> anyhow::Result<()> {
        let call = self.request(Method::POST, &format!("/v1/schedules/{id}/cancel"));
        send::<serde_json::Value>(call)
            .await
            .context("POST …/cancel")
            .map(drop)
    }

    /// Sets the carrier's limit in message parts per second, or removes it.
    pub async fn limit_carrier(&self, parts_per_second: Option<u32>) -> anyhow::Result<()> {
        let body = serde_json::json!({ "parts_per_second": parts_per_second });
        let call = self.request(Method::PATCH, "/v1/carriers/main").json(&body);
        send::<serde_json::Value>(call)
            .await
            .context("PATCH /v1/carriers/main")
            .map(drop)
    }

    /// Fetches a schedule with its counts.
    pub async fn schedule(&self, id: Uuid) -> anyhow::Result<Schedule> {
        send(self.request(Method::GET, &format!("/v1/schedules/{id}")))
            .await
            .context("GET /v1/schedules/{id}")
    }
}

/// Sends a request and returns the body of a 2xx. Any other status is an error that contains the
/// API's response.
async fn send<T: DeserializeOwned>(call: RequestBuilder) -> anyhow::Result<T> {
    let answer = call.timeout(TIMEOUT).send().await?;
    let status = answer.status();
    let body = answer.text().await?;
    if !status.is_success() {
        bail!(
            "the API returned {status}: {}",
            body.chars().take(2000).collect::<String>()
        );
    }
    serde_json::from_str(&body).with_context(|| format!("unexpected response of the API: {body}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_has_the_key_and_debug_output_hides_it() {
        let api = Api::new(http_client().unwrap(), "http://127.0.0.1:1/", "sms_a_b").unwrap();
        let call = api.request(Method::GET, "/v1/schedules").build().unwrap();
        assert_eq!(call.url().as_str(), "http://127.0.0.1:1/v1/schedules");
        assert_eq!(call.headers()[AUTHORIZATION], "Bearer sms_a_b");
        assert!(!format!("{call:?}").contains("sms_a_b"));
        assert!(Api::new(http_client().unwrap(), "http://127.0.0.1:1", "a\nb").is_err());
    }

    #[test]
    fn unset_fields_are_not_sent() {
        let schedule = NewSchedule::new(DateTime::UNIX_EPOCH, "hi", vec![]);
        let json = serde_json::json!({ "run_at": "1970-01-01T00:00:00Z", "message": "hi", "draft": false, "on_invalid": "reject" });
        assert_eq!(serde_json::to_value(schedule).unwrap(), json);
    }

    #[test]
    fn a_schedule_is_read_leniently() {
        let json = r#"{"id":"01890a5d-ac96-774b-bcce-b302099a8057","status":"running","run_at":"2026-01-01T08:00:00+08:00",
            "counts":{"PENDING":3},"recipients":{"total":3,"more":1},"more":[]}"#;
        let schedule: Schedule = serde_json::from_str(json).unwrap();
        assert_eq!(
            (
                schedule.count("PENDING"),
                schedule.count("DELIVRD"),
                schedule.recipients.total
            ),
            (3, 0, 3)
        );
        assert_eq!(schedule.dispatched_by, None);
    }
}
