//! `GET /problems/{slug}`: the page of each type of problem, at the address that the type is.

use axum::Json;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::{
    http::{error::ApiError, path::Path, query::Query},
    openapi::Operation,
};

/// A type of problem.
#[derive(Clone, Copy, Debug, JsonSchema, Serialize)]
pub struct ProblemPage {
    /// Last part of the type.
    pub slug: &'static str,
    /// The HTTP status that it comes with.
    pub status: u16,
    /// What has happened.
    pub meaning: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

const fn page(
    slug: &'static str,
    status: u16,
    meaning: &'static str,
    remedy: &'static str,
) -> ProblemPage {
    ProblemPage {
        slug,
        status,
        meaning,
        remedy,
    }
}

/// Every type. An answer with another one fails every test that meets it.
#[rustfmt::skip]
pub const PROBLEMS: [ProblemPage; 32] = [
    page("malformed-body", 400, "The body, or the path, can't be read as what it says to be.", "Mend it at the place that `detail` names."),
    page("unauthenticated", 401, "There is no token, or one that does not hold.", "Send `Authorization: Bearer` with an API key or an access token; log in again, or refresh."),
    page("bad-signature", 401, "The callback is not signed with the carrier's secret, or its time is not now.", "Sign the body as it is sent, with the time of sending; check the secret and the clock."),
    page("wrong-credentials", 401, "The username, the password or the refresh token is wrong.", "Log in again; ask an admin for a new password."),
    page("forbidden", 403, "The caller is known and may not do this.", "Use a caller with the `permission` that is named."),
    page("password-change-required", 403, "The password is temporary.", "Log in with `new_password` in the same call."),
    page("not-found", 404, "There is no such route, or no such thing.", "Check the path and the id."),
    page("method-not-allowed", 405, "The route exists, and does not take this method.", "The header `Allow` says which it takes."),
    page("wrong-state", 409, "The state of the schedule does not allow the call.", "`possible` says what it allows."),
    page("schedule-begun", 409, "The schedule has begun, or ended.", "Make such changes until `changeable_until`; of what runs only the rate can be changed."),
    page("nothing-missed", 409, "Nothing of the schedule was missed.", "Nothing is to be done."),
    page("no-recipients", 409, "The draft has no recipients.", "Append some first."),
    page("run-at-past", 409, "The time of the draft has passed.", "Change `run_at` first."),
    page("username-taken", 409, "Somebody has this username.", "Choose another."),
    page("last-admin", 409, "Nobody else could make users.", "Make another admin first."),
    page("password-changed", 409, "The password was changed by another call at the same time.", "Log in again."),
    page("too-many-webhooks", 409, "There are as many webhooks as there may be.", "Remove one that nobody needs, or have one do for both."),
    page("webhook-disabled", 409, "The webhook is disabled: nothing is posted to it.", "Mend the receiver, then `PATCH` the webhook with `{\"disabled\": false}`."),
    page("secret-rotated", 409, "The secret was rotated by another call at the same time.", "Use the secret that the other call was given; rotate again only if nobody has it."),
    page("idempotency-in-progress", 409, "The same request is being carried out.", "Try again in a few seconds."),
    page("idempotency-answer-lost", 409, "The request was carried out, and its answer was lost.", "Look at what `detail` names; nothing is to be done again."),
    page("idempotency-answer-not-kept", 409, "The request was carried out; its answer held a secret, which is shown once.", "Where the secret is lost, revoke what was made and make another, with a new key; a webhook's is rotated."),
    page("idempotency-key-reused", 422, "The Idempotency-Key came with another request within 24 hours.", "Use a new key for every new request."),
    page("too-large", 413, "The call brings more than one call may.", "Divide it among several calls, or send gzip."),
    page("unsupported-content-type", 415, "The content type, or the encoding, is not read here.", "`detail` names those that are."),
    page("invalid-request", 422, "Something in the request is wrong; nothing was written.", "`errors` names every wrong field, and what was expected."),
    page("rate-limited", 429, "The caller has made more requests than it may in a minute.", "Wait for `Retry-After`."),
    page("login-locked", 429, "There were too many failed logins, of this username or from this address.", "Wait for `Retry-After`."),
    page("daily-limit", 429, "The key may not add so many recipients today.", "Wait for `Retry-After`, or ask for another key."),
    page("internal", 500, "Something failed here; nothing was written.", "It is logged. Tell us the `X-Request-Id`."),
    page("receipt-too-early", 503, "A receipt names a message whose id is not recorded yet; the others of the call are.", "Send the same again after `Retry-After`."),
    page("unavailable", 503, "The database, or the keys of tokens, can't be had for now.", "Try again after `Retry-After`."),
];

/// The page of a type.
pub fn problem(slug: &str) -> Option<&'static ProblemPage> {
    PROBLEMS.iter().find(|page| page.slug == slug)
}

/// 200 with every page.
pub async fn list(query: Query) -> Result<Json<&'static [ProblemPage]>, ApiError> {
    query.finish()?;
    Ok(Json(&PROBLEMS))
}

/// 200 with the page.
pub async fn show(
    Path(slug): Path<String>,
    query: Query,
) -> Result<Json<&'static ProblemPage>, ApiError> {
    query.finish()?;
    problem(&slug).map(Json).ok_or_else(|| {
        ApiError::NotFound("there is no problem of this type; /problems lists all".to_owned())
    })
}

/// For the document.
pub fn list_doc() -> Operation {
    Operation::new("listProblems", "about", "Every type of problem")
        .answers::<Vec<ProblemPage>>(
            200,
            "The pages of all types.",
            json!([problem("not-found")]),
        )
        .from_memory()
}

/// For the document.
pub fn show_doc() -> Operation {
    Operation::new("getProblem", "about", "What a type of problem means")
        .text("The `type` of a problem document is this address.")
        .answers::<ProblemPage>(200, "The page of the type.", json!(problem("not-found")))
        .problems(&["not-found"])
        .from_memory()
}
