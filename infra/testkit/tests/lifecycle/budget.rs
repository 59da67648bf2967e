//! The budget of a day for all that is sent, in parts. What was sent is always counted, and never more
//! than the budget allowed when it was sent: `used` includes what a pass has reserved, and a lower
//! budget takes nothing back.

use axum::http::{Method, StatusCode};
use chrono::NaiveDate;
use proptest::{prelude::*, test_runner::TestCaseError};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{coverage::reached, lifecycle::Lifecycle};

/// More than all messages of a sequence.
pub const ENOUGH: u64 = 100_000;
/// How a pause by a budget begins.
const REASON: &str = "budget of system";

/// The present budget.
#[derive(Clone, Copy, Debug)]
pub struct DayBudget {
    id: Uuid,
    amount: u64,
    /// The day that is counted.
    day: NaiveDate,
    /// What the carrier had accepted when the day began, or the budget.
    before: u64,
    /// The most that may be used: the amount, or what was used before it was lowered.
    most: u64,
}

impl Lifecycle {
    fn today(&self) -> NaiveDate {
        self.stage.db.now().date_naive()
    }

    fn accepted_in_all(&self) -> u64 {
        self.stage.simulator.carrier().accepted()
    }

    /// Begins to count anew if another day has begun. Called before each step: a pass counts in the day
    /// in which it began.
    pub fn follow_day(&mut self) {
        let (today, accepted) = (self.today(), self.accepted_in_all());
        if let Some(budget) = self.budget.as_mut().filter(|budget| budget.day != today) {
            reached("a day after another");
            (budget.day, budget.before, budget.most) = (today, accepted, budget.amount);
        }
    }

    /// Returns what the budget says is used of the day.
    async fn used(&self, budget: &DayBudget) -> u64 {
        let sql = "SELECT used FROM spending WHERE budget_id = ? AND period_start = ?";
        let query = sqlx::query_scalar(sql).bind(budget.id).bind(budget.day);
        let used = query.fetch_optional(&self.stage.db).await.unwrap();
        used.unwrap_or_default()
    }

    /// An administrator sets, raises or lowers the budget.
    pub async fn set_budget(&mut self, amount: u64) {
        let text = amount.to_string();
        if let Some(budget) = self.budget {
            let path = format!("/v1/budgets/{}", budget.id);
            let body = json!({"amount": text});
            let (status, answer) = self.as_admin(Method::PATCH, &path, &body).await;
            assert_eq!(status, StatusCode::OK, "{answer}");
            let most = amount.max(self.used(&budget).await);
            self.budget = Some(DayBudget {
                amount,
                most,
                ..budget
            });
            return;
        }
        let body = json!({"scope": "system", "period": "day", "unit": "parts", "amount": text});
        let (status, answer) = self.as_admin(Method::POST, "/v1/budgets", &body).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        self.budget = Some(DayBudget {
            id: answer["id"].as_str().unwrap().parse().unwrap(),
            amount,
            day: self.today(),
            before: self.accepted_in_all(),
            most: amount,
        });
    }

    pub async fn remove_budget(&mut self) {
        if let Some(budget) = self.budget.take() {
            let path = format!("/v1/budgets/{}", budget.id);
            let (status, answer) = self.as_admin(Method::DELETE, &path, &Value::Null).await;
            assert_eq!(status, StatusCode::NO_CONTENT, "{answer}");
        }
    }

    /// Returns whether a pass has paused the schedule because a budget has no room.
    pub async fn is_paused_by_budget(&self) -> bool {
        let sql = "SELECT COUNT(*) FROM schedules WHERE id = ? AND status = 'paused' AND pause_reason LIKE CONCAT(?, '%')";
        let query = sqlx::query_scalar::<_, i64>(sql).bind(self.id).bind(REASON);
        query.fetch_one(&self.stage.db).await.unwrap() == 1
    }

    /// Checks that what was sent is counted, and is no more than the budget allowed; and that a budget
    /// pauses only what does not fit.
    pub async fn check_budget(&self) -> Result<(), TestCaseError> {
        let Some(budget) = &self.budget else {
            return Ok(());
        };
        let (used, sent) = (
            self.used(budget).await,
            self.accepted_in_all() - budget.before,
        );
        prop_assert!(sent <= budget.most, "{} sent beyond {:?}", sent, budget);
        prop_assert!(
            sent <= used,
            "{} sent, {} counted: {:?}",
            sent,
            used,
            budget
        );
        prop_assert!(used <= budget.most, "{} counted beyond {:?}", used, budget);
        if self.is_paused_by_budget().await {
            reached("paused by a budget");
        }
        Ok(())
    }

    /// Checks a schedule that is refused because it exceeds the budget: more than what is left.
    pub async fn check_exceeded(&self) -> Result<(), TestCaseError> {
        let Some(budget) = &self.budget else {
            return Err(TestCaseError::fail(
                "refused for a budget that nobody has set",
            ));
        };
        let left = budget.amount.saturating_sub(self.used(budget).await);
        let needed = self.model.recipients.len() as u64;
        prop_assert!(
            left < needed,
            "{} of {:?} are left for {}",
            left,
            budget,
            needed
        );
        reached("refused for a budget");
        Ok(())
    }
}
