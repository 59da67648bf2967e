//! A carrier that loses answers, and an operator's decisions about the messages that are UNCERTAIN
//! then: each is final, and only what was to be sent again is sent again.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use axum::http::{Method, StatusCode};
use chrono::{DateTime, TimeDelta, Utc};
use proptest::{prelude::*, test_runner::TestCaseError};
use serde_json::{Value, json};
use simulator::Settings;
use sqlx::Row as _;

use super::{
    coverage::reached,
    lifecycle::Lifecycle,
    model::Closed,
    states::{Decision, Named, Place, Weather},
};

/// For so long after its request a message is not sent again, as `gate::app` configures it.
pub const QUIET: TimeDelta = TimeDelta::minutes(5);
/// A number that no schedule has.
const NOBODY: &str = "+60129999999";
/// The share of the requests that are affected.
const SHARE: f64 = 0.6;

/// A recipient's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub phone: String,
    pub status: String,
    pub sent_at: Option<DateTime<Utc>>,
    pub error: Option<String>,
    pub resends: u32,
}

/// What a decision must lead to.
struct Prediction {
    /// The places of those that are decided.
    chosen: Vec<u32>,
    too_recent: Vec<DateTime<Utc>>,
    not_uncertain: usize,
    not_found: usize,
}

impl Lifecycle {
    /// Changes how the carrier answers from now on.
    pub fn change_weather(&mut self, weather: Weather) {
        let calm = Settings {
            reset_after_accept: 0.0,
            error_5xx_before: 0.0,
            partial: 0.0,
            ..self.stage.simulator.carrier().settings()
        };
        let settings = match weather {
            Weather::Calm => calm,
            Weather::AnswersLost => Settings {
                reset_after_accept: SHARE,
                ..calm
            },
            Weather::RequestsLost => Settings {
                error_5xx_before: SHARE,
                ..calm
            },
            Weather::AnswersInPart => Settings {
                partial: SHARE,
                ..calm
            },
        };
        self.stage.simulator.carrier().set(settings).unwrap();
        self.model.may_be_uncertain |= weather != Weather::Calm;
    }

    /// Returns the rows of the current schedule, by place in the list.
    pub async fn rows(&self) -> BTreeMap<u32, Row> {
        let sql = "SELECT seq, phone, status, sent_at, error, resends FROM recipients WHERE schedule_id = ? ORDER BY seq";
        let rows = sqlx::query(sql).bind(self.id);
        let rows = rows.fetch_all(&self.stage.db).await.unwrap();
        let row = |row: &sqlx::mysql::MySqlRow| {
            let read = Row {
                phone: row.get("phone"),
                status: row.get("status"),
                sent_at: row.get("sent_at"),
                error: row.get("error"),
                resends: row.get("resends"),
            };
            (row.get("seq"), read)
        };
        rows.iter().map(row).collect()
    }

    /// Decides while no worker runs.
    pub async fn decide(&mut self, decision: Decision, before: &str) -> Result<(), TestCaseError> {
        let rows = self.rows().await;
        let named = self.named(decision.named, &rows);
        let prediction = self.predict_decision(decision, &named, &rows);
        let (status, answer) = self.send_decision(decision, &named).await;
        let after = self.rows().await;
        if status == StatusCode::CONFLICT {
            let is_expected = decision.is_resend && before == "cancelled";
            prop_assert!(is_expected, "{:?} {}: {}", decision, before, answer);
            prop_assert_eq!(rows, after, "{:?} was refused", decision);
            reached("a decision is refused");
            return Ok(());
        }
        prop_assert_eq!(status, StatusCode::OK, "{:?} {}", decision, answer);
        let left = &answer["left"];
        let counts = [
            "too_recent",
            "not_uncertain",
            "not_found",
            "busy",
            "ambiguous",
        ];
        let counts = counts.map(|name| left[name].as_u64().unwrap() as usize);
        let expected = [
            prediction.too_recent.len(),
            prediction.not_uncertain,
            prediction.not_found,
            0,
            0,
        ];
        prop_assert_eq!(counts, expected, "{:?}: {}", decision, answer);
        prop_assert_eq!(&answer["changed"], prediction.chosen.len(), "{}", answer);
        if !prediction.too_recent.is_empty() {
            reached("a decision is too early");
        }
        let until = prediction.too_recent.iter().max();
        let until = json!(until.map(|sent_at| *sent_at + QUIET));
        prop_assert_eq!(&answer["too_recent_until"], &until, "{}", answer);
        for (seq, row) in rows {
            let expected = if prediction.chosen.contains(&seq) {
                decided(&row, decision.is_resend)
            } else {
                row
            };
            prop_assert_eq!(&after[&seq], &expected, "{} after {:?}", seq, decision);
        }
        self.record_decision(&prediction.chosen, decision.is_resend);
        Ok(())
    }

    /// Decides about one recipient during a pass: the answer says whether it was decided.
    pub async fn decide_during_work(
        &mut self,
        decision: Decision,
        after_ms: u8,
    ) -> Result<(), TestCaseError> {
        let named = self.named(decision.named, &self.rows().await);
        // Only of one that is named alone the answer says whether it was decided.
        let [seq] = *named else {
            self.work(false).await;
            return Ok(());
        };
        let delayed = async {
            tokio::time::sleep(Duration::from_millis(after_ms.into())).await;
            self.send_decision(decision, &named).await
        };
        let ((), (status, answer)) = tokio::join!(self.work(false), delayed);
        if answer["changed"] == 1 {
            prop_assert_eq!(status, StatusCode::OK);
            reached("a decision during work");
            self.record_decision(&[seq], decision.is_resend);
        }
        Ok(())
    }

