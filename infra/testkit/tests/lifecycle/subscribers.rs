//! Webhooks of the API key, and the callbacks of schedules: an administrator grants and removes the
//! permission for them, and each gets exactly the events that happen while it may see them.

use std::collections::{BTreeSet, HashMap};

use axum::http::{HeaderValue, Method, StatusCode};
use chrono::TimeDelta;
use proptest::{prelude::*, test_runner::TestCaseError};
use serde_json::{Value, json};
use shared::{access::Permission, events::EventType};
use sqlx::Row;
use uuid::Uuid;

use super::{
    coverage::reached,
    gate,
    lifecycle::Lifecycle,
    model::LABEL,
    states::{Place, Subscription},
};

/// A webhook of the key.
pub struct Subscriber {
    pub webhook: Uuid,
    scope: Scope,
    is_enabled: bool,
    /// The ids of the events that it must have.
    expected: BTreeSet<Uuid>,
}

/// The schedules whose events a webhook gets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Label(&'static str),
    /// Those that name it.
    Callback,
}

/// Who is told.
pub struct Subscribers {
    key: Uuid,
    /// Whether the key has the permission for webhooks of its own.
    may_own: bool,
    pub own: Vec<Subscriber>,
    /// The webhook of each callback URL, once a schedule has named it.
    urls: [Option<Uuid>; 2],
    /// The callback of each schedule.
    callbacks: HashMap<Uuid, Uuid>,
    /// A webhook of another key, which must get nothing.
    stranger: Uuid,
    /// The administrator and its session.
    admin: [Uuid; 2],
    /// The events that were assigned.
    seen: BTreeSet<Uuid>,
}

/// An event that the webhook of all events has.
pub struct Event {
    pub id: Uuid,
    pub kind: String,
    pub schedule: Uuid,
    /// A pass has paused the schedule because a budget is used up.
    pub is_by_budget: bool,
}

impl Subscribers {
    fn callback_of(&self, schedule: Uuid) -> Option<Uuid> {
        self.callbacks.get(&schedule).copied()
    }
}

impl Lifecycle {
    /// Creates an administrator, and webhooks: two of the key, with labels, and one of another key.
    pub async fn subscribe_webhooks(&mut self) {
        let (_, me) = self.get("/v1/auth/me").await;
        let key = me["id"].as_str().unwrap().parse().unwrap();
        let other_key = gate::new_key(&self.stage.db).await;
        let mut own = Vec::new();
        for label in [LABEL, "other"] {
            own.push(Subscriber {
                webhook: self.new_webhook(&json!([label]), &self.key).await,
                scope: Scope::Label(label),
                is_enabled: true,
                expected: BTreeSet::new(),
            });
        }
        let stranger = self.new_webhook(&Value::Null, &other_key).await;
        let admin = self.insert_admin().await;
        self.subscribers = Some(Subscribers {
            key,
            may_own: true,
            own,
            urls: [None; 2],
            callbacks: HashMap::new(),
            stranger,
            admin,
            seen: BTreeSet::new(),
        });
    }

    async fn new_webhook(&self, labels: &Value, key: &HeaderValue) -> Uuid {
        let events = EventType::ALL.map(EventType::as_str);
        let body = json!({"url": "https://example.com/own", "events": events, "labels": labels});
        let (status, _, created) = self.answer(key, Method::POST, "/v1/webhooks", &body).await;
        assert_eq!(status, StatusCode::CREATED, "{created}");
        created["id"].as_str().unwrap().parse().unwrap()
    }

    async fn insert_admin(&self) -> [Uuid; 2] {
        let [user, session] = [Uuid::now_v7(), Uuid::now_v7()];
        let now = self.stage.db.now();
        let sql = "INSERT INTO users (id, username, role, password_hash, created_at) VALUES (?, ?, 'admin', '-', ?)";
        let insert = sqlx::query(sql).bind(user).bind(user.simple().to_string());
        insert.bind(now).execute(&self.stage.db).await.unwrap();
        let sql = "INSERT INTO sessions (id, user_id, address, created_at, expires_at) VALUES (?, ?, '127.0.0.1', ?, ?)";
        let insert = sqlx::query(sql).bind(session).bind(user).bind(now);
        let insert = insert.bind(now + TimeDelta::days(300));
        insert.execute(&self.stage.db).await.unwrap();
        [user, session]
    }

