//! A carrier that throttles, fails, lies or forgets.

use std::time::Duration;

use fastrand::Rng;
use simulator::{Settings, UnknownId};

use crate::lab::plan::{Act, Kills, LONG, Plan, Spoken, Uncertain};

/// Little more than a request takes: an invocation that would wait in place gives its batch back instead, so that hours of an outage pass
/// in seconds of real time.
const NO_PATIENCE: Duration = Duration::from_millis(1_000);
/// A carrier that never answers costs this much real time.
const IMPATIENT: Duration = Duration::from_millis(250);

fn behaving(plan: Plan, change: impl FnOnce(&mut Settings)) -> Plan {
    let mut carrier = plan.carrier.clone();
    change(&mut carrier);
    Plan {
        carrier,
        timeout: IMPATIENT,
        ..plan
    }
}

/// See the name.
pub fn throttles(rng: &mut Rng) -> Plan {
    let retry_after_s = [None, None, Some(1), Some(rng.u32(6..120))][rng.usize(..4)];
    let share = rng.f64() * 0.7 + 0.2;
    let plan = behaving(Plan::calm(rng), |carrier| {
        (carrier.busy_429, carrier.retry_after_s) = (share, retry_after_s)
    });
    Plan {
        budget: NO_PATIENCE,
        max_lateness_s: 86_400,
        rate: None,
        ..plan
    }
}

/// See the name.
pub fn fails(rng: &mut Rng) -> Plan {
    behaving(Plan::open_ended(rng), |carrier| {
        (carrier.error_5xx_before, carrier.error_5xx_after_accept) = (0.2, 0.2)
    })
}

fn gone(plan: Plan, from_s: i64, to_s: i64) -> Plan {
    let script = vec![
        (from_s, Act::CarrierGone(true)),
        (to_s, Act::CarrierGone(false)),
    ];
    Plan {
        script,
        timeout: IMPATIENT,
        budget: NO_PATIENCE,
        ..plan
    }
}

/// See the name.
pub fn down(rng: &mut Rng) -> Plan {
    let plan = Plan {
        batch_size: rng.u32(20..=30),
        rate: None,
        ..Plan::calm(rng)
    };
    gone(plan, -10, 2_400)
}

/// See the name.
pub fn down_too_long(rng: &mut Rng) -> Plan {
    let lateness = rng.u32(300..900);
    let back = i64::from(lateness) + rng.i64(200..600);
    let mut plan = gone(
        Plan {
            rate: None,
            max_lateness_s: lateness,
            ..Plan::calm(rng)
        },
        -10,
        back,
    );
    plan.script.push((
        back + rng.i64(10..3_600),
        Act::Call(crate::lab::plan::Call::SendNow),
    ));
    plan
}

/// See the name.
pub fn swallows(rng: &mut Rng) -> Plan {
    behaving(Plan::open_ended(rng), |carrier| {
        carrier.hang_after_accept = 0.25
    })
}

/// See the name.
pub fn resets(rng: &mut Rng) -> Plan {
    behaving(Plan::open_ended(rng), |carrier| {
        carrier.reset_after_accept = 0.35
    })
}

/// See the name.
pub fn leaves_numbers_out(rng: &mut Rng) -> Plan {
    behaving(Plan::open_ended(rng), |carrier| carrier.partial = 0.5)
}

/// See the name.
pub fn talks_nonsense(rng: &mut Rng) -> Plan {
    behaving(Plan::open_ended(rng), |carrier| {
        (carrier.empty_object, carrier.empty_array, carrier.html) = (0.15, 0.15, 0.15)
    })
}

/// See the name.
pub fn slow(rng: &mut Rng) -> Plan {
    let before = rng.bool();
    behaving(Plan::open_ended(rng), |carrier| {
        let wait = if before {
            &mut carrier.slow_ms
        } else {
            &mut carrier.latency_ms
        };
        *wait = 170;
        carrier.latency_jitter_ms = 120;
    })
}

/// Ids of ours, and a carrier that says when it has none such.
fn asked_by_own_id(rng: &mut Rng) -> Plan {
    let mut plan = Plan::calm(rng);
    plan.carrier.unknown_id = UnknownId::NotFound;
    let text = if rng.u32(0..3) == 0 {
        LONG.to_owned()
    } else {
        plan.text.clone()
    };
    // An answer that is lost costs a quiet time; several cost more than an hour.
    Plan {
        form: Spoken::OwnIds,
        max_lateness_s: 86_400,
        text,
        ..plan
    }
}

/// See the name.
pub fn own_ids_lost_answers(rng: &mut Rng) -> Plan {
    behaving(asked_by_own_id(rng), |carrier| {
        carrier.reset_after_accept = 0.1;
        carrier.error_5xx_after_accept = 0.05;
        carrier.error_5xx_before = 0.1;
        carrier.hang_after_accept = 0.02;
    })
}

/// See the name.
pub fn own_ids_killed(rng: &mut Rng) -> Plan {
    let kills = Kills {
        at_points: 0.04,
        at_any_moment: 0.15,
        in_a_row: 2,
    };
    Plan {
        kills,
        ..asked_by_own_id(rng)
    }
}

/// See the name.
pub fn uncertain_resend(rng: &mut Rng) -> Plan {
    let plan = behaving(Plan::open_ended(rng), |carrier| {
        (carrier.reset_after_accept, carrier.error_5xx_before) = (0.2, 0.2)
    });
    Plan {
        resends_uncertain: true,
        max_attempts: 5,
        ..plan
    }
}

/// See the name.
pub fn status_down(rng: &mut Rng) -> Plan {
    let script = vec![
        (-5, Act::Carrier(|carrier| carrier.status_error = 1.0)),
        (3_600, Act::Carrier(|carrier| carrier.status_error = 0.0)),
    ];
    Plan {
        script,
        ..Plan::calm(rng)
    }
}

/// See the name.
pub fn status_nonsense(rng: &mut Rng) -> Plan {
    behaving(Plan::calm(rng), |carrier| {
        (carrier.status_html, carrier.status_error, carrier.odd) = (0.3, 0.2, 0.4)
    })
}

/// See the name.
pub fn unknown_for_ever(rng: &mut Rng) -> Plan {
    let plan = behaving(Plan::open_ended(rng), |carrier| {
        (carrier.unknown, carrier.stuck) = (0.3, 0.1)
    });
    Plan {
        uncertain: Uncertain::Nobody,
        ..plan
    }
}

/// See the name.
pub fn undeliv(rng: &mut Rng) -> Plan {
    let plan = behaving(Plan::open_ended(rng), |carrier| {
        (carrier.undeliv, carrier.expired) = (0.3, 0.1)
    });
    Plan {
        max_attempts: rng.u32(1..=5),
        uncertain: Uncertain::Nobody,
        ..plan
    }
}

/// See the name.
pub fn long_texts(rng: &mut Rng) -> Plan {
    let plan = behaving(Plan::open_ended(rng), |carrier| {
        (
            carrier.reset_after_accept,
            carrier.partial,
            carrier.undeliv,
            carrier.unknown_id,
        ) = (0.1, 0.2, 0.05, UnknownId::NotFound);
    });
    let form = if rng.bool() {
        Spoken::Account
    } else {
        Spoken::OwnIds
    };
    Plan {
        text: LONG.to_owned(),
        form,
        ..plan
    }
}
