//! The canary of a schedule: its first recipients, after which the rest waits until enough of them are
//! DELIVRD. Pure, and the reads that several functions make.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::MySqlConnection;
use uuid::Uuid;

/// What of a canary its caller has chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CanaryRule {
    /// How many recipients are sent to first.
    pub recipients: u32,
    /// The thousandths of them that have to become DELIVRD.
    pub delivered_thousandths: u32,
    /// Seconds after the last of them was sent in which that has to happen.
    pub within_s: u32,
}

impl CanaryRule {
    /// Returns how many of `counted` recipients have to be DELIVRD: at least one.
    pub const fn needed(&self, counted: u64) -> u64 {
        let needed = (counted * self.delivered_thousandths as u64).div_ceil(1000);
        if needed == 0 { 1 } else { needed }
    }
}

/// What has become of a canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(rename_all = "lowercase")]
pub enum CanaryOutcome {
    /// Enough were DELIVRD: the rest is sent.
    Passed,
    /// Too few were: the schedule is paused.
    Failed,
    /// It had failed, and somebody has resumed the schedule: the rest is sent.
    Released,
    /// The end of the schedule came first: the rest is closed.
    Ended,
}

impl CanaryOutcome {
    /// Each outcome.
    pub const ALL: [Self; 4] = [Self::Passed, Self::Failed, Self::Released, Self::Ended];

    /// Returns the value in the database and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Released => "released",
            Self::Ended => "ended",
        }
    }
}

/// The recipients of a canary who get a message, by what has become of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CanaryFigures {
    /// DELIVRD.
    pub delivered: u64,
    /// Ended otherwise, and not sent again.
    pub failed: u64,
    /// Without a final state.
    pub undecided: u64,
    /// Of these, those for whom no request was ever made.
    pub unsent: u64,
}

impl CanaryFigures {
    /// Returns how many count.
    pub const fn counted(&self) -> u64 {
        self.delivered + self.failed + self.undecided
    }
}

/// The decision about a canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It can still become either.
    Undecided,
    /// Enough are DELIVRD, whatever becomes of the others.
    Passes,
    /// Too few can become DELIVRD, or the time is up.
    Fails,
}

/// Decides about a canary. `is_late`: its time is up.
pub const fn judge(rule: &CanaryRule, figures: &CanaryFigures, is_late: bool) -> Verdict {
    let needed = rule.needed(figures.counted());
    if figures.delivered >= needed {
        Verdict::Passes
    } else if is_late || figures.delivered + figures.undecided < needed {
        Verdict::Fails
    } else {
        Verdict::Undecided
    }
}

/// A row of `schedule_canaries`.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct Canary {
    pub schedule_id: Uuid,
    pub rule: CanaryRule,
    pub last_seq: Option<u32>,
    pub sent_at: Option<DateTime<Utc>>,
    pub outcome: Option<CanaryOutcome>,
    pub decided_at: Option<DateTime<Utc>>,
    pub decided: Option<CanaryFigures>,
}

impl Canary {
    /// Returns when its time is up, if that is known.
    pub fn deadline(&self) -> Option<DateTime<Utc>> {
        Some(self.sent_at? + TimeDelta::seconds(self.rule.within_s.into()))
    }
}

/// Returns the canaries of these schedules, in any order.
pub async fn load_canaries(
    connection: &mut MySqlConnection,
    ids: &[Uuid],
) -> sqlx::Result<Vec<Canary>> {
    let ids: Vec<_> = ids.iter().map(|id| id.simple().to_string()).collect();
    let rows = sqlx::query!(
        r#"SELECT c.schedule_id AS "schedule_id: Uuid", c.recipients, CAST(c.delivered_share * 1000 AS UNSIGNED) AS "thousandths!: u32", c.within_s,
             c.last_seq, c.sent_at AS "sent_at: DateTime<Utc>", c.outcome AS "outcome: CanaryOutcome", c.decided_at AS "decided_at: DateTime<Utc>",
             c.delivered, c.failed, c.undecided
           FROM JSON_TABLE(?, '$[*]' COLUMNS (id CHAR(32) PATH '$')) named STRAIGHT_JOIN schedule_canaries c ON c.schedule_id = UNHEX(named.id)"#,
        serde_json::json!(ids).to_string()
    );
    let rows = rows.fetch_all(connection).await?;
    Ok(rows
        .into_iter()
        .map(|row| Canary {
            schedule_id: row.schedule_id,
            rule: CanaryRule {
                recipients: row.recipients,
                delivered_thousandths: row.thousandths,
                within_s: row.within_s,
            },
            last_seq: row.last_seq,
            sent_at: row.sent_at,
            outcome: row.outcome,
            decided_at: row.decided_at,
            decided: row.delivered.map(|delivered| CanaryFigures {
                delivered: delivered.into(),
                failed: row.failed.unwrap_or_default().into(),
                undecided: row.undecided.unwrap_or_default().into(),
                unsent: 0,
            }),
        })
        .collect())
}

