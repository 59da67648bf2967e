//! Calls for one recipient: predicts whether each is in time, executes it, and holds the answer
//! against the prediction.

use std::{collections::BTreeMap, time::Duration};

use axum::http::{Method, StatusCode};
use proptest::{prelude::*, test_runner::TestCaseError};
use serde_json::{Value, json};

use super::{
    decisions::Row,
    lifecycle::Lifecycle,
    states::{By, RecipientCall, What},
};

/// What becomes of a call for a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    InTime,
    TooLate,
    /// Another recipient has the number.
    Exists,
    /// Several recipients have the reference.
    Ambiguous,
    /// Nobody has it.
    NotFound,
    /// A cancelled schedule is not changed.
    WrongState,
    /// What was approved is not changed once it has begun.
    Begun,
}

/// A call with its address and its body.
struct Order {
    call: RecipientCall,
    seq: u32,
    /// The new number, if it gets one.
    number: u32,
    expected: Outcome,
    method: Method,
    path: String,
    body: Value,
}

impl Outcome {
    /// Reads what a call for many says about one of them.
    pub fn of_change(change: &Value) -> Option<Self> {
        match change["outcome"].as_str()? {
            "cancelled" | "changed" => Some(Self::InTime),
            "too-late" => Some(Self::TooLate),
            "duplicate" => Some(Self::Exists),
            "ambiguous" => Some(Self::Ambiguous),
            "not-found" => Some(Self::NotFound),
            _ => None,
        }
    }
}

impl Lifecycle {
    /// Calls while no worker runs: the answer is the predicted one.
    pub async fn recipient_alone(
        &mut self,
        call: RecipientCall,
        before: &str,
    ) -> Result<(), TestCaseError> {
        let Some(order) = self.order(call, before).await else {
            return Ok(());
        };
        let (status, answer) = self
            .http(order.method.clone(), &order.path, &order.body)
            .await;
        self.record_outcome(&order, status, &answer, false)
    }

    /// Calls during a pass over the waiting messages: the answer may also be that it is too late.
    pub async fn recipient_during_work(
        &mut self,
        call: RecipientCall,
        after_ms: u8,
        before: &str,
    ) -> Result<(), TestCaseError> {
        let Some(order) = self.order(call, before).await else {
            self.work(false).await;
            return Ok(());
        };
        let delayed = async {
            tokio::time::sleep(Duration::from_millis(after_ms.into())).await;
            self.http(order.method.clone(), &order.path, &order.body)
                .await
        };
        let ((), (status, answer)) = tokio::join!(self.work(false), delayed);
        self.model.may_be_uncertain = true;
        self.record_outcome(&order, status, &answer, true)
    }

    /// Returns whether a request has carried the message to a recipient, or may have.
    pub fn is_sent(&self, seq: u32, rows: &BTreeMap<u32, Row>) -> bool {
        let phone = self.model.recipients[&seq].phone();
        let status = rows.get(&seq).map(|row| row.status.as_str());
        self.accepted_by_number().contains_key(&phone)
            || self.model.resent(&phone) > 0
            || matches!(status, Some("UNCERTAIN" | "UNKNOWN"))
    }

    /// Builds a call for the recipient that a step has selected. `None`: there is nobody else whose
    /// number it could take, or it has no reference.
    async fn order(&mut self, call: RecipientCall, before: &str) -> Option<Order> {
        let seq = self.model.seq(call.place);
        let number = match call.what {
            What::Number => self.model.new_number(),
            What::TakenNumber => self.model.other(seq)?.number,
            _ => 0,
        };
        let recipient = self.model.recipients[&seq].clone();
        let reference = match call.by {
            By::Reference | By::BulkReference => Some(recipient.reference.clone()?),
            _ => None,
        };
        let set = call.what.set(number);
        let mut entry = match (call.by, &reference) {
            (By::BulkNumber, _) => json!({"phone": recipient.phone()}),
            (_, Some(reference)) => json!({"reference": reference}),
            _ => json!({"seq": seq}),
        };
        let is_cancel = call.what == What::Cancel;
        let (method, path, body) = match (call.by, is_cancel) {
            (By::Seq, true) => (Method::DELETE, format!("/recipients/{seq}"), Value::Null),
            (By::Seq, false) => (Method::PATCH, format!("/recipients/{seq}"), set),
            (By::Reference, _) => {
                let path = format!("/recipients/{}?by=reference", reference.as_deref()?);
                let method = if is_cancel {
                    Method::DELETE
                } else {
                    Method::PATCH
                };
                (method, path, set)
            }
            (_, true) => {
                let path = "/recipients/cancel".to_owned();
                (Method::POST, path, json!({"recipients": [entry]}))
            }
            (_, false) => {
                entry["set"] = set;
                let path = "/recipients".to_owned();
                (Method::PATCH, path, json!({"recipients": [entry]}))
            }
        };
        Some(Order {
            expected: self.predict(call, seq, before).await,
            call,
            seq,
            number,
            method,
            path,
            body,
        })
    }

