//! Which calls an answer leads to, with what of it: OpenAPI's links, which stateful tests walk along.

use serde_json::{Map, Value, json};

/// An operation's answer; the operations that it leads to; their parameters, each with where it stands in the answer.
type Link = (
    (&'static str, u16),
    &'static [&'static str],
    &'static [(&'static str, &'static str)],
);

const ID: &[(&str, &str)] = &[("id", "$response.body#/id")];
const HERE: &[(&str, &str)] = &[("id", "$request.path.id")];
const PHONE: &[(&str, &str)] = &[("phone", "$request.path.phone")];

const OF_SCHEDULE: &[&str] = &[
    "getSchedule",
    "changeSchedule",
    "appendRecipients",
    "listRecipients",
    "listBatches",
    "activateSchedule",
    "pauseSchedule",
    "resumeSchedule",
    "cancelSchedule",
    "sendScheduleNow",
    "retryBatches",
    "resolveRecipients",
];

const OF_WEBHOOK: &[&str] = &[
    "getWebhook",
    "changeWebhook",
    "testWebhook",
    "rotateWebhookSecret",
    "listDeliveries",
    "repeatFailedDeliveries",
    "deleteWebhook",
];

const LINKS: &[Link] = &[
    (("createSchedule", 201), OF_SCHEDULE, ID),
    (
        ("createSchedule", 201),
        &["listMessages"],
        &[("schedule_id", "$response.body#/id")],
    ),
    (
        ("listSchedules", 200),
        OF_SCHEDULE,
        &[("id", "$response.body#/schedules/0/id")],
    ),
    (
        ("getSchedule", 200),
        &["changeSchedule", "appendRecipients", "cancelSchedule"],
        ID,
    ),
    (
        ("changeSchedule", 200),
        &["getSchedule", "activateSchedule"],
        ID,
    ),
    (
        ("appendRecipients", 200),
        &["getSchedule", "listRecipients", "activateSchedule"],
        HERE,
    ),
    (
        ("activateSchedule", 200),
        &["getSchedule", "pauseSchedule", "cancelSchedule"],
        ID,
    ),
    (
        ("pauseSchedule", 200),
        &["getSchedule", "resumeSchedule", "cancelSchedule"],
        ID,
    ),
    (
        ("resumeSchedule", 200),
        &["getSchedule", "pauseSchedule"],
        ID,
    ),
    (
        ("cancelSchedule", 200),
        &["getSchedule", "listRecipients"],
        ID,
    ),
    (
        ("sendScheduleNow", 200),
        &["getSchedule", "listBatches"],
        ID,
    ),
    (
        ("listBatches", 200),
        &["retryBatch"],
        &[
            ("id", "$request.path.id"),
            ("no", "$response.body#/batches/0/batch_no"),
        ],
    ),
    (
        ("listRecipients", 200),
        &["resolveRecipient"],
        &[
            ("id", "$request.path.id"),
            ("seq", "$response.body#/recipients/0/seq"),
        ],
    ),
    (("createUser", 201), &["getUser", "changeUser"], ID),
    (
        ("listUsers", 200),
        &["getUser"],
        &[("id", "$response.body#/users/0/id")],
    ),
    (("createApiKey", 201), &["getApiKey", "revokeApiKey"], ID),
    (
        ("listApiKeys", 200),
        &["getApiKey"],
        &[("id", "$response.body#/api_keys/0/id")],
    ),
    (("createWebhook", 201), OF_WEBHOOK, ID),
    (
        ("listWebhooks", 200),
        &["getWebhook"],
        &[("id", "$response.body#/webhooks/0/id")],
    ),
    (
        ("testWebhook", 202),
        &["repeatDelivery"],
        &[
            ("id", "$request.path.id"),
            ("event_id", "$response.body#/event_id"),
        ],
    ),
    (
        ("putSuppression", 201),
        &["getSuppression", "putSuppression", "deleteSuppression"],
        PHONE,
    ),
    (
        ("putSuppression", 200),
        &["getSuppression", "deleteSuppression"],
        PHONE,
    ),
    (
        ("listSuppressions", 200),
        &["getSuppression"],
        &[("phone", "$response.body#/suppressions/0/phone")],
    ),
];

/// The links of an answer, each named as the operation that it leads to.
pub fn of(id: &str, status: u16) -> Map<String, Value> {
    let own = LINKS.iter().filter(|(from, ..)| *from == (id, status));
    own.flat_map(|(_, to, parameters)| {
        let parameters: Map<_, _> = parameters
            .iter()
            .map(|(name, place)| ((*name).to_owned(), json!(place)))
            .collect();
        to.iter().map(move |to| {
            (
                (*to).to_owned(),
                json!({"operationId": to, "parameters": parameters}),
            )
        })
    })
    .collect()
}

/// How many there are.
#[cfg(test)]
pub fn count() -> usize {
    LINKS.iter().map(|(_, to, _)| to.len()).sum()
}
