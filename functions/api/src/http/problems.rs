//! The types of problems that the API reports (RFC 9457): one constant per type.
//!
//! This is the only place that defines a problem. The answers ([`crate::http::error`]), the pages
//! at `/problems/{slug}` and the OpenAPI document all use these definitions.

mod accounts;
mod money;

use schemars::JsonSchema;
use serde::Serialize;

pub use accounts::*;
pub use money::*;

/// A type of problem, as its page shows it.
#[derive(Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(rename = "ProblemPage")]
pub struct ProblemType {
    /// Last part of the type.
    pub slug: &'static str,
    /// The HTTP status of the answer.
    pub status: u16,
    /// The title in problem documents; the pages do not show it.
    #[serde(skip)]
    pub title: &'static str,
    /// What has happened.
    pub meaning: &'static str,
    /// What the caller can do.
    pub remedy: &'static str,
}

/// `malformed-body`
pub const MALFORMED_BODY: ProblemType = ProblemType {
    slug: "malformed-body",
    status: 400,
    title: "The request cannot be read",
    meaning: "The body or the path does not have the announced format.",
    remedy: "Correct it at the position that `detail` names.",
};

/// `bad-signature`
pub const BAD_SIGNATURE: ProblemType = ProblemType {
    slug: "bad-signature",
    status: 401,
    title: "The signature is not valid",
    meaning: "The callback is not signed with the carrier's secret, or its timestamp differs too much from the current time.",
    remedy: "Sign exactly the body that is sent, with the time of sending; check the secret and the clock.",
};

/// `not-found`
pub const NOT_FOUND: ProblemType = ProblemType {
    slug: "not-found",
    status: 404,
    title: "Not found",
    meaning: "There is no such route, or no such resource.",
    remedy: "Check the path and the id.",
};

/// `method-not-allowed`
pub const METHOD_NOT_ALLOWED: ProblemType = ProblemType {
    slug: "method-not-allowed",
    status: 405,
    title: "Method not allowed",
    meaning: "The route exists, but does not support this method.",
    remedy: "The header `Allow` lists the supported methods.",
};

/// `not-acceptable`
pub const NOT_ACCEPTABLE: ProblemType = ProblemType {
    slug: "not-acceptable",
    status: 406,
    title: "No acceptable format",
    meaning: "The list has none of the formats that `Accept` includes.",
    remedy: "Send an `Accept` that includes `application/json`, `text/csv` or `application/x-ndjson`, or none; or choose with `format`.",
};

/// `wrong-state`
pub const WRONG_STATE: ProblemType = ProblemType {
    slug: "wrong-state",
    status: 409,
    title: "The state of the schedule does not allow the call",
    meaning: "The state of the schedule does not allow the call.",
    remedy: "`possible` lists the calls that it allows.",
};

/// `schedule-begun`
pub const SCHEDULE_BEGUN: ProblemType = ProblemType {
    slug: "schedule-begun",
    status: 409,
    title: "The schedule has begun",
    meaning: "The schedule has begun or ended.",
    remedy: "Make such changes before `changeable_until`; after that, only the rate, the priority and the end of a running schedule can be changed.",
};

/// `nothing-missed`
pub const NOTHING_MISSED: ProblemType = ProblemType {
    slug: "nothing-missed",
    status: 409,
    title: "Nothing was missed",
    meaning: "No batch of the schedule was missed.",
    remedy: "There is nothing to do.",
};

/// `no-recipients`
pub const NO_RECIPIENTS: ProblemType = ProblemType {
    slug: "no-recipients",
    status: 409,
    title: "The draft has no recipients",
    meaning: "The draft has no recipients.",
    remedy: "Append recipients first.",
};

/// `run-at-past`
pub const RUN_AT_PAST: ProblemType = ProblemType {
    slug: "run-at-past",
    status: 409,
    title: "The planned time has passed",
    meaning: "The planned time of the draft, or of a schedule that was paused before it began, has passed.",
    remedy: "Change `run_at` first, or resume with `{\"now\": true}`.",
};

/// `send-until-past`
pub const SEND_UNTIL_PAST: ProblemType = ProblemType {
    slug: "send-until-past",
    status: 409,
    title: "The end of the schedule has passed",
    meaning: "The end of the schedule (`send_until`, `send_within_s`) has passed: what was not sent ends EXPIRED.",
    remedy: "Create another schedule for the recipients whose messages were not sent.",
};

/// `approval-hash-differs`
pub const APPROVAL_HASH_DIFFERS: ProblemType = ProblemType {
    slug: "approval-hash-differs",
    status: 409,
    title: "Something else is to be approved",
    meaning: "The hash is not that of the text, the times and the list that the schedule has now.",
    remedy: "Read `GET /v1/schedules/{id}/approval` again, look at what has changed, and approve that.",
};

