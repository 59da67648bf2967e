//! What limits a schedule: the approval of a second person, and the budget of a day. Each is part of
//! the sequences of a quarter or a half, so that the others stay as they were.

use proptest::{prelude::*, strategy::Union, test_runner::TestCaseError};

use super::{
    lifecycle::Lifecycle,
    states::{self, Call, OnDuplicate, Step, by_call, by_nothing, by_workers},
};

/// The limits that apply in a sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Schedules of more than [`ABOVE`](super::approvals::ABOVE) recipients need an approval.
    pub approvals: bool,
    /// An administrator sets budgets.
    pub budgets: bool,
}

/// A step that only such a sequence has.
#[derive(Clone, Copy, Debug)]
pub enum LimitStep {
    /// The approver reads what is to be approved.
    Read,
    /// It approves what it has read last, whatever has changed since.
    Approve,
    /// It approves what there is now.
    ReadAndApprove,
    Reject,
    /// It approves while the operator makes a call and the sweep runs.
    ApproveDuring(Call),
    /// An administrator sets how many parts may be sent in a day.
    Budget(u64),
    RemoveBudget,
}

impl Limits {
    /// Each combination.
    pub const ALL: [Self; 4] = [
        Self::of(false, false),
        Self::of(true, false),
        Self::of(false, true),
        Self::of(true, true),
    ];

    /// Returns a combination.
    pub const fn of(approvals: bool, budgets: bool) -> Self {
        Self { approvals, budgets }
    }

    /// Returns the random steps of a sequence with these limits.
    pub fn step(self) -> BoxedStrategy<Step> {
        let mut steps = vec![(6, states::step().boxed())];
        if self.approvals {
            steps.push((1, approval_step().prop_map(Step::Limit).boxed()));
        }
        if self.budgets {
            steps.push((1, budget_step().prop_map(Step::Limit).boxed()));
        }
        Union::new_weighted(steps).boxed()
    }
}

fn approval_step() -> impl Strategy<Value = LimitStep> {
    let during = prop_oneof![
        3 => Just(Call::Text), 2 => any::<u8>().prop_map(|place| Call::Append(OnDuplicate::Skip, place)),
        1 => Just(Call::Rate), 1 => Just(Call::Window(3)),
    ];
    prop_oneof![
        2 => Just(LimitStep::Read), 2 => Just(LimitStep::Approve), 4 => Just(LimitStep::ReadAndApprove),
        1 => Just(LimitStep::Reject), 3 => during.prop_map(LimitStep::ApproveDuring),
    ]
}

fn budget_step() -> impl Strategy<Value = LimitStep> {
    prop_oneof![
        5 => (0_u64..20).prop_map(LimitStep::Budget), 1 => Just(LimitStep::RemoveBudget),
    ]
}

impl Lifecycle {
    /// Executes a step. Returns the states that it may lead to.
    pub async fn limit(
        &mut self,
        step: LimitStep,
        before: &str,
    ) -> Result<Vec<&'static str>, TestCaseError> {
        match step {
            LimitStep::Read => self.read_content().await?,
            LimitStep::Approve => return self.approve(before).await,
            LimitStep::ReadAndApprove => {
                self.read_content().await?;
                return self.approve(before).await;
            }
            LimitStep::Reject => return self.reject(before).await,
            LimitStep::ApproveDuring(call) => return self.approve_during(call, before).await,
            LimitStep::Budget(amount) => self.set_budget(amount).await,
            LimitStep::RemoveBudget => self.remove_budget().await,
        }
        Ok(by_nothing(before).to_vec())
    }

    /// Checks what must hold after each step.
    pub async fn check_limits(&self, status: &str) -> Result<(), TestCaseError> {
        self.check_approval(status).await?;
        self.check_budget().await
    }

    /// Returns the states that the workers can reach: also a pause, if a budget may be used up.
    pub fn by_workers(&self, from: &str) -> Vec<&'static str> {
        let mut states = by_workers(from).to_vec();
        if self.budget.is_some() && states.contains(&"running") {
            states.push("paused");
        }
        states
    }

    /// Returns the states that a call can reach: what would wait for its time may wait for an
    /// approval. A rate needs none.
    pub fn by_call(&self, from: &str, call: Call) -> Vec<&'static str> {
        let mut states = by_call(from, call).to_vec();
        let may_be_held = !matches!(call, Call::Rate | Call::DryRun | Call::PauseLabel);
        if self.approvals.is_some() && may_be_held && states.contains(&"scheduled") {
            states.push("awaiting-approval");
        }
        states
    }
}
