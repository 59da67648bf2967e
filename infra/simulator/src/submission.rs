//! What a submit request asks for, read from its parameters, and why it may be refused before anything is accepted.

use axum::http::StatusCode;

use crate::number::Number;
use crate::parameters::Parameters;
use crate::parts;

const MOST_NUMBERS: usize = 100;
const MOST_CHARACTERS: usize = 2_048;
const MOST_OWN_ID_CHARACTERS: usize = 128;
// The part's number is one byte on the air too (3GPP TS 23.040, 9.2.3.24.1).
const MOST_PARTS: usize = 255;

/// A request to send one text to some numbers.
#[derive(Debug)]
pub(crate) struct Submission<'a> {
    /// The numbers as they were named, repeated ones too: at least one.
    pub(crate) numbers: Vec<(&'a str, Number)>,
    /// The text's parts: at least one.
    pub(crate) parts: Vec<&'a str>,
    /// The sender.
    pub(crate) sender: Option<&'a str>,
    /// The client's own message id.
    pub(crate) own_id: Option<&'a str>,
}

/// A refusal: nothing was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Wrong or missing credentials.
    Unauthorized,
    /// More numbers or characters than one request may hold.
    TooManyNumbers,
    /// No carrier for one of the numbers.
    NoRoutes,
    /// Too many requests.
    Busy,
    /// Out of order for the moment.
    Unavailable,
    /// The request itself is wrong in some other way.
    Malformed(&'static str),
}

impl Refusal {
    /// Its name in the counts.
    pub(crate) fn cause(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::TooManyNumbers => "too_many_numbers",
            Self::NoRoutes => "no_routes",
            Self::Busy => "busy",
            Self::Unavailable => "unavailable",
            Self::Malformed(_) => "malformed",
        }
    }

    /// The answer's status and text.
    pub(crate) fn answer(self) -> (StatusCode, &'static str) {
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
            Self::Busy => (StatusCode::TOO_MANY_REQUESTS, "429 Too Many Requests"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "503 Service Unavailable"),
            Self::Malformed(text) => (StatusCode::BAD_REQUEST, text),
        }
    }
}

impl<'a> Submission<'a> {
    /// Reads a request. Only the full form, the one with `command`, knows `incMsgId` and cuts a long text unless told
    /// otherwise; the bare form always splits it.
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
        if parts.len() > MOST_PARTS {
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
    let named = || dnis.split(',').map(str::trim);
    if dnis.chars().count() > MOST_CHARACTERS || named().count() > MOST_NUMBERS {
        return Err(Refusal::TooManyNumbers);
    }
    if dnis.trim().is_empty() {
        return Err(Refusal::Malformed(
            "400 Bad Request (Destination number is empty)",
        ));
    }
    named()
        .map(|number| {
            Number::parse(number)
                .map(|parsed| (number, parsed))
                .ok_or(Refusal::NoRoutes)
        })
        .collect()
}

/// What an own id means for several numbers is documented nowhere, so it is refused: a client should not rely on it.
fn check_own_id(own_id: Option<&str>, numbers: usize) -> Result<(), Refusal> {
    match own_id {
        Some(_) if numbers > 1 => Err(Refusal::Malformed(
            "400 Bad Request (incMsgId allows one destination number)",
        )),
        Some(own_id) if own_id.chars().count() > MOST_OWN_ID_CHARACTERS => {
            Err(Refusal::Malformed("400 Bad Request (incMsgId is too long)"))
        }
        _ => Ok(()),
    }
}
