//! Approvals: nothing waits for its time, begins or is sent unless a second person has approved it.
//! The test keeps the content for which each hash stood, and compares it with the rows and with the
//! carrier's ledger; it does not use the hash.

use std::collections::BTreeMap;

use axum::http::{Method, StatusCode};
use chrono::{DateTime, Utc};
use proptest::{prelude::*, test_runner::TestCaseError};
use serde_json::{Value, json};
use sqlx::{MySqlPool, Row};
use uuid::Uuid;

use super::{
    coverage::reached,
    lifecycle::Lifecycle,
    states::{Call, by_nothing},
};

/// `ApprovalAbove`: schedules with more recipients need an approval.
pub const ABOVE: u32 = 2;

/// A recipient: the number, the reference and the group.
type Listed = (String, Option<String>, Option<String>);

/// What is sent, without who is cancelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    message: String,
    run_at: DateTime<Utc>,
    window: Option<String>,
    list: BTreeMap<u32, Listed>,
}

impl Content {
    async fn read(pool: &MySqlPool, id: Uuid) -> Self {
        let sql = "SELECT message, run_at, CAST(send_window AS CHAR) AS send_window FROM schedules WHERE id = ?";
        let row = sqlx::query(sql).bind(id).fetch_one(pool).await.unwrap();
        let sql = "SELECT r.seq, r.phone, CAST(n.reference AS CHAR) AS reference, CAST(n.group_name AS CHAR) AS group_name
            FROM recipients r LEFT JOIN recipient_references n ON n.schedule_id = r.schedule_id AND n.seq = r.seq
            WHERE r.schedule_id = ? AND r.status <> 'CANCELLED'";
        let list = sqlx::query(sql).bind(id).fetch_all(pool).await.unwrap();
        let entry = |row: &sqlx::mysql::MySqlRow| {
            let listed = (
                row.get("phone"),
                row.get("reference"),
                row.get("group_name"),
            );
            (row.get("seq"), listed)
        };
        Self {
            message: row.get("message"),
            run_at: row.get("run_at"),
            window: row.get("send_window"),
            list: list.iter().map(entry).collect(),
        }
    }

    /// Returns whether sending this sends nothing that `approved` does not have.
    fn is_within(&self, approved: &Self) -> bool {
        let has = |(seq, listed)| approved.list.get(seq) == Some(listed);
        self.message == approved.message
            && self.run_at == approved.run_at
            && self.window == approved.window
            && self.list.iter().all(has)
    }
}

/// What the approver of the current schedule knows, and what it has approved.
#[derive(Default)]
pub struct Approvals {
    /// The hash that it has read last, and what it stood for.
    read: Option<(String, Content)>,
    approved: Option<Content>,
    /// The length of the carrier's ledger before the schedule existed.
    ledger_from: usize,
}

impl Lifecycle {
    /// Returns whether the current schedule needs an approval. Once it does, it always does: no call
    /// makes a list shorter.
    pub fn needs_approval(&self) -> bool {
        self.approvals.is_some() && self.model.recipients.len() > ABOVE as usize
    }

    /// Returns whether the current schedule is cut.
    pub async fn is_cut(&self) -> bool {
        let sql = "SELECT COUNT(*) FROM schedules WHERE id = ? AND batch_count IS NOT NULL";
        let query = sqlx::query_scalar::<_, i64>(sql).bind(self.id);
        query.fetch_one(&self.stage.db).await.unwrap() == 1
    }

    /// Goes on with another schedule, of which nothing is approved.
    pub fn forget_approval(&mut self) {
        if let Some(approvals) = &mut self.approvals {
            *approvals = Approvals {
                ledger_from: self.stage.simulator.carrier().ledger().len(),
                ..Approvals::default()
            };
        }
    }

    /// The approver reads what is to be approved. A schedule has that exactly if it needs an approval.
    pub async fn read_content(&mut self) -> Result<(), TestCaseError> {
        let path = format!("/v1/schedules/{}/approval", self.id);
        let (status, answer) = self.as_admin(Method::GET, &path, &Value::Null).await;
        let expected = if self.needs_approval() {
            StatusCode::OK
        } else {
            StatusCode::NOT_FOUND
        };
        prop_assert_eq!(status, expected, "{}", answer);
        let content = Content::read(&self.stage.db.pool, self.id).await;
        if let (Some(hash), Some(approvals)) = (answer["hash"].as_str(), &mut self.approvals) {
            approvals.read = Some((hash.to_owned(), content));
        }
        Ok(())
    }

    async fn send_approval(&self) -> (StatusCode, Value) {
        let read = self
            .approvals
            .as_ref()
            .and_then(|known| known.read.as_ref());
        let hash = read.map_or_else(|| "0".repeat(64), |(hash, _)| hash.clone());
        let path = format!("/v1/schedules/{}/approve", self.id);
        let body = json!({"hash": hash, "now": true});
        self.as_admin(Method::POST, &path, &body).await
    }

