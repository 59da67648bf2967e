//! What the document says before the first call.

use serde_json::{Value, json};

const TEXT: &str = r"Sends a text to many phone numbers at a planned time, and tells what became of each.

**Who calls.** `Authorization: Bearer TOKEN`: an API key, an access token from `POST /v1/auth/login`, or a token of the configured outside
issuer. Each operation names the permission that it needs (`x-permission`): a role bundles some, a key is granted its own. 401 and 403 have
`WWW-Authenticate`.

**How often.** `RateLimit` and `RateLimit-Policy` tell what is left of the requests of a minute; beyond it, 429 with `Retry-After`.

**Repeated requests.** A POST that may bring `Idempotency-Key` is carried out once within 24 hours for the same request with the same key, also
after a crash, and answered alike, with `Idempotency-Replayed: true`. 5xx and 429 are forgotten and may be tried again.

**Pages.** A list has `limit`, and its answer `next_cursor`: given as `cursor` it brings the next page; null, this was the last. What a
cursor says is nobody's business.

**Reading again.** A GET has a weak `ETag`; with `If-None-Match` what has not changed is 304. Longer answers are compressed as
`Accept-Encoding` says.

**Problems.** Every refusal is a problem document (RFC 9457), `application/problem+json`. Its `type` is an address: `GET /problems/{slug}` says
what it means and what to do. `invalid-request` names every wrong field at once; nothing was written. Unknown fields and parameters are
refused. A field that is null counts as not given.

**Times** are RFC 3339 with an offset from UTC. **Numbers** are E.164, such as `+60123456789`.";

/// Title, version, and how everything works.
pub fn info() -> Value {
    json!({"title": "Bulk SMS scheduler", "version": env!("CARGO_PKG_VERSION"), "description": TEXT})
}

/// What operations are about, in the order in which one needs them.
pub fn tags() -> Value {
    let tag = |name: &str, text: &str| json!({"name": name, "description": text});
    json!([
        tag(
            "auth",
            "People log in with a password and get a short access token and a refresh token, which is good once."
        ),
        tag(
            "schedules",
            "A text, a time and a list: made, changed, moved from state to state."
        ),
        tag("recipients", "Who is to get it, and who got it."),
        tag("messages", "Who got what, when, over all schedules."),
        tag("carrier", "What a carrier tells by itself."),
        tag("suppressions", "Numbers that nobody sends to."),
        tag(
            "trouble",
            "What needs a person, and what a person can do about it."
        ),
        tag("users", "People who log in here."),
        tag("api-keys", "Machines that call."),
        tag("webhooks", "URLs of yours that are told what happens."),
        tag("audit", "Who changed what."),
        tag(
            "about",
            "Whether it answers, what problems mean, and this document."
        ),
    ])
}
