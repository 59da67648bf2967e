//! Every mix of faults is explored to its end, and no property is violated; every broken variant is found out.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use model::{
    broken::BROKEN,
    mixes::{MIXES, explore, shortest_violation},
};

#[test]
fn no_mix_of_faults_loses_doubles_or_forgets() {
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
fn each_rule_that_is_left_out_is_missed() {
    for (mix, property) in BROKEN {
        let steps = shortest_violation(mix, property);
        println!("{}: \"{property}\" after {steps:?}", mix.title());
        assert!(steps.is_some(), "{} is not noticed", mix.title());
    }
}
