//! Receipts that an Alaris switch pushes: a JSON object, or an array of up to a thousand, signed with
//! HMAC-SHA256 ([`Signed`]).
//!
//! Unknown members are ignored, as carriers add some. An entry that cannot be read is reported by its
//! position, and the others count. No error repeats a value.

use chrono::{DateTime, Utc};
use reqwest::header::HeaderMap;
use serde_json::{Map, Number, Value, json};

use super::read_status;
use crate::carrier::receipt::{
    InvalidReceipt, Receipt, ReceiptFormat, Receipts, UnreadableReceipts, signature::Signed,
};

/// The largest whole number that JSON represents exactly everywhere (RFC 8259, section 6).
const EXACT: u64 = (1 << 53) - 1;
/// The largest number of receipts in a call.
const MAX_RECEIPTS: usize = 1000;
/// The longest id of a message: the column takes ten own ids, and no carrier's id is longer.
const LONGEST_ID: usize = 128;

/// The format.
pub(super) struct AlarisReceipts;

impl ReceiptFormat for AlarisReceipts {
    fn signature<'a>(
        &self,
        headers: &'a HeaderMap,
        now: DateTime<Utc>,
    ) -> Result<Signed<'a>, &'static str> {
        Signed::read(headers, now)
    }

    fn read(&self, body: &[u8]) -> Result<Receipts, UnreadableReceipts> {
        let mut receipts = Receipts::default();
        for (position, entry) in (0..).zip(&entries(body)?) {
            let read = match entry {
                Value::Object(members) => read_one(members),
                _ => Err(vec![("", "not-an-object", "expected a JSON object")]),
            };
            match read {
                Ok(receipt) => receipts.receipts.push(receipt),
                Err(errors) => receipts
                    .invalid
                    .extend(errors.into_iter().map(|error| invalid(position, error))),
            }
        }
        Ok(receipts)
    }

    fn schema(&self) -> Value {
        let receipt = json!({
            "title": "CarrierReceipt",
            "type": "object",
            "properties": {
                "message_id": {"type": ["string", "integer"], "minimum": 0, "maximum": EXACT, "minLength": 1, "maxLength": LONGEST_ID, "pattern": "^[!-+\\--~]+$",
                    "description": "The carrier's id of the message, or of one part of it."},
                "dnis": {"type": ["string", "integer"], "minimum": 1_000_000, "maximum": 999_999_999_999_999_u64, "pattern": "^\\+?[0-9]{7,15}$", "description": "The number, in international form."},
                "status": {"type": "string", "minLength": 1, "description": "The carrier's status, such as `DELIVRD`."},
            },
            "required": ["message_id", "dnis", "status"],
            "additionalProperties": true,
            "description": "Other members, such as `error_code`, are ignored.",
        });
        json!({"anyOf": [receipt, {"type": "array", "items": receipt, "maxItems": MAX_RECEIPTS}]})
    }

    fn example(&self) -> Value {
        json!([{
            "message_id": "alss-a1b2c3d4-e5f67890",
            "dnis": "60123456789",
            "status": "DELIVRD",
            "delivery_time": "270131090003",
        }])
    }
}

fn entries(body: &[u8]) -> Result<Vec<Value>, UnreadableReceipts> {
    let body: Value = serde_json::from_slice(body).map_err(|error| {
        // The parser's own message may quote the body.
        UnreadableReceipts::Malformed(format!(
            "expected JSON, found something else in line {}, column {}",
            error.line(),
            error.column()
        ))
    })?;
    match body {
        Value::Array(entries) if entries.len() > MAX_RECEIPTS => {
            Err(UnreadableReceipts::TooMany(MAX_RECEIPTS))
        }
        Value::Array(entries) => Ok(entries),
        Value::Object(receipt) => Ok(vec![Value::Object(receipt)]),
        _ => Err(UnreadableReceipts::Malformed(
            "expected a JSON object, or an array of such".to_owned(),
        )),
    }
}

fn invalid(position: u32, (field, code, detail): Wrong) -> InvalidReceipt {
    InvalidReceipt {
        position,
        field,
        code,
        detail,
    }
}

