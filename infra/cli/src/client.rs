//! Calls of the API: retries while it does not answer or is too busy, and exchanges a token that has
//! expired.

use std::time::Duration;

use reqwest::{Method, Response, StatusCode, header};
use serde_json::{Value, json};

use crate::{
    credentials::{Credentials, Store},
    failure::Failure,
    options::Access,
    problem::Problem,
};

/// Longer than the gateway's limit for any call.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How often a call is tried.
const TRIES: u32 = 6;
/// The longest `Retry-After` that is waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(120);
/// The delay after the first failure; it doubles with each one.
const FIRST_DELAY: Duration = Duration::from_millis(500);

/// The API, and who calls it.
pub struct Client {
    http: reqwest::Client,
    credentials: Credentials,
    /// Where a session's next token is stored; none with a key that was given.
    store: Option<Store>,
    first_delay: Duration,
}

/// A call. One that changes something has an `Idempotency-Key`, so that it may be repeated.
#[derive(Clone)]
pub struct Call {
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    body: Option<(&'static str, Vec<u8>)>,
    key: Option<String>,
    accept: &'static str,
}

impl Call {
    /// Returns a call that reads.
    pub fn get(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            query: Vec::new(),
            body: None,
            key: None,
            accept: "application/json",
        }
    }

    /// Returns a call that changes something, and may be repeated.
    pub fn post(path: impl Into<String>) -> Self {
        Self {
            method: Method::POST,
            key: Some(uuid::Uuid::new_v4().to_string()),
            ..Self::get(path)
        }
    }

    /// Returns a call that changes something, and is made once.
    pub fn post_once(path: impl Into<String>) -> Self {
        Self {
            key: None,
            ..Self::post(path)
        }
    }

    /// Returns the same call as a new request, which is executed again.
    pub fn with_new_key(self) -> Self {
        Self {
            key: Some(uuid::Uuid::new_v4().to_string()),
            ..self
        }
    }

    /// Accepts any content type of the answer.
    pub fn any_type(self) -> Self {
        Self {
            accept: "*/*",
            ..self
        }
    }

    /// Returns a call that changes a schedule. The same change twice is the same.
    pub fn patch(path: impl Into<String>) -> Self {
        Self {
            method: Method::PATCH,
            ..Self::get(path)
        }
    }

    /// Adds a parameter, if it has a value.
    pub fn query(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        self.query
            .extend(value.map(|value| (name, value.to_string())));
        self
    }

    /// Sets a body of JSON.
    pub fn json(mut self, body: &Value) -> Self {
        self.body = Some(("application/json", body.to_string().into_bytes()));
        self
    }

    /// Sets a body of another content type.
    pub fn body(mut self, content_type: &'static str, body: Vec<u8>) -> Self {
        self.body = Some((content_type, body));
        self
    }
}

impl Client {
    /// Opens the API with a given key, or with the stored login.
    pub fn open(access: &Access) -> Result<Self, Failure> {
        let store = Store::of_user()?;
        let stored = store.read()?;
        let (credentials, is_stored) = choose(access, stored)?;
        Self::new(credentials, is_stored.then_some(store))
    }

    /// Opens the API with a login that is not stored.
    pub fn with(credentials: Credentials) -> Result<Self, Failure> {
        Self::new(credentials, None)
    }

    /// Opens the API without a login.
    pub fn without_login(url: &str) -> Result<Self, Failure> {
        let url = url.trim_end_matches('/').to_owned();
        Self::new(
            Credentials {
                url,
                ..Credentials::default()
            },
            None,
        )
    }

    fn new(credentials: Credentials, store: Option<Store>) -> Result<Self, Failure> {
        let http = reqwest::Client::builder().timeout(TIMEOUT).build();
        let http = http.map_err(|error| Failure::Unreachable(describe(&error)))?;
        Ok(Self {
            http,
            credentials,
            store,
            first_delay: FIRST_DELAY,
        })
    }

