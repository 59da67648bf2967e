//! `callers` and `login_guards`: limits that hold for all processes together, so their state stands here and in no process.
//!
//! The request rate is a GCRA (generic cell rate algorithm, ITU-T I.371): a row holds the time until which its caller's requests are
//! paid for, and a request that is let through moves it on. One UPDATE a request, one row a caller; a request that is refused
//! writes nothing.

use chrono::{DateTime, Utc};
use shared::platform::secret::hash_token;
use sqlx::MySqlConnection;

/// So many requests a minute, in one go or evenly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// At least 1.
    pub per_minute: u32,
}

/// What came of asking for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent {
    /// Whether it is let through.
    pub allowed: bool,
    /// How many more would be, at once.
    pub remaining: u32,
    /// Milliseconds until the whole minute's share is there again; where it was refused, until the next request is let through.
    pub wait_ms: u64,
}

const MINUTE_US: u64 = 60_000_000;

impl Rate {
    fn cost_us(self) -> u64 {
        (MINUTE_US / u64::from(self.per_minute.max(1))).max(1)
    }

    fn spent(self, free_at_us: u64, now_us: u64, allowed: bool) -> Spent {
        let ahead = free_at_us.saturating_sub(now_us);
        let left = MINUTE_US.saturating_sub(ahead);
        let wait_us = if allowed {
            ahead
        } else {
            (ahead + self.cost_us()).saturating_sub(MINUTE_US).max(1)
        };
        let remaining = (left / self.cost_us()).min(self.per_minute.into()) as u32;
        Spent {
            allowed,
            remaining: if allowed { remaining } else { 0 },
            wait_ms: wait_us.div_ceil(1000),
        }
    }
}

/// Asks for a request of `key`, 32 bytes that nobody else has: the hash of a name, or a key's own.
pub async fn spend_request(
    connection: &mut MySqlConnection,
    key: &[u8],
    rate: Rate,
    now: DateTime<Utc>,
) -> sqlx::Result<Spent> {
    let (now_us, cost_us) = (now.timestamp_micros() as u64, rate.cost_us());
    for _ in 0..3 {
        // LAST_INSERT_ID(…) brings the new value back with the answer: no second way to the server.
        let done = sqlx::query!(
            "UPDATE callers SET free_at_us = LAST_INSERT_ID(GREATEST(free_at_us, ?) + ?), last_used_at = ?
             WHERE caller = ? AND GREATEST(free_at_us, ?) + ? <= ? + 60000000",
            now_us,
            cost_us,
            now,
            key,
            now_us,
            cost_us,
            now_us
        );
        let done = done.execute(&mut *connection).await?;
        if done.rows_affected() > 0 {
            return Ok(rate.spent(done.last_insert_id(), now_us, true));
        }
        let found = sqlx::query_scalar!("SELECT free_at_us FROM callers WHERE caller = ?", key);
        match found.fetch_optional(&mut *connection).await? {
            Some(free_at_us) if free_at_us.max(now_us) + cost_us > now_us + MINUTE_US => {
                return Ok(rate.spent(free_at_us, now_us, false));
            }
            // Somebody else's was the first, between the two statements: once again.
            Some(_) => continue,
            None => {}
        }
        let added = sqlx::query!(
            "INSERT IGNORE INTO callers (caller, free_at_us, last_used_at) VALUES (?, ?, ?)",
            key,
            now_us + cost_us,
            now
        );
        if added.execute(&mut *connection).await?.rows_affected() > 0 {
            return Ok(rate.spent(now_us + cost_us, now_us, true));
        }
    }
    Ok(rate.spent(now_us + MINUTE_US, now_us, false))
}

/// When failed logins make the next one wait: after `free` of them 1 s, then 2, 4 …, and from `locked` on for [`LOCKED_S`].
#[derive(Clone, Copy, Debug)]
pub struct Guard {
    /// Failures without a wait.
    pub free: u32,
    /// Failures that lock.
    pub locked: u32,
}

/// Of one user name: somebody who mistypes is not held up, and a guesser gets some hundred guesses a day.
pub const USER_GUARD: Guard = Guard {
    free: 4,
    locked: 10,
};

/// Of one address, behind which an office may be.
pub const ADDRESS_GUARD: Guard = Guard {
    free: 20,
    locked: 40,
};

/// Seconds of the longest wait, and after so long without a failure the count begins anew.
pub const LOCKED_S: u32 = 900;

/// Counts a login of `subject` as failed before its password is looked at, so that many at once don't get more guesses. `None`: it
/// may be looked at; else it is to wait until then.
pub async fn count_login_attempt(
    connection: &mut MySqlConnection,
    subject: &str,
    guard: Guard,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<DateTime<Utc>>> {
    let key = hash_token(subject);
    let added = sqlx::query!(
        "INSERT IGNORE INTO login_guards (subject, failures, last_at, locked_until) VALUES (?, 0, ?, ?)",
        key,
        now,
        now
    );
    added.execute(&mut *connection).await?;
    // Assignments of an UPDATE of one table go from left to right on both servers: `failures` is the new one below its own line.
    let charged = sqlx::query!(
        "UPDATE login_guards SET
           failures = IF(last_at < ? - INTERVAL ? SECOND, 0, failures) + 1,
           locked_until = ? + INTERVAL CASE WHEN failures <= ? THEN 0 WHEN failures >= ? THEN ?
             ELSE LEAST(POW(2, failures - ? - 1), ?) END SECOND,
           last_at = ?
         WHERE subject = ? AND locked_until <= ?",
        now,
        LOCKED_S,
        now,
        guard.free,
        guard.locked,
        LOCKED_S,
        guard.free,
        LOCKED_S,
        now,
        key,
        now
    );
    if charged.execute(&mut *connection).await?.rows_affected() > 0 {
        return Ok(None);
    }
    let until = sqlx::query_scalar!(
        r#"SELECT locked_until AS "locked_until: DateTime<Utc>" FROM login_guards WHERE subject = ?"#,
        key
    );
    until.fetch_optional(connection).await
}
