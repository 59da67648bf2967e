//! A schedule before its batches: appends, changes of time, pauses and cancels race with two dispatchers that cut it. Transactions
//! are steps apart here, held together by the lock of the schedule's row alone.

use stateright::{Model, Property};

use crate::{
    database::{Life, Schedule},
    rules::{self, Decision, Hour},
};

/// Recipients at most.
const MOST: u8 = 3;
/// Versions at most.
const VERSIONS: u8 = 4;

/// Who holds the lock, and what it has done inside its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Holder {
    /// A dispatcher that has found the schedule to be cut, and has not looked at the recipients yet.
    Cutting(Life),
    /// It has: so many recipients are in its batches.
    Counted(Life, u8),
    /// An append that was allowed.
    Appending,
}

/// A schedule, its recipients and its batches.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Plan {
    /// `schedules`
    pub schedule: Schedule,
    /// `version`
    pub version: u8,
    /// What the clock says of `run_at`.
    pub hour: Hour,
    /// Recipients that are there.
    pub recipients: u8,
    /// Recipients that are in batches, as often as batches were inserted.
    pub batched: Vec<u8>,
    /// The lock of the schedule's row.
    pub lock: Option<Holder>,
    /// An append that has looked and does not hold the lock.
    pub unlocked_append: bool,
    /// A dispatcher that has committed the status, and not the batches.
    pub half_cut: bool,
    /// Events under way, as bits by version.
    pub events: u8,
    /// A cut was made before its time, or too late.
    pub wrong_hour: bool,
}

/// A step of somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain")]
pub enum Step {
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

/// How it is done.
#[derive(Clone, Copy, Debug, Default)]
pub struct DispatchedBy {
    /// The status is committed before the batches.
    pub two_transactions: bool,
    /// Appends look at the status without the lock.
    pub append_unlocked: bool,
    /// The cut does not look at the status again when it writes, nor at `run_at` under the lock.
    pub blind: bool,
}

impl Plan {
    fn begin_cut(&mut self, way: DispatchedBy, version: u8) {
        let same = version == self.version;
        let decision = if way.blind && !self.schedule.cut {
            Decision::Cut(Life::Running)
        } else {
            rules::decide(&self.schedule, same, self.hour)
        };
        match decision {
            Decision::Nothing => {}
            Decision::Missed => _ = rules::mark_missed(&mut self.schedule, same),
            Decision::Cut(life) => {
                self.wrong_hour |= life == Life::Running && self.hour != Hour::Due;
                self.lock = Some(Holder::Cutting(life));
            }
        }
    }

    fn commit_cut(&mut self, way: DispatchedBy, life: Life, counted: u8) {
        self.lock = None;
        if way.blind {
            self.schedule = Schedule {
                status: life,
                cut: true,
            };
        } else if !rules::mark_cut(&mut self.schedule, true, life) {
            return;
        }
        if way.two_transactions {
            self.half_cut = true;
        } else {
            self.batched.push(counted);
        }
    }

    fn change_time(&mut self, status: Life, hour: Hour) {
        self.schedule.status = status;
        self.hour = hour;
        self.version += 1;
        self.events |= 1 << self.version;
    }

    fn move_by(&mut self, step: Step) {
        match step {
            Step::Reschedule => self.change_time(self.schedule.status, Hour::Early),
            Step::SendNow => {
                rules::send_uncut_now(&mut self.schedule);
                self.change_time(self.schedule.status, Hour::Due);
            }
            Step::Resume => self.change_time(
                Life::Scheduled,
                if self.hour == Hour::Early {
                    Hour::Early
                } else {
                    Hour::Due
                },
            ),
            Step::Pause => _ = rules::pause(&mut self.schedule),
            Step::Cancel => _ = rules::cancel(&mut self.schedule, &mut []),
            _ => {
                self.hour = if self.hour == Hour::Early {
                    Hour::Due
                } else {
                    Hour::TooLate
                };
            }
        }
    }