/// `own-approval`
pub const OWN_APPROVAL: ProblemType = ProblemType {
    slug: "own-approval",
    status: 403,
    title: "Somebody else has to decide",
    meaning: "The caller has created or changed the schedule, also with a key of its own, or is no person.",
    remedy: "Ask another person with the permission `schedules:approve`; `authors` of the approval names those who may not.",
};

/// `recipient-too-late`
pub const RECIPIENT_TOO_LATE: ProblemType = ProblemType {
    slug: "recipient-too-late",
    status: 409,
    title: "It is too late to change the recipient",
    meaning: "A request to the carrier carries the recipient's message, or has carried it, or the message has ended.",
    remedy: "`recipient_status` is the state of the message. Nothing was changed.",
};

/// `recipient-exists`
pub const RECIPIENT_EXISTS: ProblemType = ProblemType {
    slug: "recipient-exists",
    status: 409,
    title: "The number is in the schedule already",
    meaning: "Another recipient of the schedule has this number.",
    remedy: "Cancel one of the two. Nothing was changed.",
};

/// `recipient-ambiguous`
pub const RECIPIENT_AMBIGUOUS: ProblemType = ProblemType {
    slug: "recipient-ambiguous",
    status: 409,
    title: "Several recipients have the reference",
    meaning: "More than one recipient of the schedule has this reference.",
    remedy: "Name the recipient by its place in the list, `seq`. Nothing was changed.",
};

/// `nothing-to-resend`
pub const NOTHING_TO_RESEND: ProblemType = ProblemType {
    slug: "nothing-to-resend",
    status: 409,
    title: "There is nobody to send to again",
    meaning: "No recipient of the schedule is in one of the states, or all were sent to again since.",
    remedy: "Name other states in `statuses`.",
};

/// `personal-data-erased`
pub const PERSONAL_DATA_ERASED: ProblemType = ProblemType {
    slug: "personal-data-erased",
    status: 409,
    title: "The personal data of the schedule is erased",
    meaning: "The schedule has ended so long ago that its numbers and its text are erased, or are being erased.",
    remedy: "Create a schedule with the list of your own system.",
};

/// `too-many-resends`
pub const TOO_MANY_RESENDS: ProblemType = ProblemType {
    slug: "too-many-resends",
    status: 409,
    title: "The messages were sent again often enough",
    meaning: "The schedule is the last of a row of schedules that send again to recipients of the one before.",
    remedy: "Create a new schedule, if these people should get the message all the same.",
};

/// `too-many-webhooks`
pub const TOO_MANY_WEBHOOKS: ProblemType = ProblemType {
    slug: "too-many-webhooks",
    status: 409,
    title: "The maximum number of webhooks is reached",
    meaning: "The maximum number of webhooks is reached.",
    remedy: "Delete a webhook that is not needed, or use one webhook for several purposes.",
};

/// `webhook-disabled`
pub const WEBHOOK_DISABLED: ProblemType = ProblemType {
    slug: "webhook-disabled",
    status: 409,
    title: "The webhook is disabled",
    meaning: "The webhook is disabled: nothing is posted to it.",
    remedy: "Repair the receiver, then `PATCH` the webhook with `{\"disabled\": false}`.",
};

/// `secret-rotated`
pub const SECRET_ROTATED: ProblemType = ProblemType {
    slug: "secret-rotated",
    status: 409,
    title: "The secret was rotated concurrently",
    meaning: "Another call rotated the secret at the same time.",
    remedy: "Use the secret that the other call returned; rotate again only if it is lost.",
};

/// `idempotency-in-progress`
pub const IDEMPOTENCY_IN_PROGRESS: ProblemType = ProblemType {
    slug: "idempotency-in-progress",
    status: 409,
    title: "The same request is in progress",
    meaning: "Another request with the same key is being executed.",
    remedy: "Retry after a few seconds.",
};

/// `idempotency-answer-lost`
pub const IDEMPOTENCY_ANSWER_LOST: ProblemType = ProblemType {
    slug: "idempotency-answer-lost",
    status: 409,
    title: "The answer was lost",
    meaning: "The request was executed, but its answer was lost.",
    remedy: "Read the resource that `detail` names; do not repeat the request.",
};

/// `idempotency-answer-not-kept`
pub const IDEMPOTENCY_ANSWER_NOT_KEPT: ProblemType = ProblemType {
    slug: "idempotency-answer-not-kept",
    status: 409,
    title: "The answer is not stored",
    meaning: "The request was executed; its answer contained a secret, which is shown once.",
    remedy: "If the secret is lost, revoke what was created and create another with a new key; rotate the secret of a webhook.",
};

/// `idempotency-key-reused`
pub const IDEMPOTENCY_KEY_REUSED: ProblemType = ProblemType {
    slug: "idempotency-key-reused",
    status: 422,
    title: "The idempotency key belongs to another request",
    meaning: "The Idempotency-Key was used for another request within the last 24 hours.",
    remedy: "Use a new key for each new request.",
};

