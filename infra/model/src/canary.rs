//! A model of the canary: a batch of the canary, and one behind it. Queues duplicate messages, the
//! process that decides crashes, statuses arrive late, and operators pause, resume and cancel.

use stateright::{Model, Property};

use crate::{
    rows::{Hold, Schedule, ScheduleStatus},
    rules,
};

/// `schedules.status`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "named as in `ScheduleStatus`")]
pub enum Stage {
    Scheduled,
    Running,
    Paused,
    Cancelled,
}

impl From<Stage> for ScheduleStatus {
    fn from(stage: Stage) -> Self {
        match stage {
            Stage::Scheduled => Self::Scheduled,
            Stage::Running => Self::Running,
            Stage::Paused => Self::Paused,
            Stage::Cancelled => Self::Cancelled,
        }
    }
}

/// What became of the messages of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are complete")]
pub enum Messages {
    Unsent,
    Sent,
    Delivered,
    Failed,
    Closed,
}

/// What became of the canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "named as in `CanaryOutcome`")]
pub enum Outcome {
    Passed,
    Failed,
    Released,
}

/// A schedule of two batches.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub struct CanaryState {
    /// `schedules.status`
    pub stage: Stage,
    /// `schedules.held_after` is set.
    pub held: bool,
    /// A cut has inserted the batches, and not held any yet.
    pub half_cut: bool,
    /// `schedule_canaries.outcome`
    pub outcome: Option<Outcome>,
    /// A decision that has failed has not paused the schedule yet.
    pub half_decided: bool,
    /// The messages of the canary, and of the batch behind it.
    pub messages: [Messages; 2],
    /// `batches.waiting`
    pub waiting: [bool; 2],
    /// The turn is ready.
    pub turn: bool,
    /// A message on the send queue names the batch.
    pub queued: [bool; 2],
    /// The time of the canary is up.
    pub late: bool,
    /// Something behind the canary was sent although it had neither passed nor been released.
    pub sent_too_early: bool,
}

/// One step of a function, a carrier, an operator or the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are complete")]
pub enum CanaryStep {
    Cut,
    Hold,
    Admit,
    /// Delivers a message of the send queue, which stays on it.
    Deliver(usize),
    Status(Messages),
    LateStatus,
    Decide,
    PauseAfterDecision,
    Deadline,
    Pause,
    Resume,
    Cancel,
    /// The queue gets a message that names a batch that was not admitted.
    Stray,
}

/// A rule that an implementation leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CanaryFlaw {
    /// A claim does not read `held_after`.
    ClaimIgnoresHold,
    /// The batches are inserted before the transaction that holds them.
    HeldAfterTheCut,
    /// A decision that fails clears the hold, and pauses in a second transaction.
    PausedAfterTheDecision,
    /// A resume of any pause clears the hold.
    ResumeReleases,
    /// A decision that passes opens no turn.
    PassOpensNoTurn,
    /// A resume after a failure keeps the hold.
    ResumeKeepsHold,
    /// A cancel respects the hold.
    CancelKeepsHold,
    /// Nobody decides when the time is up.
    NoDecisionAtTheDeadline,
}

/// The implementation. By default, no rule is omitted.
#[derive(Clone, Copy, Debug, Default)]
pub struct CanaryModel {
    /// The rule that is left out.
    pub flaw: Option<CanaryFlaw>,
}

const CANARY: usize = 0;
const REST: usize = 1;

impl CanaryModel {
    fn has(self, flaw: CanaryFlaw) -> bool {
        self.flaw == Some(flaw)
    }

    fn is_held(self, state: &CanaryState, batch: usize) -> bool {
        let hold = match (state.held, batch) {
            (false, _) => Hold::Nothing,
            (true, CANARY) => Hold::Canary,
            (true, _) => Hold::Behind,
        };
        let schedule = Schedule {
            status: state.stage.into(),
            cut: state.stage != Stage::Scheduled,
            turn: state.turn,
            hold,
        };
        let is_kept = self.has(CanaryFlaw::CancelKeepsHold) && hold == Hold::Behind;
        rules::is_held(&schedule) || is_kept
    }

    /// Returns whether a batch is admitted by the next admission.
    fn is_admissible(self, state: &CanaryState, batch: usize) -> bool {
        let allows = matches!(state.stage, Stage::Running | Stage::Cancelled);
        state.turn && allows && state.waiting[batch] && !self.is_held(state, batch)
    }

    fn may_claim(self, state: &CanaryState, batch: usize) -> bool {
        let held = self.is_held(state, batch) && !self.has(CanaryFlaw::ClaimIgnoresHold);
        let allows = matches!(state.stage, Stage::Running | Stage::Cancelled);
        allows && !held && state.messages[batch] == Messages::Unsent
    }

    fn may_decide(self, state: &CanaryState) -> bool {
        let is_final = matches!(
            state.messages[CANARY],
            Messages::Delivered | Messages::Failed
        );
        let is_late = state.late && !self.has(CanaryFlaw::NoDecisionAtTheDeadline);
        state.stage == Stage::Running && state.held && (is_final || is_late)
    }

    fn decide(self, next: &mut CanaryState) {
        if next.messages[CANARY] == Messages::Delivered {
            next.outcome = Some(Outcome::Passed);
            next.held = false;
            next.turn |= !self.has(CanaryFlaw::PassOpensNoTurn);
            return;
        }
        next.outcome = Some(Outcome::Failed);
        if self.has(CanaryFlaw::PausedAfterTheDecision) {
            (next.held, next.turn, next.half_decided) = (false, true, true);
        } else {
            next.stage = Stage::Paused;
        }
    }

