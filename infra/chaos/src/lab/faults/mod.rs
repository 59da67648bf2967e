//! The faults of the lab: for each, what happens and a plan of it.

mod process;

use super::Fault;

/// See [`super::FAULTS`].
pub const ALL: &[Fault] = &[
    Fault {
        name: "old-environment-before-http",
        what: "an environment is frozen between mark and request until another owns the batch",
        plan: process::frozen_before_http,
    },
    Fault {
        name: "old-environment-with-an-answer",
        what: "an environment is frozen with the carrier's answer in hand until another has released the batch",
        plan: process::frozen_with_an_answer,
    },
    Fault {
        name: "killed-anywhere",
        what: "environments of all functions die at any point and moment, at most twice in a row with one batch",
        plan: process::killed_anywhere,
    },
];