/// Returns the canary of a schedule, if it has one.
pub async fn load_canary(
    connection: &mut MySqlConnection,
    id: Uuid,
) -> sqlx::Result<Option<Canary>> {
    Ok(load_canaries(connection, &[id]).await?.pop())
}

/// Counts the recipients of a canary up to this place. Who opted out, was cancelled, or is no valid
/// number, gets no message and does not count. `max_resends`: as in the schedule.
pub async fn count_canary(
    connection: &mut MySqlConnection,
    id: Uuid,
    last_seq: u32,
) -> sqlx::Result<CanaryFigures> {
    let row = sqlx::query!(
        r#"SELECT CAST(COALESCE(SUM(r.status = 'DELIVRD'), 0) AS UNSIGNED) AS "delivered!: u64",
             CAST(COALESCE(SUM(r.status IN ('REJECTD', 'DELETED', 'UNKNOWN')
               OR (r.status IN ('UNDELIV', 'EXPIRED') AND (r.resends >= s.max_resends OR r.error <=> 'send-until'))), 0) AS UNSIGNED) AS "failed!: u64",
             CAST(COALESCE(SUM(r.status NOT IN ('CANCELLED', 'SUPPRESSED', 'INVALID')), 0) AS UNSIGNED) AS "counted!: u64",
             CAST(COALESCE(SUM(r.status = 'PENDING' AND r.attempt = 0), 0) AS UNSIGNED) AS "unsent!: u64"
           FROM schedules s STRAIGHT_JOIN recipients r FORCE INDEX (PRIMARY) ON r.schedule_id = s.id
           WHERE s.id = ? AND r.seq <= ?"#,
        id,
        last_seq
    );
    let row = row.fetch_one(connection).await?;
    Ok(CanaryFigures {
        delivered: row.delivered,
        failed: row.failed,
        undecided: row.counted.saturating_sub(row.delivered + row.failed),
        unsent: row.unsent,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canary_is_decided_as_soon_as_nothing_can_change_it() {
        let rule = CanaryRule {
            recipients: 10,
            delivered_thousandths: 900,
            within_s: 600,
        };
        #[rustfmt::skip]
        let table = [
            // delivered, failed, undecided, late, verdict
            (0, 0, 10, false, Verdict::Undecided),
            (8, 1, 1, false, Verdict::Undecided),
            (9, 0, 1, false, Verdict::Passes),
            (9, 1, 0, true, Verdict::Passes),
            (8, 2, 0, false, Verdict::Fails),
            (0, 2, 8, false, Verdict::Fails),
            (8, 1, 1, true, Verdict::Fails),
            (0, 0, 10, true, Verdict::Fails),
            // Nobody is left who could prove anything.
            (0, 0, 0, false, Verdict::Fails),
            // Five are left: five times 0.9 is 4.5.
            (4, 0, 1, false, Verdict::Undecided),
            (4, 1, 0, false, Verdict::Fails),
            (5, 0, 0, false, Verdict::Passes),
        ];
        for (delivered, failed, undecided, is_late, expected) in table {
            let figures = CanaryFigures {
                delivered,
                failed,
                undecided,
                unsent: 0,
            };
            assert_eq!(
                judge(&rule, &figures, is_late),
                expected,
                "{figures:?} {is_late}"
            );
        }
        let one = CanaryRule {
            delivered_thousandths: 1,
            ..rule
        };
        assert_eq!(
            (one.needed(10), one.needed(0), rule.needed(1000)),
            (1, 1, 900)
        );
    }
}
