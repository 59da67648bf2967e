//! The meaning of the carrier's answer to a status query for a recipient. Pure.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use shared::{
    batch::{
        release::Timing,
        rows::{BatchRow, StatusUpdate},
    },
    carrier::{StatusAnswer, StatusError, own_ids},
    message::status::Status,
};
use uuid::Uuid;

/// The values on which a status update depends besides the recipient and the answer.
pub struct StatusRules<'a> {
    /// Deadline and quiet time.
    pub timing: &'a Timing,
    /// The schedule, for our own ids.
    pub schedule_id: Uuid,
    /// Parts of the text, for our own ids.
    pub parts: usize,
    /// Parts of personal texts, by seq, for recipients that are asked for by our own id.
    pub personal_parts: HashMap<u32, usize>,
}

impl StatusRules<'_> {
    /// Returns the update to record, or `None` if nothing changes. A missing answer and an error
    /// change nothing before the deadline.
    pub fn status_update(
        &self,
        row: &BatchRow,
        answer: Option<Result<StatusAnswer, StatusError>>,
        now: DateTime<Utc>,
    ) -> Option<StatusUpdate> {
        let asked = answer.is_some();
        let is_over = |time: TimeDelta| row.sent_at.is_some_and(|sent_at| now >= sent_at + time);
        let at_deadline = is_over(self.timing.recheck_deadline);
        match answer {
            Some(Ok(StatusAnswer::Status { status, raw })) => {
                self.update_from_status(row, status, raw, at_deadline)
            }
            Some(Ok(StatusAnswer::NotFound)) if row.status == Status::Uncertain => {
                // The message never arrived, unless it can still be on the wire.
                is_over(self.timing.quiet_time)
                    .then(|| self.update(row, Status::Pending, Some("not found".into())))
            }
            // The carrier has given us this id, so "not found" means that it has lost its record of
            // the message, not the message.
            Some(Ok(StatusAnswer::NotFound) | Err(_)) | None => {
                let stays = row.status == Status::Uncertain || !asked;
                (!stays && at_deadline)
                    .then(|| self.update(row, Status::Unknown, row.carrier_status.clone()))
            }
        }
    }

    fn update_from_status(
        &self,
        row: &BatchRow,
        status: Status,
        raw: String,
        at_deadline: bool,
    ) -> Option<StatusUpdate> {
        let status = match status {
            status if status.is_final() && status != Status::Unknown => status,
            // The status is lost or late, which does not mean "not delivered": closed, never
            // resent.
            _ if at_deadline && row.status != Status::Uncertain => Status::Unknown,
            // UNKNOWN before the deadline decides nothing.
            Status::Unknown => row.status,
            status => status,
        };
        let is_new = status != row.status || row.carrier_status.as_deref() != Some(raw.as_str());
        // An UNCERTAIN row does not change until the carrier reports its message.
        (is_new && status != Status::Uncertain).then(|| self.update(row, status, Some(raw)))
    }

    /// Returns the ids that the recipient's message has at the carrier if the carrier took our own.
    pub fn own_ids(&self, row: &BatchRow) -> String {
        let parts = self.personal_parts.get(&row.seq).copied();
        own_ids(&row.own_id(self.schedule_id), parts.unwrap_or(self.parts))
    }

    fn update(
        &self,
        row: &BatchRow,
        status: Status,
        carrier_status: Option<String>,
    ) -> StatusUpdate {
        let is_found = row.message_id.is_none() && status != Status::Pending;
        StatusUpdate {
            seq: row.seq,
            attempt: row.attempt,
            status,
            carrier_status,
            message_id: is_found.then(|| self.own_ids(row)),
            is_final: u8::from(status.is_final()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use shared::platform::backoff::Backoff;

    use super::*;

    /// How long ago the message was sent: after a minute it may be on the wire, after an hour the
    /// quiet time is over, after 23 hours the deadline.
    const MINUTE: TimeDelta = TimeDelta::minutes(1);
    const HOUR: TimeDelta = TimeDelta::hours(1);
    const DEADLINE: TimeDelta = TimeDelta::hours(23);

    type QueryResult = Result<StatusAnswer, StatusError>;

    fn timing() -> Timing {
        Timing {
            recheck_delays: vec![Duration::from_secs(1)],
            recheck_deadline: DEADLINE,
            resend_delay: TimeDelta::seconds(1),
            quiet_time: TimeDelta::minutes(5),
            backoff: Backoff::default(),
        }
    }

    fn row(status: Status) -> BatchRow {
        let has_id = status != Status::Uncertain;
        BatchRow {
            seq: 7,
            phone: "+60123456789".into(),
            status,
            attempt: 2,
            resends: 0,
            message_id: has_id.then(|| "a".into()),
            carrier_status: (status == Status::Enroute).then(|| "ENROUTE".into()),
            sent_at: None,
            final_at: None,
            suppressed: false,
        }
    }

    fn answers(status: Status, raw: &str) -> StatusAnswer {
        let raw = raw.into();
        StatusAnswer::Status { status, raw }
    }

    fn failed() -> QueryResult {
        let reason = "500".into();
        Err(StatusError::Failed { reason })
    }

    /// Checks the status that a recipient gets from an answer, some time after it was sent to.
    fn check(
        status: Status,
        age: TimeDelta,
        answer: Option<QueryResult>,
        expected: Option<Status>,
    ) {
        let case = format!("{status:?} after {age}: {answer:?}");
        let (timing, now) = (timing(), Utc::now());
        let rules = StatusRules {
            timing: &timing,
            schedule_id: Uuid::nil(),
            parts: 1,
            personal_parts: HashMap::new(),
        };
        let row = BatchRow {
            sent_at: Some(now - age),
            ..row(status)
        };
        let update = rules.status_update(&row, answer, now);
        assert_eq!(
            update.as_ref().map(|update| update.status),
            expected,
            "{case}"
        );
        if let Some(update) = update {
            let (seq, attempt, is_final) = (update.seq, update.attempt, update.is_final);
            let expected_final = u8::from(update.status.is_final());
            assert_eq!((seq, attempt, is_final), (7, 2, expected_final), "{case}");
            let own = row.status == Status::Uncertain && update.status != Status::Pending;
            assert_eq!(update.message_id.is_some(), own, "{case}");
        }
    }

    fn check_answer(
        status: Status,
        age: TimeDelta,
        answer: StatusAnswer,
        expected: Option<Status>,
    ) {
        check(status, age, Some(Ok(answer)), expected);
    }

    #[test]
    fn a_new_status_is_recorded() {
        use Status::{Acceptd, Delivrd, Enroute, Undeliv};
        check_answer(Acceptd, MINUTE, answers(Delivrd, "DELIVRD"), Some(Delivrd));
        check_answer(Acceptd, MINUTE, answers(Undeliv, "UNDELIV"), Some(Undeliv));
        check_answer(Acceptd, MINUTE, answers(Enroute, "ENROUTE"), Some(Enroute));
        check_answer(Enroute, MINUTE, answers(Enroute, "ENROUTE"), None);
        // A status that SMPP does not define.
        check_answer(Enroute, MINUTE, answers(Enroute, "IM_EXPD"), Some(Enroute));
    }

    #[test]
    fn unknown_is_final_only_at_the_deadline() {
        use Status::{Acceptd, Delivrd, Enroute, Unknown};
        check_answer(Acceptd, HOUR, answers(Unknown, "UNKNOWN"), Some(Acceptd));
        check_answer(
            Acceptd,
            DEADLINE,
            answers(Unknown, "UNKNOWN"),
            Some(Unknown),
        );
        check_answer(
            Enroute,
            DEADLINE,
            answers(Enroute, "ENROUTE"),
            Some(Unknown),
        );
        check_answer(
            Enroute,
            DEADLINE,
            answers(Delivrd, "DELIVRD"),
            Some(Delivrd),
        );
    }

    #[test]
    fn an_answer_without_a_status_changes_nothing_before_the_deadline() {
        use Status::{Enroute, Unknown};
        check(Enroute, HOUR, Some(failed()), None);
        check(Enroute, DEADLINE, Some(failed()), Some(Unknown));
        // Not asked: nothing changes, even after the deadline, until a pass has asked.
        check(Enroute, DEADLINE, None, None);
        // Not found although it was accepted.
        check_answer(Enroute, HOUR, StatusAnswer::NotFound, None);
    }

    #[test]
    fn an_uncertain_message_is_resolved_by_our_own_id() {
        use Status::{Delivrd, Enroute, Pending, Uncertain, Unknown};
        check_answer(
            Uncertain,
            MINUTE,
            answers(Enroute, "ENROUTE"),
            Some(Enroute),
        );
        check_answer(
            Uncertain,
            MINUTE,
            answers(Delivrd, "DELIVRD"),
            Some(Delivrd),
        );
        check_answer(Uncertain, DEADLINE, answers(Unknown, "UNKNOWN"), None);
        // It may still be on the wire.
        check_answer(Uncertain, MINUTE, StatusAnswer::NotFound, None);
        check_answer(Uncertain, HOUR, StatusAnswer::NotFound, Some(Pending));
        check(Uncertain, DEADLINE, Some(failed()), None);
    }
}
