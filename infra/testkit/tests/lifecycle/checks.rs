//! Executes a step and checks its result.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use proptest::{prelude::*, test_runner::TestCaseError};
use serde_json::{Value, json};
use testkit::fixture;

use super::{
    companions::moved,
    lifecycle::Lifecycle,
    reads::CUT_AHEAD,
    states::{Call, OnDuplicate, Step, by_nothing},
};

impl Lifecycle {
    /// Executes one step and checks that it led to a state that the state table allows.
    pub async fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        self.follow_day();
        let before = self.status().await;
        let reachable = self.execute(step, &before).await?;
        let after = self.status().await;
        prop_assert!(
            reachable.contains(&after.as_str()),
            "{:?} led from {} to {}",
            step,
            before,
            after
        );
        self.check_state(&after)
            .await
            .map_err(|error| TestCaseError::fail(format!("after {step:?}: {error}")))
    }

    /// Checks what must hold after each step.
    pub async fn check_state(&self, status: &str) -> Result<(), TestCaseError> {
        self.check_limits(status).await?;
        self.check_rows().await?;
        let wrong = fixture::wrong_counts(&self.stage.db, self.id).await;
        prop_assert_eq!(wrong, 0, "batches whose counts differ from their rows");
        self.check_companions().await?;
        if let (Some(sent), "paused" | "cancelled") = (self.already_sent, status) {
            let (accepted, resent) = (self.accepted(), self.model.resent_in_all());
            let may_differ = self.model.may_be_uncertain && accepted <= sent + resent;
            prop_assert!(
                accepted == sent || may_differ,
                "{} in the ledger, {} were reported",
                accepted,
                sent
            );
        }
        self.check_reads().await
    }

    /// Executes one step. Returns the states that it may lead to.
    async fn execute(
        &mut self,
        step: &Step,
        before: &str,
    ) -> Result<Vec<&'static str>, TestCaseError> {
        match *step {
            Step::Call(call) => return self.call_alone(call, before).await,
            Step::CallDuringWork(call, after_ms) => {
                return self.call_during_work(call, after_ms, before).await;
            }
            Step::Recipient(call) => self.recipient_alone(call, before).await?,
            Step::RecipientDuringWork(call, after_ms) => {
                self.recipient_during_work(call, after_ms, before).await?;
            }
            Step::Resend { draft } => {
                let id = self.id;
                self.resend(draft, before).await?;
                if self.id != id {
                    return Ok(vec!["draft", "scheduled", "awaiting-approval"]);
                }
            }
            Step::Bulk(ref call, after_ms) => self.bulk(call, after_ms, before).await?,
            Step::Subscribe(subscription) => self.change_subscription(subscription).await?,
            Step::Weather(weather) => self.change_weather(weather),
            Step::Decide(decision, None) => self.decide(decision, before).await?,
            Step::Decide(decision, Some(after_ms)) => {
                self.decide_during_work(decision, after_ms).await?;
            }
            Step::Poll => self.poll().await,
            Step::Work { twice } => self.work(twice).await,
            Step::Sweep => self.sweep().await,
            Step::Wait(seconds) => self.wait(seconds),
            Step::Purge => drop((
                self.stage.send_queue.take(),
                self.stage.recheck_queue.take(),
            )),
            Step::Limit(step) => return self.limit(step, before).await,
        }
        let mut reachable = self.by_workers(before);
        let edits = matches!(
            step,
            Step::Recipient(_) | Step::RecipientDuringWork(..) | Step::Bulk(..)
        );
        if edits && before == "scheduled" && self.needs_approval() {
            reachable.push("awaiting-approval");
        }
        Ok(reachable)
    }

    /// Makes a call while a pass over the waiting messages runs.
    async fn call_during_work(
        &mut self,
        call: Call,
        after_ms: u8,
        before: &str,
    ) -> Result<Vec<&'static str>, TestCaseError> {
        let prepared = self.prepare(call).await;
        let delayed = async {
            tokio::time::sleep(Duration::from_millis(after_ms.into())).await;
            self.send(&prepared).await
        };
        let ((), (status, answer)) = tokio::join!(self.work(false), delayed);
        self.conclude(prepared, status, &answer).await;
        self.record_answer(call, status, &answer)?;
        let reachable = self.by_workers(before);
        if !status.is_success() {
            return Ok(reachable);
        }
        let moved = reachable.iter().flat_map(|state| self.by_call(state, call));
        let reachable: Vec<_> = moved.flat_map(|state| self.by_workers(state)).collect();
        // A new rate or text doesn't change the state; the messages sent so far may end meanwhile.
        prop_assert!(
            !reachable.is_empty(),
            "{:?} was accepted in state {}",
            call,
            before
        );
        Ok(reachable)
    }

    /// Makes a call while no worker runs. It must be accepted if the state table has the
    /// transition, otherwise it must be refused with the current state.
    pub async fn call_alone(
        &mut self,
        call: Call,
        before: &str,
    ) -> Result<Vec<&'static str>, TestCaseError> {
        let (status, answer) = self.call(call).await;
        let to = self.by_call(before, call);
        self.record_answer(call, status, &answer)?;
        if status.is_success() {
            prop_assert!(
                !to.is_empty(),
                "{:?} was accepted in state {}",
                call,
                before
            );
            return Ok(to);
        }
        if status == StatusCode::UNPROCESSABLE_ENTITY {
            prop_assert!(
                !to.is_empty(),
                "{:?} was examined in state {}",
                call,
                before
            );
            return Ok(self.by_workers(before));
        }
        prop_assert_eq!(status, StatusCode::CONFLICT, "{:?} {}", call, answer);
        self.check_refusal(call, before, &answer).await?;
        Ok(by_nothing(before).to_vec())
    }

    /// Checks a call that was refused while no worker ran: the state does not allow it, or something
    /// that the state does not say.
    async fn check_refusal(
        &self,
        call: Call,
        before: &str,
        answer: &Value,
    ) -> Result<(), TestCaseError> {
        let to = self.by_call(before, call);
        if answer["type"] == "/problems/budget-exceeded" {
            return self.check_exceeded().await;
        }
        prop_assert_eq!(&answer["schedule_status"], before);
        let (_, view) = self.http(Method::GET, "", &Value::Null).await;
        let waits =
            before == "scheduled" && self.stage.db.now() < self.starts_at(&view) - CUT_AHEAD;
        prop_assert!(
            to.is_empty() || !waits,
            "{:?} was refused while the schedule waits: {}",
            call,
            answer
        );
        // Refused though the state allows the call: a draft whose time has passed, a new text after
        // the schedule was cut, or a schedule without missed batches.
        let slug = answer["type"]
            .as_str()
            .unwrap_or_default()
            .rsplit('/')
            .next()
            .unwrap_or_default();
        prop_assert!(
            to.is_empty() || matches!(slug, "run-at-past" | "schedule-begun" | "nothing-missed"),
            "{:?} {}: {}",
            call,
            before,
            answer
        );
        Ok(())
    }

    /// Checks a call's status and records the count of sent messages that it returned.
    pub fn record_answer(
        &mut self,
        call: Call,
        status: StatusCode,
        answer: &Value,
    ) -> Result<(), TestCaseError> {
        let is_rejected = matches!(call, Call::Append(OnDuplicate::Reject, _))
            && status == StatusCode::UNPROCESSABLE_ENTITY;
        prop_assert!(
            status.is_success() || status == StatusCode::CONFLICT || is_rejected,
            "{:?}: {} {}",
            call,
            status,
            answer
        );
        if status.is_success() {
            match call {
                Call::Pause | Call::Cancel => self.already_sent = answer["already_sent"].as_u64(),
                Call::Resume | Call::SendNow => self.already_sent = None,
                Call::PauseLabel | Call::ResumeLabel => {
                    if moved(answer).contains(&self.id) {
                        self.already_sent = None;
                    }
                    prop_assert_eq!(&answer["left"], &json!([]));
                    prop_assert_eq!(&answer["more"], false);
                }
                Call::DryRun => {
                    let left = self.model.recipients.values();
                    let left = left.filter(|recipient| !recipient.is_cancelled).count();
                    prop_assert_eq!(&answer["examined"], left, "{}", answer);
                }
                _ => {}
            }
        }
        Ok(())
    }
}
