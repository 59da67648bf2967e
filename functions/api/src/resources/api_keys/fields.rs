//! The fields of a key that its creator sets and an administrator can change: permissions, the end of
//! its validity, and the networks from which it may be used.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use shared::access::Permission;

use crate::{
    auth::addresses,
    http::fields::Fields,
    resources::senders::field::{NOT_A_SENDER, is_sender},
};

/// The field of the permissions.
pub const PERMISSIONS: &str = "permissions";
/// The field of the end of validity.
pub const EXPIRES_AT: &str = "expires_at";
/// The field of the networks.
pub const ALLOWED_ADDRESSES: &str = "allowed_addresses";

/// The field of the senders.
pub const ALLOWED_SENDERS: &str = "allowed_senders";

/// How long a key is valid unless its creator says otherwise.
pub const VALIDITY: TimeDelta = TimeDelta::days(365);

/// Networks per key; the longest of them, separated by spaces, fit `api_keys.allowed_addresses`.
const MOST_NETWORKS: usize = 32;
/// Senders per key; the longest of them, separated by commas, fit `api_keys.allowed_senders`.
const MOST_SENDERS: usize = 32;

/// Returns the schema of the field `permissions`.
pub fn permissions_schema() -> Value {
    json!({"type": "array", "minItems": 1, "items": {"title": "GrantablePermission", "type": "string", "enum": Permission::GRANTABLE.map(Permission::as_str)}})
}

/// Reads the field `permissions`.
pub fn permissions(fields: &mut Fields) -> Option<Vec<Permission>> {
    let names = Permission::GRANTABLE.map(Permission::as_str).join(", ");
    let given: Option<Vec<String>> = fields.read_as(PERMISSIONS, &format!("an array of: {names}"));
    let known = |name: String| {
        Permission::GRANTABLE
            .into_iter()
            .find(|permission| permission.as_str() == name)
    };
    let mut permissions: Vec<_> = given?
        .into_iter()
        .map(known)
        .collect::<Option<_>>()
        .unwrap_or_default();
    permissions.sort_unstable();
    permissions.dedup();
    if permissions.is_empty() {
        fields.complain(
            PERMISSIONS,
            "not-a-choice",
            format!("expected at least one, and only: {names}"),
        );
        return None;
    }
    Some(permissions)
}

/// Returns the schema of the field `expires_at`.
pub fn expires_at_schema(absent: &str) -> Value {
    json!({"type": ["string", "null"], "format": "date-time", "description": format!("A time in the future; null: never. Left out: {absent}.")})
}

/// Reads the field `expires_at`. `Some(None)`: never.
#[expect(
    clippy::option_option,
    reason = "null means never, which differs from leaving it out"
)]
pub fn expires_at(fields: &mut Fields, now: DateTime<Utc>) -> Option<Option<DateTime<Utc>>> {
    const EXPECTED: &str = "a time in the future with an offset from UTC (RFC 3339), such as 2030-01-31T09:00:00+08:00";
    fields.nullable(EXPIRES_AT, |fields: &mut Fields| {
        let given: String = fields.read_as(EXPIRES_AT, EXPECTED)?;
        let code = match DateTime::parse_from_rfc3339(&given) {
            Ok(time) if time > now => return Some(time.to_utc()),
            Ok(_) => "in-the-past",
            Err(_) => "not-a-time",
        };
        fields.complain(EXPIRES_AT, code, format!("expected {EXPECTED}"));
        None
    })
}

/// Returns the schema of the field `allowed_addresses`.
pub fn allowed_addresses_schema() -> Value {
    json!({"type": ["array", "null"], "minItems": 1, "maxItems": MOST_NETWORKS, "items": {"type": "string"},
        "description": "Networks (CIDR) or addresses, IPv4 or IPv6, from which the key may be used; null: any. The address is that of the connection to the gateway."})
}

/// Reads the field `allowed_addresses`, as its column holds it. `Some(None)`: any address.
#[expect(
    clippy::option_option,
    reason = "null removes the restriction, which differs from leaving it out"
)]
pub fn allowed_addresses(fields: &mut Fields) -> Option<Option<String>> {
    fields.nullable(ALLOWED_ADDRESSES, |fields: &mut Fields| {
        let expected = format!(
            "an array of 1 to {MOST_NETWORKS} networks or addresses, such as 203.0.113.0/24"
        );
        let given: Vec<String> = fields.read_as(ALLOWED_ADDRESSES, &expected)?;
        let networks: Option<Vec<_>> = given.iter().map(|text| addresses::parse(text)).collect();
        let Some(mut networks) = networks else {
            fields.complain(
                ALLOWED_ADDRESSES,
                "not-a-network",
                format!("expected {expected}"),
            );
            return None;
        };
        networks.sort_unstable();
        networks.dedup();
        if !(1..=MOST_NETWORKS).contains(&networks.len()) {
            fields.complain(
                ALLOWED_ADDRESSES,
                "out-of-range",
                format!("expected {expected}"),
            );
            return None;
        }
        let texts: Vec<_> = networks.iter().map(ToString::to_string).collect();
        Some(texts.join(" "))
    })
}

/// Returns the schema of the field `allowed_senders`.
pub fn allowed_senders_schema() -> Value {
    json!({"type": ["array", "null"], "minItems": 1, "maxItems": MOST_SENDERS, "items": {"type": "string"},
        "description": "The only senders that the key may choose, whether they are registered or not; null: those that are registered. The permission `senders:any` does not extend it."})
}

/// Reads the field `allowed_senders`, as its column holds it. `Some(None)`: those that are
/// registered.
#[expect(
    clippy::option_option,
    reason = "null removes the restriction, which differs from leaving it out"
)]
pub fn allowed_senders(fields: &mut Fields) -> Option<Option<String>> {
    fields.nullable(ALLOWED_SENDERS, |fields: &mut Fields| {
        let expected = format!("an array of 1 to {MOST_SENDERS} senders, such as Acme");
        let mut given: Vec<String> = fields.read_as(ALLOWED_SENDERS, &expected)?;
        given.sort_unstable();
        given.dedup();
        let complaint = if !(1..=MOST_SENDERS).contains(&given.len()) {
            ("out-of-range", format!("expected {expected}"))
        } else if given.iter().any(|sender| !is_sender(sender)) {
            ("not-a-sender", NOT_A_SENDER.to_owned())
        } else {
            return Some(given.join(","));
        };
        fields.complain(ALLOWED_SENDERS, complaint.0, complaint.1);
        None
    })
}
