//! Executes a step and checks its result, and checks events and rows at the end.

use std::time::Duration;

use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use proptest::{prelude::*, test_runner::TestCaseError};
use serde_json::Value;
use testkit::{fixture, webhooks};

use super::{
    lifecycle::Lifecycle,
    states::{Call, Step, by_call, by_workers},
};

impl Lifecycle {
    /// Executes one step and checks that it led to a state that the state table allows.
    pub async fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
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
        fixture::assert_counts(&self.stage.db, self.id).await;
        prop_assert!(
            self.stage
                .acceptances()
                .iter()
                .all(|(_, times)| *times == 1),
            "a message was sent twice: {:?}",
            step
        );
        if let (Some(sent), "paused" | "cancelled") = (self.already_sent, after.as_str()) {
            prop_assert_eq!(self.accepted(), sent, "the ledger after {:?}", step);
        }
        Ok(())
    }

    /// Executes one step. Returns the states that it may lead to.
    async fn execute(
        &mut self,
        step: Step,
        before: &str,
    ) -> Result<Vec<&'static str>, TestCaseError> {
        match step {
            Step::Call(call) => return self.call_alone(call, before).await,
            Step::CallDuringWork(call, after_ms) => {
                return self.call_during_work(call, after_ms, before).await;
            }
            Step::Work { twice } => self.work(twice).await,
            Step::Sweep => self.sweep().await,
            Step::Wait(seconds) => self.wait(seconds),
            Step::Purge => drop((
                self.stage.send_queue.take(),
                self.stage.recheck_queue.take(),
            )),
        }
        Ok(by_workers(before).to_vec())
    }

    /// Makes a call while a pass over the waiting messages runs.
    async fn call_during_work(
        &mut self,
        call: Call,
        after_ms: u8,
        before: &str,
    ) -> Result<Vec<&'static str>, TestCaseError> {
        let delayed = async {
            tokio::time::sleep(Duration::from_millis(after_ms.into())).await;
            self.call(call).await
        };
        let ((), (status, answer)) = tokio::join!(self.work(false), delayed);
        self.record_answer(call, status, &answer)?;
        let reachable = by_workers(before).to_vec();
        if !status.is_success() {
            return Ok(reachable);
        }
        let moved = reachable.iter().flat_map(|state| by_call(state, call));
        let reachable: Vec<_> = moved.flat_map(|state| by_workers(state)).copied().collect();
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
    async fn call_alone(
        &mut self,
        call: Call,
        before: &str,
    ) -> Result<Vec<&'static str>, TestCaseError> {
        let (status, answer) = self.call(call).await;
        let to = by_call(before, call);
        self.record_answer(call, status, &answer)?;
        if status.is_success() {
            prop_assert!(
                !to.is_empty(),
                "{:?} was accepted in state {}",
                call,
                before
            );
            return Ok(to.to_vec());
        }
        prop_assert_eq!(status, StatusCode::CONFLICT, "{:?} {}", call, answer);
        prop_assert_eq!(&answer["schedule_status"], before);
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
        Ok(by_workers(before)
            .iter()
            .copied()
            .filter(|state| *state == before)
            .collect())
    }

    /// Checks a call's status and records the count of sent messages that it returned.
    fn record_answer(
        &mut self,
        call: Call,
        status: StatusCode,
        answer: &Value,
    ) -> Result<(), TestCaseError> {
        prop_assert!(
            status.is_success() || status == StatusCode::CONFLICT,
            "{:?}: {} {}",
            call,
            status,
            answer
        );
        if status.is_success() {
            match call {
                Call::Pause | Call::Cancel => self.already_sent = answer["already_sent"].as_u64(),
                Call::Resume | Call::SendNow => self.already_sent = None,
                _ => {}
            }
        }
        Ok(())
    }

    /// Checks that the webhook has one event per call, in the order of the calls, one event per
    /// final recipient, and the event of the end if the schedule has finished.
    pub async fn check_events(&self) -> Result<(), TestCaseError> {
        let events = webhooks::events(&self.stage.db, self.webhook).await;
        let is_of_call = |kind: &&String| {
            matches!(
                kind.as_str(),
                "schedule.paused" | "schedule.resumed" | "schedule.cancelled"
            )
        };
        let of_calls: Vec<_> = events
            .iter()
            .filter(is_of_call)
            .map(String::as_str)
            .collect();
        let expected = self.expected_events.lock().unwrap().clone();
        prop_assert_eq!(of_calls, expected);
        let unpublished = "SELECT COUNT(*) FROM recipients r LEFT JOIN webhook_deliveries d ON d.event_id = r.final_event AND r.seq BETWEEN d.first_seq AND d.last_seq
            WHERE (r.final_at IS NOT NULL) <> (d.event_id IS NOT NULL)";
        prop_assert_eq!(self.count(unpublished).await, 0, "{:?}", events);
        let finished = self.status().await == "finished";
        prop_assert!(
            !finished || events.iter().any(|kind| kind == "schedule.finished"),
            "{:?}",
            events
        );
        Ok(())
    }

    /// Checks that each recipient was sent to once, at an allowed time, or is cancelled.
    pub async fn check_final_state(&self) -> Result<(), TestCaseError> {
        self.check_send_times().await?;
        let status = self.status().await;
        let lines = fixture::recipients(&self.stage.db, self.id).await;
        let count = |status: &str| lines.iter().filter(|line| line.contains(status)).count();
        let delivered = count("DELIVRD") as u64;
        prop_assert_eq!(self.accepted(), delivered, "{}: {:?}", status, lines);
        match status.as_str() {
            "finished" => prop_assert_eq!(delivered as usize, lines.len(), "{:?}", lines),
            "cancelled" => {
                prop_assert_eq!(Some(delivered), self.already_sent, "{:?}", lines);
                let never_cut = count("PENDING") == lines.len() && delivered == 0;
                prop_assert!(
                    never_cut || count("CANCELLED") + delivered as usize == lines.len(),
                    "{:?}",
                    lines
                );
            }
            other => {
                let batches = self.batches_and_turns().await;
                prop_assert!(
                    false,
                    "the schedule did not end: {} {:?} {:?}",
                    other,
                    lines,
                    batches
                );
            }
        }
        Ok(())
    }

    /// Checks that no message was sent before `run_at` or outside the window.
    async fn check_send_times(&self) -> Result<(), TestCaseError> {
        let early = "SELECT COUNT(*) FROM recipients r JOIN schedules s ON s.id = r.schedule_id WHERE r.sent_at < s.run_at";
        prop_assert_eq!(self.count(early).await, 0, "sent before run_at");
        let Some(window) = &self.window else {
            return Ok(());
        };
        let sent = "SELECT sent_at FROM recipients WHERE schedule_id = ? AND sent_at IS NOT NULL";
        let sent: Vec<DateTime<Utc>> = sqlx::query_scalar(sent)
            .bind(self.id)
            .fetch_all(&self.stage.db)
            .await
            .unwrap();
        // The mark is written a moment after the clock was read.
        let outside = |at: &&DateTime<Utc>| {
            !window.is_open(**at) && !window.is_open(**at - TimeDelta::seconds(1))
        };
        prop_assert_eq!(sent.iter().find(outside), None, "outside of {:?}", window);
        Ok(())
    }

    async fn count(&self, sql: &str) -> i64 {
        sqlx::query_scalar(sql)
            .fetch_one(&self.stage.db)
            .await
            .unwrap()
    }
}
