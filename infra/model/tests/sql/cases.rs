//! The cases that the tests compare: a schedule, its batch and one recipient, as the model represents
//! them. Lists of values are combined to all cases that a rule distinguishes.

use model::rows::{Batch, Due, Hold, Row, Schedule, ScheduleStatus};
use shared::message::status::Status;

/// The number of our claim's token in the model.
pub const OURS: u8 = 0;
/// The number of another claim's token in the model.
pub const OTHERS: u8 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    pub schedule: Schedule,
    pub batch: Batch,
    pub row: Row,
}

impl Case {
    /// A batch that our claim owns and that is being sent.
    pub const SENDING: Self = Self {
        schedule: Schedule {
            status: ScheduleStatus::Running,
            cut: true,
            turn: false,
            hold: Hold::Nothing,
        },
        batch: Batch {
            send_at: Due::Now,
            waiting: false,
            check_at: Due::Never,
            sweep_at: Due::Later,
            token: Some(OURS),
            lease_over: false,
            crashes: 1,
            missed: false,
        },
        row: Row::NEW,
    };

    /// Returns `batches.pending`, as counted from the row.
    pub fn pending(&self) -> bool {
        self.row.status == Status::Pending
    }

    /// Checks that our claim owns the batch.
    pub fn owns(&self) -> bool {
        self.batch.token == Some(OURS)
    }

    /// Checks that the schema's CHECK constraints allow the case.
    pub fn is_allowed(&self) -> bool {
        let Self {
            schedule,
            batch,
            row,
        } = self;
        let cut = match schedule.status {
            ScheduleStatus::Running | ScheduleStatus::Finished => schedule.cut,
            ScheduleStatus::Draft | ScheduleStatus::Scheduled => !schedule.cut,
            _ => true,
        };
        let untried = matches!(
            row.status,
            Status::Pending | Status::Cancelled | Status::Suppressed | Status::Invalid
        ) || row.ended;
        let known = matches!(
            row.status,
            Status::Acceptd | Status::Enroute | Status::Delivrd
        );
        let swept = batch.sweep_at.is_set()
            || !(batch.send_at.is_set() || batch.check_at.is_set() || batch.token.is_some());
        cut && swept
            && (row.attempt > 0 || untried)
            && (row.ids != 0 || !known)
            && (batch.token.is_some() || !batch.lease_over)
    }
}

/// Returns all pairs of two lists' elements.
pub fn pairs<A: Copy, B: Copy>(left: &[A], right: &[B]) -> Vec<(A, B)> {
    left.iter()
        .flat_map(|left| right.iter().map(|right| (*left, *right)))
        .collect()
}

/// Returns all statuses of a schedule, each cut and uncut.
pub fn schedules() -> Vec<Schedule> {
    pairs(&ScheduleStatus::ALL, &[false, true])
        .into_iter()
        .map(|(status, cut)| Schedule {
            status,
            cut,
            turn: false,
            hold: Hold::Nothing,
        })
        .collect()
}

/// No token, our token and another token, with a live lease and with one that has ended.
pub const TOKENS: [(Option<u8>, bool); 5] = [
    (None, false),
    (Some(OURS), false),
    (Some(OURS), true),
    (Some(OTHERS), false),
    (Some(OTHERS), true),
];

/// Returns all rows that the tests distinguish. The claim's statements name attempt 1.
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (status, attempt) in pairs(&Status::ALL, &[0, 1, 2]) {
        for (resends, ids) in pairs(&[0, 1], &[0, 1]) {
            rows.push(Row {
                status,
                attempt,
                resends,
                ids,
                ..Row::NEW
            });
        }
        if attempt > 0
            && matches!(
                status,
                Status::Sending | Status::Uncertain | Status::Acceptd
            )
        {
            rows.push(Row {
                status,
                attempt,
                marked_by: Some(OURS),
                ids: u8::from(status == Status::Acceptd),
                ..Row::NEW
            });
        }
        if status == Status::Expired {
            rows.push(Row {
                status,
                attempt,
                ended: true,
                ..Row::NEW
            });
        }
    }
    rows
}

/// Returns all rows of [`rows`] under each token. The schedule is running.
pub fn rows_and_tokens() -> Vec<Case> {
    let case = |(row, (token, lease_over))| Case {
        row,
        batch: Batch {
            token,
            lease_over,
            ..Case::SENDING.batch
        },
        ..Case::SENDING
    };
    let mut cases: Vec<_> = pairs(&rows(), &TOKENS).into_iter().map(case).collect();
    cases.retain(Case::is_allowed);
    cases
}

/// Returns the allowed combinations of all schedules with these batches.
pub fn schedules_with(batches: &[Batch]) -> Vec<Case> {
    let case = |(schedule, batch)| Case {
        schedule,
        batch,
        ..Case::SENDING
    };
    let mut cases: Vec<_> = pairs(&schedules(), batches).into_iter().map(case).collect();
    cases.retain(Case::is_allowed);
    cases
}

/// Returns a recipient in attempt 3 whose attempt 1 or 2 has one of these statuses.
pub fn with_earlier_attempt(statuses: &[Status]) -> Vec<Case> {
    let case = |(status, attempt): (Status, usize)| {
        let mut row = Row {
            status: Status::Sending,
            attempt: 3,
            ..Row::NEW
        };
        row.earlier_attempts[attempt] = Some(status);
        Case {
            row,
            ..Case::SENDING
        }
    };
    pairs(statuses, &[1, 2]).into_iter().map(case).collect()
}
