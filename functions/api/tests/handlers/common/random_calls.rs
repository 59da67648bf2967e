//! Random calls of the API, with unexpected values in paths, queries and bodies.

use proptest::{
    prelude::*,
    sample::{Index, select},
};
use serde_json::{Map, Value, json};

/// The operations, with the members and the parameters that they know. `{id}` is a schedule.
const CALLS: [(&str, &str, &[&str], &[&str]); 19] = [
    (
        "POST",
        "/v1/schedules/{id}/resend",
        &[
            "statuses",
            "draft",
            "run_at",
            "send_until",
            "send_within_s",
            "name",
        ],
        &[],
    ),
    (
        "DELETE",
        "/v1/schedules/{id}/recipients/{value}",
        &[],
        &["by"],
    ),
    (
        "PATCH",
        "/v1/schedules/{id}/recipients/{value}",
        &["phone", "vars", "reference", "group"],
        &["by"],
    ),
    (
        "PATCH",
        "/v1/schedules/{id}/recipients/1",
        &["phone", "vars", "reference", "group"],
        &["by"],
    ),
    (
        "POST",
        "/v1/schedules/{id}/recipients/cancel",
        &["recipients", "seq", "phone", "reference"],
        &[],
    ),
    (
        "PATCH",
        "/v1/schedules/{id}/recipients",
        &[
            "recipients",
            "seq",
            "phone",
            "reference",
            "set",
            "vars",
            "group",
        ],
        &[],
    ),
    (
        "POST",
        "/v1/schedules/{id}/recipients",
        &["recipients", "phone", "vars", "reference", "group"],
        &[
            "on_duplicate",
            "on_invalid",
            "types",
            "dry_run",
            "column",
            "reference_column",
            "group_column",
            "default_country",
            "format",
            "charset",
        ],
    ),
    (
        "GET",
        "/v1/schedules/{id}/recipients",
        &[],
        &[
            "status",
            "reference",
            "group",
            "changed_since",
            "include",
            "format",
            "limit",
            "cursor",
        ],
    ),
    (
        "GET",
        "/v1/schedules/{id}/groups",
        &[],
        &["cursor", "limit"],
    ),
    ("POST", "/v1/schedules/{id}/dry-run", &[], &["sample"]),
    (
        "GET",
        "/v1/messages",
        &[],
        &[
            "phone",
            "schedule_id",
            "reference",
            "group",
            "status",
            "from",
            "to",
            "changed_since",
            "include",
            "format",
            "limit",
            "cursor",
        ],
    ),
    (
        "POST",
        "/v1/schedules/pause",
        &["reason"],
        &["label", "reference"],
    ),
    (
        "POST",
        "/v1/schedules/resume",
        &["now"],
        &["label", "reference"],
    ),
    (
        "PATCH",
        "/v1/schedules/{id}",
        &[
            "callback_url",
            "window",
            "name",
            "reference",
            "labels",
            "send_until",
            "run_at",
            "message",
            "rate",
            "priority",
        ],
        &[],
    ),
    (
        "POST",
        "/v1/schedules",
        &[
            "run_at",
            "message",
            "recipients",
            "draft",
            "on_invalid",
            "labels",
            "name",
            "reference",
            "callback_url",
            "window",
            "types",
            "default_country",
        ],
        &["dry_run"],
    ),
    (
        "POST",
        "/v1/webhooks",
        &["url", "events", "labels", "callback", "description"],
        &[],
    ),
    (
        "PATCH",
        "/v1/api-keys/{key}",
        &["name", "permissions", "messages_per_day", "expires_at"],
        &[],
    ),
    (
        "GET",
        "/v1/schedules",
        &[],
        &[
            "status",
            "label",
            "reference",
            "search",
            "sort",
            "limit",
            "cursor",
            "from",
            "to",
        ],
    ),
    ("GET", "/v1/schedules/{id}", &[], &["include"]),
];

