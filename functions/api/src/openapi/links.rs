//! The calls to which an answer leads (OpenAPI links), with their parameters; stateful tests follow
//! them.

use serde_json::{Map, Value, json};

/// Links from one answer.
struct Links {
    /// The operation that answers.
    operation: &'static str,
    /// The status of its answer.
    status: u16,
    /// The operations to which the answer leads.
    targets: &'static [&'static str],
    /// The parameters of the targets, each with its place in the request or in the answer.
    parameters: &'static [(&'static str, &'static str)],
}

const fn links(
    operation: &'static str,
    status: u16,
    targets: &'static [&'static str],
    parameters: &'static [(&'static str, &'static str)],
) -> Links {
    Links {
        operation,
        status,
        targets,
        parameters,
    }
}

const ID: &[(&str, &str)] = &[("id", "$response.body#/id")];
const HERE: &[(&str, &str)] = &[("id", "$request.path.id")];
const PHONE: &[(&str, &str)] = &[("phone", "$request.path.phone")];

const OF_SCHEDULE: &[&str] = &[
    "getSchedule",
    "changeSchedule",
    "appendRecipients",
    "listRecipients",
    "listBatches",
    "dryRunSchedule",
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

const LINKS: &[Links] = &[
    links("createSchedule", 201, OF_SCHEDULE, ID),
    links(
        "createSchedule",
        201,
        &["listMessages"],
        &[("schedule_id", "$response.body#/id")],
    ),
    links(
        "listSchedules",
        200,
        OF_SCHEDULE,
        &[("id", "$response.body#/schedules/0/id")],
    ),
    links(
        "getSchedule",
        200,
        &["changeSchedule", "appendRecipients", "cancelSchedule"],
        ID,
    ),
    links(
        "changeSchedule",
        200,
        &["getSchedule", "activateSchedule"],
        ID,
    ),
    links(
        "appendRecipients",
        200,
        &[
            "getSchedule",
            "listRecipients",
            "dryRunSchedule",
            "activateSchedule",
        ],
        HERE,
    ),
    links(
        "activateSchedule",
        200,
        &["getSchedule", "pauseSchedule", "cancelSchedule"],
        ID,
    ),
    links(
        "pauseSchedule",
        200,
        &["getSchedule", "resumeSchedule", "cancelSchedule"],
        ID,
    ),
    links("resumeSchedule", 200, &["getSchedule", "pauseSchedule"], ID),
    links(
        "cancelSchedule",
        200,
        &["getSchedule", "listRecipients"],
        ID,
    ),
    links("sendScheduleNow", 200, &["getSchedule", "listBatches"], ID),
    links(
        "listBatches",
        200,
        &["retryBatch"],
        &[
            ("id", "$request.path.id"),
            ("no", "$response.body#/batches/0/batch_no"),
        ],
    ),
    links(
        "listRecipients",
        200,
        &["resolveRecipient", "changeRecipient", "cancelRecipient"],
        &[
            ("id", "$request.path.id"),
            ("recipient", "$response.body#/recipients/0/seq"),
        ],
    ),
    links("createUser", 201, &["getUser", "changeUser"], ID),
    links(
        "listUsers",
        200,
        &["getUser"],
        &[("id", "$response.body#/users/0/id")],
    ),
    links(
        "createApiKey",
        201,
        &["getApiKey", "changeApiKey", "revokeApiKey"],
        ID,
    ),
    links(
        "listApiKeys",
        200,
        &["getApiKey"],
        &[("id", "$response.body#/api_keys/0/id")],
    ),
    links("createWebhook", 201, OF_WEBHOOK, ID),
    links(
        "listWebhooks",
        200,
        &["getWebhook"],
        &[("id", "$response.body#/webhooks/0/id")],
    ),
    links(
        "testWebhook",
        202,
        &["repeatDelivery"],
        &[
            ("id", "$request.path.id"),
            ("event_id", "$response.body#/event_id"),
        ],
    ),
    links(
        "putSuppression",
        201,
        &["getSuppression", "putSuppression", "deleteSuppression"],
        PHONE,
    ),
    links(
        "putSuppression",
        200,
        &["getSuppression", "deleteSuppression"],
        PHONE,
    ),
    links(
        "listSuppressions",
        200,
        &["getSuppression"],
        &[("phone", "$response.body#/suppressions/0/phone")],
    ),
];

/// Returns the links of an answer, named after the operations to which they lead.
pub fn of(operation: &str, status: u16) -> Map<String, Value> {
    let own = LINKS
        .iter()
        .filter(|links| links.operation == operation && links.status == status);
    own.flat_map(|links| {
        let parameters: Map<_, _> = links
            .parameters
            .iter()
            .map(|(name, place)| ((*name).to_owned(), json!(place)))
            .collect();
        links.targets.iter().map(move |target| {
            let link = json!({"operationId": target, "parameters": parameters});
            ((*target).to_owned(), link)
        })
    })
    .collect()
}

/// Returns the number of links.
#[cfg(test)]
pub fn count() -> usize {
    LINKS.iter().map(|links| links.targets.len()).sum()
}
