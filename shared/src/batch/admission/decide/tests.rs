//! Which batches are admitted, in single rounds and in runs of many.

use std::{collections::HashMap, time::Duration};

use super::*;
use crate::{
    batch::admission::{
        slots::{Demand, SlotInput},
        turn::{RATE_AHEAD, WaitingBatch},
    },
    carrier::capacity::Limit,
    message::window::Window,
};

const PENDING: u32 = 100;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

fn turn(id: u128, class: Class, batches: u32) -> Turn {
    let times = TurnTimes {
        ready_at: at(0),
        next_send_at: at(0),
    };
    let batch = |batch_no| WaitingBatch {
        batch_no,
        pending: PENDING,
    };
    Turn {
        schedule_id: Uuid::from_u128(id),
        class,
        virtual_parts: 1,
        parts: 1,
        rate: None,
        window: None,
        ends_at: None,
        seen: times,
        next_send_at: at(0),
        batches: (1..=batches).map(batch).collect(),
        has_more: false,
    }
}

const HIGH: Class = Class::Sending(Priority::High);
const NORMAL: Class = Class::Sending(Priority::Normal);
const BULK: Class = Class::Sending(Priority::Bulk);

fn slot_input(open_slots: u32) -> SlotInput {
    SlotInput {
        limit: Limit {
            configured: None,
            requests_per_second: None,
            learned: None,
            response: Duration::from_millis(100),
        },
        open_slots,
        concurrency: 20,
        is_reduced: false,
        batch_size: PENDING,
    }
}

fn situation(open_slots: u32, load: Load) -> Situation {
    situation_of(&slot_input(open_slots), load)
}

/// A situation in which an operator has reduced the concurrency.
fn reduced(concurrency: u32, load: Load) -> Situation {
    let input = SlotInput {
        concurrency,
        is_reduced: true,
        ..slot_input(8)
    };
    situation_of(&input, load)
}

fn situation_of(input: &SlotInput, load: Load) -> Situation {
    Situation {
        now: at(0),
        slots: Slots::new(input),
        load,
        shares: Shares::default(),
    }
}

fn loaded(others: u32) -> Load {
    let mut load = Load::default();
    for _ in 0..others {
        load.add(Priority::Normal, Demand::of_batch(PENDING, 1));
    }
    load
}

/// Returns how many batches of each schedule are admitted, by its number.
fn count(decision: &Decision) -> HashMap<u128, usize> {
    let mut counts = HashMap::new();
    for batch in &decision.admitted {
        *counts.entry(batch.schedule_id.as_u128()).or_default() += 1;
    }
    counts
}

/// Admits into four slots, of which one becomes free at a time, and returns the admitted parts per
/// schedule.
fn run(classes: &[(u128, Class)], rounds: usize) -> HashMap<u128, usize> {
    let mut situation = situation(4, loaded(3));
    let mut virtual_parts: HashMap<u128, u64> = classes.iter().map(|(id, _)| (*id, 1)).collect();
    let mut total = HashMap::new();
    for _ in 0..rounds {
        let turns = classes.iter().map(|&(id, class)| Turn {
            virtual_parts: virtual_parts[&id],
            has_more: true,
            ..turn(id, class, 4)
        });
        let decision = decide(&situation, turns.collect(), Vec::new());
        assert_eq!(decision.admitted.len(), 1);
        for after in &decision.turns {
            virtual_parts.insert(after.schedule_id.as_u128(), after.virtual_parts);
        }
        for (id, batches) in count(&decision) {
            *total.entry(id).or_default() += batches;
        }
        situation.shares = decision.shares;
    }
    total
}

#[test]
fn equal_schedules_share_equally() {
    let shared = run(&[(1, NORMAL), (2, NORMAL), (3, NORMAL)], 300);
    assert_eq!(shared, HashMap::from([(1, 100), (2, 100), (3, 100)]));
}

#[test]
fn a_schedule_that_is_cut_after_another_one_of_the_same_time_catches_up() {
    let mut situation = situation(3, Load::default());
    let first = Turn {
        virtual_parts: 0,
        has_more: true,
        ..turn(1, NORMAL, 3)
    };
    let decision = decide(&situation, vec![first], Vec::new());
    assert_eq!(count(&decision), HashMap::from([(1, 3)]));
    // Then the other one is cut: its first batch is admitted beside them.
    situation.shares = decision.shares;
    situation.load = loaded(3);
    situation.load.largest[Priority::Normal as usize] = 3 * u64::from(PENDING);
    let second = Turn {
        virtual_parts: 0,
        has_more: true,
        ..turn(2, NORMAL, 3)
    };
    let begun = decide(&situation, vec![second], Vec::new());
    assert_eq!(count(&begun), HashMap::from([(2, 1)]));
    // One of the first schedule's batches is released, and two slots are free.
    situation.shares = begun.shares;
    situation.load = loaded(1);
    situation.load.largest[Priority::Normal as usize] = 2 * u64::from(PENDING);
    let turns = [(1, &decision), (2, &begun)].map(|(id, before)| Turn {
        virtual_parts: before.turns[0].virtual_parts,
        has_more: true,
        ..turn(id, NORMAL, 3)
    });
    let next = decide(&situation, turns.to_vec(), Vec::new());
    assert_eq!(count(&next), HashMap::from([(2, 2)]));
}