    /// Predicts what becomes of a call that is made now.
    async fn predict(&self, call: RecipientCall, seq: u32, before: &str) -> Outcome {
        let recipient = &self.model.recipients[&seq];
        if let (By::Reference | By::BulkReference, Some(reference)) =
            (call.by, &recipient.reference)
        {
            let named = self.model.with_reference(reference);
            if named.len() > 1 {
                return Outcome::Ambiguous;
            }
        }
        if call.what != What::Cancel && self.needs_approval() && self.is_cut().await {
            return Outcome::Begun;
        }
        let is_sent = self.is_sent(seq, &self.rows().await);
        match call.what {
            What::Cancel if is_sent => Outcome::TooLate,
            What::Cancel => Outcome::InTime,
            _ if before == "cancelled" => Outcome::WrongState,
            _ if is_sent || recipient.is_cancelled => Outcome::TooLate,
            What::TakenNumber => Outcome::Exists,
            _ => Outcome::InTime,
        }
    }

    fn record_outcome(
        &mut self,
        order: &Order,
        status: StatusCode,
        answer: &Value,
        during_work: bool,
    ) -> Result<(), TestCaseError> {
        let Order { call, seq, .. } = *order;
        let Some(outcome) = read(status, answer) else {
            return Err(TestCaseError::fail(format!(
                "{call:?} {seq}: {status} {answer}"
            )));
        };
        let is_late = outcome == Outcome::TooLate;
        let could_be_sent = matches!(order.expected, Outcome::InTime | Outcome::Exists);
        // One whose message was about to be sent when another recipient was changed.
        let text = answer.to_string();
        let is_uncertain = self.model.may_be_uncertain && text.contains("UNCERTAIN");
        prop_assert!(
            outcome == order.expected
                || (is_late && could_be_sent && (during_work || is_uncertain)),
            "{:?} of {}: expected {:?}, got {:?} {}",
            call,
            seq,
            order.expected,
            outcome,
            answer
        );
        if outcome == Outcome::InTime {
            let recipient = self.model.recipients.get_mut(&seq).unwrap();
            recipient.apply(call.what, order.number);
        }
        Ok(())
    }
}

/// Reads the outcome of a call for one recipient, or of a call for many that named one.
fn read(status: StatusCode, answer: &Value) -> Option<Outcome> {
    let slug = answer["type"].as_str().unwrap_or_default();
    match (status, slug.trim_start_matches("/problems/")) {
        (StatusCode::OK, _) => match answer.pointer("/recipients/0/outcome") {
            None => (answer["in_time"] == true).then_some(Outcome::InTime),
            Some(_) => Outcome::of_change(&answer["recipients"][0]),
        },
        (StatusCode::CONFLICT, "recipient-too-late") => Some(Outcome::TooLate),
        (StatusCode::CONFLICT, "recipient-exists") => Some(Outcome::Exists),
        (StatusCode::CONFLICT, "recipient-ambiguous") => Some(Outcome::Ambiguous),
        (StatusCode::CONFLICT, "wrong-state") => Some(Outcome::WrongState),
        (StatusCode::CONFLICT, "schedule-begun") => Some(Outcome::Begun),
        (StatusCode::NOT_FOUND, _) => Some(Outcome::NotFound),
        _ => None,
    }
}
