//! Those who got nothing are sent to again: predicts who that is, and goes on with the new schedule.

use std::collections::{BTreeMap, HashSet};

use axum::http::{Method, StatusCode};
use chrono::TimeDelta;
use proptest::{prelude::*, test_runner::TestCaseError};
use serde_json::{Value, json};
use testkit::fixture;
use uuid::Uuid;

use super::{
    decisions::Row,
    lifecycle::Lifecycle,
    model::{MOST_RESENDS, Original, fails},
};

/// What becomes of the call.
enum Resend {
    /// A new schedule for these.
    New(Original),
    /// The schedule that exists.
    Same,
    Refused(&'static str),
}

impl Lifecycle {
    /// Asks to send again. The call is for the current schedule if it is finished; otherwise for the
    /// one that it follows.
    pub async fn resend(&mut self, draft: bool, before: &str) -> Result<(), TestCaseError> {
        let rows = self.rows().await;
        let (target, expected) = self.predict_resend(before, &rows);
        let run_at = self.stage.db.now() + TimeDelta::seconds(100);
        let body = if draft {
            json!({"draft": true, "run_at": run_at.to_rfc3339()})
        } else {
            Value::Null
        };
        let path = format!("/v1/schedules/{target}/resend");
        let (status, answer) = self.http_at(Method::POST, &path, &body).await;
        match expected {
            Resend::Refused(slug) => {
                prop_assert_eq!(status, StatusCode::CONFLICT, "{}", answer);
                prop_assert_eq!(&answer["type"], &json!(format!("/problems/{slug}")));
            }
            Resend::Same => {
                prop_assert_eq!(status, StatusCode::OK, "{}", answer);
                prop_assert_eq!(&answer["id"], &json!(self.id));
            }
            Resend::New(original) => {
                prop_assert_eq!(status, StatusCode::CREATED, "{} {:?}", answer, original);
                prop_assert_eq!(&answer["complete"], true);
                prop_assert_eq!(&answer["recipients"]["total"], original.left.len());
                let id: Uuid = answer["id"].as_str().unwrap().parse().unwrap();
                self.go_on_with(id, original).await;
                let expected = match (draft, self.needs_approval()) {
                    (true, _) => "draft",
                    (false, true) => "awaiting-approval",
                    (false, false) => "scheduled",
                };
                prop_assert_eq!(&answer["status"], expected);
            }
        }
        Ok(())
    }

    fn predict_resend(&self, before: &str, rows: &BTreeMap<u32, Row>) -> (Uuid, Resend) {
        let sent = self.model.recipients.iter();
        let sent = sent.filter(|(seq, _)| self.is_sent(**seq, rows));
        let sent: HashSet<_> = sent.map(|(_, recipient)| recipient.phone()).collect();
        let accepted = self.accepted_by_number();
        let (target, generation, left) = match (&self.model.original, before) {
            (original, "finished") => {
                let generation = original.as_ref().map_or(0, |original| original.generation);
                let is_open = |seq: &u32| matches!(&*rows[seq].status, "UNCERTAIN" | "UNKNOWN");
                let failed = self.model.recipients.iter().filter(|(seq, recipient)| {
                    let is_accepted = accepted.contains_key(&recipient.phone());
                    is_accepted && fails(recipient.number) && !is_open(seq)
                });
                let failed = failed.map(|(_, recipient)| recipient.clone());
                (self.id, generation + 1, failed.collect::<Vec<_>>())
            }
            (Some(original), "cancelled") => {
                // Whoever it has sent to is left out, also if the message was not delivered.
                let left = original.left.iter();
                let left = left.filter(|recipient| !sent.contains(&recipient.phone()));
                (original.id, original.generation, left.cloned().collect())
            }
            (Some(original), _) => return (original.id, Resend::Same),
            (None, _) => return (self.id, Resend::Refused("wrong-state")),
        };
        let resend = if generation > MOST_RESENDS {
            Resend::Refused("too-many-resends")
        } else if left.is_empty() {
            Resend::Refused("nothing-to-resend")
        } else {
            Resend::New(Original {
                id: target,
                left,
                generation,
            })
        };
        (target, resend)
    }

    async fn go_on_with(&mut self, id: Uuid, original: Original) {
        let rows = fixture::recipients(&self.stage.db, self.id).await;
        self.ended.push((self.id, rows));
        self.id = id;
        self.already_sent = None;
        self.model.follow(original, self.ledger());
        self.forget_approval();
    }
}