    fn is_covered(&self) -> bool {
        self.batched == [self.recipients]
    }
}

impl Model for DispatchedBy {
    type State = Plan;
    type Action = Step;

    fn init_states(&self) -> Vec<Plan> {
        let schedule = Schedule {
            status: Life::Scheduled,
            cut: false,
        };
        vec![Plan {
            schedule,
            version: 1,
            hour: Hour::Early,
            recipients: 1,
            batched: Vec::new(),
            lock: None,
            unlocked_append: false,
            half_cut: false,
            events: 0b10,
            wrong_hour: false,
        }]
    }

    fn actions(&self, plan: &Plan, steps: &mut Vec<Step>) {
        match plan.lock {
            Some(Holder::Cutting(_)) => steps.extend([Step::Count, Step::Crash]),
            Some(Holder::Counted(..)) => steps.extend([Step::CommitCut, Step::Crash]),
            Some(Holder::Appending) => steps.extend([Step::CommitAppend, Step::Crash]),
            None => plan.unlocked_actions(steps),
        }
        if plan.half_cut {
            steps.extend([Step::InsertBatches, Step::Crash]);
        }
        if plan.unlocked_append {
            steps.push(Step::CommitAppend);
        }
        steps.extend(
            (plan.hour != Hour::TooLate && plan.lock.is_none()).then_some(Step::TimePasses),
        );
    }

    fn next_state(&self, plan: &Plan, step: Step) -> Option<Plan> {
        let mut next = plan.clone();
        match (step, plan.lock) {
            (Step::Event(version), _) => {
                next.events &= !(1 << version);
                next.begin_cut(*self, version);
            }
            (Step::Sweep, _) => next.begin_cut(*self, plan.version),
            (Step::Count, Some(Holder::Cutting(life))) => {
                next.lock = Some(Holder::Counted(life, plan.recipients))
            }
            (Step::CommitCut, Some(Holder::Counted(life, counted))) => {
                next.commit_cut(*self, life, counted)
            }
            (Step::InsertBatches, _) => {
                next.half_cut = false;
                next.batched.push(plan.recipients);
            }
            (Step::Crash, _) => (next.lock, next.half_cut) = (None, false),
            (Step::LockToAppend, _) if self.append_unlocked => next.unlocked_append = true,
            (Step::LockToAppend, _) => next.lock = Some(Holder::Appending),
            (Step::CommitAppend, _) => {
                next.recipients += 1;
                next.unlocked_append = false;
                next.lock = plan.lock.filter(|_| self.append_unlocked);
            }
            _ => next.move_by(step),
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let once = |_: &Self, plan: &Plan| plan.batched.len() <= 1;
        let whole =
            |_: &Self, plan: &Plan| plan.half_cut || !plan.schedule.cut || plan.is_covered();
        let hour = |_: &Self, plan: &Plan| !plan.wrong_hour;
        vec![
            Property::always("cut once", once),
            Property::always("every recipient is in a batch", whole),
            Property::always("neither early nor too late", hour),
        ]
    }
}

impl Plan {
    fn unlocked_actions(&self, steps: &mut Vec<Step>) {
        let Schedule { status, cut } = self.schedule;
        steps.extend(
            (1..=self.version)
                .filter(|version| self.events & (1 << version) != 0)
                .map(Step::Event),
        );
        steps.extend(rules::wants_cut(&self.schedule, self.hour).then_some(Step::Sweep));
        let may_append =
            rules::is_open(&self.schedule) && self.recipients < MOST && !self.unlocked_append;
        steps.extend(may_append.then_some(Step::LockToAppend));
        let changeable = self.version < VERSIONS && !cut;
        steps.extend(
            (changeable && rules::is_changeable(&self.schedule)).then_some(Step::Reschedule),
        );
        steps.extend((changeable && status == Life::Paused).then_some(Step::Resume));
        steps.extend((changeable && status == Life::Missed).then_some(Step::SendNow));
        steps.extend((status == Life::Scheduled).then_some(Step::Pause));
        steps.extend((!cut && status != Life::Cancelled).then_some(Step::Cancel));
    }
}
