//! A model of budgets: two passes reserve parts of one budget, send, and give back what they have not
//! used, while they crash at any moment, the carrier refuses, and the budget is raised.

use stateright::{Model, Property};

/// Recipients of each batch, a part each.
const RECIPIENTS: u8 = 2;
/// The budget before and after it is raised.
const AMOUNTS: [u8; 2] = [3, 4];

/// The stage of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PassStage {
    /// No pass.
    Idle,
    /// It has read how much is left, and so how many it may send.
    Read(u8),
    /// It has reserved, and sends.
    Sending,
    /// Its schedule is paused, because nothing is left.
    Paused,
}

/// A batch and its pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BudgetPass {
    /// What it does next.
    pub stage: PassStage,
    /// Recipients that wait.
    pub waiting: u8,
    /// What the pass has reserved.
    pub reserved: u8,
    /// Requests that it has started.
    pub started: u8,
    /// Of these, those that the carrier has accepted, or may have.
    pub spent: u8,
}

/// A budget, and the passes over two batches.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BudgetState {
    /// `spending.used`
    pub used: u8,
    /// `budgets.amount`
    pub amount: u8,
    /// What the carrier has accepted, or may have.
    pub sent: u8,
    /// A pass has crashed.
    pub crashed: bool,
    /// The passes.
    pub passes: [BudgetPass; 2],
}

/// One step of a pass, or of an administrator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are complete")]
pub enum BudgetStep {
    Read(usize),
    Reserve(usize),
    Accepted(usize),
    Refused(usize),
    Settle(usize),
    Crash(usize),
    Raise,
    Resume(usize),
}

/// A rule that an implementation leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetFlaw {
    /// What was sent is counted at the end of the pass.
    CountedAfterMark,
    /// The reservation relies on what was read before.
    ReservedWithoutCondition,
    /// The end of a pass gives back all that it has reserved.
    AllGivenBack,
    /// The end of a pass gives back nothing.
    NothingGivenBack,
}

/// The implementation. By default, no rule is omitted.
#[derive(Clone, Copy, Debug, Default)]
pub struct BudgetModel {
    /// The rule that is left out.
    pub flaw: Option<BudgetFlaw>,
}

impl BudgetModel {
    fn has(self, flaw: BudgetFlaw) -> bool {
        self.flaw == Some(flaw)
    }

    /// Reserves what the pass has read that it may send, if so much is left.
    fn reserve(self, state: &mut BudgetState, at: usize, wanted: u8) {
        let fits = state.used + wanted <= state.amount;
        let pass = &mut state.passes[at];
        if wanted == 0 {
            pass.stage = PassStage::Paused;
        } else if fits || self.has(BudgetFlaw::ReservedWithoutCondition) {
            pass.stage = PassStage::Sending;
            pass.reserved = wanted;
            if !self.has(BudgetFlaw::CountedAfterMark) {
                state.used += wanted;
            }
        } else {
            // Another pass was faster: read again.
            pass.stage = PassStage::Idle;
        }
    }

    fn settle(self, state: &mut BudgetState, at: usize) {
        let BudgetPass {
            reserved, spent, ..
        } = state.passes[at];
        let unused = match self.flaw {
            Some(BudgetFlaw::AllGivenBack) => reserved,
            Some(BudgetFlaw::NothingGivenBack) => 0,
            _ => reserved - spent,
        };
        if self.has(BudgetFlaw::CountedAfterMark) {
            state.used += spent;
        } else {
            state.used = state.used.saturating_sub(unused);
        }
        state.passes[at].end();
    }
}

impl BudgetPass {
    fn end(&mut self) {
        (self.stage, self.reserved) = (PassStage::Idle, 0);
        (self.started, self.spent) = (0, 0);
    }
}

impl BudgetState {
    fn is_resting(&self) -> bool {
        let mut passes = self.passes.iter();
        passes.all(|pass| matches!(pass.stage, PassStage::Idle | PassStage::Paused))
    }
}

