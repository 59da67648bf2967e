//! Reads a submit request from its parameters, and lists the reasons for which a request is
//! refused.

use axum::http::StatusCode;

use crate::number::Number;
use crate::parameters::Parameters;
use crate::parts;

const MAX_NUMBERS: usize = 100;
const MAX_CHARACTERS: usize = 2_048;
const MAX_OWN_ID_CHARACTERS: usize = 128;
// The number of a part is one byte in the transmitted header too (3GPP TS 23.040, 9.2.3.24.1).
const MAX_PARTS: usize = 255;

/// A request to send one text to one or more numbers.
#[derive(Debug)]
pub(crate) struct Submission<'a> {
    /// The numbers as the client wrote them, at least one, including repeated ones.
    pub(crate) numbers: Vec<(&'a str, Number)>,
    /// The parts of the text, at least one.
    pub(crate) parts: Vec<&'a str>,
    /// The sender.
    pub(crate) sender: Option<&'a str>,
    /// The client's own message id.
    pub(crate) own_id: Option<&'a str>,
}

/// Why a request was refused. Nothing was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Wrong or missing credentials.
    Unauthorized,
    /// More numbers or characters than a request may contain.
    TooManyNumbers,
    /// No route to one of the numbers.
    NoRoutes,
    /// Too many requests.
    Busy,
    /// Too many message parts.
    BusyParts,
    /// The account's credit does not pay for the request.
    NoCredit,
    /// The service is temporarily unavailable.
    Unavailable,
    /// The request is invalid in another way.
    Malformed(&'static str),
}

impl Refusal {
    /// Returns its name in the counts.
    pub(crate) fn cause(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::TooManyNumbers => "too_many_numbers",
            Self::NoRoutes => "no_routes",
            Self::Busy => "busy",
            Self::BusyParts => "busy_parts",
            Self::NoCredit => "no_credit",
            Self::Unavailable => "unavailable",
            Self::Malformed(_) => "malformed",
        }
    }

    /// Returns the status and the text of the response, unless the settings contain others.
    pub(crate) fn status_and_text(self) -> (StatusCode, &'static str) {
        match self {
            Self::Unauthorized => (
                StatusCode::UNAUTHORIZED,
                "401 not authorized (check login and password)",
            ),
            Self::TooManyNumbers => (
                StatusCode::BAD_REQUEST,
                "400 Bad Request (Destination number is too long)",
            ),
            Self::NoRoutes => (StatusCode::BAD_REQUEST, "400 NO ROUTES"),
            Self::Busy | Self::BusyParts => {
                (StatusCode::TOO_MANY_REQUESTS, "429 Too Many Requests")
            }
            Self::NoCredit => (StatusCode::PAYMENT_REQUIRED, "402 Not enough credit"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "503 Service Unavailable"),
            Self::Malformed(text) => (StatusCode::BAD_REQUEST, text),
        }
    }
}

impl<'a> Submission<'a> {
    /// Returns how many message parts the request has.
    pub(crate) fn part_count(&self) -> u64 {
        self.numbers.len() as u64 * self.parts.len() as u64
    }

    /// Reads a request. The full form, the one with `command`, supports `incMsgId` and by default
    /// cuts a long text. The bare form supports no `incMsgId` and always splits a long text.
    pub(crate) fn read(parameters: &'a Parameters) -> Result<Self, Refusal> {
        let numbers = numbers(parameters.dnis.as_deref().unwrap_or_default())?;
        let message = parameters.message.as_deref().unwrap_or_default();
        if message.is_empty() {
            return Err(Refusal::Malformed("400 Bad Request (Message is empty)"));
        }
        let is_full = parameters.command.is_some();
        let own_id = parameters
            .inc_msg_id
            .as_deref()
            .filter(|own_id| is_full && !own_id.is_empty());
        check_own_id(own_id, numbers.len())?;
        let mode = if is_full {
            parameters.long_message_mode.as_deref().unwrap_or("cut")
        } else {
            "split"
        };
        let parts = match mode {
            "cut" => vec![parts::cut(message)],
            "split" => parts::split(message),
            _ => {
                return Err(Refusal::Malformed(
                    "400 Bad Request (Long message mode is invalid)",
                ));
            }
        };
        if parts.len() > MAX_PARTS {
            return Err(Refusal::Malformed("400 Bad Request (Message is too long)"));
        }
        Ok(Self {
            numbers,
            parts,
            sender: parameters.ani.as_deref(),
            own_id,
        })
    }
}

fn numbers(dnis: &str) -> Result<Vec<(&str, Number)>, Refusal> {
    let listed = || dnis.split(',').map(str::trim);
    if dnis.chars().count() > MAX_CHARACTERS || listed().count() > MAX_NUMBERS {
        return Err(Refusal::TooManyNumbers);
    }
    if dnis.trim().is_empty() {
        return Err(Refusal::Malformed(
            "400 Bad Request (Destination number is empty)",
        ));
    }
    listed()
        .map(|number| {
            Number::parse(number)
                .map(|parsed| (number, parsed))
                .ok_or(Refusal::NoRoutes)
        })
        .collect()
}

/// Refuses an own id with several numbers: its meaning is not documented, so a client must not rely
/// on it.
fn check_own_id(own_id: Option<&str>, numbers: usize) -> Result<(), Refusal> {
    match own_id {
        Some(_) if numbers > 1 => Err(Refusal::Malformed(
            "400 Bad Request (incMsgId allows one destination number)",
        )),
        Some(own_id) if own_id.chars().count() > MAX_OWN_ID_CHARACTERS => {
            Err(Refusal::Malformed("400 Bad Request (incMsgId is too long)"))
        }
        _ => Ok(()),
    }
}
