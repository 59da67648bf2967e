//! The end of a schedule: two last batches are released at once, each by its own worker, and somebody has to see that both are done.

use stateright::{Model, Property};

/// Where a worker is at the end of its pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The batch is claimed.
    Working,
    /// Its transaction has released the batch, which nobody else sees yet.
    Released,
    /// That is committed.
    Committed,
    /// The invocation has ended.
    Gone,
}

/// Two batches and their schedule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ends {
    /// The workers.
    pub workers: [Stage; 2],
    /// `schedules.status` is finished.
    pub finished: bool,
}

/// A step of worker 0 or 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain")]
pub enum Step {
    Release(usize),
    Commit(usize),
    Finish(usize),
    Crash(usize),
    Sweep,
}

/// How it is done.
#[derive(Clone, Copy, Debug)]
pub struct End {
    /// The finish is part of the transaction that releases.
    pub inside: bool,
    /// The sweep tries to finish each running schedule.
    pub sweep: bool,
    /// Workers die between the release and the finish.
    pub crash: bool,
}

impl Ends {
    fn all_done(&self) -> bool {
        self.workers
            .iter()
            .all(|stage| matches!(stage, Stage::Committed | Stage::Gone))
    }

    /// What a transaction sees: its own release, and what others have committed.
    fn seems_done(&self, worker: usize) -> bool {
        let other = self.workers[1 - worker];
        matches!(other, Stage::Committed | Stage::Gone)
    }
}

impl Model for End {
    type State = Ends;
    type Action = Step;

    fn init_states(&self) -> Vec<Ends> {
        vec![Ends {
            workers: [Stage::Working; 2],
            finished: false,
        }]
    }

    fn actions(&self, ends: &Ends, steps: &mut Vec<Step>) {
        for (worker, stage) in ends.workers.iter().enumerate() {
            match stage {
                Stage::Working => steps.push(Step::Release(worker)),
                Stage::Released => steps.push(Step::Commit(worker)),
                Stage::Committed => {
                    steps.push(Step::Finish(worker));
                    steps.extend(self.crash.then_some(Step::Crash(worker)));
                }
                Stage::Gone => {}
            }
        }
        steps.extend((self.sweep && ends.all_done() && !ends.finished).then_some(Step::Sweep));
    }

    fn next_state(&self, ends: &Ends, step: Step) -> Option<Ends> {
        let mut next = ends.clone();
        match step {
            Step::Release(worker) => {
                next.workers[worker] = Stage::Released;
                next.finished |= self.inside && ends.seems_done(worker);
            }
            Step::Commit(worker) => next.workers[worker] = Stage::Committed,
            Step::Finish(worker) => {
                next.workers[worker] = Stage::Gone;
                next.finished |= !self.inside && ends.all_done();
            }
            Step::Crash(worker) => next.workers[worker] = Stage::Gone,
            Step::Sweep => next.finished = true,
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let at_rest = |model: &Self, ends: &Ends| {
            let mut steps = Vec::new();
            model.actions(ends, &mut steps);
            !steps.is_empty() || ends.finished
        };
        let early = |_: &Self, ends: &Ends| {
            !ends.finished || ends.workers.iter().all(|stage| *stage != Stage::Working)
        };
        vec![
            Property::always("at rest it is finished", at_rest),
            Property::always("not before its last batch", early),
        ]
    }
}
