//! The log line of a pass over a batch that has ended: how, and what its recipients are now.

use chrono::{DateTime, Utc};

use super::{
    decide::{EndedPass, PassResult},
    write::DueTimes,
};
use crate::{batch::rows::BatchRow, message::status::Status};

impl PassResult {
    /// Returns the word of the log line for how a pass ended.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Checked { .. } => "checked",
            Self::Sent { accepted: true, .. } => "accepted",
            Self::Sent { refused: true, .. } => "refused",
            Self::Sent {
                back_to_waiting: true,
                ..
            } => "waits for its turn",
            Self::Sent { was_busy: true, .. } => "busy",
            Self::Sent { .. } => "nothing accepted",
        }
    }
}

/// The recipients of a pass, by what they are at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Recipients {
    /// Not accepted yet.
    pending: u32,
    /// ACCEPTD, ENROUTE.
    accepted: u32,
    delivered: u32,
    /// UNDELIV, EXPIRED, REJECTD, UNKNOWN, DELETED.
    undelivered: u32,
    uncertain: u32,
}

impl Recipients {
    fn of(rows: &[BatchRow]) -> Self {
        let mut counts = Self::default();
        for row in rows {
            let count = match row.status {
                Status::Pending => &mut counts.pending,
                Status::Acceptd | Status::Enroute => &mut counts.accepted,
                Status::Delivrd => &mut counts.delivered,
                Status::Uncertain => &mut counts.uncertain,
                Status::Undeliv
                | Status::Expired
                | Status::Rejectd
                | Status::Unknown
                | Status::Deleted => &mut counts.undelivered,
                // They were not sent to.
                Status::Sending | Status::Invalid | Status::Cancelled | Status::Suppressed => {
                    continue;
                }
            };
            *count += 1;
        }
        counts
    }
}

impl EndedPass<'_> {
    /// Logs the outcome. It is one line per pass, whatever the number of its recipients.
    pub(super) fn log_outcome(&self, dues: &DueTimes, now: DateTime<Utc>) {
        let recipients = Recipients::of(self.rows);
        let time = |due: Option<DateTime<Utc>>| due.map(|due| due.to_rfc3339());
        tracing::info!(
            schedule.id = %self.claim.batch.schedule_id,
            batch.no = self.claim.batch.batch_no,
            outcome = self.result.as_str(),
            recipients.pending = recipients.pending,
            recipients.accepted = recipients.accepted,
            recipients.delivered = recipients.delivered,
            recipients.undelivered = recipients.undelivered,
            recipients.uncertain = recipients.uncertain,
            next.send_at = time(dues.send_at),
            next.check_at = time(dues.check_at),
            duration_ms = (now - self.claim.at).num_milliseconds(),
            "batch released"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn each_way_in_which_a_pass_ends_has_a_word() {
        let sent = |accepted, refused, was_busy, back_to_waiting| PassResult::Sent {
            accepted,
            refused,
            was_busy,
            wait: Duration::ZERO,
            back_to_waiting,
        };
        let least_delay = TimeDelta::zero();
        for (result, word) in [
            (sent(true, false, true, true), "accepted"),
            (sent(false, true, true, false), "refused"),
            (sent(false, false, true, true), "waits for its turn"),
            (sent(false, false, true, false), "busy"),
            (sent(false, false, false, false), "nothing accepted"),
            (PassResult::Checked { least_delay }, "checked"),
        ] {
            assert_eq!(result.as_str(), word);
        }
    }
}