    /// The approver approves what it has read last, which may not be what there is now. Returns the
    /// states that it may lead to.
    pub async fn approve(&mut self, before: &str) -> Result<Vec<&'static str>, TestCaseError> {
        let current = Content::read(&self.stage.db.pool, self.id).await;
        let (status, answer) = self.send_approval().await;
        let read = self
            .approvals
            .as_ref()
            .and_then(|known| known.read.as_ref());
        let is_current = read.is_some_and(|(_, content)| *content == current);
        let may = before == "awaiting-approval" && is_current;
        prop_assert!(
            may || status == StatusCode::CONFLICT,
            "approved in state {}, as current: {}: {}",
            before,
            is_current,
            answer
        );
        self.record_approval(status, &answer)?;
        if status == StatusCode::OK {
            return Ok(vec!["scheduled"]);
        }
        Ok(by_nothing(before).to_vec())
    }

    fn record_approval(&mut self, status: StatusCode, answer: &Value) -> Result<(), TestCaseError> {
        if status != StatusCode::OK {
            prop_assert_eq!(status, StatusCode::CONFLICT, "{}", answer);
            let slug = answer["type"].as_str().unwrap_or_default();
            reached(format!("not approved: {slug}"));
            return Ok(());
        }
        let Some((_, mut content)) = self.approvals.as_mut().and_then(|known| known.read.take())
        else {
            return Err(TestCaseError::fail(format!("nothing was read: {answer}")));
        };
        let run_at: DateTime<Utc> = answer["run_at"].as_str().unwrap().parse().unwrap();
        let is_moved = run_at != content.run_at;
        let has_passed = content.run_at <= self.stage.db.now();
        prop_assert!(
            !is_moved || has_passed,
            "moved to {}: {:?}",
            run_at,
            content
        );
        content.run_at = run_at;
        self.expected_events.push((self.id, "schedule.approved"));
        reached("an approval");
        self.approvals.as_mut().unwrap().approved = Some(content);
        Ok(())
    }

    /// The approver rejects the schedule, which is a draft again.
    pub async fn reject(&mut self, before: &str) -> Result<Vec<&'static str>, TestCaseError> {
        let path = format!("/v1/schedules/{}/reject", self.id);
        let body = json!({"reason": "no"});
        let (status, answer) = self.as_admin(Method::POST, &path, &body).await;
        if before != "awaiting-approval" {
            prop_assert_eq!(status, StatusCode::CONFLICT, "{}", answer);
            return Ok(by_nothing(before).to_vec());
        }
        prop_assert_eq!(status, StatusCode::OK, "{}", answer);
        self.expected_events.push((self.id, "schedule.rejected"));
        reached("a rejection");
        Ok(vec!["draft"])
    }

    /// The approver approves what it has just read, the operator makes a call, and the sweep cuts
    /// what is due, all at the same time.
    pub async fn approve_during(
        &mut self,
        call: Call,
        before: &str,
    ) -> Result<Vec<&'static str>, TestCaseError> {
        if before != "awaiting-approval" {
            return self.call_alone(call, before).await;
        }
        self.read_content().await?;
        let prepared = self.prepare(call).await;
        let ((approved, decision), (status, answer), ()) =
            tokio::join!(self.send_approval(), self.send(&prepared), self.sweep());
        self.record_approval(approved, &decision)?;
        self.conclude(prepared, status, &answer).await;
        self.record_answer(call, status, &answer)?;
        reached(format!("approved during a call: {approved} {status}"));
        let mut reachable = self.by_workers("scheduled");
        reachable.push("awaiting-approval");
        Ok(reachable)
    }

    /// Approves what waits, as a second person does in the end. Returns whether it waited.
    pub async fn approve_the_rest(&mut self, status: &str) -> Result<bool, TestCaseError> {
        if status != "awaiting-approval" {
            return Ok(false);
        }
        self.read_content().await?;
        let reachable = self.approve(status).await?;
        prop_assert_eq!(
            reachable,
            vec!["scheduled"],
            "what was just read is approved"
        );
        Ok(true)
    }

    /// Checks that what waits for its time, has begun or was sent was approved, and that the carrier
    /// has accepted nothing else.
    pub async fn check_approval(&self, status: &str) -> Result<(), TestCaseError> {
        let Some(approvals) = self.approvals.as_ref().filter(|_| self.needs_approval()) else {
            return Ok(());
        };
        let ledger = self.stage.simulator.carrier().ledger();
        let accepted = ledger.get(approvals.ledger_from..).unwrap_or_default();
        // A schedule that is cancelled before it begins is cut too, so that its rows are closed.
        let has_begun = status != "cancelled" && self.is_cut().await;
        if status != "scheduled" && !has_begun && accepted.is_empty() {
            return Ok(());
        }
        let content = Content::read(&self.stage.db.pool, self.id).await;
        let approved = approvals.approved.as_ref();
        let is_approved = approved.is_some_and(|approved| content.is_within(approved));
        prop_assert!(
            is_approved,
            "{} without an approval of this content: {:?} {:?}",
            status,
            content,
            approved
        );
        for line in accepted {
            let phone = format!("+{}", line.dnis.trim_start_matches('+'));
            let is_approved = approved.is_some_and(|approved| {
                let mut list = approved.list.values();
                approved.message == line.text && list.any(|(number, ..)| *number == phone)
            });
            prop_assert!(
                is_approved,
                "sent, and not approved: {} {}",
                phone,
                line.text
            );
        }
        reached(format!("approved and {status}"));
        Ok(())
    }
}
