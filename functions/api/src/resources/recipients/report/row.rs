//! A row of a report: as an object in NDJSON, as cells in CSV. A new column is a member of
//! [`ReportRow`] and a line of [`COLUMNS`].

use std::borrow::Cow;

use chrono::{DateTime, SecondsFormat, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use shared::{
    message::{status::Status, template::Variables},
    money::amount::Amount,
};
use uuid::Uuid;

use crate::resources::recipients::{names::RecipientDetails, report::store::ReportedRecipient};

/// A recipient in a report.
#[derive(Debug, JsonSchema, Serialize)]
pub struct ReportRow {
    /// The number (E.164); null for INVALID.
    pub phone: Option<String>,
    /// The state.
    #[schemars(with = "Status")]
    pub status: String,
    /// The last status exactly as the carrier sent it.
    pub carrier_status: Option<String>,
    /// The number of requests that contained the message, including those that the carrier refused.
    pub attempt: u32,
    /// How many of them the carrier has accepted, or may have: the others were refused.
    pub sends: u32,
    /// How many of these were made after an earlier one, because that had failed or was lost.
    pub resends: u32,
    /// The number of parts of its text; null for INVALID, and if the text cannot be rendered.
    pub parts: Option<u16>,
    /// The planned time of its first send; null for INVALID.
    pub planned_at: Option<DateTime<Utc>>,
    /// When the last request that contained it began.
    pub sent_at: Option<DateTime<Utc>>,
    /// When the state became final.
    pub final_at: Option<DateTime<Utc>>,
    /// The reason for the state, if the state alone does not explain it.
    pub error: Option<String>,
    /// The place in the list.
    pub seq: u32,
    /// The carrier's id; a text of several parts has several, separated by commas.
    pub message_id: Option<String>,
    /// The schedule.
    pub schedule_id: Uuid,
    /// The entry as given, at most 64 characters of it; only for INVALID.
    pub input: Option<String>,
    /// What the client's system calls the recipient.
    pub reference: Option<String>,
    /// The group of the recipient.
    pub group: Option<String>,
    /// The price of a part; null if the number has no price, or the schedule none.
    pub price: Option<Amount>,
    /// What its sends have cost: the price of each part of each send. Null if `price` is.
    pub cost: Option<Amount>,
    /// The currency (ISO 4217); null if the schedule has no prices.
    pub currency: Option<String>,
    /// The variables of its text; only with `include=variables`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("title" = "StoredVariables"))]
    pub variables: Option<Variables>,
}

/// What a report adds to a recipient.
#[derive(Debug, Default)]
pub struct Added {
    /// The number of parts of its text.
    pub parts: Option<u16>,
    /// The planned time of its first send.
    pub planned_at: Option<DateTime<Utc>>,
    /// What its messages have cost.
    pub cost: RecipientCost,
    /// Its reference, its group and its variables.
    pub details: RecipientDetails,
}

/// What the messages to a recipient have cost.
#[derive(Debug, Default)]
pub struct RecipientCost {
    /// Of a part.
    pub price: Option<Amount>,
    /// Of all its sends.
    pub cost: Option<Amount>,
    /// ISO 4217.
    pub currency: Option<String>,
}

/// A column of CSV: its name, and its cell of a row.
pub type Column = (&'static str, fn(&ReportRow) -> Cow<'_, str>);

/// The columns of CSV.
pub const COLUMNS: [Column; 20] = [
    ("phone", |row| plain(row.phone.as_deref())),
    ("status", |row| Cow::Borrowed(&row.status)),
    ("carrier_status", |row| free(row.carrier_status.as_deref())),
    ("attempt", |row| number(Some(row.attempt))),
    ("sends", |row| number(Some(row.sends))),
    ("resends", |row| number(Some(row.resends))),
    ("parts", |row| number(row.parts.map(u32::from))),
    ("planned_at", |row| time(row.planned_at)),
    ("sent_at", |row| time(row.sent_at)),
    ("final_at", |row| time(row.final_at)),
    ("error", |row| free(row.error.as_deref())),
    ("seq", |row| number(Some(row.seq))),
    ("message_id", |row| free(row.message_id.as_deref())),
    ("schedule_id", |row| Cow::Owned(row.schedule_id.to_string())),
    ("input", |row| free(row.input.as_deref())),
    ("reference", |row| free(row.reference.as_deref())),
    ("group", |row| free(row.group.as_deref())),
    ("price", |row| amount(row.price)),
    ("cost", |row| amount(row.cost)),
    ("currency", |row| plain(row.currency.as_deref())),
];

/// The last column, if the variables are asked for: a JSON object.
pub const VARIABLES: Column = ("variables", |row| {
    row.variables.as_ref().map_or(Cow::Borrowed(""), |given| {
        Cow::Owned(json!(given).to_string())
    })
});

impl ReportRow {
    /// Returns the row of a recipient.
    pub fn new(schedule_id: Uuid, recipient: ReportedRecipient, added: Added) -> Self {
        Self {
            phone: recipient.phone,
            reference: added.details.names.reference,
            group: added.details.names.group,
            status: recipient.status,
            carrier_status: recipient.carrier_status,
            attempt: recipient.attempt,
            sends: recipient.sends,
            resends: recipient.resends,
            parts: added.parts,
            planned_at: added.planned_at,
            sent_at: recipient.sent_at,
            final_at: recipient.final_at,
            error: recipient.error,
            seq: recipient.seq,
            message_id: recipient.message_id,
            schedule_id,
            input: recipient.input,
            price: added.cost.price,
            cost: added.cost.cost,
            currency: added.cost.currency,
            variables: added.details.variables,
        }
    }
}

/// Returns a cell whose characters are known: digits and a plus sign.
fn plain(text: Option<&str>) -> Cow<'_, str> {
    Cow::Borrowed(text.unwrap_or_default())
}

