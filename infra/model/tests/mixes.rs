//! Explores all mixes of faults without a violation, and finds a violation for each broken variant.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use model::{
    broken::BROKEN,
    exploration::{explore, shortest_violation},
    mixes::MIXES,
};

#[test]
fn no_mix_of_faults_violates_a_property() {
    for mix in MIXES {
        let report = explore(mix);
        println!(
            "{:>9} states, depth {:>3}, {:>5.1} s: {}",
            report.states,
            report.depth,
            report.time.as_secs_f64(),
            mix.name
        );
        assert!(
            report.violations.is_empty(),
            "{}: {:#?}",
            mix.name,
            report.violations
        );
    }
}

#[test]
fn each_omitted_rule_violates_its_property() {
    for (mix, property) in BROKEN {
        let steps = shortest_violation(mix, property);
        println!("{}: \"{property}\" after {steps:?}", mix.title());
        assert!(steps.is_some(), "the model does not detect {}", mix.title());
    }
}
