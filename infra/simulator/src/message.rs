//! An accepted message and its status over time.
//!
//! The outcome is fixed when the message is accepted. The status is computed at each query, so
//! there are no timers.

use chrono::{DateTime, Utc};

/// How a message ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Delivered.
    Delivrd,
    /// Could not be delivered.
    Undeliv,
    /// Its validity period ended.
    Expired,
    /// Rejected.
    Rejectd,
    /// Deleted.
    Deleted,
    /// The status is always UNKNOWN.
    Unknown,
    /// The status is undocumented until the message is delivered.
    Odd,
    /// The status is always undocumented.
    OddForEver,
    /// The status is always ENROUTE.
    Stuck,
    /// The number occurred earlier in the same request: the message is accepted and never sent.
    Duplicate,
}

/// The data from which the status of a message is computed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message {
    /// The serial number. It selects one of the response formats that occur at real carriers.
    pub(crate) serial: u64,
    /// The time of acceptance, in ms since 1970.
    pub(crate) accepted_ms: u64,
    /// The time from acceptance to the final status.
    pub(crate) delay_ms: u32,
    /// The outcome.
    pub(crate) outcome: Outcome,
}

impl Message {
    /// Returns the status at `now_ms`.
    pub(crate) fn status(&self, now_ms: u64) -> &'static str {
        match self.outcome {
            Outcome::Unknown => "UNKNOWN",
            Outcome::Stuck => "ENROUTE",
            Outcome::Duplicate => "ACCEPTD",
            Outcome::OddForEver => self.odd_status(),
            Outcome::Odd if !self.has_ended(now_ms) => self.odd_status(),
            _ if !self.has_ended(now_ms) => self.status_before_end(now_ms),
            Outcome::Delivrd | Outcome::Odd => "DELIVRD",
            Outcome::Undeliv => "UNDELIV",
            Outcome::Expired => "EXPIRED",
            Outcome::Rejectd => "REJECTD",
            Outcome::Deleted => "DELETED",
        }
    }

    /// Returns the time of the final status, in ms since 1970, and that status. Returns `None` if
    /// the message never gets a final status.
    pub(crate) fn end(&self) -> Option<(u64, &'static str)> {
        let end_ms = self.accepted_ms + u64::from(self.delay_ms);
        let endless = matches!(
            self.outcome,
            Outcome::Unknown | Outcome::Stuck | Outcome::Duplicate | Outcome::OddForEver
        );
        (!endless).then(|| (end_ms, self.status(end_ms)))
    }

    /// Returns the delivery time in one of the three formats that occur at real carriers, or an
    /// empty string unless the message is delivered.
    pub(crate) fn delivery_time(&self, now_ms: u64) -> String {
        if self.status(now_ms) != "DELIVRD" {
            return String::new();
        }
        let format = ["%y%m%d%H%M", "%Y%m%d%H%M", "%Y%m%d%H%M%S"][(self.serial % 3) as usize];
        let delivered_ms = self.accepted_ms + u64::from(self.delay_ms);
        DateTime::<Utc>::from_timestamp_millis(delivered_ms as i64)
            .map(|time| time.format(format).to_string())
            .unwrap_or_default()
    }

    fn has_ended(&self, now_ms: u64) -> bool {
        now_ms >= self.accepted_ms + u64::from(self.delay_ms)
    }

    /// Returns ENROUTE in the first half of the delay and ACCEPTD in the second.
    fn status_before_end(&self, now_ms: u64) -> &'static str {
        let passed_ms = now_ms.saturating_sub(self.accepted_ms);
        if passed_ms * 2 < u64::from(self.delay_ms) {
            "ENROUTE"
        } else {
            "ACCEPTD"
        }
    }

    fn odd_status(&self) -> &'static str {
        ["IM_EXPD", "delivrd", "ACCEPTD "][(self.serial % 3) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(outcome: Outcome) -> Message {
        Message {
            serial: 1,
            accepted_ms: 1_000,
            delay_ms: 100,
            outcome,
        }
    }

    #[test]
    fn each_outcome_has_its_sequence_of_statuses() {
        let table = [
            (Outcome::Delivrd, ["ENROUTE", "ACCEPTD", "DELIVRD"]),
            (Outcome::Undeliv, ["ENROUTE", "ACCEPTD", "UNDELIV"]),
            (Outcome::Expired, ["ENROUTE", "ACCEPTD", "EXPIRED"]),
            (Outcome::Rejectd, ["ENROUTE", "ACCEPTD", "REJECTD"]),
            (Outcome::Deleted, ["ENROUTE", "ACCEPTD", "DELETED"]),
            (Outcome::Unknown, ["UNKNOWN"; 3]),
            (Outcome::Odd, ["delivrd", "delivrd", "DELIVRD"]),
            (Outcome::OddForEver, ["delivrd"; 3]),
            (Outcome::Stuck, ["ENROUTE"; 3]),
            (Outcome::Duplicate, ["ACCEPTD"; 3]),
        ];
        for (outcome, statuses) in table {
            assert_eq!(
                [1_000, 1_050, 1_100].map(|now_ms| message(outcome).status(now_ms)),
                statuses
            );
        }
    }

    #[test]
    fn a_message_ends_with_its_last_status_or_never() {
        for outcome in [
            Outcome::Delivrd,
            Outcome::Undeliv,
            Outcome::Expired,
            Outcome::Rejectd,
            Outcome::Deleted,
            Outcome::Odd,
        ] {
            assert_eq!(
                message(outcome).end(),
                Some((1_100, message(outcome).status(1_100)))
            );
        }
        for outcome in [
            Outcome::Unknown,
            Outcome::Stuck,
            Outcome::Duplicate,
            Outcome::OddForEver,
        ] {
            assert_eq!(message(outcome).end(), None);
        }
    }

    #[test]
    fn a_delivery_time_has_three_formats() {
        // 2021-09-22 09:33:09 UTC.
        let accepted_ms = 1_632_303_189_000;
        let formatted = |serial| {
            Message {
                serial,
                accepted_ms,
                delay_ms: 0,
                outcome: Outcome::Delivrd,
            }
            .delivery_time(accepted_ms)
        };
        assert_eq!(
            [0, 1, 2].map(formatted),
            ["2109220933", "202109220933", "20210922093309"]
        );
        assert_eq!(message(Outcome::Delivrd).delivery_time(1_050), "");
        assert_eq!(message(Outcome::Undeliv).delivery_time(9_999), "");
    }
}
