//! A database that goes away, and one whose rows somebody else holds.

use std::time::Duration;

use fastrand::Rng;
use shared::platform::fault::Point;

use crate::lab::plan::{Act, Does, Plan, Trap};

const WRITING: &[Point] = &[
    Point::Cut,
    Point::Claimed,
    Point::Marked,
    Point::InFlight,
    Point::Answered,
    Point::Recorded,
    Point::Asked,
    Point::Released,
];
/// A failing database is asked again for as long as there is time, which is real time here.
const SHORT_LIVED: Duration = Duration::from_millis(3_000);

/// See the name.
pub fn cut(rng: &mut Rng) -> Plan {
    let mut traps = vec![Trap::new(WRITING, 0.15, 5, Does::Act(Act::DatabaseCut))];
    let mut script = vec![(rng.i64(-80..60), Act::DatabaseCut)];
    if rng.u32(0..3) == 0 {
        // With answers in hand, say, which nobody can write down then.
        traps.push(Trap::new(
            WRITING,
            0.2,
            2,
            Does::Act(Act::DatabaseGone(true)),
        ));
        script.extend((1..20).map(|n| (n * 100, Act::DatabaseGone(false))));
    }
    Plan {
        traps,
        script,
        budget: SHORT_LIVED,
        ..Plan::open_ended(rng)
    }
}

/// See the name.
pub fn locks(rng: &mut Rng) -> Plan {
    let long = if rng.u32(0..4) == 0 { 1_200 } else { 60 };
    let traps = vec![Trap::new(WRITING, 0.2, 4, Does::Act(Act::Lock(long)))];
    Plan {
        traps,
        budget: SHORT_LIVED * 4,
        ..Plan::calm(rng)
    }
}
