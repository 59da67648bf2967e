//! The HTTP API, as a client sees it. Its answers are read loosely: only what the demo shows is asked for.

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

/// A schedule to be made.
#[derive(Clone, Debug, Serialize)]
pub struct NewSchedule {
    /// When it is to go out.
    pub run_at: DateTime<Utc>,
    /// The text.
    pub message: String,
    /// Numbers that go along; more can be appended to a draft.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<String>,
    /// To be appended to, and activated, before anything happens.
    pub draft: bool,
    /// `reject` or `skip`.
    pub on_invalid: &'static str,
    /// How often a message that ended UNDELIV or EXPIRED is sent in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// Sender address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
}

impl NewSchedule {
    /// A schedule of numbers that all have to be valid.
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

/// A schedule, as the API tells it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Schedule {
    /// Its id.
    pub id: Uuid,
    /// draft, scheduled, running, finished, paused, cancelled or missed.
    pub status: String,
    /// Rises with every change of time.
    #[serde(default)]
    pub version: u32,
    /// When it is to go out.
    pub run_at: DateTime<Utc>,
    /// Recipients by status.
    #[serde(default)]
    pub counts: BTreeMap<String, u64>,
    /// What became of the list.
    #[serde(default)]
    pub recipients: Totals,
    /// eventbridge, queue or sweep; none before it was dispatched.
    #[serde(default)]
    pub dispatched_by: Option<String>,
}

/// What became of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// Distinct valid numbers.
    pub total: u64,
    /// Entries that are no numbers, kept with their reason.
    pub invalid: u64,
    /// Entries left out, their number being there already.
    pub duplicates: u64,
}

/// What became of one appended piece of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Appended {
    /// Numbers added.
    pub accepted: u64,
    /// Entries left out.
    pub duplicates: u64,
    /// Entries that are no numbers.
    pub invalid_count: u64,
}

impl Schedule {
    /// How many recipients have that status.
    pub fn count(&self, status: &str) -> u64 {
        self.counts.get(status).copied().unwrap_or_default()
    }
}

/// Longer than the gateway lets any call take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A client for HTTP; made once, it keeps its connections.
pub fn http_client() -> anyhow::Result<reqwest::Client> {
    // Fails only when it is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Everything that it speaks to is given by URL: a proxy from the environment must not get between.
    reqwest::Client::builder()
        .no_proxy()
        .build()
        .context("making an HTTP client")
}

impl Api {
    /// The API at that URL, to be called with that key.
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

    /// A call with the key; the path begins with `/v1`.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.url))
            .header(AUTHORIZATION, self.authorization.clone())
    }

    /// Makes a schedule.
    pub async fn create(&self, schedule: &NewSchedule) -> anyhow::Result<Schedule> {
        send(self.request(Method::POST, "/v1/schedules").json(schedule))
            .await
            .context("POST /v1/schedules")
    }

    /// Appends NDJSON, compressed with gzip.
    pub async fn append(&self, id: Uuid, gzip: Vec<u8>) -> anyhow::Result<Appended> {
        let call = self.request(
            Method::POST,
            &format!("/v1/schedules/{id}/recipients?format=ndjson"),
        );
        let call = call.header(CONTENT_TYPE, "application/gzip").body(gzip);
        send(call).await.context("POST …/recipients")
    }

    /// Lets a draft take its course.
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

    /// A schedule with its counts.
    pub async fn schedule(&self, id: Uuid) -> anyhow::Result<Schedule> {
        send(self.request(Method::GET, &format!("/v1/schedules/{id}")))
            .await
            .context("GET /v1/schedules/{id}")
    }
}

/// The body of a 2xx; anything else is an error that repeats what the API said.
async fn send<T: DeserializeOwned>(call: RequestBuilder) -> anyhow::Result<T> {
    let answer = call.timeout(TIMEOUT).send().await?;
    let status = answer.status();
    let body = answer.text().await?;
    if !status.is_success() {
        bail!(
            "the API answered {status}: {}",
            body.chars().take(2000).collect::<String>()
        );
    }
    serde_json::from_str(&body)
        .with_context(|| format!("the API's answer is not as expected: {body}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_has_the_key_and_shows_it_to_nobody() {
        let api = Api::new(http_client().unwrap(), "http://127.0.0.1:1/", "sms_a_b").unwrap();
        let call = api.request(Method::GET, "/v1/schedules").build().unwrap();
        assert_eq!(call.url().as_str(), "http://127.0.0.1:1/v1/schedules");
        assert_eq!(call.headers()[AUTHORIZATION], "Bearer sms_a_b");
        assert!(!format!("{call:?}").contains("sms_a_b"));
        assert!(Api::new(http_client().unwrap(), "http://127.0.0.1:1", "a\nb").is_err());
    }

    #[test]
    fn what_is_not_set_is_not_sent() {
        let schedule = NewSchedule::new(DateTime::UNIX_EPOCH, "hi", vec![]);
        let json = serde_json::json!({ "run_at": "1970-01-01T00:00:00Z", "message": "hi", "draft": false, "on_invalid": "reject" });
        assert_eq!(serde_json::to_value(schedule).unwrap(), json);
    }

    #[test]
    fn a_schedule_is_read_loosely() {
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