    /// Returns the answer of a call, as JSON.
    pub async fn json(&mut self, call: Call) -> Result<Value, Failure> {
        let body = self.text(call).await?.1;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&body)
            .map_err(|error| Failure::Unreachable(format!("the answer is not JSON: {error}")))
    }

    /// Returns the answer of a call: its headers, and its body.
    pub async fn text(&mut self, call: Call) -> Result<(header::HeaderMap, String), Failure> {
        let mut delay = self.first_delay;
        let mut is_refreshed = false;
        let mut tried = 1;
        loop {
            let (wait, failure) = match self.once(&call).await {
                Ok(answered) => return Ok(answered),
                Err(Attempt::Final(Failure::Refused(problem)))
                    if problem.status == 401 && !is_refreshed && self.refresh().await? =>
                {
                    is_refreshed = true;
                    continue;
                }
                Err(Attempt::Final(failure)) => return Err(failure),
                Err(Attempt::Again(wait, failure)) => (wait, failure),
            };
            let wait = wait.unwrap_or(delay);
            let may_repeat = call.method != Method::POST || call.key.is_some();
            if tried == TRIES || wait > LONGEST_WAIT || !may_repeat {
                return Err(failure);
            }
            tokio::time::sleep(wait).await;
            delay *= 2;
            tried += 1;
        }
    }

    async fn once(&self, call: &Call) -> Result<(header::HeaderMap, String), Attempt> {
        let url = format!("{}{}", self.credentials.url, call.path);
        let mut request = self.http.request(call.method.clone(), &url);
        request = request
            .query(&call.query)
            .header(header::ACCEPT, call.accept);
        let credentials = &self.credentials;
        if let Some(token) = credentials
            .key
            .as_ref()
            .or(credentials.access_token.as_ref())
        {
            request = request.bearer_auth(token);
        }
        if let Some((content_type, body)) = &call.body {
            request = request
                .header(header::CONTENT_TYPE, *content_type)
                .body(body.clone());
        }
        if let Some(key) = &call.key {
            request = request.header("Idempotency-Key", key);
        }
        let lost = |error: reqwest::Error| {
            let failure =
                Failure::Unreachable(format!("{}: {}", credentials.url, describe(&error)));
            if error.is_builder() {
                Attempt::Final(failure)
            } else {
                Attempt::Again(None, failure)
            }
        };
        let answer = request.send().await.map_err(lost)?;
        let (status, headers, wait) = (answer.status(), answer.headers().clone(), wait(&answer));
        let body = answer.text().await.map_err(lost)?;
        if status.is_success() {
            return Ok((headers, body));
        }
        Err(judge(status, wait, Problem::read(status.as_u16(), &body)))
    }

    /// Exchanges the refresh token; returns whether there is a new token.
    async fn refresh(&mut self) -> Result<bool, Failure> {
        let Some(store) = self.store.clone() else {
            return Ok(false);
        };
        // Another process may have exchanged it: a second use would end the session.
        let stored = store.read()?.unwrap_or_default();
        if stored.url == self.credentials.url
            && stored.access_token != self.credentials.access_token
        {
            self.credentials = stored;
            return Ok(true);
        }
        let Some(token) = self.credentials.refresh_token.clone() else {
            return Ok(false);
        };
        let call = Call::post_once("/v1/auth/refresh").json(&json!({"refresh_token": token}));
        let mut anonymous = Self::without_login(&self.credentials.url)?;
        let answer = match Box::pin(anonymous.json(call)).await {
            Ok(answer) => answer,
            Err(Failure::Refused(problem)) => {
                return Err(Failure::Refused(problem).with_note("log in again: sms login"));
            }
            Err(failure) => return Err(failure),
        };
        self.credentials.accept(&answer);
        store.write(&self.credentials)?;
        Ok(true)
    }
}

impl Credentials {
    /// Takes the tokens of an answer to a login or a refresh.
    pub fn accept(&mut self, answer: &Value) {
        let token = |name: &str| answer[name].as_str().map(str::to_owned);
        self.access_token = token("access_token");
        self.refresh_token = token("refresh_token");
        self.device_token = token("device_token").or_else(|| self.device_token.take());
    }
}

/// Why a try brought no answer.
enum Attempt {
    /// It may be repeated, after this time if the API has named one.
    Again(Option<Duration>, Failure),
    /// A repetition would not help.
    Final(Failure),
}

fn judge(status: StatusCode, wait: Option<Duration>, problem: Problem) -> Attempt {
    let is_in_progress = problem.is("idempotency-in-progress");
    // A limit of messages per day ends at midnight: nobody waits for it.
    if status == StatusCode::TOO_MANY_REQUESTS && problem.is("daily-limit") {
        return Attempt::Final(Failure::Refused(Box::new(problem)));
    }
    if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
        return Attempt::Again(wait, Failure::Unreachable(problem.to_string()));
    }
    let failure = Failure::Refused(Box::new(problem));
    if is_in_progress {
        Attempt::Again(wait, failure)
    } else {
        Attempt::Final(failure)
    }
}

fn wait(answer: &Response) -> Option<Duration> {
    let after = answer.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    after.parse().ok().map(Duration::from_secs)
}

/// Returns an error with its causes; reqwest's own text leaves them out.
fn describe(error: &reqwest::Error) -> String {
    let first = std::error::Error::source(error);
    let causes = std::iter::successors(first, |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Chooses who calls, and whether the login is the stored one.
fn choose(access: &Access, stored: Option<Credentials>) -> Result<(Credentials, bool), Failure> {
    let given = access
        .url
        .as_ref()
        .map(|url| url.trim_end_matches('/').to_owned());
    let stored = stored.unwrap_or_default();
    let url = given.unwrap_or_else(|| stored.url.clone());
    if url.is_empty() {
        let text = "expected the address of the API: --url, SMS_API_URL, or a login (sms login)";
        return Err(Failure::Usage(text.to_owned()));
    }
    if let Some(key) = &access.key {
        let credentials = Credentials {
            url,
            key: Some(key.clone()),
            ..Credentials::default()
        };
        return Ok((credentials, false));
    }
    // A login is sent to nobody but the API that gave it.
    if stored.url != url {
        let text = format!("not logged in at {url}: sms login, or --key, or SMS_API_KEY");
        return Err(Failure::Usage(text));
    }
    Ok((stored, true))
}

#[cfg(test)]
mod tests;
