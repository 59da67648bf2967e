//! A model of the cut: appends, changes of time, pauses and cancels race with two dispatchers that
//! cut the schedule. The steps of a transaction are separate actions, which only the lock of the
//! schedule's row protects.

use stateright::{Model, Property};

use crate::{
    rows::{Schedule, ScheduleStatus},
    rules::{self, Decision, Timing},
};

/// The maximum number of recipients.
const MAX_RECIPIENTS: u8 = 3;
/// The highest version.
const MAX_VERSION: u8 = 4;

/// The transaction that holds the lock, and its progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LockHolder {
    /// A dispatcher that has decided to cut the schedule and has not counted the recipients yet.
    Cutting(ScheduleStatus),
    /// A dispatcher that has counted the recipients: its batches will contain this many.
    Counted(ScheduleStatus, u8),
    /// An append that has been allowed.
    Appending,
}

/// A schedule with its recipients and batches.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CutState {
    /// `schedules`
    pub schedule: Schedule,
    /// `version`
    pub version: u8,
    /// The current time relative to `run_at`.
    pub timing: Timing,
    /// The number of recipients.
    pub recipients: u8,
    /// The number of recipients in batches, one entry per insertion of batches.
    pub batched: Vec<u8>,
    /// The lock of the schedule's row.
    pub lock: Option<LockHolder>,
    /// An append has checked the status and does not hold the lock.
    pub unlocked_append: bool,
    /// A dispatcher has committed the status but not the batches.
    pub half_cut: bool,
    /// The pending events, as bits indexed by version.
    pub events: u8,
    /// A cut happened too early or too late.
    pub wrong_time: bool,
}

/// One step of a dispatcher, the sweep, the API or the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are complete")]
pub enum CutStep {
    Event(u8),
    Sweep,
    Count,
    CommitCut,
    InsertBatches,
    Crash,
    LockToAppend,
    CommitAppend,
    Reschedule,
    Pause,
    Resume,
    Cancel,
    SendNow,
    TimePasses,
}

/// The implementation of the cut. By default, no rule is omitted.
#[derive(Clone, Copy, Debug, Default)]
pub struct CutModel {
    /// The status is committed in a transaction before that of the batches.
    pub two_transactions: bool,
    /// Appends check the status without the lock.
    pub append_unlocked: bool,
    /// The cut checks neither `run_at` under the lock nor the status in its final statement.
    pub unchecked: bool,
}

impl CutState {
    fn begin_cut(&mut self, model: CutModel, version: u8) {
        let same = version == self.version;
        let decision = if model.unchecked && !self.schedule.cut {
            Decision::Cut(ScheduleStatus::Running)
        } else {
            rules::decide(&self.schedule, same, self.timing)
        };
        match decision {
            Decision::Nothing => {}
            Decision::Missed => _ = rules::mark_missed(&mut self.schedule, same),
            Decision::Cut(status) => {
                self.wrong_time |= status == ScheduleStatus::Running && self.timing != Timing::Due;
                self.lock = Some(LockHolder::Cutting(status));
            }
        }
    }

    fn commit_cut(&mut self, model: CutModel, status: ScheduleStatus, counted: u8) {
        self.lock = None;
        if model.unchecked {
            self.schedule = Schedule {
                status,
                cut: true,
                ..self.schedule
            };
        } else if !rules::mark_cut(&mut self.schedule, true, status) {
            return;
        }
        if model.two_transactions {
            self.half_cut = true;
        } else {
            self.batched.push(counted);
        }
    }

    fn change_time(&mut self, status: ScheduleStatus, timing: Timing) {
        self.schedule.status = status;
        self.timing = timing;
        self.version += 1;
        self.events |= 1 << self.version;
    }

    fn apply_change(&mut self, step: CutStep) {
        match step {
            CutStep::Reschedule => self.change_time(self.schedule.status, Timing::Early),
            CutStep::SendNow => {
                rules::send_uncut_now(&mut self.schedule);
                self.change_time(self.schedule.status, Timing::Due);
            }
            CutStep::Resume => self.change_time(
                ScheduleStatus::Scheduled,
                if self.timing == Timing::Early {
                    Timing::Early
                } else {
                    Timing::Due
                },
            ),
            CutStep::Pause => _ = rules::pause(&mut self.schedule),
            CutStep::Cancel => _ = rules::cancel(&mut self.schedule, &mut [], false),
            _ => {
                self.timing = if self.timing == Timing::Early {
                    Timing::Due
                } else {
                    Timing::TooLate
                };
            }
        }
    }

