//! A schedule that waits for its window can be changed until shortly before it opens, and what was
//! changed is sent.

use fastrand::Rng;

use crate::lab::{
    fault::Fault,
    faults::common::{CUT_POINTS, call_when_reached},
    plan::{ApiCall, Expectation, Plan, Scheduled, SchedulerFaults, UncertainLimit},
};

pub const FAULT: Fault = Fault {
    name: "window-races",
    description: "A schedule waits for its window, up to five hours; meanwhile, and while it is cut, an operator changes its text, window and list, pauses and resumes it, and one-time schedules do not fire, or fire hours early, or for the old time.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let opens_after_min = rng.i32(6..=300);
    let opens_s = i64::from(opens_after_min) * 60;
    let mut script = vec![Scheduled::call(10, ApiCall::ChangeText)];
    let any_time = [
        ApiCall::ChangeText,
        ApiCall::ChangeText,
        ApiCall::Append(5),
        ApiCall::CancelRecipients,
        ApiCall::ChangeNumbers,
    ];
    script.extend(any_time.map(|call| Scheduled::call(rng.i64(-60..opens_s), call)));
    // Around the cut, which happens up to 100 seconds before the window opens.
    script.extend((0..3).map(|_| {
        let at_s = opens_s - rng.i64(0..260);
        Scheduled::call(at_s, ApiCall::ChangeText)
    }));
    if rng.bool() {
        let in_min = [0, rng.i32(1..=10), rng.i32(10..=300)][rng.usize(..3)];
        let at_s = rng.i64(20..opens_s);
        script.push(Scheduled::call(at_s, ApiCall::ChangeWindow(in_min)));
    }
    if rng.bool() {
        let at_s = rng.i64(20..opens_s + 20);
        script.push(Scheduled::call(at_s, ApiCall::Pause));
        script.push(Scheduled::call(at_s + rng.i64(1..400), ApiCall::Resume));
    }
    Plan {
        opens_after_min: Some(opens_after_min),
        events: SchedulerFaults {
            never: rng.u32(0..3) == 0,
            // Also about at `run_at`, as that of a release which does not wait for the window does.
            early_s: vec![60 * opens_after_min.unsigned_abs(), rng.u32(0..18_000)],
            ignore_deletion: rng.bool(),
            ..SchedulerFaults::default()
        },
        traps: vec![call_when_reached(CUT_POINTS, 0.5, 2, ApiCall::ChangeText)],
        script,
        uncertain: UncertainLimit::Zero,
        expectations: vec![Expectation::WaitsForWindow],
        ..Plan::open_ended(rng)
    }
}
