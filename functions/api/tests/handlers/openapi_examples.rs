//! The examples of the OpenAPI document: each is executed and answered as documented.

use std::collections::BTreeSet;

use crate::common::{
    Api, gzip, in_seconds, insert_key,
    operations::{filled, operations, send},
    phones,
    rows::{cut, uncertain, undelivered},
};
use crate::second_factor::example_caller;
use api::{App, resources::schedules::approval::rule::ApprovalRule, routes::router};
use axum::http::StatusCode;
use serde_json::{Value, json};
use shared::{access::Permission, platform::db::MIGRATOR};
use sqlx::MySqlPool;
use uuid::Uuid;

/// The operations with a body, in an order in which their examples can be executed.
const WITH_BODY: [&str; 39] = [
    "createUser",
    "logIn",
    "refreshTokens",
    "beginSecondFactor",
    "confirmSecondFactor",
    "removeSecondFactor",
    "changePassword",
    "changeUser",
    "createApiKey",
    "changeApiKey",
    "createSchedule",
    "changeSchedule",
    "appendRecipients",
    "convertSpreadsheet",
    "changeRecipients",
    "cancelRecipients",
    "changeRecipient",
    "pauseSchedule",
    "resumeSchedule",
    "cancelSchedule",
    "resendSchedule",
    "approveSchedule",
    "rejectSchedule",
    "pauseSchedules",
    "resumeSchedules",
    "resolveRecipients",
    "resolveRecipient",
    "putSuppression",
    "putSender",
    "importSuppressions",
    "receiveReceipts",
    "createWebhook",
    "changeWebhook",
    "changeCarrier",
    "importPrices",
    "createBudget",
    "changeBudget",
    "stopSending",
    "resumeSending",
];

/// Creates the resources that the examples need.
struct ExampleSetup {
    admin: Api,
    pool: MySqlPool,
    /// The temporary password of the user that an example created.
    user: String,
}

impl ExampleSetup {
    /// Returns the caller and the path for an example, and sets the fields of the example whose
    /// values are known only at run time.
    async fn prepare(&mut self, id: &str, path: &str, example: &mut Value) -> (Api, String) {
        if example.get("run_at").is_some() {
            example["run_at"] = json!(in_seconds(3_600));
        }
        let resource = match id {
            "logIn" | "refreshTokens" | "changePassword" => {
                return (self.session(id, example).await, path.to_owned());
            }
            "beginSecondFactor" | "confirmSecondFactor" | "removeSecondFactor" => {
                let caller = example_caller(&self.admin, id, example).await;
                return (caller, path.to_owned());
            }
            "changeUser" => self.user_id().await,
            "changeWebhook" => self.webhook_id().await,
            "changeApiKey" => self.key_id().await,
            "changeSchedule" | "pauseSchedule" | "cancelSchedule" | "changeRecipients"
            | "cancelRecipients" | "changeRecipient" => {
                self.admin.schedule(&phones(0..2)).await.to_string()
            }
            "appendRecipients" => self.admin.schedule(&[]).await.to_string(),
            "resumeSchedule" => {
                let schedule = self.admin.schedule(&phones(0..2)).await;
                self.admin.post_step(schedule, "pause").await;
                schedule.to_string()
            }
            "approveSchedule" | "rejectSchedule" => {
                let schedule = self.waiting().await;
                let path = format!("/v1/schedules/{schedule}/approval");
                if example.get("hash").is_some() {
                    example["hash"] = self.admin.get(&path).await.body["hash"].clone();
                }
                schedule.to_string()
            }
            "resendSchedule" => {
                let schedule = self.admin.schedule(&phones(0..2)).await;
                undelivered(&self.pool, schedule).await;
                schedule.to_string()
            }
            "resolveRecipients" | "resolveRecipient" => {
                let schedule = cut(&self.admin, &self.pool, 1).await;
                uncertain(&self.pool, schedule, 1..=2, 3_600).await;
                schedule.to_string()
            }
            "pauseSchedules" | "resumeSchedules" => {
                return (self.admin.clone(), format!("{path}?label=parcels"));
            }
            "changeBudget" => {
                let budgets = self.admin.get("/v1/budgets").await.body;
                budgets["budgets"][0]["id"].as_str().unwrap().to_owned()
            }
            "importPrices" => {
                return (self.admin.clone(), format!("{path}?currency=EUR"));
            }
            "changeCarrier" => {
                return (self.admin.clone(), path.replace("{carrier}", "main"));
            }
            _ => return (self.admin.clone(), filled(path)),
        };
        let path = path.replace("{id}", &resource).replace("{recipient}", "1");
        (self.admin.clone(), path)
    }

    /// Logs the user in, and returns the caller of an operation on sessions.
    async fn session(&self, id: &str, example: &mut Value) -> Api {
        let anonymous = self.admin.with("");
        let password = "correct horse battery staple";
        self.admin.log_in("ana", &self.user, Some(password)).await;
        let tokens = self.admin.log_in("ana", password, None).await;
        match id {
            "changePassword" => anonymous.with(&tokens.text("access_token")),
            "refreshTokens" => {
                example["refresh_token"] = json!(tokens.text("refresh_token"));
                anonymous
            }
            _ => anonymous,
        }
    }

    /// Returns a schedule of a key that waits for an approval.
    async fn waiting(&self) -> Uuid {
        let app = App {
            approval: ApprovalRule::parse(0, "key").unwrap(),
            ..self.admin.app.clone()
        };
        let key = insert_key(&self.pool, &Permission::GRANTABLE, None).await;
        let api = Api {
            router: router(app),
            ..self.admin.with(&key)
        };
        api.schedule(&phones(0..2)).await
    }

    async fn webhook_id(&self) -> String {
        self.admin.get("/v1/webhooks").await.body["webhooks"][0]["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    async fn key_id(&self) -> String {
        let key = json!({"name": "x", "permissions": ["schedules:read"]});
        let made = self.admin.post_json("/v1/api-keys", &key).await;
        made.id().to_string()
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
        .filter(|_| operation["requestBody"]["content"]["application/gzip"].is_object())
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
    let id_of = |operation: &'static Value| operation["operationId"].as_str().unwrap();
    let known: BTreeSet<_> = all.iter().map(|(.., operation)| id_of(operation)).collect();
    assert_eq!(
        known,
        WITH_BODY.into_iter().collect(),
        "each operation with a body must be listed in WITH_BODY, and prepared if it needs resources"
    );
    for id in WITH_BODY {
        let mut found = all.iter().filter(|(.., operation)| id_of(operation) == id);
        let (method, path, operation) = found.next().unwrap();
        for (kind, mut example) in examples(operation) {
            let (caller, path) = setup.prepare(id, path, &mut example).await;
            let body = (&*kind, encoded(&kind, &example));
            let answer = send(&caller, method.clone(), &path, body.clone()).await;
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
                let path = format!("{path}?dry_run=true");
                let dry = send(&caller, method.clone(), &path, body).await;
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
