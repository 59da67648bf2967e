//! How well a limit is kept and used, at carriers that count in fixed windows, in sliding windows
//! and with token buckets.

use crate::{
    bucket::Bucket,
    carriers::{Carrier, Counting, Counts},
    simulation::{Outcome, Passes, send},
};

const COUNTINGS: [Counting; 3] = [
    Counting::FixedWindow,
    Counting::SlidingWindow,
    Counting::TokenBucket,
];
const SEEDS: u64 = 20;
/// One list.
const LARGE: Passes = Passes { large: 3, small: 0 };
/// The same with small schedules beside it.
const MIXED: Passes = Passes {
    large: 3,
    small: 60,
};

/// A carrier's limit.
#[derive(Clone, Copy, Debug)]
struct Case {
    counting: Counting,
    counts: Counts,
    limit: f64,
}

impl Case {
    fn parts_per_second(&self) -> f64 {
        match self.counts {
            Counts::Parts => self.limit,
            Counts::Requests => 100.0 * self.limit,
        }
    }

    /// The sum of several runs.
    fn send(&self, bucket: Bucket, passes: Passes) -> (f64, f64) {
        let mut sum = Outcome::default();
        for seed in 0..SEEDS {
            let carrier = Carrier::new(self.counting, self.counts, self.limit);
            let outcome = send(bucket, carrier, passes, seed);
            sum.accepted += outcome.accepted;
            sum.refused += outcome.refused;
            sum.accepted_parts += outcome.accepted_parts;
        }
        let used = sum.used_share(self.parts_per_second()) / SEEDS as f64;
        (sum.refused_share(), used)
    }
}

fn cases(limits: &[(Counts, f64)]) -> Vec<Case> {
    let of = |counting| {
        limits.iter().map(move |&(counts, limit)| Case {
            counting,
            counts,
            limit,
        })
    };
    COUNTINGS.into_iter().flat_map(of).collect()
}

const LIMITS: [(Counts, f64); 5] = [
    (Counts::Requests, 10.0),
    (Counts::Parts, 10.0),
    (Counts::Parts, 100.0),
    (Counts::Parts, 1000.0),
    (Counts::Parts, 2000.0),
];

#[test]
fn a_configured_limit_is_kept_and_used() {
    for case in cases(&LIMITS) {
        let requests = (case.counts == Counts::Requests).then_some(case.limit);
        let bucket = Bucket::new(Some(case.parts_per_second()), requests);
        let (refused, used) = case.send(bucket, LARGE);
        println!("{case:?}: refused {refused:.4}, used {used:.3}");
        assert!(refused <= 0.01, "{case:?}: refused {refused:.4}");
        assert!(used >= 0.97, "{case:?}: used {used:.3}");
    }
}

#[test]
fn small_requests_between_full_ones_do_not_exceed_a_limit() {
    for case in cases(&LIMITS) {
        // A carrier that counts requests takes fewer parts if some requests are small.
        if case.counts == Counts::Requests || case.limit < 100.0 {
            continue;
        }
        let bucket = Bucket::new(Some(case.parts_per_second()), None);
        let (refused, used) = case.send(bucket, MIXED);
        println!("{case:?}: refused {refused:.4}, used {used:.3}");
        assert!(refused <= 0.01, "{case:?}: refused {refused:.4}");
        assert!(used >= 0.97, "{case:?}: used {used:.3}");
    }
}

#[test]
fn a_limit_is_learned_from_429s() {
    for case in cases(&LIMITS) {
        let (refused, used) = case.send(Bucket::new(None, None), LARGE);
        println!("{case:?}: refused {refused:.4}, used {used:.3}");
        // In 40 s a limit of 10 or 100 parts allows only a few hundred requests of its size, and the
        // six requests of the first moment are among them.
        let few = case.counts == Counts::Parts && case.limit <= 100.0;
        let refused_limit = if few { 0.08 } else { 0.05 };
        // At a carrier that counts in sliding windows, jitter alone causes some of the 429s, and a
        // request of one or two messages cannot follow a limit of 10 exactly.
        let is_coarse = case.counting == Counting::SlidingWindow && case.limit < 50.0;
        let used_limit = if is_coarse && few { 0.83 } else { 0.90 };
        assert!(refused <= refused_limit, "{case:?}: refused {refused:.4}");
        assert!(used >= used_limit, "{case:?}: used {used:.3}");
    }
}
