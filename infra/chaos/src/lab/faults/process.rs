//! Environments that die, are frozen, or meet.

use std::time::Duration;

use fastrand::Rng;
use shared::platform::fault::Point;
use simulator::{Settings, UnknownId};

use crate::lab::plan::{Act, Call, Does, Kills, Plan, Spoken, Trap, Uncertain};

/// Short, since a frozen environment's time has to pass in real time.
const SHORT_LIVED: Duration = Duration::from_millis(1_400);

/// Half of them with ids of ours: there the carrier says that it has no such message, others send it again, and whoever wakes up and sends
/// it after all has doubled it. Without, it would be one that the other owner holds UNCERTAIN.
pub fn frozen_before_http(rng: &mut Rng) -> Plan {
    let until = [
        Point::Claimed,
        Point::Marked,
        Point::Recorded,
        Point::Released,
    ][rng.usize(..4)];
    let freeze = Does::Freeze(until, [0, 60, 600, 1_800][rng.usize(..4)]);
    let traps = vec![Trap::new(&[Point::Marked], 0.7, 2, freeze)];
    let calm = Plan::calm(rng);
    let form = if rng.bool() {
        Spoken::OwnIds
    } else {
        Spoken::Bare
    };
    let carrier = Settings {
        unknown_id: UnknownId::NotFound,
        ..calm.carrier.clone()
    };
    // Where nobody else comes it wakes up after two hours: still in time.
    Plan {
        budget: SHORT_LIVED,
        traps,
        form,
        carrier,
        max_lateness_s: 86_400,
        ..calm
    }
}

/// See the name.
pub fn frozen_with_an_answer(rng: &mut Rng) -> Plan {
    let freeze = Does::Freeze(Point::Released, [0, 30, 7_200][rng.usize(..3)]);
    let traps = vec![Trap::new(&[Point::Answered], 0.7, 2, freeze)];
    Plan {
        budget: SHORT_LIVED,
        traps,
        ..Plan::calm(rng)
    }
}

/// See the name. Nobody but the policy knows better: the text goes out twice, and both are accounted for.
pub fn answer_after_a_resend(rng: &mut Rng) -> Plan {
    let freeze = Does::Freeze(Point::Released, rng.u32(400..1_800));
    let traps = vec![Trap::new(&[Point::Answered], 0.7, 2, freeze)];
    Plan {
        budget: SHORT_LIVED,
        traps,
        resends_uncertain: true,
        uncertain: Uncertain::Nobody,
        ..Plan::open_ended(rng)
    }
}

/// See the name.
pub fn stale_recheck(rng: &mut Rng) -> Plan {
    let freeze = Does::Freeze(Point::Released, [0, 30, 7_200][rng.usize(..3)]);
    let traps = vec![Trap::new(&[Point::Asked], 0.5, 3, freeze)];
    let calm = Plan::calm(rng);
    let carrier = Settings {
        delivery_delay_ms_min: 30,
        delivery_delay_ms_max: 120,
        ..calm.carrier.clone()
    };
    Plan {
        budget: SHORT_LIVED,
        traps,
        carrier,
        ..calm
    }
}

/// See the name.
pub fn killed_anywhere(rng: &mut Rng) -> Plan {
    let kills = Kills {
        at_points: 0.15,
        at_any_moment: 0.1,
        in_a_row: 2,
    };
    Plan {
        kills,
        uncertain: Uncertain::InFlight,
        ..Plan::open_ended(rng)
    }
}

/// See the name.
pub fn killed_three_times(rng: &mut Rng) -> Plan {
    let points = &[
        Point::Claimed,
        Point::Marked,
        Point::InFlight,
        Point::Answered,
        Point::Recorded,
    ];
    let kill = Trap {
        batch: Some(1),
        ..Trap::new(points, 0.6, 3, Does::Kill)
    };
    let kills = Kills {
        in_a_row: 3,
        ..Kills::default()
    };
    let script = vec![(3_000, Act::Call(Call::Retry))];
    Plan {
        kills,
        script,
        traps: vec![kill],
        uncertain: Uncertain::InFlight,
        ..Plan::open_ended(rng)
    }
}
