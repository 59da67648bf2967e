//! The velocity alarm: callers who begin to send far more within an hour than they ever do, as a
//! stolen key does.
//!
//! Once per minute it adds up the schedules that began in the last hour, by their creators, from
//! their rows alone. A creator exceeds the rule with more parts than `VELOCITY_PARTS_PER_HOUR`, and
//! than `VELOCITY_FACTOR` times the busiest hour of the 30 days before. The busiest hour of each day
//! is kept in `velocity_days`. The figure is read anew by each sweep, so a sweep that is killed, or
//! runs twice, changes nothing.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::Serialize;
use shared::platform::{
    config::Env,
    db::{Db, json::to_json},
};

/// What is added up.
const WINDOW: TimeDelta = TimeDelta::hours(1);
/// What is compared with it.
const HISTORY: TimeDelta = TimeDelta::days(30);
/// Most schedules that a sweep adds up, so that it stays short.
const MOST_SCHEDULES: u32 = 50_000;

/// Which creators send unusually fast. By default none does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VelocityRule {
    /// Parts within an hour that are never too many; 0: any number.
    pub parts_per_hour: u32,
    /// How many times its busiest hour a creator may send; 0: `parts_per_hour` holds for everybody.
    pub factor: u32,
}

impl VelocityRule {
    /// Reads `VELOCITY_PARTS_PER_HOUR` and `VELOCITY_FACTOR`.
    pub fn from_env(env: &mut Env) -> Self {
        Self {
            parts_per_hour: env.number("VELOCITY_PARTS_PER_HOUR", 0..=1_000_000_000, Some(0)),
            factor: env.number("VELOCITY_FACTOR", 0..=1_000, Some(10)),
        }
    }

    /// Returns whether no creator is too fast.
    pub const fn is_off(self) -> bool {
        self.parts_per_hour == 0
    }

    /// Returns whether so many parts may be too many, for a creator whose history is not known.
    const fn suspects(self, parts: u64) -> bool {
        !self.is_off() && parts > self.parts_per_hour as u64
    }

    /// Returns whether so many parts are too many. `usual`: those of the busiest hour before.
    const fn is_exceeded(self, parts: u64, usual: u64) -> bool {
        self.suspects(parts) && parts > usual.saturating_mul(self.factor as u64)
    }

    /// Returns whether so many parts in an hour allow a creator more than everybody.
    const fn is_history(self, parts: u64) -> bool {
        parts.saturating_mul(self.factor as u64) > self.parts_per_hour as u64
    }
}

/// What a creator has begun to send within the hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Velocity {
    /// `schedules.created_by`
    pub created_by: String,
    /// Message parts.
    pub parts: u64,
    /// Whether that is too many.
    pub is_exceeded: bool,
}

/// A row to keep, as JSON.
#[derive(Serialize)]
struct Kept<'a> {
    c: &'a str,
    p: u64,
    /// 1: exceeded.
    e: u8,
}

impl<'a> From<&'a Velocity> for Kept<'a> {
    fn from(velocity: &'a Velocity) -> Self {
        Self {
            c: &velocity.created_by,
            p: velocity.parts,
            e: u8::from(velocity.is_exceeded),
        }
    }
}

