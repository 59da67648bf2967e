//! The beginning and the end of a schedule: the cut, and the finish.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::fmt::Debug;

use model::{cut::DispatchedBy, finish::End};
use stateright::{Checker, Model};

/// The violated properties, and how many states there are.
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
fn a_cut_takes_every_recipient_once_and_in_time() {
    let (violated, states) = explore(DispatchedBy::default());
    assert!(violated.is_empty() && states > 500, "{states}");
}

#[test]
fn a_cut_in_two_transactions_loses_its_batches() {
    assert!(
        explore(DispatchedBy {
            two_transactions: true,
            ..DispatchedBy::default()
        })
        .0
        .contains(&"every recipient is in a batch")
    );
}

#[test]
fn an_append_without_the_lock_is_in_no_batch() {
    assert!(
        explore(DispatchedBy {
            append_unlocked: true,
            ..DispatchedBy::default()
        })
        .0
        .contains(&"every recipient is in a batch")
    );
}

#[test]
fn a_cut_that_does_not_look_again_is_made_at_the_wrong_hour() {
    assert!(
        explore(DispatchedBy {
            blind: true,
            ..DispatchedBy::default()
        })
        .0
        .contains(&"neither early nor too late")
    );
}

#[test]
fn a_finish_of_its_own_finishes_and_the_sweep_makes_up_for_a_crash() {
    let as_it_is = End {
        inside: false,
        sweep: true,
        crash: true,
    };
    assert!(explore(as_it_is).0.is_empty());
    assert!(
        explore(End {
            sweep: false,
            crash: false,
            ..as_it_is
        })
        .0
        .is_empty()
    );
    assert_eq!(
        explore(End {
            sweep: false,
            ..as_it_is
        })
        .0,
        ["at rest it is finished"]
    );
}

#[test]
fn a_finish_inside_the_release_finishes_nobody() {
    assert_eq!(
        explore(End {
            inside: true,
            sweep: false,
            crash: false
        })
        .0,
        ["at rest it is finished"]
    );
}
