//! Building blocks that several plans share.

use std::time::Duration;

use fastrand::Rng;
use shared::platform::fault::Point;
use simulator::{Counting, Settings, UnknownId};

use crate::lab::function::Function;
use crate::lab::plan::{
    ApiCall, CarrierForm, Condition, Effect, Intervention, LONG, Plan, Scheduled, SchedulerFaults,
    Trap,
};
use crate::server::Server;

/// Budget for outages of the carrier, little longer than a request takes: an invocation that would
/// wait in place releases its batch instead, so that hours of an outage pass in seconds of real
/// time.
pub const OUTAGE_BUDGET: Duration = Duration::from_millis(1_000);
/// Budget for frozen environments: their deadline has to pass in real time.
pub const FREEZE_BUDGET: Duration = Duration::from_millis(1_400);
/// Budget for failures of the database: a statement is retried until the budget is used up, which
/// takes real time.
pub const DATABASE_BUDGET: Duration = Duration::from_millis(3_000);
/// HTTP time-out: each request that the carrier never answers takes this much real time.
pub const SHORT_TIMEOUT: Duration = Duration::from_millis(250);

/// All fault points.
pub const ALL_POINTS: &[Point] = &[
    Point::Cut,
    Point::Enqueued,
    Point::Claimed,
    Point::Marked,
    Point::MarkedInPart,
    Point::InFlight,
    Point::Answered,
    Point::Recorded,
    Point::Asked,
    Point::Released,
];
/// The fault points after which the function uses the database.
pub const DATABASE_POINTS: &[Point] = &[
    Point::Cut,
    Point::Claimed,
    Point::Marked,
    Point::MarkedInPart,
    Point::InFlight,
    Point::Answered,
    Point::Recorded,
    Point::Asked,
    Point::Released,
];
/// The fault points around a cut.
pub const CUT_POINTS: &[Point] = &[Point::Cut, Point::Enqueued];

/// Changes the carrier's normal settings, and shortens the HTTP time-out.
pub fn with_carrier(plan: Plan, change: impl FnOnce(&mut Settings)) -> Plan {
    let mut carrier = plan.carrier.clone();
    change(&mut carrier);
    Plan {
        carrier,
        timeout: SHORT_TIMEOUT,
        ..plan
    }
}

/// The carrier refuses all connections from `from_s` to `to_s` seconds after the schedule's time.
pub fn with_carrier_outage(plan: Plan, from_s: i64, to_s: i64) -> Plan {
    let refuses = Condition::Refuses(Server::Carrier);
    Plan {
        script: vec![Scheduled::interval(from_s, to_s, refuses)],
        timeout: SHORT_TIMEOUT,
        budget: OUTAGE_BUDGET,
        ..plan
    }
}

/// Lambda throttles dispatch from before the cut of the schedule to `to_s` seconds after its time.
pub fn without_dispatch(mut plan: Plan, to_s: i64) -> Plan {
    const AHEAD_S: u32 = 150;
    let throttled = Condition::Throttles(Function::Dispatch);
    let begin_s = 5 - i64::from(AHEAD_S);
    plan.script
        .push(Scheduled::interval(begin_s, to_s, throttled));
    Plan {
        ahead_s: Some(AHEAD_S),
        ..plan
    }
}

/// The most requests that a carrier with a configured limit may refuse, as a share of all. When the
/// run's clock jumps, slots that were granted ahead of time are over, but the carrier's bucket has not
/// been filled in real time.
pub const MOST_THROTTLED: f64 = 0.05;

/// Limits the message parts that the carrier takes per second.
pub fn parts_limit(carrier: &mut Settings, per_second: u32) {
    carrier.capacity_parts = per_second;
}

/// The carrier has a limit in message parts per second, which is configured. Its time is far enough
/// ahead for a one-time schedule.
pub fn under_limit(mut plan: Plan, per_second: u32) -> Plan {
    parts_limit(&mut plan.carrier, per_second);
    // A window would count requests that arrive some milliseconds early on a busy machine.
    plan.carrier.limit_counting = Counting::TokenBucket;
    Plan {
        parts_per_second: Some(per_second),
        request_size: 10,
        batch_size: 50,
        rate: None,
        environments: 4,
        ahead_s: Some(150),
        ..plan
    }
}

/// One-time schedules with these faults.
pub fn with_events(rng: &mut Rng, events: SchedulerFaults) -> Plan {
    Plan {
        events,
        ..Plan::calm(rng)
    }
}

/// The carrier accepts message ids that the client chooses, and reports an id that it does not have
/// as not found.
pub fn with_own_ids(rng: &mut Rng) -> Plan {
    let mut plan = Plan::calm(rng);
    plan.carrier.unknown_id = UnknownId::NotFound;
    let text = if rng.u32(0..3) == 0 {
        LONG.to_owned()
    } else {
        plan.text.clone()
    };
    // Each lost answer costs a quiet time. Several cost more than an hour.
    Plan {
        form: CarrierForm::OwnIds,
        max_lateness_s: 86_400,
        text,
        ..plan
    }
}

/// An operator calls the API when a fault point is reached.
pub fn call_when_reached(points: &'static [Point], share: f64, most: u32, call: ApiCall) -> Trap {
    let call = Intervention::call(call);
    Trap::new(points, share, most, Effect::Intervene(call))
}
