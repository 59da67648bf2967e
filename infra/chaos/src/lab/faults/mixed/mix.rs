//! A little of every fault at once.

use std::time::Duration;

use fastrand::Rng;
use shared::platform::fault::Point;
use simulator::{Settings, UnknownId};

use crate::lab::{
    fault::Fault,
    faults::common::SHORT_TIMEOUT,
    plan::{
        Act, ApiCall, CarrierForm, Effect, Intervention, Kills, LONG, Plan, QueueFaults, Scheduled,
        SchedulerFaults, Trap,
    },
};

pub const FAULT: Fault = Fault {
    name: "mix",
    description: "All faults happen at random.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let mut plan = Plan::open_ended(rng);
    plan.form = [CarrierForm::Bare, CarrierForm::Account, CarrierForm::OwnIds][rng.usize(..3)];
    if plan.form != CarrierForm::Bare && rng.bool() {
        LONG.clone_into(&mut plan.text);
    }
    plan.carrier = carrier(&plan.carrier, rng);
    plan.resends_uncertain = rng.u32(0..4) == 0;
    plan.max_attempts = rng.u32(1..=5);
    plan.timeout = SHORT_TIMEOUT;
    plan.budget = Duration::from_millis(1_500);
    plan.queues = QueueFaults {
        refused: 0.1,
        lost: 0.1,
        copied: 0.3,
        copies_at_once: rng.bool(),
        late: 0.1,
        failed: 0.1,
        failed_until_s: 600,
    };
    plan.events = SchedulerFaults {
        never: rng.u32(0..4) == 0,
        late_s: rng.u32(0..90),
        early_s: Vec::new(),
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
    plan.script = script(rng);
    plan
}

fn carrier(normal: &Settings, rng: &mut Rng) -> Settings {
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
        ..normal.clone()
    }
}

fn traps(rng: &mut Rng) -> Vec<Trap> {
    let freeze = Effect::Freeze {
        until: Point::Released,
        extra_s: rng.u32(0..60),
    };
    let intervene = |act| Effect::Intervene(Intervention::Once(act));
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
            intervene(Act::LockRows { real_ms: 40 }),
        ),
        Trap::new(
            &[Point::Marked, Point::Answered, Point::Released],
            0.05,
            1,
            intervene(Act::CutDatabaseConnections),
        ),
        Trap::new(
            &[Point::Claimed, Point::Marked, Point::Released],
            0.05,
            1,
            intervene(Act::Call(ApiCall::Pause)),
        ),
    ]
}

fn script(rng: &mut Rng) -> Vec<Scheduled> {
    let calls = [
        ApiCall::Pause,
        ApiCall::Resume,
        ApiCall::Append(5),
        ApiCall::Reschedule(rng.i64(10..600)),
    ];
    let mut script: Vec<_> = (0..4)
        .map(|_| Scheduled::call(rng.i64(-150..600), calls[rng.usize(..4)]))
        .collect();
    if rng.u32(0..6) == 0 {
        script.push(Scheduled::call(rng.i64(-150..600), ApiCall::Cancel));
    }
    let purge = Intervention::Once(Act::PurgeQueues);
    script.push(Scheduled::new(rng.i64(-90..900), purge));
    // The last call may be a pause, in a trap up to a day later: the last recheck is after 23 hours.
    // Repeated calls resume the schedule after it.
    script.extend((1..12).map(|n| Scheduled::call(n * 1_200, ApiCall::Resume)));
    script.extend((4..=30).map(|n| Scheduled::call(n * 3_600, ApiCall::Resume)));
    script
}
