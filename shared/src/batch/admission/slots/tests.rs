//! How many batches there is room for.

use std::time::Duration;

use super::*;

fn slots(per_second: Option<f64>, open_slots: u32, concurrency: u32) -> Slots {
    Slots::new(&SlotInput {
        limit: Limit {
            configured: per_second,
            requests_per_second: None,
            learned: None,
            response: Duration::from_millis(100),
        },
        open_slots,
        concurrency,
        is_reduced: false,
        batch_size: 500,
    })
}

/// Returns slots of which an operator admits at most `most`.
fn reduced(per_second: Option<f64>, most: u32) -> Slots {
    Slots {
        most_of_all: Some(most),
        ..slots(per_second, 8, most)
    }
}

fn load(batches: u32, pending: u32) -> Load {
    let mut load = Load::default();
    for _ in 0..batches {
        load.add(Priority::Normal, Demand::of_batch(pending, 1));
    }
    load
}

#[test]
fn a_limit_is_divided_into_slots() {
    for (per_second, concurrency, full_batches) in [
        (1.0, 20, 3),
        (10.0, 20, 3),
        (100.0, 20, 4),
        (1000.0, 20, 4),
        (2000.0, 20, 5),
        (100_000.0, 20, 15),
        (100_000.0, 1, 3),
    ] {
        assert_eq!(
            slots(Some(per_second), 8, concurrency).full_batches,
            full_batches,
            "{per_second} {concurrency}"
        );
    }
}

#[test]
fn small_batches_share_a_slot() {
    let slots = slots(Some(1000.0), 8, 20);
    assert!(slots.has_room(&load(3, 500)) && !slots.has_room(&load(4, 500)));
    assert!(slots.has_room(&load(14, 10)) && !slots.has_room(&load(15, 10)));
    assert!(slots.has_room(&load(2, 5000)), "the least number");
}

#[test]
fn without_a_limit_the_open_slots_count() {
    assert!(slots(None, 8, 20).has_room(&load(7, 500)));
    assert!(!slots(None, 8, 20).has_room(&load(8, 500)));
    assert_eq!(slots(None, 900, 20).full_batches, 30);
}

#[test]
fn without_a_limit_resends_and_small_schedules_share_a_slot() {
    let slots = slots(None, 8, 20);
    assert!(slots.has_room(&load(15, 100)) && !slots.has_room(&load(16, 100)));
    assert!(slots.has_room(&load(63, 1)) && !slots.has_room(&load(64, 1)));
    assert!(slots.has_room(&load(63, 0)), "only resends");
    let mut mixed = load(40, 0);
    for _ in 0..7 {
        mixed.add(Priority::Normal, Demand::of_batch(2000, 1));
    }
    assert!(slots.has_room(&mixed) && slots.is_worth_while(&load(48, 1)));
    assert_eq!(
        (
            slots.open_and_free(&mixed),
            slots.open_and_free(&load(4, 100))
        ),
        (0, 6)
    );
}

#[test]
fn a_single_slot_is_a_single_batch() {
    let slots = slots(None, 1, 20);
    assert!(slots.has_room(&load(0, 0)) && !slots.has_room(&load(1, 500)));
}

#[test]
fn other_batches_take_no_room_from_high() {
    let slots = slots(Some(1000.0), 8, 20);
    let mut load = load(15, 500);
    assert!(slots.has_room_for_high(&load) && !slots.has_room(&load));
    for _ in 0..4 {
        load.add(Priority::High, Demand::of_batch(500, 1));
    }
    assert!(!slots.has_room_for_high(&load));
}

#[test]
fn an_admission_waits_for_a_quarter_of_the_slots() {
    let open = slots(None, 8, 20);
    let worth: Vec<_> = (0..9)
        .map(|batches| open.is_worth_while(&load(batches, 500)))
        .collect();
    assert_eq!(
        worth,
        [true, true, true, true, true, true, true, false, false]
    );
    let limited = slots(Some(1000.0), 8, 20);
    assert!(limited.is_worth_while(&load(3, 500)) && !limited.is_worth_while(&load(4, 500)));
}

#[test]
fn a_reduced_concurrency_bounds_the_batches_of_all_kinds_together() {
    for per_second in [None, Some(1000.0)] {
        let slots = reduced(per_second, 4);
        let mut load = load(1, 1);
        load.add(Priority::High, Demand::of_batch(1, 1));
        load.closing = 1;
        let free = |load: &Load| {
            [
                slots.free(load),
                slots.free_for_high(load),
                slots.free_for_first(load),
                slots.free_to_close(load),
            ]
        };
        let has_room = |load: &Load| {
            [
                slots.has_room(load),
                slots.has_room_for_high(load),
                slots.has_room_for_first(load),
                slots.has_room_to_close(load),
                slots.has_room_ahead(load, 0),
                slots.is_worth_while(load),
                slots.is_worth_while_to_close(load),
            ]
        };
        assert_eq!((free(&load), has_room(&load)), ([1; 4], [true; 7]));
        assert!(!slots.has_room_ahead(&load, 1));
        load.closing += 1;
        assert_eq!((free(&load), has_room(&load)), ([0; 4], [false; 7]));
        // Resends may exceed it. Nothing overflows.
        load.closing += 100;
        assert_eq!((free(&load), has_room(&load)), ([0; 4], [false; 7]));
    }
}

#[test]
fn a_concurrency_of_one_admits_a_batch_whenever_none_is_sent() {
    for per_second in [None, Some(1.0), Some(100_000.0)] {
        let slots = reduced(per_second, 1);
        let idle = Load::default();
        assert!(slots.has_room(&idle) && slots.is_worth_while(&idle));
        assert!(slots.has_room_to_close(&idle) && slots.is_worth_while_to_close(&idle));
        assert!(slots.has_room_for_high(&idle) && slots.has_room_for_first(&idle));
        assert!(!slots.has_room(&load(1, 0)));
    }
}

#[test]
fn without_an_operator_nothing_bounds_the_kinds_together() {
    let slots = slots(None, 8, 20);
    assert!(slots.has_room_ahead(&load(1000, 500), 1000));
    assert!(slots.has_room_for_high(&load(1000, 500)));
}
