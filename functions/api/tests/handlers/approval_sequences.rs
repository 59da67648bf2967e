//! No sequence of calls makes a schedule wait for its time with a content that nobody has approved:
//! random calls of its author, of a second author and of the approver, who approves what it has read at
//! some time before. A schedule is cut only from `scheduled`, so that nothing else is ever sent.

use std::collections::{BTreeMap, HashMap};

use api::{App, resources::schedules::approval::rule::ApprovalRule, routes::router};
use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use serde_json::{Value, json};
use shared::platform::db::MIGRATOR;
use sqlx::{MySqlPool, Row};
use uuid::Uuid;

use crate::common::{Api, in_seconds, phones};

const ROUNDS: u64 = 6;
const STEPS: usize = 40;

/// What is sent, without who is cancelled.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Content {
    message: String,
    run_at: String,
    /// Numbers and variables by place.
    list: BTreeMap<u32, (String, Option<String>)>,
}

impl Content {
    async fn read(pool: &MySqlPool, id: Uuid) -> Self {
        let sql = "SELECT message, CAST(run_at AS CHAR) AS run_at FROM schedules WHERE id = ?";
        let row = sqlx::query(sql).bind(id).fetch_one(pool).await.unwrap();
        let sql = "SELECT r.seq, r.phone, v.variables FROM recipients r
            LEFT JOIN recipient_variables v ON v.schedule_id = r.schedule_id AND v.seq = r.seq
            WHERE r.schedule_id = ? AND r.status = 'PENDING'";
        let list = sqlx::query(sql).bind(id).fetch_all(pool).await.unwrap();
        let entry = |row: &sqlx::mysql::MySqlRow| {
            (row.get("seq"), (row.get("phone"), row.get("variables")))
        };
        Self {
            message: row.get("message"),
            run_at: row.get("run_at"),
            list: list.iter().map(entry).collect(),
        }
    }

    /// Whether sending this sends nothing that `approved` does not have.
    fn is_within(&self, approved: &Self) -> bool {
        let has = |(seq, entry)| approved.list.get(seq) == Some(entry);
        self.message == approved.message
            && self.run_at == approved.run_at
            && self.list.iter().all(has)
    }
}

/// A schedule with its people, and what the approver knows.
struct Sequence {
    pool: MySqlPool,
    ana: Api,
    root: Api,
    ben: Api,
    id: Uuid,
    /// What each hash stood for when it was read.
    read: HashMap<String, Content>,
    last_read: Option<String>,
    approved: Option<Content>,
    approvals: usize,
}

impl Sequence {
    async fn status(&self) -> String {
        let sql = "SELECT status FROM schedules WHERE id = ?";
        let query = sqlx::query_scalar(sql).bind(self.id);
        query.fetch_one(&self.pool).await.unwrap()
    }

    async fn step(&mut self, rng: &mut fastrand::Rng) -> String {
        let by = if rng.bool() { &self.ana } else { &self.root };
        let (id, n) = (self.id, rng.u32(0..6));
        let here = format!("/v1/schedules/{id}");
        let kind = rng.usize(..13);
        match kind {
            0 => drop(by.patch(id, &json!({"message": format!("Text {n}")})).await),
            1 => drop(
                by.patch(id, &json!({"run_at": in_seconds(3_600 + i64::from(n))}))
                    .await,
            ),
            2 => drop(by.patch(id, &json!({"rate": n + 1})).await),
            3 => drop(
                by.append(id, "", "text/csv", phones(n..n + 2).join("\n"))
                    .await,
            ),
            4 | 5 => {
                let body = if kind == 4 {
                    json!({"phone": phones(20 + n..21 + n)[0]})
                } else {
                    json!({"vars": {"n": n}})
                };
                let request = Request::patch(format!("{here}/recipients/{}", n + 1))
                    .header("content-type", "application/json");
                by.call(request.body(Body::from(body.to_string())).unwrap())
                    .await;
            }
            6 => {
                let request = Request::delete(format!("{here}/recipients/{}", n + 1));
                by.call(request.body(Body::empty()).unwrap()).await;
            }
            7 => drop(by.post_step(id, "activate").await),
            8 => drop(by.post_step(id, "pause").await),
            9 => drop(
                by.post_json(&format!("{here}/resume"), &json!({"now": true}))
                    .await,
            ),
            10 => drop(
                self.ben
                    .post_json(&format!("{here}/reject"), &json!({"reason": "no"}))
                    .await,
            ),
            _ => self.read_or_approve(rng).await,
        }
        format!("step {kind} with {n}")
    }

    /// The approver reads the hash, approves the one that it has read last, or does both.
    async fn read_or_approve(&mut self, rng: &mut fastrand::Rng) {
        let here = format!("/v1/schedules/{}", self.id);
        if rng.u8(..4) > 0 {
            let answer = self.ben.get(&format!("{here}/approval")).await;
            if let Value::String(hash) = &answer.body["hash"] {
                let content = Content::read(&self.pool, self.id).await;
                self.read.insert(hash.clone(), content);
                self.last_read = Some(hash.clone());
            }
        }
        let Some(hash) = self.last_read.clone().filter(|_| rng.bool()) else {
            return;
        };
        let answer = self
            .ben
            .post_json(&format!("{here}/approve"), &json!({"hash": hash}))
            .await;
        if answer.status == StatusCode::OK {
            self.approved = self.read.get(&hash).cloned();
            self.approvals += 1;
        }
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn no_sequence_of_calls_begins_without_an_approval(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let app = App {
        approval: ApprovalRule::parse(2, "").unwrap(),
        ..api.app.clone()
    };
    let api = Api {
        router: router(app),
        ..api
    };
    let root = api.admin().await;
    let (ana, ben) = (
        root.user("ana", "operator").await,
        root.user("ben", "operator").await,
    );
    let (mut scheduled, mut approvals) = (0, 0);
    for seed in 0..ROUNDS {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut sequence = Sequence {
            pool: pool.clone(),
            id: ana.schedule(&phones(0..4)).await,
            ana: ana.clone(),
            root: root.clone(),
            ben: ben.clone(),
            read: HashMap::new(),
            last_read: None,
            approved: None,
            approvals: 0,
        };
        let mut steps = Vec::new();
        for _ in 0..STEPS {
            steps.push(sequence.step(&mut rng).await);
            if sequence.status().await != "scheduled" {
                continue;
            }
            scheduled += 1;
            let content = Content::read(&pool, sequence.id).await;
            let approved = sequence.approved.as_ref();
            assert!(
                approved.is_some_and(|approved| content.is_within(approved)),
                "seed {seed}: {steps:?}\n{content:?}\n{approved:?}"
            );
        }
        approvals += sequence.approvals;
    }
    assert!(scheduled > 5 && approvals > 3, "{scheduled} {approvals}");
}
