//! Random calls with unexpected values in paths, queries and bodies: each is answered as the document
//! says, and none with an error of the server.
#![allow(
    clippy::format_push_string,
    clippy::result_large_err,
    reason = "small texts of tests"
)]

use axum::{
    body::Body,
    http::{Method, Request, StatusCode},
};
use proptest::{
    prelude::*,
    test_runner::{TestCaseError, TestRunner},
};
use serde_json::json;
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;
use uuid::Uuid;

use crate::common::{
    Api, in_seconds, phones,
    random_calls::{RandomCall, escaped, random_call},
    request,
    rows::undelivered,
};

/// Schedules in several states, and a key.
struct Setup {
    api: Api,
    schedules: Vec<Uuid>,
    key: String,
}

impl Setup {
    async fn new(pool: &MySqlPool) -> Self {
        let api = Api::new(pool).await.admin().await;
        let mut schedules = Vec::new();
        for state in ["draft", "scheduled", "paused", "finished", "cancelled"] {
            let mut body = request();
            body["message"] = json!("Hi {{name|default('you')}}");
            body["draft"] = json!(state == "draft");
            body["labels"] = json!(["north"]);
            body["run_at"] = json!(in_seconds(86_400));
            let recipients = phones(0..6).into_iter().enumerate();
            body["recipients"] = recipients
                .map(|(n, phone)| {
                    let reference = if n < 4 { format!("R{n}") } else { "same".to_owned() };
                    json!({"phone": phone, "reference": reference, "group": "north", "vars": {"name": "Ana"}})
                })
                .collect();
            let created = api.post(&body).await;
            assert_eq!(created.status, StatusCode::CREATED, "{}", created.body);
            let id = created.id();
            match state {
                "paused" => drop(api.post_step(id, "pause").await),
                "cancelled" => drop(api.post_step(id, "cancel").await),
                "finished" => undelivered(pool, id).await,
                _ => {}
            }
            schedules.push(id);
        }
        let key = json!({"name": "x", "permissions": ["schedules:read"]});
        let key = api.post_json("/v1/api-keys", &key).await.id().to_string();
        Self {
            api,
            schedules,
            key,
        }
    }

    /// Returns the request of a call, for one of the schedules.
    fn request(&self, call: &RandomCall) -> Request<Body> {
        let schedule = call.schedule.get(&self.schedules);
        // An empty segment would be another path.
        let value = if call.value.is_empty() {
            "1"
        } else {
            &call.value
        };
        let mut path = call
            .path
            .replace("{id}", &schedule.to_string())
            .replace("{key}", &self.key)
            .replace("{value}", &escaped(value));
        for (place, (name, value)) in call.query.iter().enumerate() {
            path += &format!(
                "{}{name}={}",
                if place == 0 { "?" } else { "&" },
                escaped(value)
            );
        }
        let has_body = call.method != "GET" && call.method != "DELETE";
        let body = if has_body {
            call.body.clone()
        } else {
            Vec::new()
        };
        let request = Request::builder()
            .method(call.method.parse::<Method>().unwrap())
            .uri(path)
            .header("content-type", call.content_type);
        request.body(Body::from(body)).unwrap()
    }

    /// Makes a call. Its answer is compared with the document, like that of each test.
    async fn check(&self, call: &RandomCall) -> Result<(), TestCaseError> {
        let answer = self.api.call(self.request(call)).await;
        prop_assert!(
            !answer.status.is_server_error(),
            "{}: {}",
            answer.status,
            answer.body
        );
        Ok(())
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn no_random_call_is_an_error_of_the_server(pool: MySqlPool) {
    let setup = Setup::new(&pool).await;
    let handle = tokio::runtime::Handle::current();
    let run = move || {
        let mut runner = TestRunner::new(ProptestConfig {
            cases: 1_500,
            max_shrink_iters: 500,
            failure_persistence: None,
            ..Default::default()
        });
        runner.run(&random_call(), |call| handle.block_on(setup.check(&call)))
    };
    if let Err(error) = tokio::task::spawn_blocking(run).await.unwrap() {
        panic!("{error}");
    }
}
