//! The mixes of faults, each small enough to be explored to the end in seconds.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use stateright::{Checker, HasDiscoveries, Model};

use crate::mix::Mix;

/// Every mix.
pub const MIXES: [Mix; 19] = [
    Mix {
        name: "processes die",
        crash: true,
        ..Mix::CALM
    },
    Mix {
        name: "processes die, leases end under living owners",
        crash: true,
        freeze: true,
        ..Mix::CALM
    },
    Mix {
        name: "answers are lost",
        freeze: true,
        lost: true,
        ..Mix::CALM
    },
    Mix {
        name: "three recipients in two requests, partial answers",
        requests: &[0b011, 0b100],
        partial: true,
        freeze: true,
        max_attempts: 2,
        ..Mix::CALM
    },
    Mix {
        name: "429 and 4xx",
        requests: &[0b011],
        crash: true,
        freeze: true,
        throttle: true,
        refuse: true,
        ..Mix::CALM
    },
    Mix {
        name: "a commit whose answer is lost",
        commit_lost: true,
        freeze: true,
        throttle: true,
        max_attempts: 2,
        ..Mix::CALM
    },
    Mix {
        name: "UNDELIV, sent again",
        undelivered: true,
        max_resends: 1,
        freeze: true,
        forgets: true,
        crash: true,
        requests: &[0b001],
        ..Mix::CALM
    },
    Mix {
        name: "UNCERTAIN, sent again by policy",
        resend_uncertain: true,
        max_resends: 1,
        lost: true,
        freeze: true,
        crash: true,
        requests: &[0b001],
        ..Mix::CALM
    },
    Mix {
        name: "UNCERTAIN, asked by ids of ours",
        own_ids: true,
        lost: true,
        freeze: true,
        crash: true,
        forgets: true,
        requests: &[0b001],
        ..Mix::CALM
    },
    Mix {
        name: "two parts",
        parts: 2,
        own_ids: true,
        lost: true,
        crash: true,
        undelivered: true,
        max_resends: 1,
        requests: &[0b001],
        max_attempts: 2,
        ..Mix::CALM
    },
    Mix {
        name: "pause, resume, cancel",
        moves: 3,
        crash: true,
        freeze: true,
        undelivered: true,
        max_resends: 1,
        requests: &[0b001],
        ..Mix::CALM
    },
    Mix {
        name: "lateness, send now",
        lateness: true,
        moves: 2,
        crash: true,
        freeze: true,
        requests: &[0b001],
        ..Mix::CALM
    },
    Mix {
        name: "an operator decides",
        operator: true,
        lost: true,
        freeze: true,
        crash: true,
        requests: &[0b001],
        ..Mix::CALM
    },
    Mix {
        name: "queues that lose and double messages",
        queues: true,
        crash: true,
        freeze: true,
        lost: true,
        requests: &[0b001],
        ..Mix::CALM
    },
    Mix {
        name: "two parts, ids of the carrier's",
        parts: 2,
        freeze: true,
        undelivered: true,
        max_resends: 1,
        requests: &[0b001],
        ..Mix::CALM
    },
    Mix {
        name: "receipts pushed",
        pushes: true,
        undelivered: true,
        max_resends: 1,
        forgets: true,
        crash: true,
        freeze: true,
        requests: &[0b001],
        ..Mix::CALM
    },
    Mix {
        name: "receipts pushed, ids of ours",
        pushes: true,
        own_ids: true,
        lost: true,
        crash: true,
        freeze: true,
        forgets: true,
        moves: 1,
        requests: &[0b001],
        max_attempts: 2,
        ..Mix::CALM
    },
    Mix {
        name: "receipts pushed, two parts",
        pushes: true,
        parts: 2,
        own_ids: true,
        lost: true,
        crash: true,
        undelivered: true,
        max_resends: 1,
        requests: &[0b001],
        max_attempts: 2,
        ..Mix::CALM
    },
    Mix {
        name: "everything, to one recipient",
        crash: true,
        freeze: true,
        lost: true,
        throttle: true,
        undelivered: true,
        max_resends: 1,
        resend_uncertain: true,
        moves: 1,
        requests: &[0b001],
        max_attempts: 2,
        ..Mix::CALM
    },
];

/// How an exploration went.
#[derive(Clone, Debug)]
pub struct Report {
    /// Distinct states.
    pub states: usize,
    /// Longest way to one.
    pub depth: usize,
    /// How long it took.
    pub time: Duration,
    /// The properties that do not hold, and steps that lead there.
    pub violations: BTreeMap<&'static str, Vec<String>>,
}

/// Explores a mix to the end, or to a first violation.
pub fn explore(mix: Mix) -> Report {
    explore_to(mix, usize::MAX, HasDiscoveries::AnyFailures)
}

/// Explores until that property is violated, then for a shorter way there, until there is none. The steps.
pub fn shortest_violation(mix: Mix, property: &'static str) -> Option<Vec<String>> {
    let look = |steps| {
        explore_to(mix, steps, HasDiscoveries::AnyOf([property].into()))
            .violations
            .remove(property)
    };
    let mut shortest = look(usize::MAX)?;
    while let Some(shorter) = look(shortest.len()) {
        shortest = shorter;
    }
    Some(shortest)
}

/// Explores what takes fewer than `steps` steps.
fn explore_to(mix: Mix, steps: usize, end: HasDiscoveries) -> Report {
    let start = Instant::now();
    let checker = mix
        .checker()
        .threads(2)
        .target_max_depth(steps.saturating_add(1))
        .finish_when(end)
        .spawn_bfs()
        .join();
    let found = checker
        .discoveries()
        .into_iter()
        .map(|(name, path)| (name, path.into_actions()));
    let violations = found
        .map(|(name, steps)| (name, steps.iter().map(|step| format!("{step:?}")).collect()))
        .collect();
    Report {
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        time: start.elapsed(),
        violations,
    }
}
