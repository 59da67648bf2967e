//! The OpenAPI document against the API: the documented parameters and fields are exactly those that the
//! API accepts. Each test of this binary checks its responses against the document (`common::document`).

use std::{collections::BTreeSet, io::Read};

use crate::common::{
    Answer, Api,
    document::resolved,
    gzip, in_seconds, phones, receipts,
    rows::{cut, uncertain},
};
use api::openapi::document;
use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, Method, Request, StatusCode},
};
use lambda_http::tower::ServiceExt;
use serde_json::{Value, json};
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;

/// An operation of the document: method, path and description.
type Operation = (Method, &'static str, &'static Value);

/// Returns all operations of the document.
fn operations() -> Vec<Operation> {
    let paths = document()["paths"].as_object().unwrap();
    let of_path = |(path, methods): (&'static String, &'static Value)| {
        let method = |name: &String| name.to_uppercase().parse().unwrap();
        methods
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, operation)| (method(name), &**path, operation))
            .collect::<Vec<_>>()
    };
    paths.iter().flat_map(of_path).collect()
}

/// Fills the parameters of a path with valid values of resources that do not exist.
fn filled(path: &str) -> String {
    path.replace("{id}", "018f0000-0000-7000-8000-000000000000")
        .replace("{phone}", "+60123456789")
        .replace("{slug}", "not-found")
        .replace("{kind}", "paused")
        .replace("{no}", "1")
        .replace("{seq}", "1")
        .replace("{carrier}", "sim")
        .replace("{event_id}", "018f0000-0000-7000-8000-000000000000")
}

/// Returns the names that the API accepts, from its error about an unknown one.
fn accepted_names(answer: &Answer, field: &str) -> BTreeSet<String> {
    let errors = answer.body["errors"]
        .as_array()
        .unwrap_or_else(|| panic!("{}", answer.body));
    let error = errors
        .iter()
        .find(|error| error["field"] == field)
        .unwrap_or_else(|| panic!("{}", answer.body));
    let (_, names) = error["detail"]
        .as_str()
        .unwrap()
        .split_once("expected only: ")
        .unwrap();
    names
        .split(", ")
        .filter(|name| *name != "none" && *name != "once")
        .map(str::to_owned)
        .collect()
}

/// Whether a carrier calls the operation. Unknown parameters and fields of a carrier are ignored.
fn is_signed(operation: &Value) -> bool {
    operation.pointer("/security/0/signature").is_some()
}

