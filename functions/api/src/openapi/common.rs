//! The parts of the document that all routes of a kind share: derived from the endpoint, not
//! written by each operation.

use axum::http::Method;
use serde_json::{Map, Value, json};

use crate::{
    auth::access::Access,
    http::idempotency::StoredAnswer,
    openapi::{
        Endpoint, links,
        operation::{AnswerDoc, AnswerMedia, Operation, Takes},
        parameters::of_path,
        problems::{ProblemAnswers, capitalized},
        schemas::Schemas,
    },
};

/// Returns the operation as the document contains it.
pub fn complete(
    endpoint: &Endpoint,
    problem_answers: &mut ProblemAnswers<'_>,
    schemas: &mut Schemas,
) -> Value {
    let operation = (endpoint.operation)();
    let mut answers: Map<String, Value> = Map::new();
    for answer in &operation.answers {
        let success = success(endpoint, answer, operation.id, schemas);
        answers.insert(answer.status.to_string(), success);
    }
    if endpoint.method == Method::GET {
        let not_modified = json!({
            "description": "The client has the current answer (`If-None-Match`).",
            "headers": headers(endpoint, &["ETag"]),
        });
        answers.insert("304".to_owned(), not_modified);
    }
    for (status, answer) in problem_answers.references(&slugs(endpoint, &operation), schemas) {
        answers.insert(status.to_string(), answer);
    }
    let mut complete = json!({
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": description(endpoint, &operation),
        "parameters": parameters(endpoint, &operation, schemas),
        "responses": answers,
    });
    match endpoint.access {
        Access::Public => complete["security"] = json!([]),
        Access::Signed => complete["security"] = json!([{"signature": []}]),
        Access::Requires(permission) | Access::RequiresOrOwn(permission, _) => {
            complete["x-permission"] = json!(permission);
        }
        Access::Authenticated | Access::Session => {}
    }
    if let Some(body) = operation.body {
        complete["requestBody"] = request_body(operation.id, body, schemas);
    }
    complete
}

/// An object as the body has the name of the operation, if it has no other.
fn request_body(id: &str, body: Takes, schemas: &mut Schemas) -> Value {
    let content = body.media.into_iter().map(|media| {
        let mut schema = media.schema;
        if schema["type"] == "object" && schema.get("title").is_none() {
            schema["title"] = json!(format!("{}Body", capitalized(id)));
        }
        let examples = media.examples.into_iter();
        let examples: Map<_, _> = examples
            .map(|(name, value)| (name.to_owned(), json!({"value": value})))
            .collect();
        (
            media.content_type.to_owned(),
            json!({"schema": schemas.simplified(schema), "examples": examples}),
        )
    });
    json!({"required": body.required, "content": content.collect::<Map<_, _>>()})
}

/// Returns the slugs of all problems that the operation may report.
fn slugs(endpoint: &Endpoint, operation: &Operation) -> Vec<&'static str> {
    let mut slugs = operation.problems.clone();
    match endpoint.access {
        Access::Public => {}
        Access::Signed => slugs.push("bad-signature"),
        Access::Authenticated => slugs.push("unauthenticated"),
        Access::Session => slugs.extend(["unauthenticated", "forbidden"]),
        Access::Requires(_) | Access::RequiresOrOwn(..) => {
            slugs.extend(["unauthenticated", "forbidden", "second-factor-missing"]);
        }
    }
    if endpoint.access.is_counted(&endpoint.method) {
        slugs.push("rate-limited");
    }
    if !operation.from_memory {
        slugs.extend(["internal", "unavailable"]);
    }
    if !operation.any_query {
        slugs.push("invalid-request");
    }
    if endpoint.path.contains('{') {
        slugs.push("malformed-body");
    }
    if operation.body.is_some() {
        slugs.extend(["malformed-body", "too-large"]);
    }
    if operation.body.is_some() && !operation.any_type {
        slugs.push("unsupported-content-type");
    }
    if endpoint.stored_answer.is_some() {
        slugs.extend([
            "idempotency-in-progress",
            "idempotency-answer-lost",
            "idempotency-key-reused",
            "too-large",
        ]);
    }
    if endpoint.stored_answer == Some(StoredAnswer::StatusOnly) {
        slugs.push("idempotency-answer-not-kept");
    }
    slugs
}

fn description(endpoint: &Endpoint, operation: &Operation) -> String {
    let requires = match endpoint.access {
        Access::Public => "Requires no login.".to_owned(),
        Access::Signed => "Requires a signature, but no login.".to_owned(),
        Access::Authenticated => "Requires an authenticated caller, but no permission.".to_owned(),
        Access::Session => "Requires the access token of a user who logged in here.".to_owned(),
        Access::Requires(permission) => {
            format!("Requires the permission `{}`.", permission.as_str())
        }
        Access::RequiresOrOwn(all, own) => {
            let (all, own) = (all.as_str(), own.as_str());
            format!(
                "Requires the permission `{all}`, or `{own}`: then it concerns only what the caller owns."
            )
        }
    };
    [operation.text, &requires].join("\n\n").trim().to_owned()
}

fn parameters(endpoint: &Endpoint, operation: &Operation, schemas: &mut Schemas) -> Vec<Value> {
    let shared = |name: &str| json!({"$ref": format!("#/components/parameters/{name}")});
    let mut all = of_path(endpoint.path, operation);
    all.extend(operation.query.iter().cloned());
    for parameter in &mut all {
        parameter["schema"] = schemas.simplified(parameter["schema"].take());
    }
    if endpoint.method == Method::GET {
        all.push(shared("If-None-Match"));
    }
    if endpoint.stored_answer.is_some() {
        all.push(shared("Idempotency-Key"));
    }
    if endpoint.access == Access::Signed {
        all.push(shared("X-Callback-Timestamp"));
    }
    all.push(shared("X-Request-Id"));
    all
}

