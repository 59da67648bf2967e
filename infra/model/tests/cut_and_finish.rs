//! The models of the cut and of the finish, as implemented and with an omitted rule.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::fmt::Debug;

use model::{cut::CutModel, finish::FinishModel};
use stateright::{Checker, Model};

/// Explores a model and returns the violated properties and the number of states.
fn explore<M>(model: M) -> (Vec<&'static str>, usize)
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + PartialEq + std::hash::Hash + Send + Sync,
    M::Action: Clone + Debug + PartialEq,
{
    let checker = model.checker().spawn_bfs().join();
    let mut violated: Vec<_> = checker
        .discoveries()
        .into_iter()
        .map(|(name, path)| (name, path.into_actions()))
        .collect();
    violated.sort_by_key(|(name, _)| *name);
    println!("{} states, {violated:?}", checker.unique_state_count());
    (
        violated.into_iter().map(|(name, _)| name).collect(),
        checker.unique_state_count(),
    )
}

#[test]
fn a_cut_takes_each_recipient_once_and_in_time() {
    let (violated, states) = explore(CutModel::default());
    assert!(violated.is_empty() && states > 500, "{states}");
}

#[test]
fn a_cut_in_two_transactions_loses_its_batches() {
    assert!(
        explore(CutModel {
            two_transactions: true,
            ..CutModel::default()
        })
        .0
        .contains(&"each recipient is in a batch")
    );
}

#[test]
fn a_recipient_appended_without_the_lock_is_in_no_batch() {
    assert!(
        explore(CutModel {
            append_unlocked: true,
            ..CutModel::default()
        })
        .0
        .contains(&"each recipient is in a batch")
    );
}

#[test]
fn a_cut_without_checks_happens_at_the_wrong_time() {
    assert!(
        explore(CutModel {
            unchecked: true,
            ..CutModel::default()
        })
        .0
        .contains(&"a cut is neither early nor late")
    );
}

#[test]
fn a_separate_finish_works_and_the_sweep_compensates_for_a_crash() {
    let implemented = FinishModel {
        inside_release: false,
        sweep: true,
        crash: true,
    };
    assert!(explore(implemented).0.is_empty());
    assert!(
        explore(FinishModel {
            sweep: false,
            crash: false,
            ..implemented
        })
        .0
        .is_empty()
    );
    assert_eq!(
        explore(FinishModel {
            sweep: false,
            ..implemented
        })
        .0,
        ["at rest the schedule is finished"]
    );
}

#[test]
fn a_finish_inside_the_release_can_leave_the_schedule_running() {
    assert_eq!(
        explore(FinishModel {
            inside_release: true,
            sweep: false,
            crash: false
        })
        .0,
        ["at rest the schedule is finished"]
    );
}
