//! The HTTP API of the Alaris SMS switch, which many carriers use, in two forms: `alaris-bare` (JSON,
//! no account) and `alaris` (form-encoded, with an account, sender addresses and own ids).
//!
//! | file | content |
//! |---|---|
//! | this one | the requests; numbers per request; own ids |
//! | [`submit_answer`] | what an answer to a submission means: ids, refusals, everything in between |
//! | [`refusal`] | whether a refusal concerns the account or one request |
//! | [`status_answer`] | the status map, and what an answer to a status query means |
//! | [`receipt`] | the format of pushed receipts, and how they are signed |

mod receipt;
mod refusal;
mod status_answer;
mod submit_answer;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use anyhow::Context;
use async_trait::async_trait;
use futures_util::future::join_all;
use reqwest::{Client, RequestBuilder, Url};
use secrecy::ExposeSecret;
use serde_json::json;

pub use self::status_answer::read_status;
use super::{
    Adapter, Carrier, CarrierSettings, Login, SendError, StatusAnswer, StatusError, Submit,
    http::{Reply, client},
    parts,
};

/// The adapter of the bare form.
pub const BARE: Adapter = Adapter {
    name: "alaris-bare",
    needs_login: false,
    takes_own_ids: false,
    max_numbers,
    connect,
    receipts: &receipt::AlarisReceipts,
};

/// The adapter of the full form.
pub const FULL: Adapter = Adapter {
    name: "alaris",
    needs_login: true,
    takes_own_ids: true,
    max_numbers,
    connect,
    receipts: &receipt::AlarisReceipts,
};

/// The protocol's limit on a request. Its other limit, 2,048 characters for all numbers together, is
/// then out of reach: 100 × 15 digits and 99 commas.
const MAX_NUMBERS: usize = 100;
const _: () = assert!(MAX_NUMBERS * 15 + (MAX_NUMBERS - 1) <= 2048);

/// With own ids (`incMsgId`), a request has one number: no document defines what an own id means
/// for several numbers.
fn max_numbers(own_ids: bool) -> usize {
    if own_ids { 1 } else { MAX_NUMBERS }
}

fn connect(settings: CarrierSettings) -> anyhow::Result<Arc<dyn Carrier>> {
    Ok(Arc::new(Alaris {
        client: client(settings.timeout)?,
        url: Url::parse(&settings.url).context("the carrier's URL")?,
        own_ids: settings.own_ids,
        login: settings.login,
    }))
}

/// The client. It holds the connections, so there is one per process.
struct Alaris {
    client: Client,
    url: Url,
    own_ids: bool,
    /// The account of the full form; `None`: the bare form.
    login: Option<Login>,
}

impl Alaris {
    /// Builds a submission. The full form puts everything into the body: URLs are logged on the way,
    /// by proxies and by the carrier itself.
    fn submit_request(&self, submit: Submit<'_>) -> RequestBuilder {
        let dnis = submit
            .numbers
            .iter()
            .map(|number| submit_answer::digits(number).collect())
            .collect::<Vec<String>>()
            .join(",");
        let request = self.client.post(self.url.clone());
        let Some(Login { username, password }) = &self.login else {
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
            // The default, `cut`, sends only the first part.
            form.push(("longMessageMode", "split"));
        }
        form.extend(
            submit
                .own_id
                .filter(|_| self.own_ids)
                .map(|id| ("incMsgId", id)),
        );
        request.form(&form)
    }

    fn status_request(&self, id: &str) -> RequestBuilder {
        let request = self
            .client
            .get(self.url.clone())
            .query(&[("messageId", id)]);
        match &self.login {
            None => request,
            Some(Login { username, password }) => request.query(&[
                ("command", "query"),
                ("username", username),
                ("password", password.expose_secret()),
            ]),
        }
    }

    async fn status_of_part(&self, id: &str) -> Result<StatusAnswer, StatusError> {
        let reply = Reply::fetch(self.status_request(id)).await?;
        status_answer::read(&reply, &[self.password()])
    }

    fn password(&self) -> &str {
        self.login
            .as_ref()
            .map_or("", |login| login.password.expose_secret())
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

    async fn status(&self, ids: &str) -> Result<StatusAnswer, StatusError> {
        parts::join(join_all(ids.split(',').map(|id| self.status_of_part(id))).await)
    }

    fn max_numbers(&self) -> usize {
        max_numbers(self.own_ids)
    }

    fn can_ask_own_id(&self) -> bool {
        self.own_ids
    }
}
