//! The HTTP client that adapters share, and a carrier's answer, read to its end.
//!
//! Carriers often answer errors as plain text that begins with a code (`400 NO ROUTES`), under HTTP
//! status 200. [`Reply::code`] is the code that counts.

use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, Utc};
use reqwest::{Client, RequestBuilder, Response, header::RETRY_AFTER, redirect, retry};

use super::{SendError, StatusError};
use crate::platform::backoff::MAX_RETRY_AFTER;

/// A carrier that accepts no connection in this time is down, and nothing was sent.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// If the carrier closes an idle connection just as a request goes out, that request becomes
/// uncertain, 100 recipients at once. So the connection is given up earlier: five seconds is the
/// shortest common keep-alive time (Node.js). It is kept at all because the requests of a batch
/// follow each other within milliseconds.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// The longest answer in bytes: an answer for 100 numbers with ten parts each fits in, and an endless
/// body does not fill the memory.
const MAX_BODY: usize = 256 * 1024;
/// The width of `recipients.error`.
const MAX_REASON: usize = 64;

/// Makes the client of one adapter, with `timeout` for each request, from the connection to the last
/// byte of the answer.
///
/// The client makes a request exactly once: it neither retries nor follows redirects. The exception
/// is hyper's own second attempt, on a new connection, if an idle connection turns out to be closed
/// before a byte of the request was written (the test
/// `a_request_is_made_once_if_the_idle_connection_breaks` of the Alaris adapter).
pub(super) fn client(timeout: Duration) -> anyhow::Result<Client> {
    // The error means that a provider is installed already.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    Client::builder()
        .timeout(timeout)
        // Early enough for the error to prove that nothing was sent: at the total time-out that can
        // no longer be known.
        .connect_timeout(CONNECT_TIMEOUT.min(timeout / 2))
        .pool_idle_timeout(IDLE_TIMEOUT)
        .retry(retry::never())
        .redirect(redirect::Policy::none())
        .http1_only()
        .no_proxy()
        .build()
        .context("the HTTP client for the carrier")
}

/// An answer.
pub(super) struct Reply {
    /// HTTP status.
    pub(super) http: u16,
    /// The wait that the header `Retry-After` asks for.
    pub(super) retry_after: Option<Duration>,
    /// The body, decoded as UTF-8. The content type is ignored: `text/html` around JSON is normal.
    pub(super) body: String,
}

/// The reason why there is no [`Reply`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// There was no connection (name resolution, TCP or TLS): the request was not sent.
    NotConnected(&'static str),
    /// The request, or a part of it, may have arrived.
    Lost(&'static str),
}

impl Reply {
    /// Makes the request and reads the answer.
    pub(super) async fn fetch(request: RequestBuilder) -> Result<Self, Broken> {
        let mut response = request.send().await.map_err(|error| Broken::from(&error))?;
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| Broken::from(&error))?
        {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_BODY {
                return Err(Broken::Lost("answer too long"));
            }
        }
        let retry_after = retry_after(&response);
        Ok(Self {
            http: response.status().as_u16(),
            retry_after,
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }

    /// Returns the code that counts: that of the text, if there is one, else the HTTP status.
    ///
    /// If the HTTP status reports a failure on the way (5xx, 3xx, 408), no text makes the answer
    /// certain. An HTTP status of 429 counts as it is, whatever the text.
    pub(super) fn code(&self) -> u16 {
        match self.text() {
            Some((code, _)) if matches!(self.http, 200..=299 | 400..=407 | 409..=428 | 430..=499) => {
                code
            }
            _ => self.http,
        }
    }

    /// Returns the reason for `recipients.error`: the code and the carrier's words without digits, so
    /// that they contain no phone number. The words are left out if they quote a text of `hidden`.
    pub(super) fn reason(&self, hidden: &[&str]) -> String {
        match self.text() {
            Some((_, words)) if quotes(words, hidden) => self.code().to_string(),
            Some((_, words)) => {
                let visible = words
                    .chars()
                    .map(|c| if c.is_ascii_digit() { '#' } else { c });
                let visible: String = visible.filter(|c| matches!(c, ' '..='~')).collect();
                let reason = format!("{} {visible}", self.code());
                reason
                    .chars()
                    .take(MAX_REASON)
                    .collect::<String>()
                    .trim_end()
                    .to_owned()
            }
            None => format!("HTTP {}", self.http),
        }
    }

    /// Reads the body as an error text: code and words.
    fn text(&self) -> Option<(u16, &str)> {
        let line = self
            .body
            .trim_start_matches(['\u{feff}', ' ', '\r', '\n', '\t'])
            .lines()
            .next()?;
        let (digits, words) = line.split_at_checked(3)?;
        let code = digits
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| digits.parse().ok())??;
        let ends = words
            .chars()
            .next()
            .is_none_or(|c| !c.is_alphanumeric() && c != '-');
        (ends && (400..=599).contains(&code)).then(|| (code, words.trim()))
    }
}

/// Returns whether the words repeat eight characters in a row of a hidden text, or all of a shorter
/// one.
fn quotes(words: &str, hidden: &[&str]) -> bool {
    const ENOUGH: usize = 8;
    if words.contains("://") {
        return true;
    }
    let words = words.to_lowercase();
    let starts: Vec<usize> = words.char_indices().map(|(start, _)| start).collect();
    hidden
        .iter()
        .map(|secret| secret.to_lowercase())
        .any(|secret| {
            let window = secret.chars().count().min(ENOUGH);
            let mut pieces = starts.iter().enumerate().filter_map(|(index, &start)| {
                let end = starts
                    .get(index + window)
                    .copied()
                    .or((index + window == starts.len()).then_some(words.len()))?;
                words.get(start..end)
            });
            window > 0 && pieces.any(|piece| secret.contains(piece))
        })
}

/// Reads `Retry-After`, in seconds or as a date. Returns `None` for zero or a time in the past.
fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    parse_retry_after(value, Utc::now())
}