/// `too-large`
pub const TOO_LARGE: ProblemType = ProblemType {
    slug: "too-large",
    status: 413,
    title: "The request is too large",
    meaning: "The request exceeds the limit of one call.",
    remedy: "Split it into several calls, or compress it with gzip.",
};

/// `unsupported-content-type`
pub const UNSUPPORTED_CONTENT_TYPE: ProblemType = ProblemType {
    slug: "unsupported-content-type",
    status: 415,
    title: "The content type is not supported",
    meaning: "The content type or the encoding is not supported.",
    remedy: "`detail` lists the supported types.",
};

/// `invalid-request`
pub const INVALID_REQUEST: ProblemType = ProblemType {
    slug: "invalid-request",
    status: 422,
    title: "The request is not valid",
    meaning: "At least one value in the request is wrong; nothing was written.",
    remedy: "`errors` lists each wrong field and what was expected.",
};

/// `rate-limited`
pub const RATE_LIMITED: ProblemType = ProblemType {
    slug: "rate-limited",
    status: 429,
    title: "Too many requests",
    meaning: "The caller has exceeded its number of requests per minute.",
    remedy: "Wait as long as `Retry-After` says.",
};

/// `daily-limit`
pub const DAILY_LIMIT: ProblemType = ProblemType {
    slug: "daily-limit",
    status: 429,
    title: "The daily limit is reached",
    meaning: "The API key may not add this number of recipients today.",
    remedy: "Wait as long as `Retry-After` says, or use another key.",
};

/// `internal`
pub const INTERNAL: ProblemType = ProblemType {
    slug: "internal",
    status: 500,
    title: "Internal error",
    meaning: "An internal error occurred; nothing was written.",
    remedy: "The error is logged. Report the `X-Request-Id`.",
};

/// `receipt-too-early`
pub const RECEIPT_TOO_EARLY: ProblemType = ProblemType {
    slug: "receipt-too-early",
    status: 503,
    title: "Some receipts are too early",
    meaning: "A receipt names a message whose id is not recorded yet; the other receipts of the call are recorded.",
    remedy: "Send the same request again after `Retry-After`.",
};

/// `unavailable`
pub const UNAVAILABLE: ProblemType = ProblemType {
    slug: "unavailable",
    status: 503,
    title: "Temporarily unavailable",
    meaning: "The database, or the keys that verify tokens, are temporarily unavailable.",
    remedy: "Retry after `Retry-After`.",
};

/// All types, in the order in which the OpenAPI document lists the problems of a status.
pub const PROBLEMS: &[&ProblemType] = &[
    &MALFORMED_BODY,
    &UNAUTHENTICATED,
    &BAD_SIGNATURE,
    &WRONG_CREDENTIALS,
    &FORBIDDEN,
    &PASSWORD_CHANGE_REQUIRED,
    &LOCAL_LOGIN_OFF,
    &SECOND_FACTOR_REQUIRED,
    &SECOND_FACTOR_MISSING,
    &NOT_FOUND,
    &METHOD_NOT_ALLOWED,
    &NOT_ACCEPTABLE,
    &WRONG_STATE,
    &SCHEDULE_BEGUN,
    &NOTHING_MISSED,
    &NO_RECIPIENTS,
    &RUN_AT_PAST,
    &APPROVAL_HASH_DIFFERS,
    &OWN_APPROVAL,
    &SEND_UNTIL_PAST,
    &RECIPIENT_TOO_LATE,
    &RECIPIENT_EXISTS,
    &RECIPIENT_AMBIGUOUS,
    &NOTHING_TO_RESEND,
    &PERSONAL_DATA_ERASED,
    &TOO_MANY_RESENDS,
    &BUDGET_EXCEEDED,
    &BUDGET_EXISTS,
    &NO_PRICES,
    &MONEY_BUDGETS_EXIST,
    &USERNAME_TAKEN,
    &LAST_ADMIN,
    &PASSWORD_CHANGED,
    &SECOND_FACTOR_SET,
    &SECOND_FACTOR_NOT_BEGUN,
    &TOO_MANY_WEBHOOKS,
    &WEBHOOK_DISABLED,
    &SECRET_ROTATED,
    &IDEMPOTENCY_IN_PROGRESS,
    &IDEMPOTENCY_ANSWER_LOST,
    &IDEMPOTENCY_ANSWER_NOT_KEPT,
    &IDEMPOTENCY_KEY_REUSED,
    &TOO_LARGE,
    &UNSUPPORTED_CONTENT_TYPE,
    &INVALID_REQUEST,
    &RATE_LIMITED,
    &LOGIN_LOCKED,
    &DAILY_LIMIT,
    &INTERNAL,
    &RECEIPT_TOO_EARLY,
    &UNAVAILABLE,
];

/// Returns the type with this slug.
pub fn find_problem(slug: &str) -> Option<&'static ProblemType> {
    PROBLEMS
        .iter()
        .copied()
        .find(|problem| problem.slug == slug)
}