/// Returns the headers of all answers of the route, and these.
fn headers(endpoint: &Endpoint, own: &[&str]) -> Map<String, Value> {
    let counted: &[&str] = if endpoint.access.is_counted(&endpoint.method) {
        &["RateLimit", "RateLimit-Policy"]
    } else {
        &[]
    };
    let names = ["X-Request-Id"].iter().chain(counted).chain(own);
    names
        .map(|name| {
            (
                (*name).to_owned(),
                json!({"$ref": format!("#/components/headers/{name}")}),
            )
        })
        .collect()
}

fn success(endpoint: &Endpoint, answer: &AnswerDoc, id: &str, schemas: &mut Schemas) -> Value {
    let mut own_headers = Vec::new();
    if endpoint.method == Method::GET {
        own_headers.push("ETag");
    }
    own_headers.extend(&answer.headers);
    if endpoint.stored_answer.is_some() {
        own_headers.push("Idempotency-Replayed");
    }
    let mut success =
        json!({"description": answer.text, "headers": headers(endpoint, &own_headers)});
    if !answer.media.is_empty() {
        let content = answer.media.iter();
        let content = content.map(|media| (media.content_type.to_owned(), body(media, schemas)));
        success["content"] = content.collect::<Map<_, _>>().into();
    }
    let links = links::of(id, answer.status);
    if !links.is_empty() {
        success["links"] = Value::Object(links);
    }
    success
}

fn body(media: &AnswerMedia, schemas: &mut Schemas) -> Value {
    let mut body = json!({"schema": (media.schema)(schemas.generator())});
    if let Some(item_schema) = media.item_schema {
        body["x-item-schema"] = json!(item_schema(schemas.generator()));
    }
    if !media.example.is_null() {
        body["example"] = media.example.clone();
    }
    body
}

/// Returns what the operations refer to: security schemes, parameters and headers.
pub fn components() -> Value {
    json!({
        "securitySchemes": security_schemes(),
        "parameters": header_parameters(),
        "headers": answer_headers(),
    })
}

fn security_schemes() -> Value {
    json!({
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key (`sms_…`), an access token from `/v1/auth/login`, or a token of the configured outside issuer.",
        },
        "signature": {
            "type": "apiKey",
            "in": "header",
            "name": "X-Callback-Signature",
            "description": "`v1=`, followed by the HMAC-SHA256 of the timestamp, a full stop and the body, in hexadecimal digits; the key is the carrier's secret.",
        },
    })
}

fn header_parameters() -> Value {
    let text = || json!({"type": "string"});
    let key = json!({"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"});
    let timestamp = json!({"type": "string", "pattern": "^[0-9]{1,12}$"});
    let parameters = [
        (
            "If-None-Match",
            "The `ETag` of an answer that the client has. The answer is 304 if nothing has changed.",
            text(),
        ),
        (
            "Idempotency-Key",
            "A request that is repeated with the same key is executed once within 24 hours, and answered alike.",
            key,
        ),
        (
            "X-Callback-Timestamp",
            "The time of the signature in seconds of Unix time, at most five minutes from the current time.",
            timestamp,
        ),
        (
            "X-Request-Id",
            "An id of the request for the logs, up to 64 letters, digits and `._=-`. The answer contains it, or a new id.",
            text(),
        ),
    ];
    parameters
        .into_iter()
        .map(|(name, text, schema)| {
            let parameter =
                json!({"name": name, "in": "header", "description": text, "schema": schema});
            (name.to_owned(), parameter)
        })
        .collect::<Map<_, _>>()
        .into()
}

fn answer_headers() -> Value {
    let text = |pattern: &str| json!({"type": "string", "pattern": pattern});
    let header = |text: &str, schema: Value| json!({"description": text, "schema": schema});
    let always = |text: &str, schema: Value| json!({"description": text, "schema": schema, "required": true});
    json!({
        "ETag": always("A weak entity tag of the answer.", text("^W/\"[A-Za-z0-9_-]+\"$")),
        "Idempotency-Replayed": header("The answer was given before.", json!({"const": "true"})),
        "Link": header("The next page (RFC 8288): `<…>; rel=\"next\"`. Missing on the last page.", text("^<[^<> ]+>; rel=\"next\"$")),
        "Location": always("The address of the created resource.", json!({"type": "string", "format": "uri-reference"})),
        "Next-Changed-Since": header(
            "On a first page: the `changed_since` with which the next poll misses no change.",
            json!({"type": "string", "format": "date-time"}),
        ),
        "RateLimit": header("The remaining requests, and seconds until the full quota is available again.", text("^\"requests\";r=[0-9]+;t=[0-9]+$")),
        "RateLimit-Policy": header("Requests per minute and caller.", text("^\"requests\";q=[0-9]+;w=60$")),
        "Retry-After": always("Seconds until the request may be retried.", json!({"type": "integer", "minimum": 0})),
        "WWW-Authenticate": header("How to authenticate (RFC 6750).", json!({"type": "string"})),
        "X-Request-Id": always("The id of the request, also in the logs.", text("^[A-Za-z0-9._=-]{1,64}$")),
    })
}
