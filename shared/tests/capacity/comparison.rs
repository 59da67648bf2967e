//! The statement `grant` does what the bucket of the simulation does.

use chrono::{DateTime, TimeDelta, Utc};
use shared::{
    carrier::capacity::{
        Ask, AskAt, CARRIER, LimitDefaults, LimitKey, LimitKind, grant, record_learned,
    },
    platform::db::Db,
};
use sqlx::MySqlPool;

use crate::bucket::{Bucket, Micros, Units, time};

const KEY: LimitKey = LimitKey {
    carrier: CARRIER,
    kind: LimitKind::Submit,
};

/// What the database has learned, in units per second, and until when the limit is used.
async fn row(pool: &MySqlPool) -> (Option<f64>, Option<f64>, u64, u64, u64) {
    sqlx::query_as(
        "SELECT learned_per_second, ceiling_per_second, free_at_us, requests_free_at_us, granted_at_us FROM carrier_limits WHERE kind = 'submit'",
    )
    .fetch_one(pool)
    .await
    .unwrap()
}

async fn assert_equal(pool: &MySqlPool, bucket: &Bucket, step: usize) {
    let (learned, ceiling, free_at, requests_free_at, _) = row(pool).await;
    for (found, expected) in [
        (learned, bucket.learned.per_second),
        (ceiling, bucket.learned.ceiling),
    ] {
        let (found, expected) = (found.unwrap_or(0.0), expected.unwrap_or(0.0));
        assert!(
            (found - expected).abs() <= 1e-4 * expected,
            "step {step}: {found}, expected {expected}"
        );
    }
    for (found, expected) in [
        (free_at, bucket.free_at),
        (requests_free_at, bucket.requests_free_at),
    ] {
        let difference = found.cast_signed() - expected;
        assert!(difference.abs() < 100, "step {step}: {difference} us");
    }
}

/// Executes the same random asks and refusals on both.
async fn compare(pool: &MySqlPool, mut bucket: Bucket, defaults: LimitDefaults) {
    let db = Db::from_pool(pool.clone());
    let mut random = fastrand::Rng::with_seed(7);
    let mut now: Micros = db.now().timestamp_micros();
    let mut granted = 0;
    for step in 0..400 {
        let idle = if random.u8(0..50) == 0 { 70_000_000 } else { 0 };
        now += random.i64(0..120) * 1000 + idle;
        if random.u8(0..10) == 0 {
            refuse(&db, &mut bucket, now).await;
        } else {
            let least = random.u32(1..4);
            let most = least * random.u32(1..12);
            let units = Units {
                most,
                least,
                slot: most.max(30),
            };
            let ask = Ask {
                units: most,
                least_units: least,
                slot_units: units.slot,
                requests: 1,
                is_high: false,
                has_more: true,
                response: None,
            };
            let at = AskAt {
                key: KEY,
                defaults,
                now: time(now),
            };
            let found = grant(&db, &at, &ask).await.unwrap();
            let expected = bucket.grant(now, units).ok();
            let difference = found.zip(expected).map(|(found, (start, units))| {
                assert_eq!(found.units, units, "step {step}");
                (found.start.timestamp_micros() - start).abs()
            });
            assert_eq!(found.is_some(), expected.is_some(), "step {step}");
            assert!(difference.is_none_or(|us| us < 100), "step {step}");
            granted += usize::from(found.is_some());
        }
        assert_equal(pool, &bucket, step).await;
        // So that rounding does not add up.
        let (learned, _, free_at, requests_free_at, granted_at) = row(pool).await;
        bucket.free_at = free_at.cast_signed();
        bucket.requests_free_at = requests_free_at.cast_signed();
        bucket.granted_at = granted_at.cast_signed();
        bucket.learned.per_second = learned;
        bucket.limit.learned = bucket.learned.per_second;
    }
    assert!(granted > 50, "{granted}");
}

/// Records a 429 to a request that started some time ago.
async fn refuse(db: &Db, bucket: &mut Bucket, now: Micros) {
    let started_at: DateTime<Utc> = time(now) - TimeDelta::milliseconds(100);
    let before = bucket.learned;
    bucket.refuse(started_at.timestamp_micros(), now);
    if bucket.learned != before {
        let written = record_learned(db, KEY, &before, &bucket.learned).await;
        assert!(written.unwrap());
    }
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn the_statement_learns_as_the_simulation_does(pool: MySqlPool) {
    compare(&pool, Bucket::new(None, None), LimitDefaults::default()).await;
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn the_statement_keeps_configured_limits_as_the_simulation_does(pool: MySqlPool) {
    let defaults = LimitDefaults {
        per_second: Some(170),
        requests_per_second: Some(9),
    };
    compare(&pool, Bucket::new(Some(170.0), Some(9.0)), defaults).await;
}
