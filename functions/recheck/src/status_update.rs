//! What the carrier's answer to a status query means for a row. Pure.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use shared::{
    batch::{
        release::Timing,
        rows::{BatchRow, StatusUpdate},
    },
    carrier::{Answer, StatusError, own_ids},
    message::status::Status,
};
use uuid::Uuid;

/// What a verdict depends on beside row and answer.
pub struct Judge<'a> {
    /// Deadline and quiet time.
    pub timing: &'a Timing,
    /// For our own ids.
    pub schedule_id: Uuid,
    /// Parts of the text, likewise.
    pub parts: usize,
    /// Of personal texts: the parts of those that our own id may be asked for, by place.
    pub personal: HashMap<u32, usize>,
}

impl Judge<'_> {
    /// What is to be written; `None`: nothing new. An answer that is missing or an error says nothing, but at the deadline.
    pub fn verdict(
        &self,
        row: &BatchRow,
        answer: Option<Result<Answer, StatusError>>,
        now: DateTime<Utc>,
    ) -> Option<StatusUpdate> {
        let asked = answer.is_some();
        let is_over = |time: TimeDelta| row.sent_at.is_some_and(|sent_at| now >= sent_at + time);
        let at_deadline = is_over(self.timing.recheck_deadline);
        match answer {
            Some(Ok(Answer::Status { status, raw })) => self.said(row, (status, raw), at_deadline),
            Some(Ok(Answer::NotFound)) if row.status == Status::Uncertain => {
                // Only what can't be on the wire any more never arrived.
                is_over(self.timing.quiet_time)
                    .then(|| self.write(row, Status::Pending, Some("not found".into())))
            }
            // An answer of the carrier gave us this id, so "not found" is a memory lost, not a message lost.
            Some(Ok(Answer::NotFound) | Err(_)) | None => {
                let at_rest = row.status == Status::Uncertain || !asked;
                (!at_rest && at_deadline)
                    .then(|| self.write(row, Status::Unknown, row.carrier_status.clone()))
            }
        }
    }

    fn said(
        &self,
        row: &BatchRow,
        (status, raw): (Status, String),
        at_deadline: bool,
    ) -> Option<StatusUpdate> {
        let status = match status {
            status if status.is_final() && status != Status::Unknown => status,
            // The status is lost or late, which is not "not delivered": closed, never sent again.
            _ if at_deadline && row.status != Status::Uncertain => Status::Unknown,
            // UNKNOWN before the deadline is no verdict.
            Status::Unknown => row.status,
            status => status,
        };
        let new = status != row.status || row.carrier_status.as_deref() != Some(raw.as_str());
        // An UNCERTAIN row stays untouched until the carrier knows its message.
        (new && status != Status::Uncertain).then(|| self.write(row, status, Some(raw)))
    }

    /// The ids that the row's message has at the carrier if it took ours.
    pub fn own_ids(&self, row: &BatchRow) -> String {
        let parts = self.personal.get(&row.seq).copied().unwrap_or(self.parts);
        own_ids(&row.own_id(self.schedule_id), parts)
    }

    fn write(
        &self,
        row: &BatchRow,
        status: Status,
        carrier_status: Option<String>,
    ) -> StatusUpdate {
        let found = row.message_id.is_none() && status != Status::Pending;
        let message_id = found.then(|| self.own_ids(row));
        StatusUpdate {
            seq: row.seq,
            attempt: row.attempt,
            status,
            carrier_status,
            message_id,
            is_final: u8::from(status.is_final()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn timing() -> Timing {
        Timing {
            recheck_delays: vec![Duration::from_secs(1)],
            recheck_deadline: TimeDelta::hours(23),
            resend_delay: TimeDelta::seconds(1),
            quiet_time: TimeDelta::minutes(5),
            backoff: shared::platform::backoff::Backoff::default(),
        }
    }

    fn row(
        status: Status,
        message_id: Option<&str>,
        carrier_status: Option<&str>,
        sent_at: DateTime<Utc>,
    ) -> BatchRow {
        BatchRow {
            seq: 7,
            phone: "+60123456789".into(),
            status,
            attempt: 2,
            resends: 0,
            message_id: message_id.map(Into::into),
            carrier_status: carrier_status.map(Into::into),
            sent_at: Some(sent_at),
            final_at: None,
        }
    }

    fn says(status: Status, raw: &str) -> Answer {
        Answer::Status {
            status,
            raw: raw.into(),
        }
    }

    #[test]
    fn verdicts() {
        let now = Utc::now();
        let (minute, hour, day) = (
            now - TimeDelta::minutes(1),
            now - TimeDelta::hours(1),
            now - TimeDelta::hours(23),
        );
        let failed = || {
            Some(Err(StatusError::Failed {
                reason: "500".into(),
            }))
        };
        let accepted = |sent_at| row(Status::Acceptd, Some("a"), None, sent_at);
        let enroute = |sent_at| row(Status::Enroute, Some("a"), Some("ENROUTE"), sent_at);
        let uncertain = |sent_at| row(Status::Uncertain, None, None, sent_at);
        let table = [
            (
                "delivered",
                accepted(minute),
                Some(Ok(says(Status::Delivrd, "DELIVRD"))),
                Some(Status::Delivrd),
            ),
            (
                "failed",
                accepted(minute),
                Some(Ok(says(Status::Undeliv, "UNDELIV"))),
                Some(Status::Undeliv),
            ),
            (
                "on its way",
                accepted(minute),
                Some(Ok(says(Status::Enroute, "ENROUTE"))),
                Some(Status::Enroute),
            ),
            (
                "nothing new",
                enroute(minute),
                Some(Ok(says(Status::Enroute, "ENROUTE"))),
                None,
            ),
            (
                "another odd word",
                enroute(minute),
                Some(Ok(says(Status::Enroute, "IM_EXPD"))),
                Some(Status::Enroute),
            ),
            (
                "UNKNOWN is no verdict yet",
                accepted(hour),
                Some(Ok(says(Status::Unknown, "UNKNOWN"))),
                Some(Status::Acceptd),
            ),
            (
                "UNKNOWN at the deadline",
                accepted(day),
                Some(Ok(says(Status::Unknown, "UNKNOWN"))),
                Some(Status::Unknown),
            ),
            (
                "still on its way at the deadline",
                enroute(day),
                Some(Ok(says(Status::Enroute, "ENROUTE"))),
                Some(Status::Unknown),
            ),
            (
                "delivered at the deadline",
                enroute(day),
                Some(Ok(says(Status::Delivrd, "DELIVRD"))),
                Some(Status::Delivrd),
            ),
            ("an error says nothing", enroute(hour), failed(), None),
            (
                "an error at the deadline",
                enroute(day),
                failed(),
                Some(Status::Unknown),
            ),
            (
                "not asked at the deadline: asked first",
                enroute(day),
                None,
                None,
            ),
            (
                "not found, though it was accepted",
                enroute(hour),
                Some(Ok(Answer::NotFound)),
                None,
            ),
            (
                "found by our own id",
                uncertain(minute),
                Some(Ok(says(Status::Enroute, "ENROUTE"))),
                Some(Status::Enroute),
            ),
            (
                "delivered, found by our own id",
                uncertain(minute),
                Some(Ok(says(Status::Delivrd, "DELIVRD"))),
                Some(Status::Delivrd),
            ),
            (
                "UNKNOWN says nothing of an uncertain one",
                uncertain(day),
                Some(Ok(says(Status::Unknown, "UNKNOWN"))),
                None,
            ),
            (
                "not found, and perhaps on the wire",
                uncertain(minute),
                Some(Ok(Answer::NotFound)),
                None,
            ),
            (
                "not found after the quiet time",
                uncertain(hour),
                Some(Ok(Answer::NotFound)),
                Some(Status::Pending),
            ),
            ("an uncertain one stays so", uncertain(day), failed(), None),
        ];
        for (what, row, answer, expected) in table {
            let timing = timing();
            let judge = Judge {
                timing: &timing,
                schedule_id: Uuid::nil(),
                parts: 1,
                personal: HashMap::new(),
            };
            let verdict = judge.verdict(&row, answer, now);
            assert_eq!(
                verdict.as_ref().map(|verdict| verdict.status),
                expected,
                "{what}"
            );
            if let Some(verdict) = verdict {
                assert_eq!(
                    (verdict.seq, verdict.attempt, verdict.is_final),
                    (7, 2, u8::from(verdict.status.is_final())),
                    "{what}"
                );
                let own = row.status == Status::Uncertain && verdict.status != Status::Pending;
                assert_eq!(verdict.message_id.is_some(), own, "{what}");
            }
        }
    }
}
