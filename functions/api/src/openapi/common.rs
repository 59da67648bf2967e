//! What every route of its kind has: made here, once, from the table of routes.

use axum::http::Method;
use serde_json::{Map, Value, json};

use crate::openapi::{
    links,
    operation::{Answer, Operation},
    parameters::of_path,
    problems,
    schemas::Schemas,
};
use crate::{
    http::idempotency::Keep,
    routes::{Access, Route},
};

/// The operation as it stands in the document.
pub fn complete(route: &Route, operation: Operation, schemas: &mut Schemas) -> Value {
    let slugs = slugs(route, &operation);
    let mut answers: Map<String, Value> = Map::new();
    for answer in &operation.answers {
        answers.insert(
            answer.status.to_string(),
            success(route, answer, operation.id, schemas),
        );
        if route.method == Method::GET {
            let not_modified = json!({"description": "The client has it already (`If-None-Match`).", "headers": headers(route, &["ETag"])});
            answers.insert("304".to_owned(), not_modified);
        }
    }
    for (status, answer) in problems::answers(&slugs, schemas) {
        answers.insert(status.to_string(), answer);
    }
    let mut made = json!({
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": description(route, &operation),
        "parameters": parameters(route, &operation),
        "responses": answers,
    });
    match route.access {
        Access::Public => made["security"] = json!([]),
        Access::Signed => made["security"] = json!([{"signature": []}]),
        Access::Needs(permission) => made["x-permission"] = json!(permission),
        Access::Anyone | Access::Person => {}
    }
    if let Some(body) = operation.body {
        let media = body.media.into_iter().map(|(kind, schema, examples)| {
            let examples: Map<_, _> = examples
                .into_iter()
                .map(|(name, value)| (name.to_owned(), json!({"value": value})))
                .collect();
            (
                kind.to_owned(),
                json!({"schema": schema, "examples": examples}),
            )
        });
        made["requestBody"] =
            json!({"required": body.required, "content": media.collect::<Map<_, _>>()});
    }
    made
}

/// The problems that are possible.
fn slugs(route: &Route, operation: &Operation) -> Vec<&'static str> {
    let mut slugs = operation.problems.clone();
    match route.access {
        Access::Public => {}
        Access::Signed => slugs.push("bad-signature"),
        Access::Anyone => slugs.push("unauthenticated"),
        Access::Person | Access::Needs(_) => slugs.extend(["unauthenticated", "forbidden"]),
    }
    if is_counted(route) {
        slugs.push("rate-limited");
    }
    if !operation.from_memory {
        slugs.extend(["internal", "unavailable"]);
    }
    if !operation.any_query {
        slugs.push("invalid-request");
    }
    if route.path.contains('{') {
        slugs.push("malformed-body");
    }
    if operation.body.is_some() {
        slugs.extend(["malformed-body", "too-large"]);
    }
    if operation.body.is_some() && !operation.any_type {
        slugs.push("unsupported-content-type");
    }
    if route.keep.is_some() {
        slugs.extend([
            "idempotency-in-progress",
            "idempotency-answer-lost",
            "idempotency-key-reused",
            "too-large",
        ]);
    }
    if route.keep == Some(Keep::Nothing) {
        slugs.push("idempotency-answer-not-kept");
    }
    slugs
}

/// What only reads, and needs no login, is not counted, nor is what is signed.
fn is_counted(route: &Route) -> bool {
    route.access != Access::Signed
        && (route.access != Access::Public || route.method == Method::POST)
}

fn description(route: &Route, operation: &Operation) -> String {
    let needs = match route.access {
        Access::Public => "Needs no login.".to_owned(),
        Access::Signed => "Needs a signature, and no login.".to_owned(),
        Access::Anyone => "Needs a login, or a key; no permission.".to_owned(),
        Access::Person => "Needs the access token of a person who logged in here.".to_owned(),
        Access::Needs(permission) => format!("Needs the permission `{}`.", permission.as_str()),
    };
    [operation.text, &needs].join("\n\n").trim().to_owned()
}

