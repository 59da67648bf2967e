//! The Alaris SMS switch API, which many carriers have: bare (JSON in, no account), or the full form with an account, senders and
//! ids of our own.

use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use futures_util::future::join_all;
use reqwest::{Client, RequestBuilder, Url, redirect, retry};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use crate::carrier::{
    Answer, Carrier, SendError, StatusError, Submit, join::join, reply::Reply, status_answer,
    submit_answer,
};
use crate::platform::backoff::{CARRIER_CONNECT, CARRIER_IDLE};

/// The protocol's limit. Its other one, 2,048 characters for all numbers, is then out of reach: 100 × 15 digits and 99 commas.
const MAX_NUMBERS: usize = 100;
const _: () = assert!(MAX_NUMBERS * 15 + (MAX_NUMBERS - 1) <= 2048);

/// Where the carrier is and which of its forms it speaks.
pub struct CarrierConfig {
    /// Such as `https://carrier.example:8002/api`.
    pub url: String,
    /// Bare or full.
    pub form: Form,
    /// For one request, from the connection to the last byte of the answer.
    pub timeout: Duration,
}

/// The form of the API.
pub enum Form {
    /// JSON with numbers and text, and nothing else: no account, no sender, no ids of ours.
    Bare,
    /// Form-encoded, with everything.
    Alaris {
        /// Account.
        username: String,
        /// Of the account.
        password: SecretString,
        /// Whether `incMsgId` is sent, one number a request: what it means for several is documented nowhere.
        own_ids: bool,
    },
}

/// The adapter. It holds the connections, so there is one for each process.
pub struct Alaris {
    client: Client,
    url: Url,
    form: Form,
}

impl Alaris {
    /// Prepares the client; connects to nothing yet.
    pub fn new(config: CarrierConfig) -> anyhow::Result<Self> {
        // The error says that one is installed already.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let client = Client::builder()
            .timeout(config.timeout)
            // In time for its error to say that nothing was sent: at the total timeout that is no longer known.
            .connect_timeout(CARRIER_CONNECT.min(config.timeout / 2))
            .pool_idle_timeout(CARRIER_IDLE)
            // A request is never made again by itself. What stays is hyper's own second try, on a new connection, when the kept one
            // turns out to be closed before a byte of the request was written
            // (`a_request_is_made_once_when_the_kept_connection_breaks`).
            .retry(retry::never())
            .redirect(redirect::Policy::none())
            .http1_only()
            .no_proxy()
            .build()
            .context("the HTTP client for the carrier")?;
        let url = Url::parse(&config.url).context("the carrier's URL")?;
        Ok(Self {
            client,
            url,
            form: config.form,
        })
    }

    /// The full form goes into the body: URLs are logged on the way, by proxies and by the carrier itself.
    fn submit_request(&self, submit: Submit<'_>) -> RequestBuilder {
        let dnis = submit
            .numbers
            .iter()
            .map(|number| submit_answer::digits(number).collect())
            .collect::<Vec<String>>()
            .join(",");
        let request = self.client.post(self.url.clone());
        let Form::Alaris {
            username,
            password,
            own_ids,
        } = &self.form
        else {
            return request.json(&json!({ "dnis": dnis, "message": submit.text }));
        };
        let mut form = vec![
            ("command", "submit"),
            ("username", username),
            ("password", password.expose_secret()),
            ("dnis", &dnis),
            ("message", submit.text),
        ];
        form.extend(submit.sender.map(|sender| ("ani", sender)));
        if submit.parts > 1 {
            // The default, `cut`, sends the first part only.
            form.push(("longMessageMode", "split"));
        }
        form.extend(
            submit
                .own_id
                .filter(|_| *own_ids)
                .map(|id| ("incMsgId", id)),
        );
        request.form(&form)
    }

    fn status_request(&self, id: &str) -> RequestBuilder {
        let request = self
            .client
            .get(self.url.clone())
            .query(&[("messageId", id)]);
        match &self.form {
            Form::Bare => request,
            Form::Alaris {
                username, password, ..
            } => request.query(&[
                ("command", "query"),
                ("username", username),
                ("password", password.expose_secret()),
            ]),
        }
    }

    async fn status_of_part(&self, id: &str) -> Result<Answer, StatusError> {
        let reply = Reply::fetch(self.status_request(id)).await?;
        status_answer::read(&reply, &[self.password()])
    }

    fn password(&self) -> &str {
        match &self.form {
            Form::Bare => "",
            Form::Alaris { password, .. } => password.expose_secret(),
        }
    }
}

#[async_trait]
impl Carrier for Alaris {
    async fn submit(&self, submit: Submit<'_>) -> Result<Vec<Option<String>>, SendError> {
        if submit.numbers.is_empty() || submit.numbers.len() > self.max_numbers() {
            return Err(SendError::Refused {
                reason: format!("{} numbers in one request", submit.numbers.len()),
            });
        }
        let reply = Reply::fetch(self.submit_request(submit)).await?;
        submit_answer::read(&reply, submit.numbers, &[submit.text, self.password()])
    }

    async fn status(&self, ids: &str) -> Result<Answer, StatusError> {
        join(join_all(ids.split(',').map(|id| self.status_of_part(id))).await)
    }

    fn max_numbers(&self) -> usize {
        if self.can_ask_own_id() {
            1
        } else {
            MAX_NUMBERS
        }
    }

    fn can_ask_own_id(&self) -> bool {
        matches!(self.form, Form::Alaris { own_ids: true, .. })
    }
}