    /// Calls as the administrator.
    pub async fn as_admin(&self, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
        let [user, session] = self.subscribers().admin;
        let keys = &self.app.gate.signing_keys;
        let token = keys.issue(user, session, "admin", self.stage.db.now());
        let token = HeaderValue::try_from(format!("Bearer {}", token.unwrap())).unwrap();
        let (status, _, body) = self.answer(&token, method, path, body).await;
        (status, body)
    }

    pub fn subscribers(&self) -> &Subscribers {
        self.subscribers.as_ref().unwrap()
    }

    fn subscribers_mut(&mut self) -> &mut Subscribers {
        self.subscribers.as_mut().unwrap()
    }

    /// Changes who is told. What happened before belongs to those that were told then.
    pub async fn change_subscription(
        &mut self,
        subscription: Subscription,
    ) -> Result<(), TestCaseError> {
        self.assign_events().await;
        match subscription {
            Subscription::Callback(url) => self.change_callback(url).await?,
            Subscription::Grant(grants) => self.change_grant(grants).await?,
            Subscription::Enable(place, enables) => self.enable(place, enables).await?,
        }
        self.check_enabled().await
    }

    async fn change_callback(&mut self, url: Option<bool>) -> Result<(), TestCaseError> {
        let at = usize::from(url == Some(true));
        let address = url.map(|_| format!("https://example.com/callback/{at}"));
        let body = json!({"callback_url": address});
        let (status, answer) = self.http(Method::PATCH, "", &body).await;
        let subscribers = self.subscribers();
        let known = url.and(subscribers.urls[at]);
        let is_disabled = |hook: &Subscriber| Some(hook.webhook) == known && !hook.is_enabled;
        let expected = if !subscribers.may_own {
            StatusCode::FORBIDDEN
        } else if subscribers.own.iter().any(is_disabled) {
            StatusCode::CONFLICT
        } else {
            StatusCode::OK
        };
        prop_assert_eq!(status, expected, "{:?} {}", url, answer);
        reached(format!("a callback: {status}"));
        if status != StatusCode::OK {
            return Ok(());
        }
        let shown = answer["callback_webhook_id"].as_str();
        let shown: Option<Uuid> = shown.map(|id| id.parse().unwrap());
        prop_assert_eq!(shown.is_some(), url.is_some(), "{}", answer);
        let (id, subscribers) = (self.id, self.subscribers_mut());
        let Some(webhook) = shown else {
            subscribers.callbacks.remove(&id);
            return Ok(());
        };
        prop_assert!(known.is_none_or(|known| known == webhook), "{}", answer);
        if known.is_none() {
            subscribers.urls[at] = Some(webhook);
            subscribers.own.push(Subscriber {
                webhook,
                scope: Scope::Callback,
                is_enabled: true,
                expected: BTreeSet::new(),
            });
        }
        subscribers.callbacks.insert(id, webhook);
        Ok(())
    }

    /// An administrator grants the permission, or removes it: then the webhooks of the key end.
    async fn change_grant(&mut self, grants: bool) -> Result<(), TestCaseError> {
        let mut permissions = Permission::GRANTABLE.to_vec();
        permissions.retain(|permission| grants || *permission != Permission::WebhooksOwn);
        let permissions: Vec<_> = permissions.iter().map(|one| one.as_str()).collect();
        let path = format!("/v1/api-keys/{}", self.subscribers().key);
        let body = json!({"permissions": permissions});
        let (status, answer) = self.as_admin(Method::PATCH, &path, &body).await;
        prop_assert_eq!(status, StatusCode::OK, "{}", answer);
        let subscribers = self.subscribers_mut();
        subscribers.may_own = grants;
        for hook in &mut subscribers.own {
            hook.is_enabled &= grants;
        }
        Ok(())
    }

