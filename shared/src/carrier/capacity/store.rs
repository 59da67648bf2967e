//! The statements on `carrier_limits`.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{
    Ask, Granted, HORIZON, Learned, Limit, LimitDefaults, LimitKind, SETTLING, from_micros, micros,
};
use crate::platform::db::Db;

/// A row of `carrier_limits`.
#[derive(Clone, Copy, Debug)]
pub struct LimitKey {
    /// `carriers.name`
    pub carrier: &'static str,
    /// `carrier_limits.kind`
    pub kind: LimitKind,
}

/// The limit of which a slot is asked, and the time.
#[derive(Clone, Copy, Debug)]
pub struct AskAt {
    /// The limit.
    pub key: LimitKey,
    /// The deployment's defaults.
    pub defaults: LimitDefaults,
    /// The time of the ask.
    pub now: DateTime<Utc>,
}

/// The columns of a limit.
pub struct LimitRow {
    per_second: Option<u32>,
    requests_per_second: Option<u32>,
    learned_per_second: Option<f64>,
    ceiling_per_second: Option<f64>,
    refused_at_us: u64,
    free_at_us: u64,
    requests_free_at_us: u64,
    blocked_until_us: u64,
    high_until_us: u64,
    response_us: u64,
}

impl LimitRow {
    /// Returns what is known about the limit.
    pub fn limit(&self, defaults: LimitDefaults) -> Limit {
        let either = |set: Option<u32>, default: Option<u32>| {
            set.filter(|set| *set > 0).or(default).map(f64::from)
        };
        Limit {
            configured: either(self.per_second, defaults.per_second),
            requests_per_second: either(self.requests_per_second, defaults.requests_per_second),
            learned: self.learned_per_second,
            response: Duration::from_micros(self.response_us),
        }
    }

    /// Returns the learned state.
    pub fn learned(&self) -> Learned {
        Learned {
            per_second: self.learned_per_second,
            ceiling: self.ceiling_per_second,
            refused_at: from_micros(self.refused_at_us),
        }
    }

    /// Returns when the next slot starts for a schedule that is not of priority high.
    pub fn free_at(&self) -> DateTime<Utc> {
        let busy = self.free_at_us.max(self.requests_free_at_us);
        // Priority ends at a time, not a horizon before it.
        let high = self.high_until_us + HORIZON.num_microseconds().unwrap_or(0) as u64;
        from_micros(busy.max(self.blocked_until_us).max(high))
    }
}

/// Reads the row of a limit.
pub async fn read(db: &Db, key: LimitKey) -> sqlx::Result<LimitRow> {
    sqlx::query_as!(
        LimitRow,
        "SELECT per_second, requests_per_second, learned_per_second, ceiling_per_second, refused_at_us, free_at_us,
           requests_free_at_us, blocked_until_us, high_until_us, response_us
         FROM carrier_limits WHERE carrier = ? AND kind = ?",
        key.carrier,
        key.kind.as_str()
    )
    .fetch_one(db)
    .await
}

/// Units of one grant that fit into the result of [`grant`], beside the start.
const MOST_UNITS: u32 = 8191;