    /// Returns the places of the recipients that a decision names; none if it names all.
    fn named(&self, named: Named, rows: &BTreeMap<u32, Row>) -> Vec<u32> {
        let uncertain = rows.iter().filter(|(_, row)| row.status == "UNCERTAIN");
        let uncertain: Vec<_> = uncertain.map(|(seq, _)| *seq).collect();
        let seq = |place: Place| {
            if uncertain.is_empty() || place.is_multiple_of(4) {
                self.model.seq(place)
            } else {
                uncertain[usize::from(place) % uncertain.len()]
            }
        };
        match named {
            Named::All => Vec::new(),
            Named::One(place) => vec![seq(place)],
            Named::Few(one, other) => vec![seq(one), seq(other)],
        }
    }

    async fn send_decision(&self, decision: Decision, named: &[u32]) -> (StatusCode, Value) {
        let mut body = json!({"outcome": if decision.is_resend { "resend" } else { "sent" }});
        let path = match named {
            [seq] => format!("/recipients/{seq}/resolve"),
            [seq, other] => {
                let phone = self.model.recipients[other].phone();
                body["recipients"] = json!([seq, phone, NOBODY]);
                "/uncertain".to_owned()
            }
            _ => "/uncertain".to_owned(),
        };
        self.http(Method::POST, &path, &body).await
    }

    fn predict_decision(
        &self,
        decision: Decision,
        named: &[u32],
        rows: &BTreeMap<u32, Row>,
    ) -> Prediction {
        let all: BTreeSet<u32> = if named.is_empty() {
            rows.keys().copied().collect()
        } else {
            named.iter().copied().collect()
        };
        let is_uncertain = |seq: &u32| rows[seq].status == "UNCERTAIN";
        let uncertain: Vec<_> = all.iter().copied().filter(is_uncertain).collect();
        let quiet_until = self.stage.db.now() - QUIET;
        let sent_at = |seq: &u32| rows[seq].sent_at.unwrap();
        let (chosen, recent): (Vec<u32>, Vec<u32>) = uncertain
            .iter()
            .partition(|seq| !decision.is_resend || sent_at(seq) <= quiet_until);
        Prediction {
            not_uncertain: if named.is_empty() {
                0
            } else {
                all.len() - uncertain.len()
            },
            not_found: usize::from(named.len() > 1),
            too_recent: recent.iter().map(sent_at).collect(),
            chosen,
        }
    }

    fn record_decision(&mut self, chosen: &[u32], is_resend: bool) {
        let accepted = self.accepted_by_number();
        for seq in chosen {
            let phone = self.model.recipients[seq].phone();
            let is_accepted = accepted.contains_key(&phone);
            let kind = if is_resend { "again" } else { "sent" };
            reached("a decision");
            reached(format!("decided as {kind}, accepted: {is_accepted}"));
            if is_resend {
                *self.model.resent.entry(phone).or_default() += 1;
            } else {
                let accepted = accepted.get(&phone).copied().unwrap_or_default();
                self.model.closed.insert(*seq, Closed { accepted });
            }
        }
    }

    /// Decides about all that are UNCERTAIN, as an operator does in the end. Returns whether there
    /// were some.
    pub async fn decide_the_rest(&mut self, status: &str) -> Result<bool, TestCaseError> {
        let rows = self.rows().await;
        let uncertain = rows.values().filter(|row| row.status == "UNCERTAIN");
        let count = uncertain.count();
        if count == 0 {
            return Ok(false);
        }
        self.wait(301);
        let decision = Decision {
            is_resend: status != "cancelled" && count % 2 == 0,
            named: Named::All,
        };
        self.decide(decision, status).await?;
        Ok(true)
    }

    /// Compares each row with the ledger: what waits was not sent unless it is to be sent again, and
    /// what was resolved as sent stays so.
    pub async fn check_rows(&self) -> Result<(), TestCaseError> {
        let accepted = self.accepted_by_number();
        for (phone, times) in &accepted {
            let most = 1 + self.model.resent(phone);
            prop_assert!(*times <= most, "{} was sent {} times", phone, times);
            if *times > 1 {
                reached("sent again by a decision");
            }
        }
        for (seq, row) in self.rows().await {
            let times = accepted.get(&row.phone).copied().unwrap_or_default();
            let resent = self.model.resent(&row.phone);
            let is_open = matches!(row.status.as_str(), "PENDING" | "CANCELLED");
            let what = format!("{seq} {row:?}, {times} in the ledger, {resent} to be sent again");
            prop_assert!(!is_open || times <= resent, "it was sent: {}", what);
            let closed = self.model.closed.get(&seq);
            prop_assert_eq!(closed.is_some(), row.status == "UNKNOWN", "{}", what);
            let is_final = closed.is_none_or(|closed| closed.accepted == times);
            prop_assert!(is_final, "sent after it was resolved as sent: {}", what);
        }
        Ok(())
    }
}

/// Returns a row after a decision about it.
fn decided(row: &Row, is_resend: bool) -> Row {
    let (status, error) = if is_resend {
        ("PENDING", None)
    } else {
        ("UNKNOWN", Some("resolved as sent".to_owned()))
    };
    Row {
        status: status.to_owned(),
        error,
        resends: row.resends + u32::from(is_resend),
        ..row.clone()
    }
}
