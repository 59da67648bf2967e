//! What the API shows: counts by group, references, what has changed, and the summary agree with the
//! model, with each other and with the rows.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::Method;
use chrono::{DateTime, TimeDelta, Utc};
use proptest::{prelude::*, test_runner::TestCaseError};
use serde_json::Value;
use shared::message::window::Window;

use super::{lifecycle::Lifecycle, states::has_begun};

/// A schedule is cut at most so long before it begins.
pub const CUT_AHEAD: TimeDelta = TimeDelta::seconds(100);

impl Lifecycle {
    /// Returns when the schedule begins: at its time, or when its window opens.
    pub fn starts_at(&self, view: &Value) -> DateTime<Utc> {
        let run_at: DateTime<Utc> = view["run_at"].as_str().unwrap().parse().unwrap();
        self.window
            .as_ref()
            .map_or(run_at, |window: &Window| window.next_open(run_at))
    }

    /// Checks what must hold after each step.
    pub async fn check_reads(&self) -> Result<(), TestCaseError> {
        let (_, view) = self.http(Method::GET, "", &Value::Null).await;
        let status = view["status"].as_str().unwrap();
        let (now, starts_at) = (self.stage.db.now(), self.starts_at(&view));
        prop_assert!(
            !has_begun(status) || now >= starts_at - CUT_AHEAD,
            "{} at {}, but it begins at {}",
            status,
            now,
            starts_at
        );
        prop_assert!(
            status == "finished" || view["summary"].is_null(),
            "a summary of a schedule that is {}",
            status
        );
        prop_assert_eq!(&view["recipients"]["total"], self.model.recipients.len());
        self.check_groups(&view["counts"]).await
    }

    /// Checks that each group has the recipients of the model, and that the counts of all groups add
    /// up to those of the schedule.
    async fn check_groups(&self, counts: &Value) -> Result<(), TestCaseError> {
        let (_, page) = self.http(Method::GET, "/groups", &Value::Null).await;
        let (mut groups, mut sum) = (BTreeMap::new(), BTreeMap::<String, u64>::new());
        for group in page["groups"].as_array().unwrap() {
            let name = group["group"].as_str().map(str::to_owned);
            groups.insert(name, group["recipients"].as_u64().unwrap());
            for (status, count) in group["counts"].as_object().unwrap() {
                *sum.entry(status.clone()).or_default() += count.as_u64().unwrap();
            }
        }
        prop_assert_eq!(groups, self.model.groups());
        prop_assert_eq!(&page["next_cursor"], &Value::Null);
        let counts = counts.as_object().unwrap().iter();
        let counts: BTreeMap<_, _> = counts
            .map(|(status, count)| (status.clone(), count.as_u64().unwrap()))
            .filter(|(_, count)| *count > 0)
            .collect();
        prop_assert_eq!(sum, counts, "by group, and of the schedule");
        Ok(())
    }

    /// Checks that each reference finds exactly the recipients that have it.
    pub async fn check_references(&self) -> Result<(), TestCaseError> {
        let references: BTreeSet<_> = self
            .model
            .recipients
            .values()
            .filter_map(|recipient| recipient.reference.clone())
            .collect();
        for reference in references {
            let path = format!("/recipients?reference={reference}");
            let (_, page) = self.http(Method::GET, &path, &Value::Null).await;
            let rows = page["recipients"].as_array().unwrap().iter();
            let found: BTreeSet<_> = rows
                .map(|row| row["seq"].as_u64().unwrap() as u32)
                .collect();
            prop_assert_eq!(
                &found,
                &self.model.with_reference(&reference),
                "{}",
                reference
            );
        }
        Ok(())
    }

    /// Asks for the messages that have changed since the last time, and keeps what is shown.
    pub async fn poll(&mut self) {
        let since = self.changed_since.clone();
        let mut cursor = String::new();
        loop {
            let path = format!("/v1/messages?limit=100&changed_since={since}{cursor}");
            let (headers, page) = self.get(&path).await;
            if let Some(next) = headers.get("next-changed-since") {
                next.to_str().unwrap().clone_into(&mut self.changed_since);
            }
            for message in page["messages"].as_array().unwrap() {
                self.polled.insert(key(message), message["status"].clone());
            }
            let Some(next) = page["next_cursor"].as_str() else {
                return;
            };
            cursor = format!("&cursor={next}");
        }
    }

    /// Checks that the polls have shown the state of each message to which something has happened.
    pub async fn check_polls(&mut self) -> Result<(), TestCaseError> {
        self.poll().await;
        let ids = self.ended.iter().map(|(id, _)| *id).chain([self.id]);
        for id in ids.collect::<Vec<_>>() {
            let (_, page) = self
                .get(&format!("/v1/messages?schedule_id={id}&limit=1000"))
                .await;
            for message in page["messages"].as_array().unwrap() {
                if message["status"] != "PENDING" {
                    let polled = self.polled.get(&key(message));
                    prop_assert_eq!(polled, Some(&message["status"]), "{}", message);
                }
            }
        }
        Ok(())
    }

    /// Checks that the summary of a finished schedule is computed soon, and counts what the carrier
    /// has reported.
    pub async fn check_summary(&self, reported: usize) -> Result<(), TestCaseError> {
        let mut view = Value::Null;
        for _ in 0..5 {
            (_, view) = self.http(Method::GET, "", &Value::Null).await;
            if !view["summary"].is_null() {
                break;
            }
            self.wait(120);
            self.sweep().await;
        }
        let count = &view["summary"]["sent_to_final_ms"]["count"];
        prop_assert_eq!(count, reported, "{}", view);
        Ok(())
    }
}

/// Returns what identifies a message.
fn key(message: &Value) -> (String, u64) {
    let id = message["schedule_id"].as_str().unwrap().to_owned();
    (id, message["seq"].as_u64().unwrap())
}