#[test]
fn bulk_schedules_get_a_tenth_beside_normal_ones_however_many_there_are() {
    let shared = run(
        &[(1, NORMAL), (2, BULK), (3, BULK), (4, BULK), (5, BULK)],
        1000,
    );
    let normal = shared[&1];
    assert!((895..=905).contains(&normal), "{shared:?}");
    assert_eq!(
        shared[&2] + shared[&3] + shared[&4] + shared[&5],
        1000 - normal
    );
    assert!((24..=26).contains(&shared[&4]), "{shared:?}");
}

#[test]
fn bulk_schedules_get_all_that_normal_ones_leave() {
    assert_eq!(run(&[(1, BULK)], 50)[&1], 50);
}

#[test]
fn a_schedule_that_was_away_gets_no_more_than_its_share_when_it_returns() {
    let mut situation = situation(4, Load::default());
    situation.shares.virtual_parts = [0, 1_000_000, 0];
    let ahead = Turn {
        virtual_parts: 1_000_000,
        ..turn(1, NORMAL, 4)
    };
    let decision = decide(&situation, vec![ahead, turn(2, NORMAL, 4)], Vec::new());
    assert_eq!(count(&decision), HashMap::from([(1, 2), (2, 2)]));
}

#[test]
fn high_schedules_come_first_and_beside_a_backlog() {
    let turns = vec![turn(1, NORMAL, 9), turn(2, HIGH, 3), turn(3, BULK, 9)];
    let decision = decide(&situation(8, Load::default()), turns, Vec::new());
    let first: Vec<_> = decision.admitted[..3]
        .iter()
        .map(|batch| batch.schedule_id.as_u128())
        .collect();
    assert_eq!(first, [2, 2, 2]);
    assert_eq!(decision.admitted.len(), 8);
    let turns = vec![turn(1, NORMAL, 9), turn(2, HIGH, 9)];
    let decision = decide(&situation(8, loaded(8)), turns, Vec::new());
    assert_eq!(count(&decision), HashMap::from([(2, 8)]));
}

#[test]
fn a_schedule_that_begins_gets_its_first_batch_beside_a_backlog() {
    let new = |id, class| Turn {
        virtual_parts: 0,
        ..turn(id, class, 5)
    };
    let turns = vec![
        turn(1, NORMAL, 9),
        new(2, NORMAL),
        new(3, NORMAL),
        new(4, BULK),
    ];
    let decision = decide(&situation(8, loaded(8)), turns, Vec::new());
    assert_eq!(count(&decision), HashMap::from([(2, 1), (3, 1)]));
    let full = decide(&situation(8, loaded(32)), vec![new(2, NORMAL)], Vec::new());
    assert!(
        full.admitted.is_empty(),
        "four times the slots are admitted"
    );
}

#[test]
fn batches_to_close_come_first_and_take_no_slot() {
    let turns = vec![turn(1, NORMAL, 9), turn(2, Class::Closing, 40)];
    let decision = decide(&situation(8, Load::default()), turns, Vec::new());
    assert!(
        decision.admitted[..30]
            .iter()
            .all(|batch| batch.schedule_id.as_u128() == 2)
    );
    assert_eq!(count(&decision), HashMap::from([(1, 8), (2, 30)]));
}

#[test]
fn a_turn_ends_with_its_last_batch() {
    let decision = decide(
        &situation(8, Load::default()),
        vec![turn(1, NORMAL, 8), turn(2, BULK, 1)],
        Vec::new(),
    );
    assert_eq!(decision.ended, [Uuid::from_u128(1)]);
    assert!(
        decision.turns.is_empty(),
        "nothing was admitted of the other"
    );
    let empty = decide(
        &situation(8, Load::default()),
        vec![turn(3, NORMAL, 0)],
        Vec::new(),
    );
    assert_eq!(empty.ended, [Uuid::from_u128(3)]);
}

#[test]
fn a_rate_is_admitted_fifteen_seconds_ahead_without_gap_or_burst() {
    let drip = |virtual_parts, next_send_at| Turn {
        virtual_parts,
        rate: Some(50),
        next_send_at,
        ..turn(1, NORMAL, 20)
    };
    // A hundred messages last two seconds. The schedule begins in 60 seconds.
    let first = decide(
        &situation(20, Load::default()),
        vec![drip(0, at(60))],
        Vec::new(),
    );
    let times = |decision: &Decision| -> Vec<_> {
        let seconds = |batch: &Admitted| (batch.send_at - at(0)).num_seconds();
        decision.admitted.iter().map(seconds).collect()
    };
    assert_eq!(times(&first), [60, 62, 64, 66, 68, 70, 72, 74]);
    let after = first.turns[0].times;
    assert_eq!((after.next_send_at, after.ready_at), (at(76), at(61)));
    // Five seconds late, after a late sweep for example.
    let late = decide(
        &situation(20, Load::default()),
        vec![drip(900, at(-5))],
        Vec::new(),
    );
    assert_eq!(times(&late), [0, 2, 4, 6, 8, 10, 12, 14]);
    let soon = decide(
        &situation(20, Load::default()),
        vec![drip(900, at(13))],
        Vec::new(),
    );
    assert_eq!(times(&soon), [13, 15]);
}

