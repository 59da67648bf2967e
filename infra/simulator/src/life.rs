//! A message's life: which status it has at which moment.
//!
//! The end is fixed at acceptance; a status is computed when it is asked for, so there are no timers.

use chrono::{DateTime, Utc};

/// How a message will end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Delivered.
    Delivrd,
    /// Could not be delivered.
    Undeliv,
    /// Its validity period passed.
    Expired,
    /// Rejected.
    Rejectd,
    /// Deleted.
    Deleted,
    /// Answers UNKNOWN from the first moment on.
    Unknown,
    /// Answers an odd word until it is delivered.
    Odd,
    /// Answers an odd word for ever.
    OddForEver,
    /// Stays ENROUTE for ever.
    Stuck,
    /// The second of a number named twice in one request: accepted, never sent.
    Duplicate,
}

/// What is known about a message when its status is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Life {
    /// Its serial number: decides between forms of an answer that all occur in the wild.
    pub(crate) serial: u64,
    /// When it was accepted, ms since 1970.
    pub(crate) accepted_ms: u64,
    /// How long until it ends.
    pub(crate) delay_ms: u32,
    /// How it ends.
    pub(crate) fate: Fate,
}

impl Life {
    /// The status word at `now_ms`.
    pub(crate) fn status(&self, now_ms: u64) -> &'static str {
        match self.fate {
            Fate::Unknown => "UNKNOWN",
            Fate::Stuck => "ENROUTE",
            Fate::Duplicate => "ACCEPTD",
            Fate::OddForEver => self.odd_word(),
            Fate::Odd if !self.is_over(now_ms) => self.odd_word(),
            _ if !self.is_over(now_ms) => self.pending_word(now_ms),
            Fate::Delivrd | Fate::Odd => "DELIVRD",
            Fate::Undeliv => "UNDELIV",
            Fate::Expired => "EXPIRED",
            Fate::Rejectd => "REJECTD",
            Fate::Deleted => "DELETED",
        }
    }

    /// When and with what word it ends, ms since 1970; nothing for one that never does.
    pub(crate) fn end(&self) -> Option<(u64, &'static str)> {
        let end_ms = self.accepted_ms + u64::from(self.delay_ms);
        let endless = matches!(
            self.fate,
            Fate::Unknown | Fate::Stuck | Fate::Duplicate | Fate::OddForEver
        );
        (!endless).then(|| (end_ms, self.status(end_ms)))
    }

    /// The delivery time in one of the three forms seen in the wild; empty unless delivered.
    pub(crate) fn delivery_time(&self, now_ms: u64) -> String {
        if self.status(now_ms) != "DELIVRD" {
            return String::new();
        }
        let form = ["%y%m%d%H%M", "%Y%m%d%H%M", "%Y%m%d%H%M%S"][(self.serial % 3) as usize];
        let delivered_ms = self.accepted_ms + u64::from(self.delay_ms);
        DateTime::<Utc>::from_timestamp_millis(delivered_ms as i64)
            .map(|time| time.format(form).to_string())
            .unwrap_or_default()
    }

    fn is_over(&self, now_ms: u64) -> bool {
        now_ms >= self.accepted_ms + u64::from(self.delay_ms)
    }

    /// On its way for the first half of the delay, with the other network for the second.
    fn pending_word(&self, now_ms: u64) -> &'static str {
        let passed_ms = now_ms.saturating_sub(self.accepted_ms);
        if passed_ms * 2 < u64::from(self.delay_ms) {
            "ENROUTE"
        } else {
            "ACCEPTD"
        }
    }

    fn odd_word(&self) -> &'static str {
        ["IM_EXPD", "delivrd", "ACCEPTD "][(self.serial % 3) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(fate: Fate) -> Life {
        Life {
            serial: 1,
            accepted_ms: 1_000,
            delay_ms: 100,
            fate,
        }
    }

    #[test]
    fn every_fate_has_its_words() {
        let table = [
            (Fate::Delivrd, ["ENROUTE", "ACCEPTD", "DELIVRD"]),
            (Fate::Undeliv, ["ENROUTE", "ACCEPTD", "UNDELIV"]),
            (Fate::Expired, ["ENROUTE", "ACCEPTD", "EXPIRED"]),
            (Fate::Rejectd, ["ENROUTE", "ACCEPTD", "REJECTD"]),
            (Fate::Deleted, ["ENROUTE", "ACCEPTD", "DELETED"]),
            (Fate::Unknown, ["UNKNOWN"; 3]),
            (Fate::Odd, ["delivrd", "delivrd", "DELIVRD"]),
            (Fate::OddForEver, ["delivrd"; 3]),
            (Fate::Stuck, ["ENROUTE"; 3]),
            (Fate::Duplicate, ["ACCEPTD"; 3]),
        ];
        for (fate, words) in table {
            assert_eq!(
                [1_000, 1_050, 1_100].map(|now_ms| life(fate).status(now_ms)),
                words
            );
        }
    }

    #[test]
    fn what_ends_ends_with_its_last_word() {
        for fate in [
            Fate::Delivrd,
            Fate::Undeliv,
            Fate::Expired,
            Fate::Rejectd,
            Fate::Deleted,
            Fate::Odd,
        ] {
            assert_eq!(life(fate).end(), Some((1_100, life(fate).status(1_100))));
        }
        for fate in [
            Fate::Unknown,
            Fate::Stuck,
            Fate::Duplicate,
            Fate::OddForEver,
        ] {
            assert_eq!(life(fate).end(), None);
        }
    }

    #[test]
    fn a_delivery_time_comes_in_three_forms() {
        // 2021-09-22 09:33:09 UTC.
        let accepted_ms = 1_632_303_189_000;
        let form = |serial| {
            Life {
                serial,
                accepted_ms,
                delay_ms: 0,
                fate: Fate::Delivrd,
            }
            .delivery_time(accepted_ms)
        };
        assert_eq!(
            [0, 1, 2].map(form),
            ["2109220933", "202109220933", "20210922093309"]
        );
        assert_eq!(life(Fate::Delivrd).delivery_time(1_050), "");
        assert_eq!(life(Fate::Undeliv).delivery_time(9_999), "");
    }
}
