//! Checks at the end of a run: events, rows and the carrier's ledger.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::{prelude::*, test_runner::TestCaseError};
use testkit::fixture;

use super::{decisions::Row, lifecycle::Lifecycle, model::fails};

impl Lifecycle {
    /// Brings the schedule to its end, and checks what must hold then.
    pub async fn check_end(&mut self) -> Result<(), TestCaseError> {
        self.finish().await?;
        self.check_events().await?;
        self.check_final_state().await
    }

    /// Checks that the webhooks have one event per call, in the order of the calls, one event per
    /// final recipient, and the event of the end if the schedule has finished.
    pub async fn check_events(&mut self) -> Result<(), TestCaseError> {
        let events = self.events().await;
        let is_of_call = |kind: &str| {
            matches!(
                kind,
                "schedule.paused"
                    | "schedule.resumed"
                    | "schedule.cancelled"
                    | "schedule.approved"
                    | "schedule.rejected"
            )
        };
        // The pauses by a budget are of no call.
        let kinds = events
            .iter()
            .filter(|event| event.kind != "schedule.paused" || !event.is_by_budget)
            .map(|event| (event.schedule, event.kind.as_str()));
        let of_calls: Vec<_> = kinds.filter(|(_, kind)| is_of_call(kind)).collect();
        prop_assert_eq!(of_calls, self.expected_events.clone());
        let events: Vec<_> = events.into_iter().map(|event| event.kind).collect();
        let unpublished = "SELECT COUNT(*) FROM recipients r LEFT JOIN webhook_deliveries d ON d.event_id = r.final_event AND r.seq BETWEEN d.first_seq AND d.last_seq
            WHERE (r.final_at IS NOT NULL) <> (d.event_id IS NOT NULL)";
        let unpublished = self.count(unpublished).await;
        prop_assert_eq!(unpublished, 0, "messages without their event: {:?}", events);
        let empty = "SELECT COUNT(*) FROM webhook_deliveries d WHERE d.type = 'messages.final' AND NOT EXISTS (
              SELECT 1 FROM recipients r WHERE r.schedule_id = d.schedule_id AND r.final_event = d.event_id)";
        prop_assert_eq!(self.count(empty).await, 0, "an event of no message");
        let finished = self.status().await == "finished";
        prop_assert!(
            !finished || events.iter().any(|kind| kind == "schedule.finished"),
            "{:?}",
            events
        );
        self.check_subscribers().await
    }

    /// Checks that each recipient was sent to once, under the number of the last change that was in
    /// time, or is cancelled; and that what was sent before does not change any more.
    pub async fn check_final_state(&mut self) -> Result<(), TestCaseError> {
        self.check_send_times().await?;
        self.check_references().await?;
        let status = self.status().await;
        let rows = self.rows().await;
        let seqs: Vec<_> = rows.keys().copied().collect();
        let expected: Vec<_> = self.model.recipients.keys().copied().collect();
        prop_assert_eq!(seqs, expected);
        for (seq, row) in &rows {
            self.check_row(&status, *seq, row)?;
        }
        let known = rows.values().map(|row| row.phone.clone());
        let known = known.collect::<Vec<_>>();
        let accepted = self.accepted_by_number();
        let stranger = accepted.keys().find(|phone| !known.contains(phone));
        prop_assert_eq!(stranger, None, "a number that no recipient has");
        if !matches!(status.as_str(), "finished" | "cancelled") {
            let batches = self.batches_and_turns().await;
            let lines = fixture::recipients(&self.stage.db, self.id).await;
            prop_assert!(
                false,
                "the schedule did not end: {} {:?} {:?}",
                status,
                lines,
                batches
            );
        }
        if status == "finished" {
            let reported = rows
                .values()
                .filter(|row| matches!(row.status.as_str(), "DELIVRD" | "UNDELIV"));
            self.check_summary(reported.count()).await?;
        } else if !self.model.may_be_uncertain {
            prop_assert_eq!(Some(self.accepted()), self.already_sent);
        }
        self.check_ended().await?;
        self.check_polls().await
    }

    /// Checks a row at the end. What was UNCERTAIN is decided, and the ledger agrees after each step.
    fn check_row(&self, status: &str, seq: u32, row: &Row) -> Result<(), TestCaseError> {
        let (accepted, expected) = (self.accepted_by_number(), &self.model.recipients[&seq]);
        let times = accepted.get(&row.phone).copied().unwrap_or_default();
        let what = format!("{seq} {} {times} {status} {expected:?}", row.status);
        prop_assert_eq!(&row.phone, &expected.phone(), "{}", what);
        let end = if fails(expected.number) {
            "UNDELIV"
        } else {
            "DELIVRD"
        };
        let is_right = match (row.status.as_str(), status) {
            ("DELIVRD" | "UNDELIV", _) => row.status == end && times >= 1 && !expected.is_cancelled,
            ("CANCELLED", "cancelled") => true,
            ("CANCELLED", _) => expected.is_cancelled,
            // It was cancelled before it was cut.
            ("PENDING", "cancelled") => accepted.is_empty() && !expected.is_cancelled,
            ("UNKNOWN", _) => self.model.closed.contains_key(&seq) && !expected.is_cancelled,
            _ => false,
        };
        prop_assert!(is_right, "{}", what);
        Ok(())
    }

    /// Checks that nothing has changed in the schedules that had ended before.
    async fn check_ended(&self) -> Result<(), TestCaseError> {
        for (id, lines) in &self.ended {
            let now = fixture::recipients(&self.stage.db, *id).await;
            let is_closed = fixture::status(&self.stage.db, *id).await == "cancelled";
            for (before, now) in lines.iter().zip(&now) {
                // What was not sent of a cancelled schedule is closed a moment later.
                let is_same = before == now
                    || (is_closed && before.contains("PENDING") && now.contains("CANCELLED"))
                    || (is_closed && !before.contains("PENDING"));
                prop_assert!(is_same, "{} became {}", before, now);
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
