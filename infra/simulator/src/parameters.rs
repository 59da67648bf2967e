//! The parameters of a request, from the query string and from a JSON or form body.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, Uri, header::CONTENT_TYPE};
use serde_json::Value;
use url::form_urlencoded;

/// The parameters that have an effect. Others (`serviceType`, `dataCoding` …) are ignored.
#[derive(Debug, Default)]
pub(crate) struct Parameters {
    /// `submit` or `query`. The bare form has no command.
    pub(crate) command: Option<String>,
    /// The user name.
    pub(crate) username: Option<String>,
    /// The password.
    pub(crate) password: Option<String>,
    /// The destination numbers, separated by commas.
    pub(crate) dnis: Option<String>,
    /// The text.
    pub(crate) message: Option<String>,
    /// The sender.
    pub(crate) ani: Option<String>,
    /// `cut` or `split`.
    pub(crate) long_message_mode: Option<String>,
    /// The client's own message id.
    pub(crate) inc_msg_id: Option<String>,
    /// The message id of a status query.
    pub(crate) message_id: Option<String>,
}

impl Parameters {
    /// Reads the query string and the body. Returns `None` if a JSON body is invalid or is not a
    /// flat object.
    pub(crate) fn read(uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Option<Self> {
        let mut parameters = Self::default();
        parameters.read_form(uri.query().unwrap_or_default().as_bytes());
        if is_json(headers, body) {
            parameters.read_json(body)?;
        } else {
            parameters.read_form(body);
        }
        Some(parameters)
    }

    fn read_form(&mut self, form: &[u8]) {
        for (name, value) in form_urlencoded::parse(form) {
            self.set(&name, value.into_owned());
        }
    }

    fn read_json(&mut self, body: &[u8]) -> Option<()> {
        for (name, value) in serde_json::from_slice::<BTreeMap<String, Value>>(body).ok()? {
            match value {
                Value::Null => {}
                Value::String(text) => self.set(&name, text),
                Value::Number(_) | Value::Bool(_) => self.set(&name, value.to_string()),
                Value::Array(_) | Value::Object(_) => return None,
            }
        }
        Some(())
    }

    fn set(&mut self, name: &str, value: String) {
        let field = match name {
            "command" => &mut self.command,
            "username" => &mut self.username,
            "password" => &mut self.password,
            "dnis" => &mut self.dnis,
            "message" => &mut self.message,
            "ani" => &mut self.ani,
            "longMessageMode" => &mut self.long_message_mode,
            "incMsgId" => &mut self.inc_msg_id,
            "messageId" => &mut self.message_id,
            _ => return,
        };
        *field = Some(value);
    }
}

/// Decides by the content type, or by the body's first character if the type is neither JSON nor
/// form.
fn is_json(headers: &HeaderMap, body: &[u8]) -> bool {
    let content_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let is_form = content_type.starts_with("application/x-www-form-urlencoded");
    content_type.contains("json") || (!is_form && body.trim_ascii_start().starts_with(b"{"))
}
