use super::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn now() -> DateTime<Utc> {
    at("2026-12-01T00:00:00Z")
}

/// A flow at a carrier of 100 parts per second, which could be sent with 1,000 if it were alone.
fn flow(priority: Priority, parts: f64) -> Flow {
    Flow {
        priority,
        ready_at: now(),
        parts,
        alone: 1_000.0,
        cost: 0.01,
        window: None,
        ends_at: None,
    }
}

/// Returns the seconds from now to the beginning and to the end of each flow.
fn seconds(flows: &[Flow]) -> Vec<(f64, f64)> {
    let since = |time: Option<DateTime<Utc>>| {
        time.map_or(f64::INFINITY, |time| {
            ((time - now()).as_seconds_f64() * 10.0).round() / 10.0
        })
    };
    let courses = simulate(flows, now());
    courses
        .iter()
        .map(|course| (since(course.starts_at), since(course.ends_at)))
        .collect()
}

#[test]
fn equal_schedules_share_equally_and_a_short_one_leaves_the_rest() {
    use Priority::Normal;
    assert_eq!(seconds(&[flow(Normal, 1_000.0)]), [(0.0, 10.0)]);
    assert_eq!(
        seconds(&[flow(Normal, 1_000.0), flow(Normal, 3_000.0)]),
        [(0.0, 20.0), (0.0, 40.0)]
    );
    // A slow one leaves the rest to the others.
    let slow = Flow {
        alone: 10.0,
        ..flow(Normal, 100.0)
    };
    assert_eq!(
        seconds(&[slow, flow(Normal, 900.0), flow(Normal, 450.0)]),
        [(0.0, 10.0), (0.0, 14.5), (0.0, 10.0)]
    );
}

#[test]
fn high_comes_first_and_bulk_gets_a_tenth_beside_normal() {
    use Priority::{Bulk, High, Normal};
    assert_eq!(
        seconds(&[flow(Normal, 1_000.0), flow(High, 500.0)]),
        [(5.0, 15.0), (0.0, 5.0)]
    );
    assert_eq!(
        seconds(&[flow(Bulk, 1_000.0), flow(Normal, 900.0)]),
        [(0.0, 19.0), (0.0, 10.0)]
    );
    // Bulk uses what slow normal ones leave, and no more than it takes.
    let drip = Flow {
        alone: 20.0,
        ..flow(Normal, 200.0)
    };
    assert_eq!(
        seconds(&[flow(Bulk, 800.0), drip]),
        [(0.0, 10.0), (0.0, 10.0)]
    );
    let slow_bulk = Flow {
        alone: 5.0,
        ..flow(Bulk, 50.0)
    };
    assert_eq!(
        seconds(&[slow_bulk, flow(Normal, 950.0)]),
        [(0.0, 10.0), (0.0, 10.0)]
    );
}

#[test]
fn without_a_limit_each_schedule_is_sent_as_if_it_were_alone() {
    let free = |parts| Flow {
        cost: 0.0,
        ..flow(Priority::Bulk, parts)
    };
    assert_eq!(
        seconds(&[free(1_000.0), free(2_000.0)]),
        [(0.0, 1.0), (0.0, 2.0)]
    );
}

#[test]
fn later_schedules_join_at_their_time() {
    let later = Flow {
        ready_at: now() + TimeDelta::seconds(5),
        ..flow(Priority::Normal, 250.0)
    };
    assert_eq!(
        seconds(&[flow(Priority::Normal, 1_000.0), later]),
        [(0.0, 12.5), (5.0, 10.0)]
    );
}

#[test]
fn a_window_interrupts_and_leaves_the_capacity_to_others() {
    let window = |from: &str, to: &str| {
        let json = format!(
            r#"{{"days":["Mon","Tue","Wed","Thu","Fri","Sat","Sun"],"from":"{from}","to":"{to}","zone":"UTC"}}"#
        );
        Window::of(Some(&json))
    };
    let morning = Flow {
        window: window("00:00", "01:00"),
        ..flow(Priority::Normal, 360_000.0)
    };
    // 180,000 parts each in the first hour, then the other one alone.
    let other = flow(Priority::Normal, 540_000.0);
    assert_eq!(
        seconds(&[morning.clone(), other]),
        [(0.0, 86_400.0 + 1_800.0), (0.0, 7_200.0)]
    );
    let course = simulate(&[morning], now())[0];
    assert!((course.seconds - 3_600.0).abs() < 1e-3, "{course:?}");
}

#[test]
fn what_is_left_at_the_end_is_not_sent() {
    let ending = Flow {
        ends_at: Some(now() + TimeDelta::seconds(4)),
        ..flow(Priority::Normal, 1_000.0)
    };
    let courses = simulate(&[ending.clone(), flow(Priority::Normal, 1_000.0)], now());
    assert!((courses[0].unsent - 800.0).abs() < 1e-6, "{courses:?}");
    assert_eq!(courses[0].ends_at, ending.ends_at);
    assert!((courses[1].unsent).abs() < f64::EPSILON);
    assert_eq!(courses[1].ends_at, Some(now() + TimeDelta::seconds(12)));
    // A schedule whose turn never comes before its end is not sent at all.
    let first = flow(Priority::High, 1_000.0);
    let starved = simulate(&[first, ending], now())[1];
    assert_eq!((starved.starts_at, starved.unsent), (None, 1_000.0));
}

#[test]
fn an_empty_schedule_ends_when_it_begins() {
    let empty = Flow {
        ready_at: now() + TimeDelta::seconds(5),
        ..flow(Priority::Normal, 0.0)
    };
    assert_eq!(seconds(&[empty]), [(5.0, 5.0)]);
}

#[test]
fn a_line_of_many_slow_schedules_is_simulated_in_bounded_time() {
    let window = r#"{"days":["Mon"],"from":"09:00","to":"09:01","zone":"UTC"}"#;
    let slow = Flow {
        alone: 0.001,
        window: Window::of(Some(window)),
        ..flow(Priority::Normal, 1_000_000.0)
    };
    let begun = std::time::Instant::now();
    let courses = simulate(&vec![slow; 300], now());
    assert_eq!(courses[0].ends_at, None);
    assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
}