impl Model for BudgetModel {
    type State = BudgetState;
    type Action = BudgetStep;

    fn init_states(&self) -> Vec<BudgetState> {
        let pass = BudgetPass {
            stage: PassStage::Idle,
            waiting: RECIPIENTS,
            reserved: 0,
            started: 0,
            spent: 0,
        };
        vec![BudgetState {
            used: 0,
            amount: AMOUNTS[0],
            sent: 0,
            crashed: false,
            passes: [pass; 2],
        }]
    }

    fn actions(&self, state: &BudgetState, steps: &mut Vec<BudgetStep>) {
        for (at, pass) in state.passes.iter().enumerate() {
            match pass.stage {
                PassStage::Idle if pass.waiting > 0 => steps.push(BudgetStep::Read(at)),
                PassStage::Read(_) => steps.push(BudgetStep::Reserve(at)),
                PassStage::Sending => {
                    if pass.started < pass.reserved {
                        steps.extend([BudgetStep::Accepted(at), BudgetStep::Refused(at)]);
                    }
                    // A pass may also stop before the time, for example because a window closes.
                    steps.push(BudgetStep::Settle(at));
                    steps.extend((!state.crashed).then_some(BudgetStep::Crash(at)));
                }
                PassStage::Paused if state.amount == AMOUNTS[1] => {
                    steps.push(BudgetStep::Resume(at));
                }
                PassStage::Idle | PassStage::Paused => {}
            }
        }
        steps.extend((state.amount == AMOUNTS[0]).then_some(BudgetStep::Raise));
    }

    fn next_state(&self, state: &BudgetState, step: BudgetStep) -> Option<BudgetState> {
        let mut next = state.clone();
        match step {
            BudgetStep::Read(at) => {
                let left = state.amount.saturating_sub(state.used);
                next.passes[at].stage = PassStage::Read(state.passes[at].waiting.min(left));
            }
            BudgetStep::Reserve(at) => {
                if let PassStage::Read(wanted) = state.passes[at].stage {
                    self.reserve(&mut next, at, wanted);
                }
            }
            BudgetStep::Accepted(at) => {
                let pass = &mut next.passes[at];
                (pass.started, pass.spent) = (pass.started + 1, pass.spent + 1);
                pass.waiting -= 1;
                next.sent += 1;
            }
            BudgetStep::Refused(at) => next.passes[at].started += 1,
            BudgetStep::Settle(at) => self.settle(&mut next, at),
            BudgetStep::Crash(at) => {
                next.passes[at].end();
                next.crashed = true;
            }
            BudgetStep::Raise => next.amount = AMOUNTS[1],
            BudgetStep::Resume(at) => next.passes[at].stage = PassStage::Idle,
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let counted = |_: &Self, state: &BudgetState| {
            !state.is_resting() || state.crashed || state.used == state.sent
        };
        let never_uncounted =
            |_: &Self, state: &BudgetState| !state.is_resting() || state.used >= state.sent;
        // A pause that has no room left is made again after each resume, so such a state is no rest.
        let complete = |_: &Self, state: &BudgetState| {
            let waits = |pass: &BudgetPass| pass.stage == PassStage::Paused;
            state.crashed
                || state.amount == AMOUNTS[0]
                || !state
                    .passes
                    .iter()
                    .all(|pass| waits(pass) || pass.waiting == 0)
                || !state.is_resting()
                || state.used < state.amount
                || state.sent == 2 * RECIPIENTS
        };
        vec![
            Property::always(
                "what was sent never exceeds the budget",
                |_, state: &BudgetState| state.sent <= state.amount,
            ),
            Property::always("a crash leaves nothing uncounted", never_uncounted),
            Property::always("without a crash the budget counts what was sent", counted),
            Property::always("after a raise everything is sent", complete),
        ]
    }
}
