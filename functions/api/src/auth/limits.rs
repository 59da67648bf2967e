//! The statements on `callers` and `login_guards`: limits that apply to all processes together, so
//! that their state is kept in the database.
//!
//! The request rate is a GCRA (generic cell rate algorithm, ITU-T I.371): a row contains the time
//! until which the caller has used its rate, and each admitted request moves that time forward. One
//! row per caller, one UPDATE per request; a rejected request writes nothing.

use chrono::{DateTime, Utc};
use shared::platform::secret::hash_token;
use sqlx::MySqlConnection;

/// Requests per minute, at once or evenly distributed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// At least 1.
    pub per_minute: u32,
}

/// The state of a caller's rate after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateState {
    /// Whether the request is admitted.
    pub allowed: bool,
    /// How many more requests would be admitted immediately.
    pub remaining: u32,
    /// Milliseconds until the full quota is available again; after a rejected request, until the
    /// next one is admitted.
    pub wait_ms: u64,
}

const MINUTE_US: u64 = 60_000_000;

impl Rate {
    fn cost_us(self) -> u64 {
        (MINUTE_US / u64::from(self.per_minute.max(1))).max(1)
    }

    fn state(self, free_at_us: u64, now_us: u64, allowed: bool) -> RateState {
        let ahead = free_at_us.saturating_sub(now_us);
        let left = MINUTE_US.saturating_sub(ahead);
        let wait_us = if allowed {
            ahead
        } else {
            (ahead + self.cost_us()).saturating_sub(MINUTE_US).max(1)
        };
        let remaining = (left / self.cost_us()).min(self.per_minute.into()) as u32;
        RateState {
            allowed,
            remaining: if allowed { remaining } else { 0 },
            wait_ms: wait_us.div_ceil(1000),
        }
    }
}

/// Counts a request of the caller `key`: 32 bytes, the hash of its name or of its API key.
pub async fn count_request(
    connection: &mut MySqlConnection,
    key: &[u8],
    rate: Rate,
    now: DateTime<Utc>,
) -> sqlx::Result<RateState> {
    let (now_us, cost_us) = (now.timestamp_micros() as u64, rate.cost_us());
    for _ in 0..3 {
        // LAST_INSERT_ID(…) returns the new value with the result, without a second round trip.
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
            return Ok(rate.state(done.last_insert_id(), now_us, true));
        }
        let found = sqlx::query_scalar!("SELECT free_at_us FROM callers WHERE caller = ?", key);
        match found.fetch_optional(&mut *connection).await? {
            Some(free_at_us) if free_at_us.max(now_us) + cost_us > now_us + MINUTE_US => {
                return Ok(rate.state(free_at_us, now_us, false));
            }
            // Another request inserted the row between the two statements: retry.
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
            return Ok(rate.state(now_us + cost_us, now_us, true));
        }
    }
    Ok(rate.state(now_us + MINUTE_US, now_us, false))
}

/// Entries of a list that count as one request.
const ENTRIES_PER_REQUEST: u32 = 20_000;

/// Counts the entries of a list that a call has read towards the rate of its caller: each twenty
/// thousand as a further request. The call itself is not refused, but those that follow it wait.
pub async fn count_entries(
    connection: &mut MySqlConnection,
    key: &[u8],
    rate: Rate,
    entries: u32,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let requests = u64::from(entries / ENTRIES_PER_REQUEST);
    if requests == 0 {
        return Ok(());
    }
    let now_us = now.timestamp_micros() as u64;
    let done = sqlx::query!(
        "UPDATE callers SET free_at_us = GREATEST(free_at_us, ?) + ? WHERE caller = ?",
        now_us,
        requests * rate.cost_us(),
        key
    );
    done.execute(connection).await.map(drop)
}

/// When failed logins delay the next one: after `free` failures by 1 s, then 2, 4 …, and from
/// `longest_from` failures on by `longest_s`.
#[derive(Clone, Copy, Debug)]
pub struct LoginGuard {
    /// Failures without a delay.
    pub free: u32,
    /// Failures after which the delay is the longest.
    pub longest_from: u32,
    /// The longest delay in seconds.
    pub longest_s: u32,
}

/// The count restarts after this time without a failure, in seconds.
const FORGOTTEN_S: u32 = 900;

/// Counts a login of `subject` as failed before its password is checked, so that concurrent logins
/// get no additional guesses. Returns `None` if the password may be checked, else the time until
/// which the subject is locked.
pub async fn count_login_attempt(
    connection: &mut MySqlConnection,
    subject: &str,
    guard: LoginGuard,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<DateTime<Utc>>> {
    let key = hash_token(subject);
    let added = sqlx::query!(
        "INSERT IGNORE INTO login_guards (subject, failures, last_at, locked_until) VALUES (?, 0, ?, '2000-01-01')",
        key,
        now
    );
    added.execute(&mut *connection).await?;
    // MySQL and MariaDB execute the assignments of a single-table UPDATE from left to right: below
    // its own line, `failures` is the new value. A free failure keeps the time: the clock of another
    // attempt, which waited for this row, is a little behind.
    let counted = sqlx::query!(
        "UPDATE login_guards SET
           failures = IF(last_at < ? - INTERVAL ? SECOND, 0, failures) + 1,
           locked_until = IF(failures <= ?, locked_until, ? + INTERVAL IF(failures >= ?, ?, LEAST(POW(2, failures - ? - 1), ?)) SECOND),
           last_at = ?
         WHERE subject = ? AND locked_until <= ?",
        now,
        FORGOTTEN_S,
        guard.free,
        now,
        guard.longest_from,
        guard.longest_s,
        guard.free,
        guard.longest_s,
        now,
        key,
        now
    );
    if counted.execute(&mut *connection).await?.rows_affected() > 0 {
        return Ok(None);
    }
    let until = sqlx::query_scalar!(
        r#"SELECT locked_until AS "locked_until: DateTime<Utc>" FROM login_guards WHERE subject = ?"#,
        key
    );
    until.fetch_optional(connection).await
}
