//! Users, their sessions, and the audit log.

use axum::http::StatusCode;
use chrono::{TimeDelta, Utc};
use migrate::bootstrap::{TemporaryPassword, make_admin};
use serde_json::{Value, json};

use super::{Answer, Api};

pub const PASSWORD: &str = "a password of some length";

impl Api {
    /// Creates the first administrator and returns its session.
    pub async fn admin(&self) -> Self {
        let mut connection = self.db.acquire().await.unwrap();
        let now = Utc::now();
        let temporary = TemporaryPassword {
            password: "temporary".to_owned().into(),
            expires_at: now + TimeDelta::days(1),
        };
        make_admin(&mut connection, "root", temporary, now)
            .await
            .unwrap();
        drop(connection);
        self.with(
            &self
                .log_in("root", "temporary", Some(PASSWORD))
                .await
                .text("access_token"),
        )
    }

    /// Creates a user and returns its session. `self` is an administrator.
    pub async fn user(&self, username: &str, role: &str) -> Self {
        let made = self
            .post_json("/v1/users", &json!({"username": username, "role": role}))
            .await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
        let login = self
            .log_in(username, &made.text("temporary_password"), Some(PASSWORD))
            .await;
        self.with(&login.text("access_token"))
    }

    pub async fn log_in(
        &self,
        username: &str,
        password: &str,
        new_password: Option<&str>,
    ) -> Answer {
        let body =
            json!({"username": username, "password": password, "new_password": new_password});
        self.with("").post_json("/v1/auth/login", &body).await
    }

    pub async fn refresh(&self, token: &str) -> Answer {
        self.with("")
            .post_json("/v1/auth/refresh", &json!({"refresh_token": token}))
            .await
    }

    pub async fn me(&self) -> Answer {
        self.get("/v1/auth/me").await
    }

    /// Returns the entries of the audit log, newest first. `query` starts with `&`.
    pub async fn audit(&self, query: &str) -> Vec<Value> {
        self.get(&format!("/v1/audit?limit=200{query}")).await.body["entries"]
            .as_array()
            .unwrap()
            .clone()
    }
}

impl Answer {
    /// Returns a string field of the body.
    pub fn text(&self, member: &str) -> String {
        self.body[member]
            .as_str()
            .unwrap_or_else(|| panic!("no {member} in {}", self.body))
            .to_owned()
    }

    /// Returns a header, or an empty string.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}