/// Field, code, and what was expected.
type Wrong = (&'static str, &'static str, &'static str);

fn read_one(members: &Map<String, Value>) -> Result<Receipt, Vec<Wrong>> {
    let message_id = text(members, "message_id").and_then(|id| {
        let good = (1..=LONGEST_ID).contains(&id.len())
            && id
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b',');
        good.then_some(id).ok_or((
            "message_id",
            "not-an-id",
            "expected 1 to 128 printable characters without blank or comma",
        ))
    });
    let phone = text(members, "dnis").and_then(|number| {
        let digits = number.strip_prefix('+').unwrap_or(&number);
        let good =
            (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        good.then(|| format!("+{digits}")).ok_or((
            "dnis",
            "not-a-number",
            "expected a number in international form, 7 to 15 digits",
        ))
    });
    let status = text(members, "status").and_then(|word| {
        read_status(&word).ok_or(("status", "empty", "expected a status, such as DELIVRD"))
    });
    match (message_id, phone, status) {
        (Ok(message_id), Ok(phone), Ok((status, carrier_status))) => Ok(Receipt {
            message_id,
            phone,
            status,
            carrier_status,
        }),
        (message_id, phone, status) => Err([message_id.err(), phone.err(), status.err()]
            .into_iter()
            .flatten()
            .collect()),
    }
}

/// Reads a text. Carriers also write whole numbers without quotes.
fn text(members: &Map<String, Value>, name: &'static str) -> Result<String, Wrong> {
    match members.get(name) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Number(number)) if name != "status" => whole(number)
            .map(|number| number.to_string())
            .ok_or((name, "wrong-type", "expected a text")),
        None | Some(Value::Null) => Err((name, "missing", "expected this field")),
        Some(_) => Err((name, "wrong-type", "expected a text")),
    }
}

