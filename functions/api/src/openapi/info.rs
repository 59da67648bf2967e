//! The introduction of the document: title, version, conventions, tags.

use serde_json::{Value, json};

const TEXT: &str = r"Sends a text to many phone numbers at a planned time, and reports the result of each message.

**Authentication.** `Authorization: Bearer TOKEN`: an API key, an access token from `POST /v1/auth/login`, or a token of the configured outside
issuer. Each operation names the permission that it requires (`x-permission`). A role includes several permissions; a key has its own. Answers
with 401 and 403 have the header `WWW-Authenticate`.

**Rate limits.** `RateLimit` and `RateLimit-Policy` state the remaining requests of the current minute. Beyond the limit, the answer is 429 with
`Retry-After`.

**Idempotent requests.** A POST that accepts `Idempotency-Key` is executed once within 24 hours for the same request with the same key, also
after a crash, and answered alike, with `Idempotency-Replayed: true`. Answers with 5xx and 429 are not stored: retry these requests.

**Pages.** Lists have the parameter `limit`. Pass the `next_cursor` of an answer as `cursor` to get the next page; it is null on the last page.
Cursors are opaque.

**Caching.** The answer to a GET has a weak `ETag`; with `If-None-Match`, an unchanged answer is 304. Longer answers are compressed according to
`Accept-Encoding`.

**Problems.** Errors are problem documents (RFC 9457), `application/problem+json`. Their `type` is an address: `GET /problems/{slug}` explains
the meaning and the remedy. `invalid-request` lists all wrong fields at once; nothing was written. Unknown fields and parameters are rejected.
A field that is null counts as not given.

**Times** are RFC 3339 with an offset from UTC. **Phone numbers** are E.164, such as `+60123456789`.";

/// Returns title, version and conventions.
pub fn info() -> Value {
    let license = env!("CARGO_PKG_LICENSE");
    json!({
        "title": "Bulk SMS scheduler",
        "version": env!("CARGO_PKG_VERSION"),
        "description": TEXT,
        "license": {"name": license, "identifier": license},
    })
}

/// Returns the tags of the operations, in the order in which a client needs them.
pub fn tags() -> Value {
    let tag = |name: &str, text: &str| json!({"name": name, "description": text});
    json!([
        tag(
            "auth",
            "Users log in with a password and receive a short-lived access token and a refresh token, which is valid once."
        ),
        tag(
            "schedules",
            "A text, a time and a list of recipients: created, changed, and moved from state to state."
        ),
        tag(
            "recipients",
            "The recipients of a schedule and the states of their messages."
        ),
        tag("messages", "Messages of all schedules."),
        tag(
            "carrier",
            "The limits of carriers, and the delivery receipts that they push."
        ),
        tag("senders", "What messages may be sent from."),
        tag(
            "money",
            "What messages cost, and how much may be sent in a day or a month."
        ),
        tag("suppressions", "Phone numbers to which nothing is sent."),
        tag("people", "What is known of one number, and its erasure."),
        tag(
            "attention",
            "What needs an operator, and the calls that resolve it."
        ),
        tag(
            "system",
            "Whether anything is sent, and the call that stops all of it."
        ),
        tag("users", "Users who log in here."),
        tag("api-keys", "API keys of programs."),
        tag("webhooks", "URLs that receive events."),
        tag("audit", "Who changed what."),
        tag(
            "about",
            "The health check, the types of problems, and this document."
        ),
    ])
}