#[test]
fn a_schedule_that_begins_later_gets_the_slots_of_its_time() {
    let new = |class| Turn {
        virtual_parts: 0,
        next_send_at: at(60),
        ..turn(1, class, 20)
    };
    for (class, load, admitted) in [
        (NORMAL, Load::default(), 8),
        (NORMAL, loaded(5), 3),
        (NORMAL, loaded(8), 1),
        (NORMAL, loaded(32), 0),
        (BULK, loaded(8), 0),
        (HIGH, loaded(32), 8),
    ] {
        let ahead = Ahead {
            turn: new(class),
            load,
        };
        let decision = decide(&situation(8, loaded(8)), Vec::new(), vec![ahead]);
        assert_eq!(decision.admitted.len(), admitted, "{class:?} {load:?}");
        assert!(
            decision
                .admitted
                .iter()
                .all(|batch| batch.send_at == at(60))
        );
        assert_eq!(decision.turns[0].times.ready_at, at(60), "the rest then");
    }
}

#[test]
fn a_closed_window_postpones_the_turn_to_its_opening() {
    let opens = at(3600);
    let column = format!(
        r#"{{"days":["Mon","Tue","Wed","Thu","Fri","Sat","Sun"],"from":"{}","to":"{}","zone":"UTC"}}"#,
        opens.format("%H:%M"),
        at(7200).format("%H:%M")
    );
    let closed = Turn {
        window: Window::of(Some(&column)),
        ..turn(1, NORMAL, 9)
    };
    assert!(closed.is_ahead(at(0)));
    let ending = |end| Turn {
        ends_at: Some(at(end)),
        ..closed.clone()
    };
    assert_eq!(ending(1800).send_time(at(0)), at(1800), "nothing is sent");
    assert_eq!(ending(5400).send_time(at(0)), opens);
    let drip = Turn {
        rate: Some(50),
        ..closed.clone()
    };
    let decision = decide(&situation(8, Load::default()), vec![drip], Vec::new());
    assert!(decision.admitted.is_empty());
    assert_eq!(decision.turns[0].times.ready_at, opens - RATE_AHEAD);
    let closing = Turn {
        class: Class::Closing,
        ..closed
    };
    let decision = decide(&situation(8, Load::default()), vec![closing], Vec::new());
    assert_eq!(
        decision.admitted[0].send_at,
        at(0),
        "a cancelled one is closed at once"
    );
}

#[test]
fn a_reduced_concurrency_bounds_all_kinds_of_batches() {
    let turns = || {
        vec![
            turn(1, NORMAL, 9),
            turn(2, HIGH, 3),
            turn(3, Class::Closing, 2),
            Turn {
                virtual_parts: 0,
                ..turn(4, NORMAL, 1)
            },
        ]
    };
    for (most, load, expected) in [
        (1, loaded(0), vec![(3, 1)]),
        (1, loaded(1), vec![]),
        (4, loaded(0), vec![(3, 2), (2, 2)]),
        (6, loaded(0), vec![(3, 2), (2, 3), (4, 1)]),
        (7, loaded(0), vec![(3, 2), (2, 3), (4, 1), (1, 1)]),
        (7, loaded(9), vec![]),
    ] {
        let decision = decide(&reduced(most, load), turns(), Vec::new());
        let expected: HashMap<u128, usize> = expected.into_iter().collect();
        assert_eq!(count(&decision), expected, "{most} beside {load:?}");
    }
}

#[test]
fn a_reduced_concurrency_bounds_what_is_admitted_ahead_without_delaying_what_is_due() {
    let drip = Turn {
        virtual_parts: 0,
        rate: Some(50),
        next_send_at: at(60),
        ..turn(1, NORMAL, 20)
    };
    let alone = decide(&reduced(2, loaded(0)), vec![drip.clone()], Vec::new());
    assert_eq!(count(&alone), HashMap::from([(1, 2)]));
    let after = alone.turns[0].times;
    assert_eq!((after.next_send_at, after.ready_at), (at(64), at(49)));
    let both = decide(
        &reduced(2, loaded(0)),
        vec![drip.clone(), turn(2, NORMAL, 9)],
        Vec::new(),
    );
    assert_eq!(count(&both)[&2], 2, "what is due");
    assert!(count(&both)[&1] <= 2);
    // Schedules that begin later at the same time share its places.
    let ahead = |id| Ahead {
        turn: Turn {
            virtual_parts: 0,
            next_send_at: at(60),
            ..turn(id, NORMAL, 20)
        },
        load: Load::default(),
    };
    let later = decide(
        &reduced(2, loaded(2)),
        Vec::new(),
        vec![ahead(1), ahead(2), ahead(3)],
    );
    assert_eq!(later.admitted.len(), 2);
    assert_eq!(later.turns.len(), 3, "the others continue at that time");
}
