//! The models of the cut, of lists with a number more than once, and of the finish, as implemented and with an omitted rule.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::fmt::Debug;

use model::{
    approval::{ApprovalFlaw, ApprovalModel},
    canary::{CanaryFlaw, CanaryModel},
    copies::{CopiesFlaw, CopiesModel},
    cut::{CutFlaw, CutModel},
    finish::FinishModel,
};
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

/// Explores the cut without a rule.
fn explore_flaw(flaw: CutFlaw) -> Vec<&'static str> {
    explore(CutModel { flaw: Some(flaw) }).0
}

#[test]
fn a_cut_takes_each_recipient_once_and_in_time() {
    let (violated, states) = explore(CutModel::default());
    assert!(violated.is_empty() && states > 5_000, "{states}");
}

#[test]
fn a_cut_in_two_transactions_loses_its_batches() {
    let violated = explore_flaw(CutFlaw::TwoTransactions);
    assert!(violated.contains(&"each recipient is in a batch"));
}

#[test]
fn a_recipient_appended_without_the_lock_is_in_no_batch() {
    let violated = explore_flaw(CutFlaw::UnlockedAppend);
    assert!(violated.contains(&"each recipient is in a batch"));
}

#[test]
fn a_cut_without_checks_happens_at_the_wrong_time() {
    let violated = explore_flaw(CutFlaw::Unchecked);
    assert!(violated.contains(&"a cut is neither early nor late"));
}

#[test]
fn a_cut_ahead_of_the_window_sends_a_text_that_a_caller_wanted_to_change() {
    assert_eq!(
        explore_flaw(CutFlaw::CutAtRunAt),
        [
            "a cut is neither early nor late",
            "the text asked for before the start is sent"
        ]
    );
}

#[test]
fn lateness_from_run_at_misses_a_schedule_that_waits_for_its_window() {
    assert_eq!(
        explore_flaw(CutFlaw::LateFromRunAt),
        ["nothing is missed before it is late"]
    );
}

#[test]
fn a_change_of_the_window_without_the_opening_hides_the_schedule_from_the_sweep() {
    assert_eq!(
        explore_flaw(CutFlaw::ChangeKeepsOpening),
        ["the sweep finds what is due"]
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

#[test]
fn two_recipients_with_one_number_are_never_in_one_batch() {
    let (violated, states) = explore(CopiesModel::default());
    assert!(violated.is_empty() && states > 1_000, "{states}");
}

#[test]
fn each_rule_for_a_number_that_occurs_twice_is_needed() {
    for flaw in [
        CopiesFlaw::PlacedInOrder,
        CopiesFlaw::ChangeIgnoresKey,
        CopiesFlaw::ListsWithoutEnd,
    ] {
        let (violated, _) = explore(CopiesModel { flaw: Some(flaw) });
        assert_eq!(violated, ["no batch has a number twice"], "{flaw:?}");
    }
}

#[test]
fn what_needs_an_approval_is_sent_as_the_approver_has_seen_it() {
    let (found, states) = explore(ApprovalModel::default());
    assert_eq!(found, ["a changed schedule is approved and sent"]);
    assert!(states > 50, "{states}");
}

#[test]
fn each_rule_of_an_approval_is_necessary() {
    let seen = "what is sent is what the approver has seen";
    for flaw in [
        ApprovalFlaw::HashIsNotCompared,
        ApprovalFlaw::ComparedWithoutLock,
        ApprovalFlaw::ChangeKeepsApproval,
        ApprovalFlaw::ResumeIsNotCompared,
        ApprovalFlaw::ActivationIsNotHeld,
    ] {
        let (found, _) = explore(ApprovalModel { flaw: Some(flaw) });
        assert!(found.contains(&seen), "{flaw:?}: {found:?}");
    }
}

#[test]
fn nothing_behind_a_canary_is_sent_before_it_passed_and_nothing_is_lost() {
    let (found, states) = explore(CanaryModel::default());
    assert_eq!(
        found,
        [
            "a canary passes and the rest is sent",
            "a failed canary is released and the rest is sent"
        ]
    );
    assert!(states > 100, "{states}");
}

#[test]
fn each_rule_of_a_canary_is_necessary() {
    let early = "nothing behind a canary is sent before it passed";
    let lost = "what is held is released or awaited";
    for (flaw, violated) in [
        (CanaryFlaw::ClaimIgnoresHold, early),
        (CanaryFlaw::HeldAfterTheCut, early),
        (CanaryFlaw::PausedAfterTheDecision, early),
        (CanaryFlaw::ResumeReleases, early),
        (CanaryFlaw::PassOpensNoTurn, lost),
        (CanaryFlaw::ResumeKeepsHold, lost),
        (CanaryFlaw::CancelKeepsHold, lost),
        (CanaryFlaw::NoDecisionAtTheDeadline, lost),
    ] {
        let (found, _) = explore(CanaryModel { flaw: Some(flaw) });
        assert!(found.contains(&violated), "{flaw:?}: {found:?}");
    }
}