/// Returns a cell of text from outside. A spreadsheet executes a cell that begins with one of these
/// characters as a formula (OWASP, CSV Injection): an apostrophe before it makes it text.
fn free(text: Option<&str>) -> Cow<'_, str> {
    const BEGINS_FORMULA: [char; 11] =
        ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];
    let text = text.unwrap_or_default();
    if text.starts_with(BEGINS_FORMULA) {
        return Cow::Owned(format!("'{text}"));
    }
    Cow::Borrowed(text)
}

fn number(number: Option<u32>) -> Cow<'static, str> {
    number.map_or(Cow::Borrowed(""), |number| Cow::Owned(number.to_string()))
}

fn amount(amount: Option<Amount>) -> Cow<'static, str> {
    amount.map_or(Cow::Borrowed(""), |amount| Cow::Owned(amount.to_string()))
}

/// Returns a time as JSON has it.
fn time(time: Option<DateTime<Utc>>) -> Cow<'static, str> {
    time.map_or(Cow::Borrowed(""), |time| {
        Cow::Owned(time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    })
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::Value;

    use super::*;

    /// Returns a row with all members.
    pub fn row(seq: u32) -> ReportRow {
        let at = DateTime::from_timestamp_millis(1_801_357_200_007);
        ReportRow {
            phone: Some("+60123456789".to_owned()),
            reference: Some("r, 1".to_owned()),
            group: Some("Penang".to_owned()),
            status: "DELIVRD".to_owned(),
            carrier_status: Some("=1+1".to_owned()),
            attempt: 2,
            sends: 2,
            resends: 1,
            parts: Some(3),
            planned_at: at,
            sent_at: at,
            final_at: at,
            error: Some("a, \"b\"".to_owned()),
            seq,
            message_id: Some("m1,m2".to_owned()),
            schedule_id: Uuid::nil(),
            input: None,
            price: Some(Amount(50_000)),
            cost: Some(Amount(300_000)),
            currency: Some("EUR".to_owned()),
            variables: None,
        }
    }

    #[test]
    fn the_columns_are_the_members_with_their_values() {
        let row = row(7);
        let object = serde_json::to_value(&row).unwrap();
        assert_eq!(object.as_object().unwrap().len(), COLUMNS.len());
        for (name, cell) in COLUMNS {
            let expected = match &object[name] {
                Value::String(text) if name == "carrier_status" => format!("'{text}"),
                Value::String(text) => text.clone(),
                Value::Null => String::new(),
                other => other.to_string(),
            };
            assert_eq!(cell(&row), expected, "{name}");
        }
        assert_eq!(object["sent_at"], json!("2027-01-31T01:00:00.007Z"));
        assert_eq!(VARIABLES.1(&row), "");
        let variables = [("name".to_owned(), "=1".to_owned())].into();
        let with_variables = ReportRow {
            variables: Some(variables),
            ..row
        };
        assert_eq!(VARIABLES.1(&with_variables), r#"{"name":"=1"}"#);
    }

    #[test]
    fn text_that_a_spreadsheet_would_execute_is_defused() {
        for text in [
            "=HYPERLINK(\"x\")",
            "+1",
            "-1",
            "@SUM(1)",
            "\t=1",
            "\r=1",
            "\n=1",
            "＝1",
        ] {
            assert_eq!(free(Some(text)), format!("'{text}"));
        }
        for text in ["", "a=1", "1+1", "'=1", " =1", "DELIVRD"] {
            assert_eq!(free(Some(text)), text);
        }
        assert_eq!(plain(Some("+60123456789")), "+60123456789");
    }
}
