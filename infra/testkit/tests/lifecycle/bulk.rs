//! Calls that name several recipients: predicts what becomes of each, in the order in which the call
//! writes them.

use std::{collections::BTreeMap, time::Duration};

use axum::http::{Method, StatusCode};
use proptest::{prelude::*, test_runner::TestCaseError};
use serde_json::{Value, json};
use testkit::fixture;

use super::{
    coverage::reached,
    decisions::Row,
    lifecycle::Lifecycle,
    model::Expected,
    recipients::Outcome,
    states::{BulkCall, BulkEntry, By, What},
};

/// A number that no schedule has.
const NOBODY: u32 = 9_999;

/// An entry of a call.
struct Order {
    what: What,
    by: By,
    /// The place in the list that the entry was made for. Nobody has the number if there is none.
    seq: Option<u32>,
    /// The new number, if it gets one.
    number: u32,
    body: Value,
}

/// What a call must lead to.
struct Prediction {
    /// The places of the entries, in the order in which they are written.
    written: Vec<usize>,
    outcomes: Vec<Outcome>,
}

impl Lifecycle {
    /// Calls for several recipients, alone or during a pass.
    pub async fn bulk(
        &mut self,
        call: &BulkCall,
        after_ms: Option<u8>,
        before: &str,
    ) -> Result<(), TestCaseError> {
        let orders: Vec<_> = call
            .entries
            .iter()
            .map(|entry| self.entry(*entry))
            .collect();
        let rows = self.rows().await;
        let batches = self.batches_of(rows.keys().copied()).await;
        let prediction = self.predict_bulk(&orders, &rows, &batches);
        let entries: Vec<_> = orders.iter().map(|order| order.body.clone()).collect();
        let body = json!({"recipients": entries});
        let (method, path) = if call.is_cancel {
            (Method::POST, "/recipients/cancel")
        } else {
            (Method::PATCH, "/recipients")
        };
        let ((), (status, answer)) = if let Some(after_ms) = after_ms {
            let delayed = async {
                tokio::time::sleep(Duration::from_millis(after_ms.into())).await;
                self.http(method, path, &body).await
            };
            tokio::join!(self.work(false), delayed)
        } else {
            ((), self.http(method, path, &body).await)
        };
        self.model.may_be_uncertain |= after_ms.is_some();
        // What was approved is not changed once it has begun.
        let is_begun = self.needs_approval() && self.is_cut().await;
        let is_open = before != "cancelled" && !is_begun;
        if !call.is_cancel && !is_open && !prediction.written.is_empty() {
            prop_assert_eq!(status, StatusCode::CONFLICT, "{}", answer);
            let slug = if is_begun {
                "schedule-begun"
            } else {
                "wrong-state"
            };
            prop_assert_eq!(&answer["type"], &json!(format!("/problems/{slug}")));
            reached("a change of many is refused");
            return Ok(());
        }
        prop_assert_eq!(status, StatusCode::OK, "{:?} {}", call, answer);
        self.record_bulk(&orders, &prediction, &answer, after_ms.is_some())
    }

    fn entry(&mut self, entry: BulkEntry) -> Order {
        let BulkEntry { what, by, place } = entry;
        let seq = self.model.seq(place);
        let number = match what {
            What::Number => self.model.new_number(),
            What::TakenNumber => self.model.other(seq).map_or(0, |other| other.number),
            _ => 0,
        };
        // Alone in the list, it gets a group instead of the number of another.
        let what = if what == What::TakenNumber && number == 0 {
            What::Group(0)
        } else {
            what
        };
        let recipient = &self.model.recipients[&seq];
        let (mut body, seq, by) = match (by, &recipient.reference) {
            (By::Nobody, _) => (json!({"phone": fixture::phone(NOBODY)}), None, by),
            (By::BulkNumber, _) => (json!({"phone": recipient.phone()}), Some(seq), by),
            (By::BulkReference | By::Reference, Some(reference)) => (
                json!({"reference": reference}),
                Some(seq),
                By::BulkReference,
            ),
            _ => (json!({"seq": seq}), Some(seq), By::BulkSeq),
        };
        let set = what.set(number);
        if !set.is_null() {
            body["set"] = set;
        }
        Order {
            what,
            by,
            seq,
            number,
            body,
        }
    }

    /// Returns the batch of each place in the list; none before the cut.
    async fn batches_of(&self, seqs: impl Iterator<Item = u32>) -> BTreeMap<u32, Option<u32>> {
        let sql = "SELECT batch_no, first_seq, last_seq FROM batches WHERE schedule_id = ?";
        let batches: Vec<(u32, u32, u32)> = sqlx::query_as(sql)
            .bind(self.id)
            .fetch_all(&self.stage.db)
            .await
            .unwrap();
        let batch_of = |seq: u32| {
            let of = batches
                .iter()
                .find(|(_, first, last)| (*first..=*last).contains(&seq));
            (seq, of.map(|(batch_no, ..)| *batch_no))
        };
        seqs.map(batch_of).collect()
    }