fn parse_retry_after(value: &str, now: DateTime<Utc>) -> Option<Duration> {
    let wait = match value.trim().parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => (DateTime::parse_from_rfc2822(value.trim()).ok()?.to_utc() - now)
            .to_std()
            .ok()?,
    };
    (!wait.is_zero()).then_some(wait.min(MAX_RETRY_AFTER))
}

/// The texts are fixed, because those of reqwest may contain the URL, and so the password.
impl From<&reqwest::Error> for Broken {
    fn from(error: &reqwest::Error) -> Self {
        if error.is_builder() {
            Self::NotConnected("request could not be built")
        } else if error.is_connect() {
            Self::NotConnected(match (error.is_dns(), error.is_timeout()) {
                (true, _) => "name not resolved",
                (_, true) => "no connection in time",
                _ => "no connection",
            })
        } else if error.is_timeout() {
            Self::Lost("no answer in time")
        } else {
            Self::Lost("connection broke")
        }
    }
}

impl From<Broken> for SendError {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::NotConnected(reason) => Self::NotAccepted {
                reason: reason.into(),
            },
            Broken::Lost(reason) => Self::Lost {
                reason: reason.into(),
            },
        }
    }
}

impl From<Broken> for StatusError {
    fn from(broken: Broken) -> Self {
        let (Broken::NotConnected(reason) | Broken::Lost(reason)) = broken;
        Self::Failed {
            reason: reason.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(http: u16, body: &str) -> Reply {
        Reply {
            http,
            retry_after: None,
            body: body.into(),
        }
    }

    #[test]
    fn the_code_in_the_text_counts_unless_http_reports_a_failure_on_the_way() {
        #[rustfmt::skip]
        let table = [
            // HTTP, body, code
            (200, "400 NO ROUTES", 400), (200, "\u{feff}\r\n 400 NO ROUTES\r\n", 400), (200, "508 loop detected", 508), (200, "401", 401),
            (200, "400: x", 400), (200, "{\"message_id\":\"400 x\"}", 200), (200, "200 OK", 200), (200, "600 x", 200), (200, "4000 x", 200),
            (200, "400x", 200), (200, "400-1", 200), (200, "", 200), (200, "40", 200), (200, "€", 200), (200, "4 00", 200),
            (400, "401 not authorized", 401), (404, "508 loop detected", 508), (429, "400 slow down", 429), (403, "<html>", 403),
            (408, "400 NO ROUTES", 408), (500, "400 NO ROUTES", 500), (502, "404 message not found", 502), (302, "400 x", 302),
        ];
        for (http, body, code) in table {
            assert_eq!(reply(http, body).code(), code, "{http} {body}");
        }
    }

    #[test]
    fn a_reason_contains_no_number_text_or_password() {
        let hidden = ["Dinner at eight, dear?", "s3cret"];
        #[rustfmt::skip]
        let table = [
            (200, "400 NO ROUTES", "400 NO ROUTES"),
            (200, "400 Bad Request (Destination number is too long)", "400 Bad Request (Destination number is too long)"),
            (200, "400 bad number +60 12-345 6789", "400 bad number +## ##-### ####"),
            (200, "400 cannot send 'DINNER AT eight'", "400"),
            (200, "401 password s3cret is wrong", "401"),
            (200, "400 see http://user:pass@host/", "400"),
            (200, "400 \u{7}tab\té\r\nsecond line", "400 tab"),
            (500, "400 NO ROUTES", "500 NO ROUTES"),
            (404, "<html>60123456789</html>", "HTTP 404"),
        ];
        for (http, body, reason) in table {
            assert_eq!(reply(http, body).reason(&hidden), reason, "{body}");
        }
        assert_eq!(
            reply(200, &format!("400 {}", "long ".repeat(50)))
                .reason(&hidden)
                .len(),
            63
        );
        assert_eq!(reply(200, "400 NO").reason(&[]), "400 NO");
        assert_eq!(reply(200, "400 NO").reason(&[""]), "400 NO");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_at_most_an_hour() {
        let now = DateTime::parse_from_rfc3339("2026-03-01T12:00:00Z")
            .unwrap()
            .to_utc();
        let table = [
            ("30", Some(30)),
            (" 30 ", Some(30)),
            ("86400", Some(3600)),
            ("Sun, 01 Mar 2026 12:01:30 GMT", Some(90)),
            ("Sun, 01 Mar 2026 11:00:00 GMT", None),
            ("0", None),
            ("-5", None),
            ("soon", None),
            ("", None),
        ];
        for (value, seconds) in table {
            assert_eq!(
                parse_retry_after(value, now),
                seconds.map(Duration::from_secs),
                "{value}"
            );
        }
    }
}
