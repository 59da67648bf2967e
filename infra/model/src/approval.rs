//! A model of four eyes: changes of the content, pauses and the cut race with a person who reads a
//! hash and approves it. A hash stands for the content of one moment, so the model uses a number that
//! each change raises.

use stateright::{Model, Property};

/// The number of changes.
const MAX_CONTENT: u8 = 3;

/// The states of a schedule that needs an approval, up to its cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "named as in `ScheduleStatus`")]
pub enum Stage {
    Draft,
    Awaiting,
    Scheduled,
    Paused,
    Cut,
}

/// A schedule, and what the approver knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ApprovalState {
    /// `schedules.status`
    pub stage: Stage,
    /// The content.
    pub content: u8,
    /// `approved_hash`
    pub approved: Option<u8>,
    /// The hash that the approver has read.
    pub read: Option<u8>,
    /// An approval that has compared the hash, without the lock.
    pub compared: Option<u8>,
    /// The content that the approver has seen and meant, at its last successful call.
    pub meant: Option<u8>,
    /// The content that was cut.
    pub sent: Option<u8>,
}

/// One step of a caller, the approver or dispatch. Each is a transaction under the lock of the
/// schedule's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are complete")]
pub enum ApprovalStep {
    Activate,
    Change,
    Pause,
    Resume,
    Read,
    Approve,
    /// The second half of an approval that does not hold the lock.
    Write,
    Reject,
    Cut,
}

/// A rule that an implementation leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApprovalFlaw {
    /// An approval does not compare the hash with the content.
    HashIsNotCompared,
    /// An approval compares before it takes the lock.
    ComparedWithoutLock,
    /// A change of a schedule that waits for its time leaves it there.
    ChangeKeepsApproval,
    /// A resume does not compare what was approved with the content.
    ResumeIsNotCompared,
    /// An activation goes to `scheduled`.
    ActivationIsNotHeld,
}

/// The implementation. By default, no rule is omitted.
#[derive(Clone, Copy, Debug, Default)]
pub struct ApprovalModel {
    /// The rule that is left out.
    pub flaw: Option<ApprovalFlaw>,
}

impl ApprovalModel {
    fn has(self, flaw: ApprovalFlaw) -> bool {
        self.flaw == Some(flaw)
    }
}

impl ApprovalState {
    /// Models `approval::follow`: what begins has the content that was approved.
    fn follow(&mut self) {
        if self.stage == Stage::Scheduled && self.approved != Some(self.content) {
            (self.stage, self.approved) = (Stage::Awaiting, None);
        }
    }

    fn approve(&mut self, hash: u8) {
        if self.stage == Stage::Awaiting {
            self.stage = Stage::Scheduled;
            self.approved = Some(hash);
            self.meant = self.read;
        }
    }
}

impl Model for ApprovalModel {
    type State = ApprovalState;
    type Action = ApprovalStep;

    fn init_states(&self) -> Vec<ApprovalState> {
        vec![ApprovalState {
            stage: Stage::Draft,
            content: 0,
            approved: None,
            read: None,
            compared: None,
            meant: None,
            sent: None,
        }]
    }

    fn actions(&self, state: &ApprovalState, steps: &mut Vec<ApprovalStep>) {
        let is = |stage| state.stage == stage;
        let uncut = !is(Stage::Cut);
        steps.extend(is(Stage::Draft).then_some(ApprovalStep::Activate));
        steps.extend((uncut && state.content < MAX_CONTENT).then_some(ApprovalStep::Change));
        steps.extend(is(Stage::Scheduled).then_some(ApprovalStep::Pause));
        steps.extend(is(Stage::Paused).then_some(ApprovalStep::Resume));
        steps.extend((uncut && state.read != Some(state.content)).then_some(ApprovalStep::Read));
        let may = is(Stage::Awaiting) && state.read.is_some() && state.compared.is_none();
        steps.extend(may.then_some(ApprovalStep::Approve));
        steps.extend(state.compared.map(|_| ApprovalStep::Write));
        steps.extend(is(Stage::Awaiting).then_some(ApprovalStep::Reject));
        steps.extend(is(Stage::Scheduled).then_some(ApprovalStep::Cut));
    }

    fn next_state(&self, state: &ApprovalState, step: ApprovalStep) -> Option<ApprovalState> {
        let mut next = state.clone();
        match step {
            ApprovalStep::Activate => {
                next.stage = Stage::Scheduled;
                if !self.has(ApprovalFlaw::ActivationIsNotHeld) {
                    next.follow();
                }
            }
            ApprovalStep::Change => {
                next.content += 1;
                if !self.has(ApprovalFlaw::ChangeKeepsApproval) {
                    next.follow();
                }
            }
            ApprovalStep::Pause => next.stage = Stage::Paused,
            ApprovalStep::Resume => {
                next.stage = Stage::Scheduled;
                if !self.has(ApprovalFlaw::ResumeIsNotCompared) {
                    next.follow();
                }
            }
            ApprovalStep::Read => next.read = Some(state.content),
            ApprovalStep::Approve => {
                let same = state.read == Some(state.content);
                if !same && !self.has(ApprovalFlaw::HashIsNotCompared) {
                    return None;
                }
                if self.has(ApprovalFlaw::ComparedWithoutLock) {
                    next.compared = Some(state.content);
                } else {
                    next.approve(state.content);
                }
            }
            ApprovalStep::Write => {
                // It writes what is there now.
                next.compared = None;
                next.approve(state.content);
            }
            ApprovalStep::Reject => next.stage = Stage::Draft,
            ApprovalStep::Cut => (next.stage, next.sent) = (Stage::Cut, Some(state.content)),
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let approved = |_: &Self, state: &ApprovalState| {
            state.sent.is_none_or(|sent| state.meant == Some(sent))
        };
        let waits = |_: &Self, state: &ApprovalState| {
            state.stage != Stage::Scheduled || state.approved == Some(state.content)
        };
        let possible = |_: &Self, state: &ApprovalState| state.sent == Some(MAX_CONTENT);
        vec![
            Property::always("what is sent is what the approver has seen", approved),
            Property::always("what waits for its time is approved", waits),
            Property::sometimes("a changed schedule is approved and sent", possible),
        ]
    }
}
