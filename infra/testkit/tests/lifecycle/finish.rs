//! Brings the current schedule to its end, as an operator would.

use axum::http::{Method, StatusCode};
use proptest::test_runner::TestCaseError;
use serde_json::Value;

use super::{
    budget::ENOUGH,
    lifecycle::Lifecycle,
    states::{Call, Weather},
};

impl Lifecycle {
    /// Brings the schedule from any state to its end, as an operator would.
    pub async fn finish(&mut self) -> Result<(), TestCaseError> {
        let (rounds, seconds) = if self.window.is_some() {
            (500, 400)
        } else {
            (60, 60)
        };
        self.change_weather(Weather::Calm);
        if self.budget.is_some() {
            self.set_budget(ENOUGH).await;
        }
        for _ in 0..rounds {
            let status = self.status().await;
            let is_over = self.open_batches().await == 0 && status == "cancelled";
            if status == "finished" || is_over {
                // What is decided now is published, or sent again.
                if !self.decide_the_rest(&status).await? {
                    break;
                }
            }
            let is_approved = self.approve_the_rest(&status).await?;
            let next_call = self.next_call(&status).await;
            // The workers follow a call at once. Otherwise a batch that is sent after all, at the
            // only step of a day that is in the window, would wait until after it, every day.
            let seconds = if is_approved || next_call.is_some() {
                1
            } else {
                seconds
            };
            if let Some(call) = next_call {
                let (status, _) = self.call(call).await;
                // A draft whose time has passed can only be cancelled.
                if status == StatusCode::CONFLICT && call == Call::Activate {
                    let (_, answer) = self.call(Call::Cancel).await;
                    self.already_sent = answer["already_sent"].as_u64();
                }
            }
            self.wait(seconds);
            self.sweep().await;
            self.work(false).await;
        }
        Ok(())
    }

    /// Returns the call that an operator makes next to complete the schedule, if one is needed.
    async fn next_call(&self, status: &str) -> Option<Call> {
        let (_, view) = self.http(Method::GET, "", &Value::Null).await;
        let missed_batches = view["attention"]["missed_batches"].as_u64();
        match status {
            "draft" => Some(Call::Activate),
            "paused" => Some(Call::Resume),
            "missed" => Some(Call::SendNow),
            "running" if missed_batches > Some(0) => Some(Call::SendNow),
            _ => None,
        }
    }

    async fn open_batches(&self) -> i64 {
        sqlx::query_scalar("SELECT COUNT(*) FROM batches WHERE sweep_at IS NOT NULL")
            .fetch_one(&self.stage.db)
            .await
            .unwrap()
    }
}
