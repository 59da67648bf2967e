//! The model of budgets, as implemented and with an omitted rule.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;

use model::budget::{BudgetFlaw, BudgetModel};
use stateright::{Checker, Model};

const EXCEEDED: &str = "what was sent never exceeds the budget";
const COUNTED: &str = "without a crash the budget counts what was sent";

/// Explores the model and returns the violated properties and the number of states.
fn explore(flaw: Option<BudgetFlaw>) -> (BTreeSet<&'static str>, usize) {
    let checker = BudgetModel { flaw }.checker().spawn_bfs().join();
    let violated = checker.discoveries().into_keys().collect();
    (violated, checker.unique_state_count())
}

#[test]
fn what_was_sent_never_exceeds_the_budget() {
    let (violated, states) = explore(None);
    assert!(
        violated.is_empty() && states > 1_000,
        "{states}: {violated:?}"
    );
}

#[test]
fn each_omitted_rule_of_budgets_violates_a_property() {
    for (flaw, property) in [
        (BudgetFlaw::CountedAfterMark, EXCEEDED),
        (BudgetFlaw::ReservedWithoutCondition, EXCEEDED),
        (BudgetFlaw::AllGivenBack, EXCEEDED),
        (BudgetFlaw::NothingGivenBack, COUNTED),
    ] {
        let (violated, _) = explore(Some(flaw));
        assert!(violated.contains(property), "{flaw:?}: {violated:?}");
    }
}
