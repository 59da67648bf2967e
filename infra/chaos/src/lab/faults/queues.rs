//! Queues and one-time schedules that do what they may do.

use fastrand::Rng;

use crate::lab::plan::{Act, Call, Deliveries, Events, Plan};

/// See the name.
pub fn delivered_thrice(rng: &mut Rng) -> Plan {
    let queues = Deliveries {
        copied: 1.0,
        late: 0.3,
        ..Deliveries::default()
    };
    Plan {
        queues,
        ..Plan::calm(rng)
    }
}

/// See the name.
pub fn two_at_once(rng: &mut Rng) -> Plan {
    let queues = Deliveries {
        copied: 1.0,
        copies_at_once: true,
        ..Deliveries::default()
    };
    Plan {
        queues,
        environments: 4,
        ..Plan::calm(rng)
    }
}

/// See the name.
pub fn sqs_refuses(rng: &mut Rng) -> Plan {
    Plan {
        queues: Deliveries {
            refused: 0.3,
            ..Deliveries::default()
        },
        ..Plan::calm(rng)
    }
}

/// See the name.
pub fn purged(rng: &mut Rng) -> Plan {
    let script = (0..6).map(|_| (rng.i64(-90..900), Act::Purge)).collect();
    let queues = Deliveries {
        lost: 0.3,
        ..Deliveries::default()
    };
    Plan {
        queues,
        script,
        sweeps_skipped: if rng.bool() { 0.3 } else { 0.0 },
        ..Plan::calm(rng)
    }
}

/// See the name.
pub fn dead_letters(rng: &mut Rng) -> Plan {
    let queues = Deliveries {
        failed: 1.0,
        failed_until_s: rng.i64(2_400..3_600),
        ..Deliveries::default()
    };
    Plan {
        rate: None,
        queues,
        max_lateness_s: 86_400,
        ..Plan::calm(rng)
    }
}

fn with(rng: &mut Rng, events: Events) -> Plan {
    Plan {
        events,
        ..Plan::calm(rng)
    }
}

/// See the name.
pub fn event_never(rng: &mut Rng) -> Plan {
    with(
        rng,
        Events {
            never: true,
            ..Events::default()
        },
    )
}

/// See the name.
pub fn event_twice(rng: &mut Rng) -> Plan {
    let again_s = vec![0, rng.u32(0..5), rng.u32(0..600)];
    with(
        rng,
        Events {
            again_s,
            ..Events::default()
        },
    )
}

/// See the name.
pub fn event_late(rng: &mut Rng) -> Plan {
    with(
        rng,
        Events {
            late_s: 7_200,
            ..Events::default()
        },
    )
}

/// See the name.
pub fn event_in_the_wrong_state(rng: &mut Rng) -> Plan {
    let again_s = (0..8).map(|_| rng.u32(0..900)).collect();
    let events = Events {
        again_s,
        ignore_deletion: true,
        ..Events::default()
    };
    let call = |at_s, call| (at_s, Act::Call(call));
    let (begin, pause) = (rng.i64(-200..0), rng.i64(0..400));
    let script = match rng.u32(0..3) {
        0 => vec![call(begin, Call::Pause), call(begin + pause, Call::Resume)],
        1 => vec![call(begin, Call::Pause), call(begin + pause, Call::Cancel)],
        _ => vec![call(begin, Call::Cancel)],
    };
    Plan {
        events,
        script,
        ..Plan::open_ended(rng)
    }
}