    fn send(self, next: &mut CanaryState, batch: usize) {
        if !self.may_claim(next, batch) {
            return;
        }
        next.waiting[batch] = false;
        if next.stage == Stage::Cancelled {
            next.messages[batch] = Messages::Closed;
            return;
        }
        next.messages[batch] = Messages::Sent;
        let is_free = matches!(next.outcome, Some(Outcome::Passed | Outcome::Released));
        next.sent_too_early |= batch == REST && !is_free;
    }
}

impl Model for CanaryModel {
    type State = CanaryState;
    type Action = CanaryStep;

    fn init_states(&self) -> Vec<CanaryState> {
        vec![CanaryState {
            stage: Stage::Scheduled,
            held: false,
            half_cut: false,
            outcome: None,
            half_decided: false,
            messages: [Messages::Unsent; 2],
            waiting: [false; 2],
            turn: false,
            queued: [false; 2],
            late: false,
            sent_too_early: false,
        }]
    }

    fn actions(&self, state: &CanaryState, steps: &mut Vec<CanaryStep>) {
        if state.stage == Stage::Scheduled {
            steps.push(CanaryStep::Cut);
            return;
        }
        steps.extend(state.half_cut.then_some(CanaryStep::Hold));
        steps.extend(state.half_decided.then_some(CanaryStep::PauseAfterDecision));
        let admissible = [CANARY, REST]
            .iter()
            .any(|batch| self.is_admissible(state, *batch));
        steps.extend((admissible || state.turn).then_some(CanaryStep::Admit));
        for batch in [CANARY, REST] {
            steps.extend(state.queued[batch].then_some(CanaryStep::Deliver(batch)));
        }
        if state.messages[CANARY] == Messages::Sent {
            steps.push(CanaryStep::Status(Messages::Delivered));
            steps.push(CanaryStep::Status(Messages::Failed));
        }
        steps
            .extend((state.messages[CANARY] == Messages::Failed).then_some(CanaryStep::LateStatus));
        steps.extend(self.may_decide(state).then_some(CanaryStep::Decide));
        let is_sent = state.messages[CANARY] != Messages::Unsent;
        steps.extend((is_sent && !state.late).then_some(CanaryStep::Deadline));
        steps.extend((state.stage == Stage::Running).then_some(CanaryStep::Pause));
        steps.extend((state.stage == Stage::Paused).then_some(CanaryStep::Resume));
        steps.extend((state.stage != Stage::Cancelled).then_some(CanaryStep::Cancel));
        steps.extend((!state.queued[REST]).then_some(CanaryStep::Stray));
    }

    fn next_state(&self, state: &CanaryState, step: CanaryStep) -> Option<CanaryState> {
        let mut next = state.clone();
        match step {
            CanaryStep::Cut => {
                next.stage = Stage::Running;
                (next.waiting, next.turn) = ([true; 2], true);
                let late = self.has(CanaryFlaw::HeldAfterTheCut);
                (next.held, next.half_cut) = (!late, late);
            }
            CanaryStep::Hold => (next.held, next.half_cut) = (true, false),
            CanaryStep::Admit => {
                let mut admitted = false;
                for batch in [CANARY, REST] {
                    if self.is_admissible(state, batch) {
                        next.waiting[batch] = false;
                        next.queued[batch] = true;
                        admitted = true;
                    }
                }
                // A turn of which nothing can be admitted is put aside.
                next.turn = admitted && next.waiting.iter().any(|waiting| *waiting);
            }
            CanaryStep::Deliver(batch) => self.send(&mut next, batch),
            CanaryStep::Status(status) => next.messages[CANARY] = status,
            CanaryStep::LateStatus => next.messages[CANARY] = Messages::Delivered,
            CanaryStep::Decide => self.decide(&mut next),
            CanaryStep::PauseAfterDecision => {
                (next.stage, next.half_decided) = (Stage::Paused, false);
            }
            CanaryStep::Deadline => next.late = true,
            CanaryStep::Pause => next.stage = Stage::Paused,
            CanaryStep::Resume => {
                next.stage = Stage::Running;
                let failed = state.outcome == Some(Outcome::Failed)
                    && !self.has(CanaryFlaw::ResumeKeepsHold);
                if failed {
                    (next.outcome, next.held) = (Some(Outcome::Released), false);
                }
                next.held &= !self.has(CanaryFlaw::ResumeReleases);
                next.turn = true;
            }
            CanaryStep::Cancel => {
                next.stage = Stage::Cancelled;
                next.turn = true;
            }
            CanaryStep::Stray => next.queued[REST] = true,
        }
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let early = |_: &Self, state: &CanaryState| !state.sent_too_early;
        // What is not sent waits for something that happens: a turn, a decision, or a person.
        let found = |model: &Self, state: &CanaryState| {
            let unsent = state.messages[REST] == Messages::Unsent && state.waiting[REST];
            let awaits = state.held
                && state.stage == Stage::Running
                && state.outcome.is_none()
                && (!state.late || model.may_decide(state));
            !unsent
                || matches!(state.stage, Stage::Scheduled | Stage::Paused)
                || model.is_admissible(state, REST)
                || awaits
        };
        let sent = |_: &Self, state: &CanaryState| {
            state.outcome == Some(Outcome::Passed) && state.messages[REST] == Messages::Sent
        };
        let released = |_: &Self, state: &CanaryState| {
            state.outcome == Some(Outcome::Released) && state.messages[REST] == Messages::Sent
        };
        vec![
            Property::always("nothing behind a canary is sent before it passed", early),
            Property::always("what is held is released or awaited", found),
            Property::sometimes("a canary passes and the rest is sent", sent),
            Property::sometimes("a failed canary is released and the rest is sent", released),
        ]
    }
}
