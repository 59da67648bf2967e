//! The texts in the report of a dry run: how many parts they have, the longest, and some of them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use shared::{
    batch::texts::read_variables,
    message::{
        phone::Phone,
        template::{Template, Variables},
        text::{self, Encoding},
    },
};

use crate::{http::error::ApiError, lists::entry::Personal};

/// Texts that a report shows, at most.
const MOST_SAMPLES: usize = 5;

/// The texts of a list.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Texts {
    /// The longest text of all valid entries, also of those that repeat a number; null without
    /// variables, and for an empty list.
    longest: Option<LongestText>,
    /// How many messages have how many parts, from the fewest.
    parts_by_count: Vec<PartsCount>,
    /// Texts as they would be sent: of the first five numbers, or of the first if all get the same.
    samples: Vec<SampleText>,
}

/// Messages with the same number of parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct PartsCount {
    /// The number of parts.
    parts: u16,
    /// The number of messages that have as many.
    messages: u64,
}

/// A text as it would be sent.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct SampleText {
    /// Its recipient.
    phone: String,
    text: String,
    #[schemars(extend("title" = "Encoding", "enum" = [Encoding::Gsm7.as_str(), Encoding::Ucs2.as_str()]))]
    encoding: &'static str,
    parts: u16,
}

/// The longest text of a list, first by parts, then by length.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct LongestText {
    /// Its recipient.
    phone: String,
    text: String,
    #[schemars(extend("title" = "Encoding", "enum" = [Encoding::Gsm7.as_str(), Encoding::Ucs2.as_str()]))]
    encoding: &'static str,
    /// The character that is in no GSM 03.38 alphabet, if the encoding is UCS-2.
    forced_by: Option<char>,
    /// Its length in septets (GSM-7) or UTF-16 code units (UCS-2).
    units: u16,
    parts: u16,
}

/// The texts that a report shows, while a list is read.
#[derive(Default)]
pub struct Shown {
    longest: Option<Personal>,
    samples: Vec<Personal>,
}

impl Shown {
    /// Keeps an entry if it is among the first ones, or its text is the longest so far.
    pub fn add(&mut self, personal: &Personal) {
        let size = |of: &Personal| (of.parts, of.units);
        if personal.parts > 0 && size(personal) > self.longest.as_ref().map_or((0, 0), size) {
            self.longest = Some(personal.clone());
        }
        let is_known = |shown: &Personal| shown.phone == personal.phone;
        if self.samples.len() < MOST_SAMPLES && !self.samples.iter().any(is_known) {
            self.samples.push(personal.clone());
        }
    }

    /// Keeps a number without variables if it is the first entry.
    pub fn add_plain(&mut self, phone: Phone) {
        if self.samples.is_empty() {
            self.samples.push(Personal::plain(phone));
        }
    }

    /// Renders the texts. `counts` has the number of messages for each number of parts.
    pub fn render(self, message: &str, counts: &BTreeMap<u16, u64>) -> Result<Texts, ApiError> {
        let template =
            Template::parse(message).map_err(|error| ApiError::Internal(error.to_string()))?;
        let shown = if template.is_some() { MOST_SAMPLES } else { 1 };
        let render = |personal: &Personal| rendered(message, template.as_ref(), personal);
        let longest = self.longest.filter(|_| template.is_some());
        let longest = longest.as_ref().map(|personal| -> Result<_, ApiError> {
            Ok(LongestText::of(personal, render(personal)?))
        });
        let samples = self.samples.iter().take(shown);
        let samples = samples.map(|personal| Ok(SampleText::of(personal.phone, render(personal)?)));
        Ok(Texts {
            longest: longest.transpose()?,
            parts_by_count: counts
                .iter()
                .map(|(parts, messages)| PartsCount {
                    parts: *parts,
                    messages: *messages,
                })
                .collect(),
            samples: samples.collect::<Result<_, ApiError>>()?,
        })
    }
}

/// Renders the text of an entry.
fn rendered(
    message: &str,
    template: Option<&Template>,
    personal: &Personal,
) -> Result<String, ApiError> {
    let Some(template) = template else {
        return Ok(message.to_owned());
    };
    let variables = match personal.variables.as_str() {
        "" => Variables::new(),
        json => read_variables(json)?,
    };
    let rendered = template.render(&variables);
    rendered
        .map(|rendered| rendered.text)
        .map_err(|error| ApiError::Internal(error.to_string()))
}

impl LongestText {
    fn of(personal: &Personal, text: String) -> Self {
        let encoding = match personal.forced_by {
            None => Encoding::Gsm7,
            Some(_) => Encoding::Ucs2,
        };
        Self {
            phone: personal.phone.to_string(),
            text,
            encoding: encoding.as_str(),
            forced_by: personal.forced_by,
            units: personal.units,
            parts: personal.parts,
        }
    }
}

impl SampleText {
    fn of(phone: Phone, text: String) -> Self {
        let counted = text::parts(&text);
        Self {
            phone: phone.to_string(),
            text,
            encoding: counted.encoding.as_str(),
            parts: counted.parts as u16,
        }
    }
}

/// Returns an example of the texts of one number.
pub fn texts_example() -> Value {
    json!({
        "longest": null, "parts_by_count": [{"parts": 1, "messages": 2}],
        "samples": [{"phone": "+60123456789", "text": "Your parcel is here.", "encoding": "GSM-7", "parts": 1}],
    })
}