/// Reads a whole number in any notation, up to [`EXACT`].
fn whole(number: &Number) -> Option<u64> {
    let with_fraction = || {
        number
            .as_f64()
            .filter(|n| n.fract() == 0.0 && (0.0..=EXACT as f64).contains(n))
            .map(|n| n as u64)
    };
    number
        .as_u64()
        .or_else(with_fraction)
        .filter(|number| *number <= EXACT)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::message::status::Status;

    fn read(body: &[u8]) -> Result<Receipts, UnreadableReceipts> {
        AlarisReceipts.read(body)
    }

    fn receipt(message_id: &str, phone: &str, status: Status, word: &str) -> Receipt {
        Receipt {
            message_id: message_id.into(),
            phone: phone.into(),
            status,
            carrier_status: word.into(),
        }
    }

    #[test]
    fn a_receipt_is_read_in_each_notation_of_the_carriers() {
        let table = [
            (
                json!({"message_id": "a-1", "dnis": "60123456789", "status": "DELIVRD"}),
                Status::Delivrd,
                "DELIVRD",
            ),
            (
                json!({"message_id": "a-1", "dnis": "+60123456789", "status": "UNDELIV", "error_code": 5, "delivery_time": "2109220933", "mccmnc": null}),
                Status::Undeliv,
                "UNDELIV",
            ),
            (
                json!({"message_id": "a-1", "dnis": 60_123_456_789_u64, "status": "IM_EXPD"}),
                Status::Enroute,
                "IM_EXPD",
            ),
            (
                json!([{"message_id": "a-1", "dnis": "60123456789", "status": "delivrd"}]),
                Status::Enroute,
                "delivrd",
            ),
        ];
        for (body, status, word) in table {
            let read = read(body.to_string().as_bytes()).unwrap();
            assert_eq!(
                read.receipts,
                [receipt("a-1", "+60123456789", status, word)],
                "{body}"
            );
            assert!(read.invalid.is_empty());
        }
        assert_eq!(
            read(b"[]").unwrap(),
            Receipts {
                receipts: vec![],
                invalid: vec![]
            }
        );
    }

    #[test]
    fn an_invalid_entry_is_reported_by_position_and_the_others_count() {
        let good = json!({"message_id": 17, "dnis": "60123456789", "status": "DELIVRD"});
        let body = json!([
            good, 7, {}, {"message_id": "", "dnis": "012", "status": ""}, {"message_id": "a,b", "dnis": "+60 12 345", "status": 7}, good,
            {"message_id": ["x"], "dnis": null, "status": "DELIVRD"}, {"message_id": "x".repeat(129), "dnis": "6".repeat(16), "status": "X"},
            {"message_id": 2.5, "dnis": -60_123_456_789_i64, "status": "DELIVRD"}, {"message_id": 17.0, "dnis": 60_123_456_789_u64, "status": "DELIVRD"},
        ]);
        let read = read(body.to_string().as_bytes()).unwrap();
        assert_eq!(
            read.receipts,
            [(); 3].map(|()| receipt("17", "+60123456789", Status::Delivrd, "DELIVRD"))
        );
        let wrong: Vec<_> = read
            .invalid
            .iter()
            .map(|error| (error.position, error.field, error.code))
            .collect();
        #[rustfmt::skip]
        assert_eq!(wrong, [
            (1, "", "not-an-object"),
            (2, "message_id", "missing"), (2, "dnis", "missing"), (2, "status", "missing"),
            (3, "message_id", "not-an-id"), (3, "dnis", "not-a-number"), (3, "status", "empty"),
            (4, "message_id", "not-an-id"), (4, "dnis", "not-a-number"), (4, "status", "wrong-type"),
            (6, "message_id", "wrong-type"), (6, "dnis", "missing"),
            (7, "message_id", "not-an-id"), (7, "dnis", "not-a-number"),
            (8, "message_id", "wrong-type"), (8, "dnis", "wrong-type"),
        ]);
        assert!(
            read.invalid
                .iter()
                .all(|error| error.detail.starts_with("expected"))
        );
    }

    #[test]
    fn a_body_without_receipts_is_refused() {
        for body in [
            "",
            "{",
            "7",
            "\"x\"",
            "null",
            "[{]",
            "\u{0}",
            "message_id=1&status=DELIVRD",
        ] {
            assert!(
                matches!(read(body.as_bytes()), Err(UnreadableReceipts::Malformed(_))),
                "{body}"
            );
        }
        let many = json!(vec![json!({}); 1001]).to_string();
        assert!(matches!(
            read(many.as_bytes()),
            Err(UnreadableReceipts::TooMany(1000))
        ));
        assert_eq!(
            read(json!(vec![7; 1000]).to_string().as_bytes())
                .unwrap()
                .invalid
                .len(),
            1000
        );
    }

    proptest! {
        /// For any input: each value that is read fits its column, and only a status that the
        /// protocol calls final is final.
        #[test]
        fn any_body_is_receipts_or_complaints(
            ids in proptest::collection::vec("(\"\\PC{0,140}\"|[0-9]{1,20}|null|\\{\\})", 0..4),
            dnis in "(\"\\+?[0-9 ]{0,18}\"|[0-9]{1,17}|true)", status in "(\"[A-Z]{0,8}\\PC{0,40}\"|\"DELIVRD\"|1)", odd in "(|,\"x\":\\[\\]|,)",
        ) {
            let entries: Vec<_> =
                ids.iter().map(|id| format!("{{\"message_id\":{id},\"dnis\":{dnis},\"status\":{status}{odd}}}")).collect();
            let body = format!("[{}]", entries.join(","));
            if let Ok(Receipts { receipts, invalid }) = read(body.as_bytes()) {
                prop_assert!(receipts.len() + invalid.len() >= ids.len());
                for receipt in receipts {
                    prop_assert!((1..=128).contains(&receipt.message_id.len()) && receipt.message_id.is_ascii());
                    prop_assert!((8..=16).contains(&receipt.phone.len()) && (1..=32).contains(&receipt.carrier_status.len()));
                    prop_assert!(!receipt.status.is_final() || receipt.carrier_status == receipt.status.as_str());
                }
            }
        }

        /// No input causes a panic.
        #[test]
        fn any_bytes_are_receipts_or_refused(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(read(&body));
        }
    }
}
