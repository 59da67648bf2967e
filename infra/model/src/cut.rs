//! A model of the cut: appends, changes of text, time and window, pauses and cancels race with two
//! dispatchers that cut the schedule. The steps of a transaction are separate actions, which only
//! the lock of the schedule's row protects.

use stateright::{Model, Property};

use crate::{
    rows::{Hold, Schedule, ScheduleStatus},
    rules::{self, Decision, Opening, Timing},
};

/// The maximum number of recipients.
const MAX_RECIPIENTS: u8 = 3;
/// The highest version.
const MAX_VERSION: u8 = 4;
/// The maximum number of texts that callers ask for.
const MAX_TEXTS: u8 = 2;

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
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub struct CutState {
    /// `schedules`
    pub schedule: Schedule,
    /// `version`
    pub version: u8,
    /// The current time relative to `run_at` and the start.
    pub timing: Timing,
    /// The window is closed at `run_at`.
    pub closed: bool,
    /// `opens_at` is that of a former window, which opens later.
    pub opens_too_late: bool,
    /// The text of the row.
    pub text: u8,
    /// The last text that a caller has asked for before the start.
    pub asked: u8,
    /// The text that is sent.
    pub sent: Option<u8>,
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
    /// The schedule was found missed before it was too late.
    pub wrongly_missed: bool,
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
    ChangeText,
    Reschedule,
    OpenWindow,
    CloseWindow,
    Pause,
    Resume,
    Cancel,
    SendNow,
    TimePasses,
}

/// A rule that an implementation of the cut leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutFlaw {
    /// The status is committed in a transaction before that of the batches.
    TwoTransactions,
    /// Appends check the status without the lock.
    UnlockedAppend,
    /// The cut checks neither the start under the lock nor the status in its final statement.
    Unchecked,
    /// The cut happens at `run_at`, although the window is closed.
    CutAtRunAt,
    /// Lateness counts from `run_at`, although nothing was due before the window opened.
    LateFromRunAt,
    /// A change of the window does not write `opens_at`.
    ChangeKeepsOpening,
}

/// The implementation of the cut. By default, no rule is omitted.
#[derive(Clone, Copy, Debug, Default)]
pub struct CutModel {
    /// The rule that is left out.
    pub flaw: Option<CutFlaw>,
}

impl CutModel {
    fn has(self, flaw: CutFlaw) -> bool {
        self.flaw == Some(flaw)
    }

    /// Returns the time as a dispatcher judges it.
    fn judge(self, state: &CutState) -> Timing {
        match state.timing {
            Timing::Waiting if self.has(CutFlaw::CutAtRunAt) => Timing::Due,
            Timing::Due if state.closed && self.has(CutFlaw::LateFromRunAt) => Timing::TooLate,
            timing => timing,
        }
    }
}

impl CutState {
    fn begin_cut(&mut self, model: CutModel, version: u8) {
        let same = version == self.version;
        let decision = if model.has(CutFlaw::Unchecked) && !self.schedule.cut {
            Decision::Cut(ScheduleStatus::Running)
        } else {
            rules::decide(&self.schedule, same, model.judge(self))
        };
        match decision {
            Decision::Nothing => {}
            Decision::Missed => {
                self.wrongly_missed |= self.timing != Timing::TooLate;
                rules::mark_missed(&mut self.schedule, same);
            }
            Decision::Cut(status) => {
                self.wrong_time |= status == ScheduleStatus::Running && self.timing != Timing::Due;
                self.lock = Some(LockHolder::Cutting(status));
            }
        }
    }

    fn commit_cut(&mut self, model: CutModel, status: ScheduleStatus, counted: u8) {
        self.lock = None;
        if model.has(CutFlaw::Unchecked) {
            self.schedule = Schedule {
                status,
                cut: true,
                ..self.schedule
            };
        } else if !rules::mark_cut(&mut self.schedule, true, status) {
            return;
        }
        if status == ScheduleStatus::Running {
            self.sent = Some(self.text);
        }
        if model.has(CutFlaw::TwoTransactions) {
            self.half_cut = true;
        } else {
            self.batched.push(counted);
        }
    }

    /// A caller asks for another text. It is told whether that is possible.
    fn change_text(&mut self) {
        self.asked += 1;
        if rules::is_changeable(&self.schedule) {
            self.text = self.asked;
        }
    }

    fn change_time(&mut self, status: ScheduleStatus, timing: Timing) {
        self.schedule.status = status;
        self.timing = timing;
        self.opens_too_late = false;
        self.version += 1;
        self.events |= 1 << self.version;
    }

    /// A caller sets a window that is open at `run_at`. A schedule that is past its `run_at` gets
    /// that of now.
    fn open_window(&mut self, model: CutModel) {
        let timing = match self.timing {
            Timing::Early => Timing::Early,
            Timing::Waiting | Timing::Due | Timing::TooLate => Timing::Due,
        };
        self.closed = false;
        self.change_time(self.schedule.status, timing);
        self.opens_too_late = model.has(CutFlaw::ChangeKeepsOpening);
    }

    /// A caller sets a window that opens later.
    fn close_window(&mut self) {
        let timing = match self.timing {
            Timing::Early => Timing::Early,
            Timing::Waiting | Timing::Due | Timing::TooLate => Timing::Waiting,
        };
        self.closed = true;
        self.change_time(self.schedule.status, timing);
    }