fn parameters(route: &Route, operation: &Operation) -> Vec<Value> {
    let shared = |name: &str| json!({"$ref": format!("#/components/parameters/{name}")});
    let mut all = of_path(route.path);
    all.extend(operation.query.iter().cloned());
    if route.method == Method::GET {
        all.push(shared("If-None-Match"));
    }
    if route.keep.is_some() {
        all.push(shared("Idempotency-Key"));
    }
    if route.access == Access::Signed {
        all.push(shared("X-Callback-Timestamp"));
    }
    all.push(shared("X-Request-Id"));
    all
}

/// Headers of every answer of the route, and these.
fn headers(route: &Route, more: &[&str]) -> Map<String, Value> {
    let counted: &[&str] = if is_counted(route) {
        &["RateLimit", "RateLimit-Policy"]
    } else {
        &[]
    };
    let names = ["X-Request-Id"].iter().chain(counted).chain(more);
    names
        .map(|name| {
            (
                (*name).to_owned(),
                json!({"$ref": format!("#/components/headers/{name}")}),
            )
        })
        .collect()
}

fn success(route: &Route, answer: &Answer, id: &str, schemas: &mut Schemas) -> Value {
    let mut more = Vec::new();
    if route.method == Method::GET {
        more.push("ETag");
    }
    if answer.location {
        more.push("Location");
    }
    if route.keep.is_some() {
        more.push("Idempotency-Replayed");
    }
    let mut made = json!({"description": answer.text, "headers": headers(route, &more)});
    if let Some((kinds, schema, example)) = &answer.media {
        let mut media = json!({"schema": schema(schemas.generator())});
        if !example.is_null() {
            media["example"] = example.clone();
        }
        made["content"] = kinds
            .iter()
            .map(|kind| ((*kind).to_owned(), media.clone()))
            .collect::<Map<_, _>>()
            .into();
    }
    let links = links::of(id, answer.status);
    if !links.is_empty() {
        made["links"] = Value::Object(links);
    }
    made
}

/// Parameters and headers that operations refer to, and the way to log in.
pub fn components() -> Value {
    let header = |text: &str, schema: Value| json!({"description": text, "schema": schema});
    let always = |text: &str, schema: Value| json!({"description": text, "schema": schema, "required": true});
    let text = || json!({"type": "string"});
    let parameter = |name: &str, text: &str, schema: Value| json!({"name": name, "in": "header", "description": text, "schema": schema});
    json!({
        "securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer",
                "description": "An API key (`sms_…`), an access token from `/v1/auth/login`, or a token of the configured outside issuer."},
            "signature": {"type": "apiKey", "in": "header", "name": "X-Callback-Signature",
                "description": "`v1=` and the HMAC-SHA256, in hexadecimal digits, of the time stamp, a full stop and the body, by the carrier's secret."},
        },
        "parameters": {
            "If-None-Match": parameter("If-None-Match", "An `ETag` that the client has: 304 where nothing has changed.", text()),
            "Idempotency-Key": parameter("Idempotency-Key",
                "The same request with the same key is carried out once within 24 hours, and answered alike.",
                json!({"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"})),
            "X-Callback-Timestamp": parameter("X-Callback-Timestamp",
                "When it was signed, in seconds of Unix time; within five minutes of now.", json!({"type": "string", "pattern": "^[0-9]{1,12}$"})),
            "X-Request-Id": parameter("X-Request-Id",
                "An id of the request for the logs, up to 64 letters, digits and `._=-`; the answer has it, or else a new one.", text()),
        },
        "headers": {
            "ETag": always("A weak tag of the answer.", json!({"type": "string", "pattern": "^W/\"[A-Za-z0-9_-]+\"$"})),
            "Idempotency-Replayed": header("This answer was given before.", json!({"const": "true"})),
            "Location": always("Where it is.", json!({"type": "string", "format": "uri-reference"})),
            "RateLimit": header("What is left, and seconds until all of it is back.", json!({"type": "string", "pattern": "^\"requests\";r=[0-9]+;t=[0-9]+$"})),
            "RateLimit-Policy": header("Requests a minute of one caller.", json!({"type": "string", "pattern": "^\"requests\";q=[0-9]+;w=60$"})),
            "Retry-After": always("Seconds until it may be tried again.", json!({"type": "integer", "minimum": 0})),
            "WWW-Authenticate": header("How to log in (RFC 6750).", text()),
            "X-Request-Id": always("The request's id, also in the logs.", json!({"type": "string", "pattern": "^[A-Za-z0-9._=-]{1,64}$"})),
        },
    })
}
