//! The statements against a real server.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use shared::{
    carrier::capacity::{
        Ask, Capacity, FIRST_PER_SECOND, Grant, Granted, HORIZON, LimitDefaults, LimitKind,
    },
    platform::{backoff::MAX_RETRY_AFTER, db::Db},
};
use sqlx::MySqlPool;

fn capacity(db: &Db, per_second: Option<u32>, requests_per_second: Option<u32>) -> Capacity {
    let defaults = LimitDefaults {
        per_second,
        requests_per_second,
    };
    Capacity::new(db.clone(), LimitKind::Submit, defaults)
}

const fn ask(units: u32) -> Ask {
    Ask {
        units,
        least_units: units,
        slot_units: units,
        requests: 1,
        is_high: false,
        has_more: true,
        response: None,
    }
}

const fn high(units: u32, has_more: bool) -> Ask {
    Ask {
        is_high: true,
        has_more,
        ..ask(units)
    }
}

async fn sleep_until(db: &Db, at: DateTime<Utc>) {
    tokio::time::sleep((at - db.now()).to_std().unwrap_or_default()).await;
}

/// Asks until the slot is granted.
async fn granted(db: &Db, capacity: &Capacity, ask: &Ask) -> DateTime<Utc> {
    loop {
        match capacity.ask(ask).await.unwrap() {
            Grant::At(granted) => return granted.start,
            Grant::AskAgainAt(at) => sleep_until(db, at).await,
        }
    }
}

/// Advances a stopped clock to a time.
fn advance_to(db: &Db, at: DateTime<Utc>) {
    db.clock
        .advance((at - db.now()).to_std().unwrap_or_default());
}

/// Asks until the slot is granted, on a stopped clock.
async fn granted_later(db: &Db, capacity: &Capacity, ask: &Ask) -> DateTime<Utc> {
    loop {
        match capacity.ask(ask).await.unwrap() {
            Grant::At(granted) => return granted.start,
            Grant::AskAgainAt(at) => advance_to(db, at),
        }
    }
}

/// Lets many workers ask until the time is up. Returns the starts of the slots, sorted.
async fn ask_concurrently(db: &Db, capacity: &Capacity, units: u32) -> Vec<DateTime<Utc>> {
    let until = db.now() + TimeDelta::milliseconds(2500);
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let (db, capacity) = (db.clone(), capacity.clone());
        workers.spawn(async move {
            let mut starts = Vec::new();
            loop {
                let start = granted(&db, &capacity, &ask(units)).await;
                assert!(start <= db.now() + HORIZON);
                if start > until {
                    return starts;
                }
                starts.push(start);
                sleep_until(&db, start).await;
            }
        });
    }
    let mut starts: Vec<_> = workers.join_all().await.concat();
    starts.sort();
    starts
}

