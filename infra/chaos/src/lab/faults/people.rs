//! People who change their minds while it is being sent.

use fastrand::Rng;
use shared::platform::fault::Point;

use crate::lab::plan::{Act, Call, Does, Plan, Trap, Uncertain};

const ANY: &[Point] = &[
    Point::Cut,
    Point::Enqueued,
    Point::Claimed,
    Point::Marked,
    Point::InFlight,
    Point::Answered,
    Point::Recorded,
    Point::Asked,
    Point::Released,
];

fn when_reached(points: &'static [Point], share: f64, most: u32, call: Call) -> Trap {
    Trap::new(points, share, most, Does::Act(Act::Call(call)))
}

/// See the name.
pub fn cancels(rng: &mut Rng) -> Plan {
    let traps = vec![when_reached(ANY, 0.1, 2, Call::Cancel)];
    let script = vec![(rng.i64(-100..60), Act::Call(Call::Cancel))];
    let script = if rng.bool() { script } else { Vec::new() };
    Plan {
        traps,
        script,
        uncertain: Uncertain::Nobody,
        ..Plan::open_ended(rng)
    }
}

/// See the name.
pub fn pauses(rng: &mut Rng) -> Plan {
    let traps = vec![
        when_reached(ANY, 0.08, 4, Call::Pause),
        when_reached(ANY, 0.08, 4, Call::Resume),
    ];
    let mut script: Vec<_> = (0..4)
        .map(|_| {
            (
                rng.i64(-150..300),
                Act::Call(if rng.bool() {
                    Call::Pause
                } else {
                    Call::Resume
                }),
            )
        })
        .collect();
    // Some pause always comes last; so somebody resumes, again and again.
    script.extend((1..20).map(|n| (n * 400, Act::Call(Call::Resume))));
    Plan {
        traps,
        script,
        ..Plan::calm(rng)
    }
}

/// See the name.
pub fn appends(rng: &mut Rng) -> Plan {
    let at_the_cut = &[Point::Cut, Point::Enqueued];
    let traps = vec![when_reached(
        at_the_cut,
        1.0,
        2,
        Call::Append(rng.u32(1..20)),
    )];
    let script = (0..8)
        .map(|_| (rng.i64(-95..-60), Act::Call(Call::Append(rng.u32(1..20)))))
        .collect();
    Plan {
        traps,
        script,
        ..Plan::calm(rng)
    }
}

/// See the name.
pub fn reschedules(rng: &mut Rng) -> Plan {
    let at_the_cut = &[Point::Cut, Point::Enqueued];
    let traps = vec![when_reached(
        at_the_cut,
        0.5,
        1,
        Call::Reschedule(rng.i64(10..1_000)),
    )];
    let script = (0..5)
        .map(|_| {
            (
                rng.i64(-200..100),
                Act::Call(Call::Reschedule(rng.i64(10..1_000))),
            )
        })
        .collect();
    Plan {
        traps,
        script,
        ..Plan::calm(rng)
    }
}