/// Texts with a meaning somewhere, and such that are none.
fn text() -> impl Strategy<Value = String> {
    let known = [
        "1",
        "0",
        "-1",
        "4294967296",
        "R1",
        "R2",
        "same",
        "north",
        "skip",
        "update",
        "reject",
        "seq",
        "reference",
        "csv",
        "ndjson",
        "json",
        "variables",
        "UNDELIV",
        "CANCELLED",
        "INVALID",
        "true",
        "false",
        "MY",
        "+60123456789",
        "+12012000000",
        "2026-01-01T00:00:00Z",
        "2999-12-31T23:59:59+14:00",
        "0000-00-00",
        "mobile",
        "high",
        "https://example.com/hook",
        "http://127.0.0.1:9/",
        "webhooks:own",
        "schedules:read",
        "schedule.finished",
        "Hi {{name}}",
        "{{",
        "Mon",
        "24:00",
        "m0-00000000000070008000000000000000-0",
        "r1",
        "%",
        "_",
        "'",
        "\\",
        "",
        "\u{0}",
        "\u{202e}\u{feff}",
        "a\nb",
        "😀",
    ];
    prop_oneof![6 => select(known.to_vec()).prop_map(str::to_owned), 1 => "\\PC{0,80}"]
}

/// Values of JSON, whose members are those of the API.
fn value(members: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        6 => text().prop_map(Value::from),
        2 => select(vec![json!(null), json!(true), json!(false), json!(0), json!(1), json!(-1), json!(1.5), json!(1e300),
            json!(60), json!(4_294_967_296_u64), json!(u64::MAX)]),
    ];
    leaf.prop_recursive(3, 24, 4, move |inner| {
        let name = select(
            if members.is_empty() {
                &["x"][..]
            } else {
                members
            }
            .to_vec(),
        );
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((name, inner), 0..5).prop_map(|members| {
                let members = members
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value));
                Value::Object(members.collect::<Map<_, _>>())
            }),
        ]
    })
}

/// A call with its values.
#[derive(Clone, Debug)]
pub struct RandomCall {
    pub method: &'static str,
    pub path: &'static str,
    /// Replaces `{value}`.
    pub value: String,
    /// Which of the schedules.
    pub schedule: Index,
    pub query: Vec<(&'static str, String)>,
    pub content_type: &'static str,
    pub body: Vec<u8>,
}

pub fn random_call() -> impl Strategy<Value = RandomCall> {
    let kinds = [
        "application/json",
        "application/json",
        "application/json",
        "application/x-ndjson",
        "text/csv",
        "application/octet-stream",
        "application/gzip",
    ];
    select(CALLS.to_vec()).prop_flat_map(move |(method, path, members, parameters)| {
        let parameter = select(if parameters.is_empty() { &["x"][..] } else { parameters }.to_vec());
        let most = if parameters.is_empty() { 1 } else { 4 };
        // A member of its own more often than a list of anything.
        let member = (select(if members.is_empty() { &["x"][..] } else { members }.to_vec()), value(members));
        let object = proptest::collection::vec(member, 0..5).prop_map(|members| {
            let members = members.into_iter().map(|(name, value)| (name.to_owned(), value));
            Value::Object(members.collect::<Map<_, _>>())
        });
        let body = prop_oneof![4 => object.prop_map(|body| body.to_string()), 2 => value(members).prop_map(|body| body.to_string()), 1 => text()];
        (
            text(),
            any::<Index>(),
            proptest::collection::vec((parameter, text()), 0..most),
            select(kinds.to_vec()),
            body,
        )
            .prop_map(move |(value, schedule, query, content_type, body)| RandomCall {
                method,
                path,
                value,
                schedule,
                query,
                content_type,
                body: body.into_bytes(),
            })
    })
}

pub fn escaped(text: &str) -> String {
    text.bytes()
        .fold(String::new(), |text, byte| text + &format!("%{byte:02X}"))
}