    fn is_covered(&self) -> bool {
        self.batched == [self.recipients]
    }
}

impl Model for CutModel {
    type State = CutState;
    type Action = CutStep;

    fn init_states(&self) -> Vec<CutState> {
        let schedule = Schedule {
            status: ScheduleStatus::Scheduled,
            cut: false,
            turn: false,
        };
        vec![CutState {
            schedule,
            version: 1,
            timing: Timing::Early,
            recipients: 1,
            batched: Vec::new(),
            lock: None,
            unlocked_append: false,
            half_cut: false,
            events: 0b10,
            wrong_time: false,
        }]
    }

    fn actions(&self, state: &CutState, steps: &mut Vec<CutStep>) {
        match state.lock {
            Some(LockHolder::Cutting(_)) => steps.extend([CutStep::Count, CutStep::Crash]),
            Some(LockHolder::Counted(..)) => steps.extend([CutStep::CommitCut, CutStep::Crash]),
            Some(LockHolder::Appending) => steps.extend([CutStep::CommitAppend, CutStep::Crash]),
            None => state.unlocked_actions(steps),
        }
        if state.half_cut {
            steps.extend([CutStep::InsertBatches, CutStep::Crash]);
        }
        if state.unlocked_append {
            steps.push(CutStep::CommitAppend);
        }
        steps.extend(
            (state.timing != Timing::TooLate && state.lock.is_none())
                .then_some(CutStep::TimePasses),
        );
    }

    fn next_state(&self, state: &CutState, step: CutStep) -> Option<CutState> {
        let mut next = state.clone();
        match (step, state.lock) {
            (CutStep::Event(version), _) => {
                next.events &= !(1 << version);
                next.begin_cut(*self, version);
            }
            (CutStep::Sweep, _) => next.begin_cut(*self, state.version),
            (CutStep::Count, Some(LockHolder::Cutting(status))) => {
                next.lock = Some(LockHolder::Counted(status, state.recipients));
            }
            (CutStep::CommitCut, Some(LockHolder::Counted(status, counted))) => {
                next.commit_cut(*self, status, counted);
            }
            (CutStep::InsertBatches, _) => {
                next.half_cut = false;
                next.batched.push(state.recipients);
            }
            (CutStep::Crash, _) => (next.lock, next.half_cut) = (None, false),
            (CutStep::LockToAppend, _) if self.append_unlocked => next.unlocked_append = true,
            (CutStep::LockToAppend, _) => next.lock = Some(LockHolder::Appending),
            (CutStep::CommitAppend, _) => {
                next.recipients += 1;
                next.unlocked_append = false;
                next.lock = state.lock.filter(|_| self.append_unlocked);
            }
            _ => next.apply_change(step),
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let once = |_: &Self, state: &CutState| state.batched.len() <= 1;
        let whole = |_: &Self, state: &CutState| {
            state.half_cut || !state.schedule.cut || state.is_covered()
        };
        let timing = |_: &Self, state: &CutState| !state.wrong_time;
        vec![
            Property::always("a schedule is cut at most once", once),
            Property::always("each recipient is in a batch", whole),
            Property::always("a cut is neither early nor late", timing),
        ]
    }
}

impl CutState {
    fn unlocked_actions(&self, steps: &mut Vec<CutStep>) {
        let Schedule { status, cut, .. } = self.schedule;
        steps.extend(
            (1..=self.version)
                .filter(|version| self.events & (1 << version) != 0)
                .map(CutStep::Event),
        );
        steps.extend(
            rules::sweep_enqueues_cut(&self.schedule, self.timing).then_some(CutStep::Sweep),
        );
        let may_append = rules::is_open(&self.schedule)
            && self.recipients < MAX_RECIPIENTS
            && !self.unlocked_append;
        steps.extend(may_append.then_some(CutStep::LockToAppend));
        let changeable = self.version < MAX_VERSION && !cut;
        steps.extend(
            (changeable && rules::is_changeable(&self.schedule)).then_some(CutStep::Reschedule),
        );
        steps.extend((changeable && status == ScheduleStatus::Paused).then_some(CutStep::Resume));
        steps.extend((changeable && status == ScheduleStatus::Missed).then_some(CutStep::SendNow));
        steps.extend((status == ScheduleStatus::Scheduled).then_some(CutStep::Pause));
        steps.extend((!cut && status != ScheduleStatus::Cancelled).then_some(CutStep::Cancel));
    }
}