/// Checks that no period contains more than the limit and one request.
fn assert_kept(starts: &[DateTime<Utc>], per_second: f64, per_request: f64) {
    for (at, first) in starts.iter().enumerate() {
        for (more, last) in starts[at..].iter().enumerate() {
            let seconds = (*last - *first).as_seconds_f64();
            let sent = (more + 1) as f64 * per_request;
            let most = seconds * per_second + per_request;
            assert!(sent <= most + 0.01, "{sent} in {seconds} s");
        }
    }
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn many_workers_together_keep_the_limit_and_use_it(pool: MySqlPool) {
    let db = Db::from_pool(pool);
    for (per_second, requests, units, slots_per_second) in
        [(Some(200), None, 10, 20.0), (None, Some(15), 100, 15.0)]
    {
        let capacity = capacity(&db, per_second, requests);
        let starts = ask_concurrently(&db, &capacity, units).await;
        assert_kept(&starts, slots_per_second, 1.0);
        let used = starts.len() as f64 / (2.5 * slots_per_second);
        assert!(used > 0.9, "{used}");
        sqlx::query("UPDATE carrier_limits SET free_at_us = 0")
            .execute(&db)
            .await
            .unwrap();
    }
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn little_is_booked_ahead(pool: MySqlPool) {
    let db = Db::from_pool(pool);
    let capacity = capacity(&db, Some(100), None);
    let mut last = db.now();
    for _ in 0..50 {
        match capacity.ask(&ask(10)).await.unwrap() {
            Grant::At(granted) => last = granted.start,
            Grant::AskAgainAt(at) => {
                assert!(at < last + TimeDelta::milliseconds(110), "before the slot");
                return;
            }
        }
        assert!(last <= db.now() + HORIZON);
    }
    panic!("everything was granted");
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn high_priority_is_granted_before_normal(pool: MySqlPool) {
    let db = Db::from_pool(pool);
    // Ten slots a second, each kept for as long as the test says, however busy the machine is.
    db.clock.stop();
    let capacity = capacity(&db, Some(100), None);
    while matches!(capacity.ask(&ask(10)).await.unwrap(), Grant::At(_)) {}
    let refused = capacity.ask(&high(10, true)).await.unwrap();
    assert!(matches!(refused, Grant::AskAgainAt(_)));
    // The slot is free a moment later, and kept for the schedule of high priority.
    db.clock.advance(Duration::from_millis(110));
    let normal = capacity.ask(&ask(10)).await.unwrap();
    assert!(matches!(normal, Grant::AskAgainAt(_)), "{normal:?}");
    let first = granted_later(&db, &capacity, &high(10, true)).await;
    // The next slots are kept too, until the last request.
    advance_to(&db, first + TimeDelta::milliseconds(50));
    let normal = capacity.ask(&ask(10)).await.unwrap();
    assert!(matches!(normal, Grant::AskAgainAt(at) if at <= first + TimeDelta::milliseconds(1100)));
    let last = granted_later(&db, &capacity, &high(10, false)).await;
    advance_to(&db, last);
    let next = granted_later(&db, &capacity, &ask(10)).await;
    assert!(next <= last + TimeDelta::milliseconds(300), "{last} {next}");
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn retry_after_blocks_every_environment(pool: MySqlPool) {
    let db = Db::from_pool(pool);
    let one = capacity(&db, Some(100), None);
    let other = one.clone();
    let now = db.now();
    let wait = Duration::from_secs(30);
    one.record_refusal(now, Some(wait)).await.unwrap();
    one.record_refusal(now, Some(Duration::from_secs(1)))
        .await
        .unwrap();
    let Grant::AskAgainAt(at) = other.ask(&ask(1)).await.unwrap() else {
        panic!("granted");
    };
    assert!(at >= now + wait - HORIZON && at <= now + wait + TimeDelta::seconds(1));
    one.record_refusal(now, Some(Duration::MAX)).await.unwrap();
    let Grant::AskAgainAt(at) = other.ask(&high(1, true)).await.unwrap() else {
        panic!("granted");
    };
    assert!(at <= now + MAX_RETRY_AFTER + TimeDelta::seconds(1));
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_limit_that_is_changed_applies_to_the_next_slot(pool: MySqlPool) {
    let db = Db::from_pool(pool);
    let capacity = capacity(&db, Some(100), None);
    granted(&db, &capacity, &ask(10)).await;
    for (per_second, expected_ms) in [
        (Some(50), 204),
        (Some(500), 21),
        (Some(0), 102),
        (None, 102),
    ] {
        sqlx::query("UPDATE carrier_limits SET per_second = ? WHERE kind = 'submit'")
            .bind(per_second)
            .execute(&db)
            .await
            .unwrap();
        let first = granted(&db, &capacity, &ask(10)).await;
        let second = granted(&db, &capacity, &ask(10)).await;
        let apart = (second - first).num_milliseconds();
        assert!(
            (apart - expected_ms).abs() <= 15,
            "{per_second:?}: {apart} ms"
        );
    }
    assert_eq!(capacity.read().await.unwrap().configured, Some(100.0));
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_round_of_429s_reduces_a_learned_limit_once(pool: MySqlPool) {
    let db = Db::from_pool(pool);
    let capacity = capacity(&db, None, None);
    let learned = async || capacity.read().await.unwrap().learned;
    assert_eq!(learned().await, None);
    let start = db.now();
    let refusals = (0..8).map(|_| capacity.record_refusal(start, None));
    for refused in futures_util::future::join_all(refusals).await {
        refused.unwrap();
    }
    assert_eq!(learned().await, Some(FIRST_PER_SECOND));
    db.clock.advance(Duration::from_secs(2));
    let start = db.now();
    capacity.record_refusal(start, None).await.unwrap();
    let reduced = learned().await.unwrap();
    assert!(reduced < FIRST_PER_SECOND);
    capacity.record_refusal(start, None).await.unwrap();
    assert_eq!(learned().await, Some(reduced));
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_configured_limit_is_not_learned(pool: MySqlPool) {
    let db = Db::from_pool(pool);
    let capacity = capacity(&db, Some(100), None);
    capacity.record_refusal(db.now(), None).await.unwrap();
    let limit = capacity.read().await.unwrap();
    assert_eq!((limit.learned, limit.per_second()), (None, Some(100.0)));
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn without_a_limit_each_ask_is_granted_at_once(pool: MySqlPool) {
    let db = Db::from_pool(pool);
    let capacity = capacity(&db, None, None);
    for _ in 0..20 {
        let now = db.now();
        let Grant::At(Granted { start, .. }) = capacity.ask(&ask(100)).await.unwrap() else {
            panic!("not granted");
        };
        assert!(start - now < TimeDelta::milliseconds(50));
    }
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn the_response_time_is_averaged(pool: MySqlPool) {
    let db = Db::from_pool(pool);
    let capacity = capacity(&db, None, None);
    for _ in 0..30 {
        let response = Some(Duration::from_millis(900));
        capacity.ask(&Ask { response, ..ask(1) }).await.unwrap();
    }
    let response = capacity.read().await.unwrap().response;
    assert!(response > Duration::from_millis(880) && response <= Duration::from_millis(900));
}