/// Grants a slot, if one starts within [`HORIZON`], or a share of the last one, if that has not
/// started.
///
/// One statement for all that a slot changes: the growth of a learned limit, the slot, and the time
/// until which the limit is used. MySQL and MariaDB execute the assignments of a single-table UPDATE
/// from left to right: below its own line, a column has its new value.
pub async fn grant(db: &Db, at: &AskAt, ask: &Ask) -> sqlx::Result<Option<Granted>> {
    let (key, defaults, now) = (at.key, at.defaults, micros(at.now));
    let units = ask.units.clamp(1, MOST_UNITS);
    let least = ask.least_units.clamp(1, units);
    let slot_units = ask.slot_units.max(units);
    let response_us = ask.response.map(|response| response.as_micros() as u64);
    let done = sqlx::query!(
        "UPDATE carrier_limits SET
           -- The learned limit grows while it is used up, by the time since it last grew, and not soon after a 429. A search
           -- doubles it in 0.45 s. Later it grows slowest just below the limit at the last 429, and faster if that was a minute ago.
           learned_per_second = learned_per_second * IF(free_at_us + 100000 < ? OR ? < refused_at_us, 1, CASE
             WHEN ceiling_per_second IS NULL THEN POW(2, LEAST(GREATEST(?, grown_at_us) - grown_at_us, 500000) / 4.5e5)
             ELSE 1 + LEAST(GREATEST(?, grown_at_us) - grown_at_us, 1000000) / 1e6 * CASE WHEN refused_at_us + 60000000 < ? THEN 0.05
               WHEN learned_per_second < 0.97 * ceiling_per_second THEN 0.034 WHEN learned_per_second <= ceiling_per_second THEN 0.0005
               ELSE 0.02 END END),
           grown_at_us = ?,
           -- A share of the last slot: what is left of it. 0: a slot of its own.
           shared_units = IF(granted_at_us >= ? AND blocked_until_us <= granted_at_us AND slot_units_used + ? <= slot_units
               AND COALESCE(NULLIF(requests_per_second, 0), ?) IS NULL, LEAST(?, ? * ((slot_units - slot_units_used) DIV ?)), 0),
           slot_units_used = IF(shared_units > 0, slot_units_used + shared_units, ?),
           slot_units = IF(shared_units > 0, slot_units, ?),
           -- LAST_INSERT_ID(…) returns start and units with the result, without a second round trip.
           granted_at_us = LAST_INSERT_ID(IF(shared_units > 0, granted_at_us, GREATEST(?, free_at_us, requests_free_at_us, blocked_until_us)) * 8192
             + IF(shared_units > 0, shared_units, slot_units_used)) DIV 8192,
           -- The slot lasts as long as its units take at the limit, or one of the equal shares of a second into which such slots
           -- fit: a window of a second takes whole requests. 98.5 percent: the rest absorbs jitter. Without a limit: NULL.
           free_at_us = IF(shared_units > 0, free_at_us, COALESCE(granted_at_us + CEIL(1e6 / 0.985 * GREATEST(
             slot_units / COALESCE(NULLIF(per_second, 0), ?, learned_per_second),
             1 / GREATEST(1, FLOOR(COALESCE(NULLIF(per_second, 0), ?, learned_per_second) / slot_units + 1e-6)))), free_at_us)),
           requests_free_at_us = COALESCE(granted_at_us + CEIL(1e6 / 0.985 * ? / COALESCE(NULLIF(requests_per_second, 0), ?)), requests_free_at_us),
           high_until_us = IF(?, granted_at_us + ?, high_until_us),
           response_us = (7 * response_us + COALESCE(?, response_us)) DIV 8
         WHERE carrier = ? AND kind = ? AND (? OR high_until_us <= ?)
           AND (GREATEST(free_at_us, requests_free_at_us, blocked_until_us) <= ?
             OR (granted_at_us >= ? AND blocked_until_us <= granted_at_us AND slot_units_used + ? <= slot_units
               AND COALESCE(NULLIF(requests_per_second, 0), ?) IS NULL))",
        now,
        micros(at.now - SETTLING),
        now,
        now,
        now,
        now,
        now,
        least,
        defaults.requests_per_second,
        units,
        least,
        least,
        units,
        slot_units,
        now,
        defaults.per_second,
        defaults.per_second,
        ask.requests,
        defaults.requests_per_second,
        ask.is_high,
        u32::from(ask.has_more) * 1_000_000,
        response_us,
        key.carrier,
        key.kind.as_str(),
        ask.is_high,
        now,
        micros(at.now + HORIZON),
        now,
        least,
        defaults.requests_per_second
    );
    let done = done.execute(db).await?;
    Ok((done.rows_affected() > 0).then(|| granted(done.last_insert_id())))
}

/// Reads the result of [`grant`].
fn granted(result: u64) -> Granted {
    let size = u64::from(MOST_UNITS) + 1;
    Granted {
        start: from_micros(result / size),
        units: (result % size) as u32,
    }
}

/// Keeps the next slot for priority high, because an ask of that priority was not granted. Returns
/// when that slot starts.
pub async fn claim_priority(db: &Db, at: &AskAt) -> sqlx::Result<DateTime<Utc>> {
    // Until the slot starts; a worker that asks for it is granted it earlier. A carrier that blocks
    // for long blocks everybody, and needs no priority meanwhile.
    let done = sqlx::query!(
        "UPDATE carrier_limits SET high_until_us = GREATEST(high_until_us,
           LEAST(LAST_INSERT_ID(GREATEST(free_at_us, requests_free_at_us, blocked_until_us)), ? + 1000000))
         WHERE carrier = ? AND kind = ?",
        micros(at.now),
        at.key.carrier,
        at.key.kind.as_str()
    );
    Ok(from_micros(done.execute(db).await?.last_insert_id()))
}

/// Blocks all environments until a time, or for longer if they are blocked for longer.
pub async fn block_until(db: &Db, key: LimitKey, until: DateTime<Utc>) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE carrier_limits SET blocked_until_us = GREATEST(blocked_until_us, ?) WHERE carrier = ? AND kind = ?",
        micros(until),
        key.carrier,
        key.kind.as_str()
    );
    done.execute(db).await.map(drop)
}

/// Records what a 429 has taught. Returns false if another 429 was recorded since `before` was read.
pub async fn record_learned(
    db: &Db,
    key: LimitKey,
    before: &Learned,
    after: &Learned,
) -> sqlx::Result<bool> {
    let refused_at = micros(after.refused_at);
    let done = sqlx::query!(
        "UPDATE carrier_limits SET learned_per_second = ?, ceiling_per_second = ?, grown_at_us = ?, refused_at_us = ?,
           free_at_us = GREATEST(free_at_us, ?)
         WHERE carrier = ? AND kind = ? AND refused_at_us = ?",
        after.per_second,
        after.ceiling,
        refused_at,
        refused_at,
        micros(after.paused_until(before)),
        key.carrier,
        key.kind.as_str(),
        micros(before.refused_at)
    );
    Ok(done.execute(db).await?.rows_affected() > 0)
}
