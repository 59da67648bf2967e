//! What a finished schedule has come to.

use schemars::JsonSchema;
use serde::Serialize;

use crate::schedule::{counts::Counts, status::ScheduleStatus};

/// What a finished schedule has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "ScheduleOutcome")]
pub enum ScheduleOutcome {
    /// Every recipient has a final state.
    Complete,
    /// Recipients rest UNCERTAIN: whether they have got the text is not known, and an operator has
    /// to decide.
    Incomplete,
}

impl ScheduleOutcome {
    /// Returns the outcome; None while the schedule is not finished, or if it was cancelled.
    pub fn of(status: ScheduleStatus, counts: &Counts) -> Option<Self> {
        let open = counts
            .iter()
            .any(|(status, count)| !status.is_final() && *count > 0);
        (status == ScheduleStatus::Finished).then_some(if open {
            Self::Incomplete
        } else {
            Self::Complete
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::status::Status;

    #[test]
    fn a_schedule_with_uncertain_recipients_is_incomplete() {
        let counts = |status, count| Counts::from([(Status::Delivrd, 5), (status, count)]);
        let of = |counts| ScheduleOutcome::of(ScheduleStatus::Finished, &counts);
        assert_eq!(
            of(counts(Status::Uncertain, 1)),
            Some(ScheduleOutcome::Incomplete)
        );
        for (status, count) in [(Status::Uncertain, 0), (Status::Undeliv, 3)] {
            assert_eq!(of(counts(status, count)), Some(ScheduleOutcome::Complete));
        }
        let running = ScheduleOutcome::of(ScheduleStatus::Running, &counts(Status::Uncertain, 1));
        assert_eq!(running, None);
    }
}
