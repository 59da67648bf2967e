//! Schedules beside the current one, whose time is next year: one has its label, and one another.
//! Calls for all schedules with the label move the first, and nothing moves the second.

use axum::http::{Method, StatusCode};
use chrono::TimeDelta;
use proptest::{prelude::*, test_runner::TestCaseError};
use serde_json::{Value, json};
use testkit::fixture;
use uuid::Uuid;

use super::{coverage::reached, lifecycle::Lifecycle, model::LABEL};

/// The number of their recipient.
const NUMBER: u32 = 5_000;

/// A schedule beside the current one.
#[derive(Clone, Copy)]
pub struct Companion {
    pub id: Uuid,
    is_paused: bool,
}

/// Returns the schedules that a call for several has moved.
pub fn moved(answer: &Value) -> Vec<Uuid> {
    let ids = answer["schedules"].as_array().unwrap().iter();
    ids.map(|id| id.as_str().unwrap().parse().unwrap())
        .collect()
}

impl Lifecycle {
    pub async fn create_companions(&mut self) {
        let run_at = (self.stage.db.now() + TimeDelta::days(300)).to_rfc3339();
        for label in [LABEL, "other"] {
            let body = json!({"run_at": run_at, "message": "Hello", "recipients": [fixture::phone(NUMBER)], "labels": [label]});
            let (status, created) = self.http_at(Method::POST, "/v1/schedules", &body).await;
            assert_eq!(status, StatusCode::CREATED, "{created}");
            self.companions.push(Companion {
                id: created["id"].as_str().unwrap().parse().unwrap(),
                is_paused: false,
            });
        }
    }

    /// Records the moves of a call for all schedules with the label.
    pub fn conclude_moves(&mut self, answer: &Value, event: &'static str) {
        for id in moved(answer) {
            self.expected_events.push((id, event));
            for companion in &mut self.companions {
                if companion.id == id {
                    companion.is_paused = event == "schedule.paused";
                }
            }
        }
    }

    /// Checks which schedules a call for all with the label has moved while no worker ran: those that
    /// were in such a state.
    pub fn check_moves(
        &self,
        answer: &Value,
        pauses: bool,
        before: &str,
    ) -> Result<(), TestCaseError> {
        let is_moved = if pauses {
            matches!(before, "scheduled" | "running")
        } else {
            before == "paused"
        };
        let mut expected = Vec::new();
        expected.extend(is_moved.then_some(self.id));
        let companion = self.companions[0];
        expected.extend((companion.is_paused != pauses).then_some(companion.id));
        expected.sort_unstable_by(|one, other| other.cmp(one));
        prop_assert_eq!(moved(answer), expected.clone(), "{}", answer);
        prop_assert_eq!(&answer["changed"], expected.len(), "{}", answer);
        reached(format!("moved by the label: {}", expected.len()));
        Ok(())
    }

    /// Checks that only calls for their label have moved the companions.
    pub async fn check_companions(&self) -> Result<(), TestCaseError> {
        for companion in &self.companions {
            let status = fixture::status(&self.stage.db, companion.id).await;
            let expected = if companion.is_paused {
                "paused"
            } else {
                "scheduled"
            };
            prop_assert_eq!(status, expected, "the schedule beside it");
        }
        Ok(())
    }
}