    /// The key enables or disables a webhook of its own. Without the permission it may not, and an
    /// administrator cannot enable it.
    async fn enable(&mut self, place: Place, enables: bool) -> Result<(), TestCaseError> {
        let subscribers = self.subscribers();
        let at = usize::from(place) % subscribers.own.len();
        let path = format!("/v1/webhooks/{}", subscribers.own[at].webhook);
        let body = json!({"disabled": !enables});
        let (status, answer) = self.http_at(Method::PATCH, &path, &body).await;
        if self.subscribers().may_own {
            prop_assert_eq!(status, StatusCode::OK, "{}", answer);
            reached(format!("enabled by its owner: {enables}"));
            self.subscribers_mut().own[at].is_enabled = enables;
            return Ok(());
        }
        prop_assert_eq!(status, StatusCode::FORBIDDEN, "{}", answer);
        let (status, answer) = self.as_admin(Method::PATCH, &path, &body).await;
        let expected = if enables {
            StatusCode::CONFLICT
        } else {
            StatusCode::OK
        };
        prop_assert_eq!(status, expected, "{}", answer);
        reached(format!(
            "an administrator enables a webhook without owner: {status}"
        ));
        Ok(())
    }

    /// Checks which webhooks of the key are enabled.
    async fn check_enabled(&self) -> Result<(), TestCaseError> {
        let subscribers = self.subscribers();
        let sql = "SELECT id FROM webhooks WHERE owner = ? AND disabled_at IS NULL";
        let enabled: Vec<Uuid> = sqlx::query_scalar(sql)
            .bind(format!("key:{}", subscribers.key))
            .fetch_all(&self.stage.db)
            .await
            .unwrap();
        let expected = subscribers.own.iter().filter(|hook| hook.is_enabled);
        let expected: BTreeSet<_> = expected.map(|hook| hook.webhook).collect();
        prop_assert_eq!(enabled.into_iter().collect::<BTreeSet<_>>(), expected);
        Ok(())
    }

    /// Returns all events about schedules, in their order.
    pub async fn events(&self) -> Vec<Event> {
        let sql = "SELECT event_id, type, schedule_id, COALESCE(CAST(data AS CHAR) LIKE '%budget of%', 0) AS is_by_budget
            FROM webhook_deliveries WHERE webhook_id = ? AND schedule_id IS NOT NULL ORDER BY event_id";
        let rows = sqlx::query(sql).bind(self.webhook);
        let rows = rows.fetch_all(&self.stage.db).await.unwrap();
        let event = |row: &sqlx::mysql::MySqlRow| Event {
            id: row.get("event_id"),
            kind: row.get("type"),
            schedule: row.get("schedule_id"),
            is_by_budget: row.get::<i64, _>("is_by_budget") == 1,
        };
        rows.iter().map(event).collect()
    }

    /// Assigns the new events to the webhooks that are told now.
    pub async fn assign_events(&mut self) {
        let events = self.events().await;
        let (other, subscribers) = (self.companions[1].id, self.subscribers_mut());
        for event in events {
            if !subscribers.seen.insert(event.id) {
                continue;
            }
            let callback = subscribers.callback_of(event.schedule);
            for hook in &mut subscribers.own {
                let is_in_scope = match hook.scope {
                    Scope::Label(label) => (label == LABEL) == (event.schedule != other),
                    Scope::Callback => callback == Some(hook.webhook),
                };
                if is_in_scope {
                    let is_told = if hook.is_enabled { "told" } else { "not told" };
                    let to = if hook.scope == Scope::Callback {
                        "a callback"
                    } else {
                        "a webhook"
                    };
                    reached(format!("{to} is {is_told}"));
                }
                if hook.is_enabled && is_in_scope {
                    hook.expected.insert(event.id);
                }
            }
        }
    }

    /// Checks that each webhook of the key has the events that it must have, each once, and that of
    /// the other key none.
    pub async fn check_subscribers(&mut self) -> Result<(), TestCaseError> {
        self.assign_events().await;
        let subscribers = self.subscribers();
        let nobody = (subscribers.stranger, BTreeSet::new());
        let own = subscribers.own.iter();
        let own = own.map(|hook| (hook.webhook, hook.expected.clone()));
        for (webhook, expected) in own.chain([nobody]) {
            let sql = "SELECT event_id FROM webhook_deliveries WHERE webhook_id = ?";
            let delivered: Vec<Uuid> = sqlx::query_scalar(sql)
                .bind(webhook)
                .fetch_all(&self.stage.db)
                .await
                .unwrap();
            let events: BTreeSet<_> = delivered.iter().copied().collect();
            prop_assert_eq!(events, expected, "the events of webhook {}", webhook);
        }
        Ok(())
    }
}