    fn apply_change(&mut self, model: CutModel, step: CutStep) {
        match step {
            CutStep::ChangeText => self.change_text(),
            CutStep::Reschedule => self.change_time(self.schedule.status, Timing::Early),
            CutStep::OpenWindow => self.open_window(model),
            CutStep::CloseWindow => self.close_window(),
            CutStep::SendNow => {
                rules::send_uncut_now(&mut self.schedule);
                // If the window is closed now, the schedule waits until it opens.
                let timing = if self.closed {
                    Timing::Waiting
                } else {
                    Timing::Due
                };
                self.change_time(self.schedule.status, timing);
            }
            CutStep::Resume => {
                // A start that is ahead stays; one that has passed becomes now.
                let timing = match self.timing {
                    ahead @ (Timing::Early | Timing::Waiting) => ahead,
                    Timing::Due | Timing::TooLate => Timing::Due,
                };
                self.change_time(ScheduleStatus::Scheduled, timing);
            }
            CutStep::Pause => _ = rules::pause(&mut self.schedule),
            CutStep::Cancel => _ = rules::cancel(&mut self.schedule, &mut [], false),
            _ => {
                self.timing = match self.timing {
                    Timing::Early if self.closed => Timing::Waiting,
                    Timing::Early | Timing::Waiting => Timing::Due,
                    Timing::Due | Timing::TooLate => Timing::TooLate,
                };
            }
        }
    }

    /// Returns whether the sweep enqueues the schedule.
    fn is_found_by_sweep(&self) -> bool {
        let is_ahead = self.opens_too_late
            || (self.closed && matches!(self.timing, Timing::Early | Timing::Waiting));
        let opening = if is_ahead {
            Opening::Ahead
        } else {
            Opening::Passed
        };
        rules::sweep_enqueues_cut(&self.schedule, self.timing != Timing::Early, opening)
    }

    fn is_covered(&self) -> bool {
        self.batched == [self.recipients]
    }

    fn unlocked_actions(&self, steps: &mut Vec<CutStep>) {
        let Schedule { status, cut, .. } = self.schedule;
        steps.extend(
            (1..=self.version)
                .filter(|version| self.events & (1 << version) != 0)
                .map(CutStep::Event),
        );
        steps.extend(self.is_found_by_sweep().then_some(CutStep::Sweep));
        let may_append = rules::is_open(&self.schedule)
            && self.recipients < MAX_RECIPIENTS
            && !self.unlocked_append;
        steps.extend(may_append.then_some(CutStep::LockToAppend));
        let may_ask = self.asked < MAX_TEXTS
            && matches!(self.timing, Timing::Early | Timing::Waiting)
            && matches!(
                status,
                ScheduleStatus::Scheduled | ScheduleStatus::Paused | ScheduleStatus::Running
            );
        steps.extend(may_ask.then_some(CutStep::ChangeText));
        let changeable = self.version < MAX_VERSION && !cut;
        if changeable && rules::is_changeable(&self.schedule) {
            steps.push(CutStep::Reschedule);
            steps.extend(self.closed.then_some(CutStep::OpenWindow));
            steps.extend((!self.closed).then_some(CutStep::CloseWindow));
        }
        steps.extend((changeable && status == ScheduleStatus::Paused).then_some(CutStep::Resume));
        steps.extend((changeable && status == ScheduleStatus::Missed).then_some(CutStep::SendNow));
        steps.extend((status == ScheduleStatus::Scheduled).then_some(CutStep::Pause));
        steps.extend((!cut && status != ScheduleStatus::Cancelled).then_some(CutStep::Cancel));
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
            hold: Hold::Nothing,
        };
        let state = |closed| CutState {
            schedule,
            version: 1,
            timing: Timing::Early,
            closed,
            opens_too_late: false,
            text: 0,
            asked: 0,
            sent: None,
            recipients: 1,
            batched: Vec::new(),
            lock: None,
            unlocked_append: false,
            half_cut: false,
            events: 0b10,
            wrong_time: false,
            wrongly_missed: false,
        };
        vec![state(false), state(true)]
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
            (CutStep::LockToAppend, _) if self.has(CutFlaw::UnlockedAppend) => {
                next.unlocked_append = true;
            }
            (CutStep::LockToAppend, _) => next.lock = Some(LockHolder::Appending),
            (CutStep::CommitAppend, _) => {
                next.recipients += 1;
                next.unlocked_append = false;
                next.lock = state.lock.filter(|_| self.has(CutFlaw::UnlockedAppend));
            }
            _ => next.apply_change(*self, step),
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let once = |_: &Self, state: &CutState| state.batched.len() <= 1;
        let whole = |_: &Self, state: &CutState| {
            state.half_cut || !state.schedule.cut || state.is_covered()
        };
        let timing = |_: &Self, state: &CutState| !state.wrong_time;
        let lateness = |_: &Self, state: &CutState| !state.wrongly_missed;
        let text = |_: &Self, state: &CutState| state.sent.is_none_or(|sent| sent == state.asked);
        let found = |_: &Self, state: &CutState| {
            let is_due = state.schedule.status == ScheduleStatus::Scheduled
                && matches!(state.timing, Timing::Due | Timing::TooLate);
            !is_due || state.is_found_by_sweep()
        };
        vec![
            Property::always("a schedule is cut at most once", once),
            Property::always("each recipient is in a batch", whole),
            Property::always("a cut is neither early nor late", timing),
            Property::always("nothing is missed before it is late", lateness),
            Property::always("the text asked for before the start is sent", text),
            Property::always("the sweep finds what is due", found),
        ]
    }
}