/// Reads what creators have begun to send within the last hour. Writes nothing.
pub async fn read_velocities(
    db: &Db,
    rule: VelocityRule,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Velocity>> {
    if rule.is_off() {
        return Ok(Vec::new());
    }
    let mut found = begun(db, now - WINDOW, now).await?;
    let suspects = found.iter().filter(|each| rule.suspects(each.parts));
    let suspects: Vec<_> = suspects.map(|each| each.created_by.clone()).collect();
    if suspects.is_empty() {
        return Ok(found);
    }
    let today = now.date_naive();
    let usual = busiest_hours(db, &suspects, (now - HISTORY).date_naive(), today).await?;
    for each in &mut found {
        let usual = usual.iter().find(|(name, _)| *name == each.created_by);
        let usual = usual.map_or(0, |(_, parts)| *parts);
        each.is_exceeded = rule.is_exceeded(each.parts, usual);
    }
    Ok(found)
}

/// Reads what creators have begun to send, and keeps the busiest hour of the day. Returns how many
/// of them exceed the rule.
pub async fn check_velocities(
    db: &Db,
    rule: VelocityRule,
    now: DateTime<Utc>,
) -> sqlx::Result<u64> {
    let mut found = read_velocities(db, rule, now).await?;
    found.retain(|each| each.is_exceeded || rule.is_history(each.parts));
    if !found.is_empty() {
        keep(db, &found, now).await?;
    }
    let exceeded = found.iter().filter(|each| each.is_exceeded);
    Ok(exceeded.count() as u64)
}

/// Adds up the parts of schedules that began in an interval. One that was cancelled counts too: it may
/// have been sent in part.
async fn begun(db: &Db, after: DateTime<Utc>, until: DateTime<Utc>) -> sqlx::Result<Vec<Velocity>> {
    let rows = sqlx::query!(
        r#"SELECT w.created_by AS "created_by!: String", CAST(SUM(w.parts) AS UNSIGNED) AS "parts!: u64"
           FROM (SELECT s.created_by, CAST(s.recipient_count AS UNSIGNED) * s.parts AS parts FROM schedules s FORCE INDEX (by_time)
                 WHERE s.run_at > ? AND s.run_at <= ? AND s.status NOT IN ('draft', 'awaiting-approval') AND s.created_by IS NOT NULL LIMIT ?) w
           GROUP BY w.created_by ORDER BY NULL"#,
        after,
        until,
        MOST_SCHEDULES
    );
    let rows = rows.fetch_all(db).await?.into_iter();
    let velocity = rows.map(|row| Velocity {
        created_by: row.created_by,
        parts: row.parts,
        is_exceeded: false,
    });
    Ok(velocity.collect())
}

/// Returns the parts of the busiest hour of these creators, from a day on and before another.
async fn busiest_hours(
    db: &Db,
    creators: &[String],
    from: NaiveDate,
    before: NaiveDate,
) -> sqlx::Result<Vec<(String, u64)>> {
    let rows = sqlx::query!(
        r#"SELECT v.created_by AS "created_by!: String", CAST(MAX(v.most_parts) AS UNSIGNED) AS "parts!: u64"
           FROM JSON_TABLE(?, '$[*]' COLUMNS (c VARCHAR(80) PATH '$')) j
           STRAIGHT_JOIN velocity_days v FORCE INDEX (PRIMARY) ON v.created_by = j.c COLLATE utf8mb4_unicode_520_ci AND v.day >= ? AND v.day < ?
           GROUP BY v.created_by ORDER BY NULL"#,
        to_json(creators)?,
        from,
        before
    );
    let rows = rows.fetch_all(db).await?.into_iter();
    Ok(rows.map(|row| (row.created_by, row.parts)).collect())
}

/// Keeps what creators have begun to send within an hour, if it is the most of the day.
async fn keep(db: &Db, found: &[Velocity], now: DateTime<Utc>) -> sqlx::Result<()> {
    let rows: Vec<Kept<'_>> = found.iter().map(Kept::from).collect();
    let done = sqlx::query!(
        "INSERT INTO velocity_days (created_by, day, most_parts, exceeded_at)
         SELECT j.c, ?, j.p, IF(j.e, ?, NULL)
         FROM JSON_TABLE(?, '$[*]' COLUMNS (c VARCHAR(80) PATH '$.c', p BIGINT UNSIGNED PATH '$.p', e INT PATH '$.e')) j
         ON DUPLICATE KEY UPDATE most_parts = GREATEST(most_parts, VALUES(most_parts)), exceeded_at = COALESCE(exceeded_at, VALUES(exceeded_at))",
        now.date_naive(),
        now,
        to_json(&rows)?
    );
    done.execute(db).await.map(drop)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn only_what_exceeds_both_limits_is_too_fast() {
        let rule = |parts_per_hour, factor| VelocityRule {
            parts_per_hour,
            factor,
        };
        #[rustfmt::skip]
        let table = [
            // rule, parts, usual, exceeded
            (rule(0, 10), u64::MAX, 0, false),
            (rule(1_000, 10), 1_000, 0, false),
            (rule(1_000, 10), 1_001, 0, true),
            (rule(1_000, 10), 5_000, 500, false),
            (rule(1_000, 10), 5_001, 500, true),
            (rule(1_000, 10), 900, 1, false),
            (rule(1_000, 0), 1_001, 900_000, true),
            (rule(1_000, 10), u64::MAX, u64::MAX, false),
        ];
        for (rule, parts, usual, expected) in table {
            assert_eq!(
                rule.is_exceeded(parts, usual),
                expected,
                "{rule:?} {parts} {usual}"
            );
        }
        // Ten times 100 are no more than everybody may send.
        let rule = rule(1_000, 10);
        assert!(!rule.is_history(100) && rule.is_history(101));
    }

    #[test]
    fn the_rule_is_off_unless_it_is_configured() {
        let read = |pairs: &[(&str, &str)]| {
            let mut env = Env::from_pairs(pairs.iter().copied());
            let rule = VelocityRule::from_env(&mut env);
            env.finish(rule).map_err(|error| error.to_string())
        };
        assert!(read(&[]).unwrap().is_off());
        let given = [("VELOCITY_PARTS_PER_HOUR", "500"), ("VELOCITY_FACTOR", "3")];
        let rule = read(&given).unwrap();
        assert_eq!((rule.parts_per_hour, rule.factor), (500, 3));
        let wrong = read(&[("VELOCITY_FACTOR", "many")]).unwrap_err();
        assert!(wrong.contains("VELOCITY_FACTOR is `many`"), "{wrong}");
    }
}
