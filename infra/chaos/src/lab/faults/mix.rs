//! Everything at once, a little of each.

use std::time::Duration;

use fastrand::Rng;
use shared::platform::fault::Point;
use simulator::{Settings, UnknownId};

use crate::lab::plan::{Act, Call, Deliveries, Does, Events, Kills, LONG, Plan, Spoken, Trap};

/// See the module.
pub fn everything(rng: &mut Rng) -> Plan {
    let mut plan = Plan::open_ended(rng);
    plan.form = [Spoken::Bare, Spoken::Account, Spoken::OwnIds][rng.usize(..3)];
    if plan.form != Spoken::Bare && rng.bool() {
        LONG.clone_into(&mut plan.text);
    }
    plan.carrier = carrier(&plan.carrier, rng);
    plan.resends_uncertain = rng.u32(0..4) == 0;
    plan.max_attempts = rng.u32(1..=5);
    plan.timeout = Duration::from_millis(250);
    plan.budget = Duration::from_millis(1_500);
    plan.queues = Deliveries {
        refused: 0.1,
        lost: 0.1,
        copied: 0.3,
        copies_at_once: rng.bool(),
        late: 0.1,
        failed: 0.1,
        failed_until_s: 600,
    };
    plan.events = Events {
        never: rng.u32(0..4) == 0,
        late_s: rng.u32(0..90),
        again_s: vec![rng.u32(0..300)],
        ignore_deletion: rng.bool(),
    };
    plan.sweeps_skipped = 0.1;
    plan.kills = Kills {
        at_points: 0.04,
        at_any_moment: 0.04,
        in_a_row: 2,
    };
    plan.traps = traps(rng);
    let calls = [
        Call::Pause,
        Call::Resume,
        Call::Append(5),
        Call::Reschedule(rng.i64(10..600)),
    ];
    plan.script = (0..4)
        .map(|_| (rng.i64(-150..600), Act::Call(calls[rng.usize(..4)])))
        .collect();
    if rng.u32(0..6) == 0 {
        plan.script
            .push((rng.i64(-150..600), Act::Call(Call::Cancel)));
    }
    plan.script.push((rng.i64(-90..900), Act::Purge));
    plan.script
        .extend((1..12).map(|n| (n * 1_200, Act::Call(Call::Resume))));
    plan
}

fn carrier(usual: &Settings, rng: &mut Rng) -> Settings {
    let mut share = |most: f64| if rng.bool() { rng.f64() * most } else { 0.0 };
    Settings {
        busy_429: share(0.2),
        error_5xx_before: share(0.05),
        error_5xx_after_accept: share(0.05),
        reset_after_accept: share(0.1),
        hang_after_accept: share(0.02),
        partial: share(0.1),
        empty_object: share(0.05),
        undeliv: share(0.2),
        expired: share(0.1),
        unknown: share(0.05),
        odd: share(0.3),
        status_error: share(0.2),
        unknown_id: UnknownId::NotFound,
        ..usual.clone()
    }
}

fn traps(rng: &mut Rng) -> Vec<Trap> {
    let freeze = Does::Freeze(Point::Released, rng.u32(0..60));
    vec![
        Trap::new(
            &[
                Point::Marked,
                Point::Answered,
                Point::Asked,
                Point::Recorded,
            ],
            0.05,
            1,
            freeze,
        ),
        Trap::new(
            &[Point::Marked, Point::Answered, Point::Recorded],
            0.05,
            1,
            Does::Act(Act::Lock(40)),
        ),
        Trap::new(
            &[Point::Marked, Point::Answered, Point::Released],
            0.05,
            1,
            Does::Act(Act::DatabaseCut),
        ),
        Trap::new(
            &[Point::Claimed, Point::Marked, Point::Released],
            0.05,
            1,
            Does::Act(Act::Call(Call::Pause)),
        ),
    ]
}
