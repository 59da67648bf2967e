//! A model of the finish: two workers release the last two batches of a schedule concurrently, and
//! one of them must see that both are done.

use stateright::{Model, Property};

/// The stage of a worker at the end of its pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FinishStage {
    /// The batch is claimed.
    Working,
    /// Its transaction has released the batch. No other transaction sees that yet.
    Released,
    /// The release is committed.
    Committed,
    /// The invocation has ended.
    Ended,
}

/// Two batches and their schedule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FinishState {
    /// The workers.
    pub workers: [FinishStage; 2],
    /// `schedules.status` is `finished`.
    pub finished: bool,
}

/// One step of worker 0 or 1, or of the sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are complete")]
pub enum FinishStep {
    Release(usize),
    Commit(usize),
    Finish(usize),
    Crash(usize),
    Sweep,
}

/// The implementation of the finish.
#[derive(Clone, Copy, Debug)]
pub struct FinishModel {
    /// The finish is part of the transaction that releases the batch.
    pub inside_release: bool,
    /// The sweep tries to finish each running schedule.
    pub sweep: bool,
    /// Workers can crash between the release and the finish.
    pub crash: bool,
}

impl FinishState {
    fn all_done(&self) -> bool {
        self.workers
            .iter()
            .all(|stage| matches!(stage, FinishStage::Committed | FinishStage::Ended))
    }

    /// Checks that all batches are done as a transaction sees it: its own release, and the
    /// committed releases of others.
    fn sees_all_done(&self, worker: usize) -> bool {
        let other = self.workers[1 - worker];
        matches!(other, FinishStage::Committed | FinishStage::Ended)
    }
}

impl Model for FinishModel {
    type State = FinishState;
    type Action = FinishStep;

    fn init_states(&self) -> Vec<FinishState> {
        vec![FinishState {
            workers: [FinishStage::Working; 2],
            finished: false,
        }]
    }

    fn actions(&self, state: &FinishState, steps: &mut Vec<FinishStep>) {
        for (worker, stage) in state.workers.iter().enumerate() {
            match stage {
                FinishStage::Working => steps.push(FinishStep::Release(worker)),
                FinishStage::Released => steps.push(FinishStep::Commit(worker)),
                FinishStage::Committed => {
                    steps.push(FinishStep::Finish(worker));
                    steps.extend(self.crash.then_some(FinishStep::Crash(worker)));
                }
                FinishStage::Ended => {}
            }
        }
        steps.extend(
            (self.sweep && state.all_done() && !state.finished).then_some(FinishStep::Sweep),
        );
    }

    fn next_state(&self, state: &FinishState, step: FinishStep) -> Option<FinishState> {
        let mut next = state.clone();
        match step {
            FinishStep::Release(worker) => {
                next.workers[worker] = FinishStage::Released;
                next.finished |= self.inside_release && state.sees_all_done(worker);
            }
            FinishStep::Commit(worker) => next.workers[worker] = FinishStage::Committed,
            FinishStep::Finish(worker) => {
                next.workers[worker] = FinishStage::Ended;
                next.finished |= !self.inside_release && state.all_done();
            }
            FinishStep::Crash(worker) => next.workers[worker] = FinishStage::Ended,
            FinishStep::Sweep => next.finished = true,
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let at_rest = |model: &Self, state: &FinishState| {
            let mut steps = Vec::new();
            model.actions(state, &mut steps);
            !steps.is_empty() || state.finished
        };
        let early = |_: &Self, state: &FinishState| {
            !state.finished
                || state
                    .workers
                    .iter()
                    .all(|stage| *stage != FinishStage::Working)
        };
        vec![
            Property::always("at rest the schedule is finished", at_rest),
            Property::always("no finish before the last batch is done", early),
        ]
    }
}