    /// Predicts what becomes of the entries of a call that is made now. They are written batch by
    /// batch, in each by the kind of their address, and then as they were given; each finds what those
    /// before it have changed.
    fn predict_bulk(
        &self,
        orders: &[Order],
        rows: &BTreeMap<u32, Row>,
        batches: &BTreeMap<u32, Option<u32>>,
    ) -> Prediction {
        let mut outcomes = vec![Outcome::NotFound; orders.len()];
        let mut written = Vec::new();
        for (at, order) in orders.iter().enumerate() {
            let Some(seq) = order.seq else {
                continue;
            };
            let reference = self.model.recipients[&seq].reference.as_deref();
            let reference = reference.filter(|_| order.by == By::BulkReference);
            if reference.is_some_and(|name| self.model.with_reference(name).len() > 1) {
                outcomes[at] = Outcome::Ambiguous;
            } else {
                written.push(at);
            }
        }
        let kind = |by: By| match by {
            By::BulkSeq | By::Seq => 0,
            By::BulkNumber => 1,
            _ => 2,
        };
        written.sort_by_key(|at| {
            (
                batches[&orders[*at].seq.unwrap()],
                kind(orders[*at].by),
                *at,
            )
        });
        let mut recipients = self.model.recipients.clone();
        for at in &written {
            let order = &orders[*at];
            let seq = order.seq.unwrap();
            outcomes[*at] = predict_one(&recipients, seq, order, &rows[&seq]);
            if outcomes[*at] == Outcome::InTime {
                recipients
                    .get_mut(&seq)
                    .unwrap()
                    .apply(order.what, order.number);
            }
        }
        Prediction { written, outcomes }
    }

    fn record_bulk(
        &mut self,
        orders: &[Order],
        prediction: &Prediction,
        answer: &Value,
        during_work: bool,
    ) -> Result<(), TestCaseError> {
        let given = answer["recipients"].as_array().unwrap();
        prop_assert_eq!(given.len(), orders.len(), "{}", answer);
        let names = ["in_time", "too_late", "duplicate", "ambiguous", "not_found"];
        let mut counts = [0_u64; 5];
        let mut outcomes = Vec::new();
        for (at, (change, order)) in given.iter().zip(orders).enumerate() {
            let outcome = Outcome::of_change(change).unwrap();
            let expected = prediction.outcomes[at];
            let is_right =
                outcome == expected || (during_work && order.may_become(expected, outcome));
            prop_assert!(
                is_right,
                "entry {}, {}: expected {:?}, got {:?}: {}",
                at,
                order.body,
                expected,
                outcome,
                answer
            );
            if !matches!(outcome, Outcome::NotFound | Outcome::Ambiguous) {
                prop_assert_eq!(&change["seq"], &json!(order.seq), "{}", answer);
            }
            prop_assert_eq!(&change["in_time"], outcome == Outcome::InTime);
            counts[outcome.place()] += 1;
            reached(format!("an entry of many: {outcome:?}"));
            outcomes.push(outcome);
        }
        let shown = names.map(|name| answer[name].as_u64().unwrap());
        prop_assert_eq!(shown, counts, "{}", answer);
        prop_assert_eq!(&answer["more"], false, "{}", answer);
        for at in &prediction.written {
            if outcomes[*at] == Outcome::InTime {
                let order = &orders[*at];
                let recipient = self.model.recipients.get_mut(&order.seq.unwrap());
                recipient.unwrap().apply(order.what, order.number);
            }
        }
        Ok(())
    }
}

impl Order {
    /// Returns whether a pass at the same time may have changed the outcome: the message was sent
    /// meanwhile, or one before it came too late to free the number, or to take it.
    fn may_become(&self, expected: Outcome, outcome: Outcome) -> bool {
        let could_change = matches!(expected, Outcome::InTime | Outcome::Exists);
        let is_late = outcome == Outcome::TooLate;
        let is_numbered =
            self.what == What::TakenNumber && matches!(outcome, Outcome::InTime | Outcome::Exists);
        could_change && (is_late || is_numbered)
    }
}

impl Outcome {
    /// Returns its place among the counts of an answer.
    fn place(self) -> usize {
        match self {
            Self::InTime => 0,
            Self::TooLate => 1,
            Self::Exists => 2,
            Self::Ambiguous => 3,
            Self::NotFound | Self::WrongState | Self::Begun => 4,
        }
    }
}

fn predict_one(
    recipients: &BTreeMap<u32, Expected>,
    seq: u32,
    order: &Order,
    row: &Row,
) -> Outcome {
    let recipient = &recipients[&seq];
    let is_open = row.status == "PENDING" && row.resends == 0 && !recipient.is_cancelled;
    let is_taken = recipients
        .iter()
        .any(|(other, taken)| *other != seq && taken.number == order.number);
    match order.what {
        What::Cancel if recipient.is_cancelled || row.status == "CANCELLED" => Outcome::InTime,
        What::Cancel if is_open => Outcome::InTime,
        _ if !is_open => Outcome::TooLate,
        What::TakenNumber if is_taken => Outcome::Exists,
        _ => Outcome::InTime,
    }
}
