//! A client of the local stack's API for the security tests, which are in `tests/`: calls by users,
//! by API keys and by unauthorized callers.

pub mod forge;

use std::path::Path;

use anyhow::{Context, ensure};
use demo::{api::http_client, stack::Stack};
use reqwest::{Method, Response};
use serde_json::{Value, json};

/// The password of the tests' users.
pub const PASSWORD: &str = "a password for the tests only";

/// The API of the stack that `STACK_ENV` names, and its admin's access token.
pub struct Target {
    client: reqwest::Client,
    url: String,
    admin: String,
}

impl Target {
    /// Logs the stack's admin in.
    pub async fn log_in_admin() -> anyhow::Result<Self> {
        let stack = Stack::from_environment()?;
        let mut target = Self {
            client: http_client()?,
            url: stack.value("API_URL")?.to_owned(),
            admin: String::new(),
        };
        let file = std::env::var("STACK_ENV").context("STACK_ENV")?;
        let file = Path::new(&file).with_file_name("admin.json");
        let admin: Value =
            serde_json::from_str(&std::fs::read_to_string(&file).context("admin.json")?)?;
        let tokens = target.post("", "/v1/auth/login", &admin).await?;
        target.admin = text(&tokens, "access_token")?;
        Ok(target)
    }

    /// Makes a call with an `Authorization` header, or without one if it is empty.
    pub async fn call(
        &self,
        authorization: &str,
        method: Method,
        path: &str,
    ) -> anyhow::Result<Response> {
        let mut call = self
            .client
            .request(method.clone(), format!("{}{path}", self.url));
        if !authorization.is_empty() {
            call = call.header("authorization", authorization);
        }
        if matches!(method, Method::POST | Method::PATCH) {
            call = call.header("content-type", "application/json").body("{}");
        }
        call.send()
            .await
            .with_context(|| format!("{method} {path}"))
    }

    /// Posts a JSON body. Returns the body of the response; fails if the call is refused.
    pub async fn post(&self, token: &str, path: &str, body: &Value) -> anyhow::Result<Value> {
        let mut call = self.client.post(format!("{}{path}", self.url)).json(body);
        if !token.is_empty() {
            call = call.bearer_auth(token);
        }
        let answer = call.send().await?;
        let status = answer.status();
        let body: Value = answer.json().await.unwrap_or_default();
        ensure!(status.is_success(), "POST {path} returned {status}: {body}");
        Ok(body)
    }

    /// Creates a user with a role. Returns the user's id and access token.
    pub async fn user(&self, username: &str, role: &str) -> anyhow::Result<(String, String)> {
        let made = self
            .post(
                &self.admin,
                "/v1/users",
                &json!({"username": username, "role": role}),
            )
            .await?;
        let temporary = text(&made, "temporary_password")?;
        let login = json!({"username": username, "password": temporary, "new_password": PASSWORD});
        let tokens = self.post("", "/v1/auth/login", &login).await?;
        Ok((text(&made, "id")?, text(&tokens, "access_token")?))
    }

    /// Logs a user in. Returns the access token.
    pub async fn log_in(&self, username: &str) -> anyhow::Result<String> {
        let tokens = self
            .post(
                "",
                "/v1/auth/login",
                &json!({"username": username, "password": PASSWORD}),
            )
            .await?;
        text(&tokens, "access_token")
    }

    /// Creates an API key. Returns its id and the key.
    pub async fn key(&self, permissions: &[&str]) -> anyhow::Result<(String, String)> {
        let made = self
            .post(
                &self.admin,
                "/v1/api-keys",
                &json!({"name": "test", "permissions": permissions}),
            )
            .await?;
        Ok((text(&made, "id")?, text(&made, "key")?))
    }

    /// Returns a request without any header or body.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    /// Returns the admin's access token.
    pub fn admin(&self) -> &str {
        &self.admin
    }
}

/// Returns a header of a response; empty if it is missing.
pub fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    let value = answer.headers().get(name);
    value.map_or("", |value| value.to_str().unwrap_or_default())
}

fn text(body: &Value, member: &str) -> anyhow::Result<String> {
    body[member]
        .as_str()
        .map(str::to_owned)
        .with_context(|| format!("no {member} in the response"))
}
