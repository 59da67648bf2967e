//! The field `sender`: what a message is sent from.

use serde_json::{Value, json};

use crate::http::fields::Fields;

/// The values that [`read`] accepts, as a regular expression.
const SENDER: &str = r"^\+?[0-9]{1,15}$|^[A-Za-z0-9]([A-Za-z0-9 ]{0,9}[A-Za-z0-9])?$";

/// What is expected instead of something that is no sender.
pub const NOT_A_SENDER: &str =
    "expected up to 11 letters and digits, or a number of up to 15 digits";

/// Returns the schema of the field.
pub fn schema() -> Value {
    json!({"type": "string", "pattern": SENDER,
        "description": "Up to 11 letters and digits, or a number of up to 15 digits; for carriers that accept one. It has to be registered (`GET /v1/senders`), unless the caller has the permission `senders:any`."})
}

/// Reads the field `sender`, as carriers accept it: a name of letters and digits of the default
/// alphabet, or a number.
pub fn read(fields: &mut Fields) -> Option<String> {
    let sender = fields.text("sender")?;
    if !is_sender(&sender) {
        fields.complain("sender", "not-a-sender", NOT_A_SENDER);
    }
    Some(sender)
}

/// Returns whether carriers accept it as a sender.
pub fn is_sender(sender: &str) -> bool {
    let number = sender.strip_prefix('+').unwrap_or(sender);
    let number =
        (1..=15).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    let name = (1..=11).contains(&sender.len())
        && sender
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b' ');
    number || (name && sender.trim().len() == sender.len())
}
