use std::time::Duration;

use chrono::TimeDelta;

use super::*;

const LOAD: Load = Load {
    messages: 1_000_000,
    parts: 2_000_000,
    requests: 10_000,
    rate: None,
};

fn now() -> DateTime<Utc> {
    "2026-12-01T00:00:00Z".parse().unwrap()
}

fn forecaster(configured: Option<f64>, requests_per_second: Option<f64>) -> Forecaster {
    Forecaster {
        deployment: DeploymentCapacity::default(),
        limit: Limit {
            configured,
            requests_per_second,
            learned: None,
            response: Duration::from_millis(100),
        },
        line: Vec::new(),
        now: now(),
    }
}

fn planned(load: Load) -> Planned {
    Planned {
        priority: Priority::Normal,
        run_at: now(),
        window: None,
        end: SendEnd::default(),
        load,
    }
}

#[test]
fn the_slowest_limit_decides_the_duration() {
    let slow = Load {
        rate: Some(10),
        ..LOAD
    };
    let single = Load {
        requests: 1_000_000,
        ..LOAD
    };
    for (load, limits, duration_s, limited_by, used) in [
        (LOAD, (None, None), 50.0, "requests", None),
        (LOAD, (Some(1_000.0), None), 2_000.0, "carrier", Some(1.0)),
        (slow, (Some(1_000.0), None), 100_000.0, "rate", Some(0.02)),
        (single, (None, None), 50.0, "requests", None),
        (LOAD, (None, Some(10.0)), 1_000.0, "carrier", Some(1.0)),
        (
            LOAD,
            (Some(1_000.0), Some(2.0)),
            5_000.0,
            "carrier",
            Some(1.0),
        ),
    ] {
        let forecast = forecaster(limits.0, limits.1).forecast_new(&planned(load), Utc.fix());
        assert!(
            (forecast.duration_s - duration_s).abs() < 0.11,
            "{forecast:?}"
        );
        assert_eq!(forecast.limited_by, Some(limited_by), "{forecast:?}");
        assert_eq!(forecast.capacity_used, used, "{forecast:?}");
    }
    let nothing = forecaster(None, None).forecast_new(&planned(Load::default()), Utc.fix());
    assert_eq!((nothing.duration_s, nothing.limited_by), (0.0, None));
    assert!(nothing.duration_s.is_sign_positive(), "not -0.0 in JSON");
}

fn in_line(parts: u16) -> InLine {
    InLine {
        id: Uuid::from_u128(1),
        priority: Priority::Normal,
        run_at: now() - TimeDelta::seconds(10),
        rate: None,
        send_window: None,
        send_until: None,
        send_within_s: None,
        parts,
        recipient_count: 2_000,
        is_personal: false,
        is_cut: true,
        pending: 1_000,
    }
}

#[test]
fn a_schedule_shares_the_limit_with_those_in_line() {
    let mut forecaster = forecaster(Some(100.0), None);
    forecaster.line.push(in_line(1));
    let load = Load {
        messages: 500,
        parts: 500,
        requests: 5,
        rate: None,
    };
    let new = forecaster.forecast_new(&planned(load), Utc.fix());
    assert_eq!(new.limited_by, Some("others"), "{new:?}");
    assert_eq!(new.capacity_used, Some(0.5));
    assert_eq!(new.planned_start, Some(now().fixed_offset()));
    let until = |seconds| Some((now() + TimeDelta::seconds(seconds)).fixed_offset());
    assert_eq!(new.planned_end, until(10));
    // Without the new one, the one in line has all of it. It began at its planned time.
    let first = forecaster.forecast_line()[&Uuid::from_u128(1)];
    assert_eq!(
        (first.planned_start, first.planned_end),
        (until(-10), until(10))
    );
    assert_eq!(first.limited_by, Some("carrier"));
}

#[test]
fn a_forecast_tells_how_many_messages_are_not_sent_in_time() {
    let mut planned = planned(LOAD);
    planned.end.within_s = Some(600);
    let forecast = forecaster(Some(1_000.0), None).forecast_new(&planned, Utc.fix());
    assert_eq!(forecast.not_sent_in_time, 700_000, "{forecast:?}");
    let end = (now() + TimeDelta::seconds(600)).fixed_offset();
    assert_eq!(forecast.planned_end, Some(end));
}