/// Returns the field names of an object schema.
fn names(schema: &Value) -> BTreeSet<String> {
    schema["properties"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect()
}

/// Sends a body with this content type. Calls of the carrier are signed.
async fn send(api: &Api, method: Method, path: &str, (kind, body): (&str, Vec<u8>)) -> Answer {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", kind);
    if path == receipts::PATH {
        let timestamp = chrono::Utc::now().timestamp().to_string();
        let signature = receipts::sign(receipts::SECRET, &timestamp, &body);
        request = request
            .header("x-callback-timestamp", timestamp)
            .header("x-callback-signature", signature);
    }
    api.call(request.body(Body::from(body)).unwrap()).await
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn the_accepted_parameters_are_the_documented_ones(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let mut checked = 0;
    for (method, path, operation) in operations() {
        // An operation that ignores unknown parameters reports no names.
        if operation["responses"].get("422").is_none() || is_signed(operation) {
            continue;
        }
        let answer = send(
            &admin,
            method.clone(),
            &format!("{}?zzz=1", filled(path)),
            ("application/gzip", Vec::new()),
        )
        .await;
        let parameters = operation["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|parameter| parameter["in"] == "query");
        let documented: BTreeSet<_> = parameters
            .map(|parameter| parameter["name"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(
            accepted_names(&answer, "zzz"),
            documented,
            "{method} {path}"
        );
        checked += 1;
    }
    assert!(checked > 40, "{checked}");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn the_accepted_fields_are_the_documented_ones(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    for (method, path, operation) in operations() {
        let Some(schema) = operation.pointer("/requestBody/content/application~1json/schema")
        else {
            continue;
        };
        if is_signed(operation) {
            continue;
        }
        let is_list = schema.get("properties").is_none();
        let schema = if is_list { &schema["oneOf"][1] } else { schema };
        let mut path = filled(path);
        if is_list {
            path = path.replace(
                "018f0000-0000-7000-8000-000000000000",
                &admin.schedule(&[]).await.to_string(),
            );
        }
        let mut body = json!({"zzz": 1});
        if is_list {
            body["recipients"] = json!([{"phone": "+60123456789", "zzz": 1}]);
        }
        if schema["properties"].get("window").is_some() {
            body["window"] = json!({"zzz": 1});
        }
        let answer = send(
            &admin,
            method.clone(),
            &path,
            ("application/json", body.to_string().into_bytes()),
        )
        .await;
        assert_eq!(
            accepted_names(&answer, "zzz"),
            names(schema),
            "{method} {path}"
        );
        if is_list {
            let entry = &schema["properties"]["recipients"]["items"]["anyOf"][1];
            assert_eq!(
                accepted_names(&answer, "recipients.zzz"),
                names(entry),
                "{method} {path}"
            );
        }
        if let Some(window) = schema["properties"].get("window") {
            assert_eq!(
                accepted_names(&answer, "window.zzz"),
                names(window),
                "{method} {path}"
            );
        }
    }
}

/// The operations with a body, in an order in which their examples can be executed.
const WITH_BODY: [&str; 16] = [
    "createUser",
    "logIn",
    "refreshTokens",
    "changePassword",
    "changeUser",
    "createApiKey",
    "createSchedule",
    "changeSchedule",
    "appendRecipients",
    "resolveRecipients",
    "resolveRecipient",
    "putSuppression",
    "importSuppressions",
    "receiveReceipts",
    "createWebhook",
    "changeWebhook",
];

/// Creates the resources that the examples need.
struct ExampleSetup {
    admin: Api,
    pool: MySqlPool,
    user: String,
}

impl ExampleSetup {
    /// Returns the caller and the path for an example, and sets the fields of the example whose values are
    /// known only at run time.
    async fn prepare(&mut self, id: &str, path: &str, example: &mut Value) -> (Api, String) {
        if example.get("run_at").is_some() {
            example["run_at"] = json!(in_seconds(3_600));
        }
        let anonymous = self.admin.with("");
        let (caller, path) = match id {
            "logIn" | "refreshTokens" | "changePassword" => {
                let password = "correct horse battery staple";
                self.admin.log_in("ana", &self.user, Some(password)).await;
                let tokens = self.admin.log_in("ana", password, None).await;
                if id == "refreshTokens" {
                    example["refresh_token"] = json!(tokens.text("refresh_token"));
                }
                (
                    if id == "changePassword" {
                        anonymous.with(&tokens.text("access_token"))
                    } else {
                        anonymous
                    },
                    path.to_owned(),
                )
            }
            "changeUser" => (
                self.admin.clone(),
                path.replace("{id}", &self.user_id().await),
            ),
            "changeWebhook" => (
                self.admin.clone(),
                path.replace("{id}", &self.webhook_id().await),
            ),
            "changeSchedule" => (
                self.admin.clone(),
                path.replace(
                    "{id}",
                    &self.admin.schedule(&phones(0..2)).await.to_string(),
                ),
            ),
            "appendRecipients" => (
                self.admin.clone(),
                path.replace("{id}", &self.admin.schedule(&[]).await.to_string()),
            ),
            "resolveRecipients" | "resolveRecipient" => {
                let schedule = cut(&self.admin, &self.pool, 1).await;
                uncertain(&self.pool, schedule, 1..=2, 3_600).await;
                (
                    self.admin.clone(),
                    path.replace("{id}", &schedule.to_string())
                        .replace("{seq}", "1"),
                )
            }
            _ => (self.admin.clone(), filled(path)),
        };
        (caller, path)
    }

    async fn webhook_id(&self) -> String {
        self.admin.get("/v1/webhooks").await.body["webhooks"][0]["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    async fn user_id(&self) -> String {
        let users = self.admin.get("/v1/users").await;
        let ana = users.body["users"]
            .as_array()
            .unwrap()
            .iter()
            .find(|user| user["username"] == "ana")
            .unwrap()
            .clone();
        ana["id"].as_str().unwrap().to_owned()
    }
}

/// Returns content type and value of each example of a body, and the CSV example again as gzip.
fn examples(operation: &Value) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for (kind, media) in operation["requestBody"]["content"].as_object().unwrap() {
        all.extend(
            media["examples"]
                .as_object()
                .unwrap()
                .values()
                .map(|example| (kind.clone(), example["value"].clone())),
        );
    }
    let table = all
        .iter()
        .find(|(kind, _)| kind == "text/csv")
        .map(|(_, table)| ("application/gzip".to_owned(), table.clone()));
    all.extend(table);
    all
}

/// Encodes an example as its content type.
fn encoded(kind: &str, example: &Value) -> Vec<u8> {
    match (kind, example) {
        ("application/gzip", Value::String(text)) => gzip(text.as_bytes()),
        ("application/json", example) => example.to_string().into_bytes(),
        (_, Value::String(text)) => text.clone().into_bytes(),
        (kind, example) => panic!("{kind}: {example}"),
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn each_example_is_executed_and_answered_as_documented(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let mut setup = ExampleSetup {
        admin,
        pool,
        user: String::new(),
    };
    let all: Vec<_> = operations()
        .into_iter()
        .filter(|(.., operation)| operation.get("requestBody").is_some())
        .collect();
    let known: BTreeSet<_> = all
        .iter()
        .map(|(.., operation)| operation["operationId"].as_str().unwrap())
        .collect();
    assert_eq!(
        known,
        WITH_BODY.into_iter().collect(),
        "each operation with a body must be listed in WITH_BODY, and prepared if it needs resources"
    );
    for id in WITH_BODY {
        let (method, path, operation) = all
            .iter()
            .find(|(.., operation)| operation["operationId"] == id)
            .unwrap();
        for (kind, mut example) in examples(operation) {
            let (caller, path) = setup.prepare(id, path, &mut example).await;
            let answer = send(
                &caller,
                method.clone(),
                &path,
                (&kind, encoded(&kind, &example)),
            )
            .await;
            assert!(
                answer.status.is_success(),
                "{id} {kind}: {} {}\n{example}",
                answer.status,
                answer.body
            );
            if id == "createUser" {
                setup.user = answer.text("temporary_password");
            }
            if id == "createSchedule" {
                let dry = send(
                    &caller,
                    method.clone(),
                    &format!("{path}?dry_run=true"),
                    (&kind, encoded(&kind, &example)),
                )
                .await;
                assert_eq!(
                    (dry.status, &dry.body["accepted"]),
                    (StatusCode::OK, &json!(true)),
                    "{}",
                    dry.body
                );
            }
        }
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_path_that_is_not_utf_8_is_answered_with_a_problem(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    for (method, path, operation) in operations()
        .into_iter()
        .filter(|(_, path, _)| path.contains('{'))
    {
        let path: Vec<_> = path
            .split('/')
            .map(|part| if part.starts_with('{') { "%FF" } else { part })
            .collect();
        let path = path.join("/");
        let answer = send(
            &admin,
            method.clone(),
            &path,
            ("application/json", b"{}".to_vec()),
        )
        .await;
        assert_eq!(
            (answer.status, answer.problem()),
            (StatusCode::BAD_REQUEST, "malformed-body"),
            "{method} {path}"
        );
        assert!(
            resolved(&operation["responses"]["400"])["content"]
                .get("application/problem+json")
                .is_some(),
            "{method} {path}"
        );
    }
}

async fn get(api: &Api, path: &str, header: (&str, &str)) -> (StatusCode, HeaderMap, Vec<u8>) {
    let request = Request::get(path)
        .header(header.0, header.1)
        .body(Body::empty())
        .unwrap();
    let (parts, body) = api
        .router
        .clone()
        .oneshot(request)
        .await
        .unwrap()
        .into_parts();
    (
        parts.status,
        parts.headers,
        to_bytes(body, usize::MAX).await.unwrap().to_vec(),
    )
}

fn unpack(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(bytes)
        .read_to_end(&mut plain)
        .unwrap();
    plain
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn the_document_is_served_without_a_login(pool: MySqlPool) {
    let api = Api::new(&pool).await.with("");
    let (status, headers, plain) = get(&api, "/openapi.json", ("accept", "*/*")).await;
    assert_eq!(
        (status, &headers["content-type"]),
        (StatusCode::OK, &"application/json".parse().unwrap())
    );
    assert!(
        headers["content-security-policy"]
            .to_str()
            .unwrap()
            .starts_with("default-src 'none'; frame")
    );
    let served: Value = serde_json::from_slice(&plain).unwrap();
    assert!(served == *document() && served["openapi"] == "3.1.1");
    let (_, headers, packed) = get(&api, "/openapi.json", ("accept-encoding", "gzip")).await;
    assert!(
        headers["content-encoding"] == "gzip"
            && packed.len() * 4 < plain.len()
            && unpack(&packed) == plain
    );
    let tag = headers["etag"].to_str().unwrap();
    assert_eq!(
        get(&api, "/openapi.json", ("if-none-match", tag)).await.0,
        StatusCode::NOT_MODIFIED
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn the_docs_page_is_complete_and_loads_nothing_external(pool: MySqlPool) {
    let api = Api::new(&pool).await.with("");
    let (status, headers, page) = get(&api, "/docs", ("accept", "*/*")).await;
    assert_eq!(
        (status, &headers["content-type"]),
        (StatusCode::OK, &"text/html; charset=utf-8".parse().unwrap())
    );
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'")
            && !policy.contains("unsafe"),
        "{policy}"
    );
    let page = String::from_utf8(page).unwrap();
    // Relative paths, so that the page also works behind a gateway with a path prefix.
    let names: Vec<_> = page
        .split("=\"docs/")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert!(
        names.len() == 4 && !page.contains("//") && !page.contains("=\"/"),
        "{page}"
    );
    for name in names {
        let path = format!("/docs/{name}");
        let (status, headers, plain) = get(&api, &path, ("accept", "*/*")).await;
        assert_eq!(
            (status, headers["content-security-policy"].to_str().unwrap()),
            (StatusCode::OK, policy),
            "{name}"
        );
        let kind = headers["content-type"]
            .to_str()
            .unwrap()
            .split(';')
            .next()
            .unwrap();
        let documented = &document()["paths"]["/docs/{file}"]["get"]["responses"]["200"]["content"];
        assert!(documented.get(kind).is_some(), "{name}: {kind}");
        let (_, headers, packed) = get(&api, &path, ("accept-encoding", "gzip, br")).await;
        if name.starts_with("swagger") {
            assert!(
                headers["content-encoding"] == "gzip"
                    && packed.len() * 3 < plain.len()
                    && unpack(&packed) == plain,
                "{name}"
            );
        }
        assert_eq!(
            get(&api, &path, ("if-none-match", "*")).await.0,
            StatusCode::NOT_MODIFIED,
            "{name}"
        );
    }
    assert_eq!(api.get("/docs/none").await.problem(), "not-found");
}
