//! `FAIR=1`: two equal large schedules and twenty small ones share a limited carrier. Half of the
//! small ones are due with the large ones, the others while these are being sent.
//!
//! Measures how late the first message of each small schedule is, and the shares of the two large
//! ones. The measurements are pure functions of the times at which messages were sent.

use std::fmt::{self, Display, Formatter};

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use sqlx::MySqlPool;
use uuid::Uuid;

use crate::{
    api::{Api, NewSchedule},
    list, numbers,
    options::Options,
    post::post,
    summary::grouped,
    watch::until_over,
};

/// Each large schedule alone takes the carrier this long; the two together twice as long.
const LARGE_S: u64 = 12;
const SMALL_SCHEDULES: u64 = 20;
const SMALL_SIZE: u64 = 10;
/// When the second half of the small schedules is due, after the large ones.
const SECOND_HALF_S: i64 = 8;
/// From the end of posting to the time of the schedules.
const START_S: i64 = 5;
/// The goal: the first message of a small schedule is at most this late.
const MAX_LATE_MS: i64 = 2_000;
/// The goal: the shares of equal schedules differ by at most this much of their mean.
const MAX_DIFFERENCE: f64 = 0.10;

/// The schedules of one run.
pub struct Contest {
    large: [Uuid; 2],
    small: Vec<Uuid>,
}

impl Contest {
    /// Posts the schedules.
    pub async fn post(api: &Api, limit: u32, text: &str) -> anyhow::Result<Self> {
        let size = u64::from(limit) * LARGE_S;
        let begin = numbers::start(Utc::now().timestamp() as u64);
        let run_at =
            (Utc::now() + TimeDelta::seconds(START_S + 3)).duration_trunc(TimeDelta::seconds(1))?;
        let new = async |start: u64, count: u64, run_at: DateTime<Utc>| {
            let schedule = NewSchedule {
                max_attempts: Some(1),
                ..NewSchedule::new(run_at, text, Vec::new())
            };
            let posted = post(api, schedule, list::generated(start, count), |_| ()).await?;
            anyhow::Ok(posted.schedule.id)
        };
        let large = [
            new(begin, size, run_at).await?,
            new(begin + size, size, run_at).await?,
        ];
        let mut small = Vec::new();
        for place in 0..SMALL_SCHEDULES {
            let later = if place < SMALL_SCHEDULES / 2 {
                0
            } else {
                SECOND_HALF_S
            };
            let start = begin + 2 * size + place * SMALL_SIZE;
            small.push(new(start, SMALL_SIZE, run_at + TimeDelta::seconds(later)).await?);
        }
        println!(
            "Posted      two schedules of {} recipients and {SMALL_SCHEDULES} of {SMALL_SIZE}, the first due at {run_at}",
            grouped(size)
        );
        Ok(Self { large, small })
    }

    /// Waits until all schedules are over. Calls `observe` each second.
    pub async fn wait(
        &self,
        api: &Api,
        options: &Options,
        mut observe: impl FnMut(),
    ) -> anyhow::Result<()> {
        for id in self.ids() {
            until_over(api, id, options.stall_timeout, |_| observe()).await?;
        }
        Ok(())
    }

    /// Returns the ids of all schedules.
    pub fn ids(&self) -> impl Iterator<Item = Uuid> {
        self.large.iter().chain(&self.small).copied()
    }

    /// Measures the schedules, which are over.
    pub async fn measure(&self, pool: &MySqlPool) -> anyhow::Result<Fairness> {
        let [one, other] = self.large;
        let large = [sent_ms(pool, one).await?, sent_ms(pool, other).await?];
        let mut late_ms = Vec::new();
        for &id in &self.small {
            late_ms.push(sent_ms(pool, id).await?.first().copied());
        }
        Ok(Fairness {
            shares: shares(&large),
            late_ms,
        })
    }
}

/// Returns when the messages of a schedule were sent, in milliseconds after its time, sorted.
async fn sent_ms(pool: &MySqlPool, id: Uuid) -> sqlx::Result<Vec<i64>> {
    let sql = "SELECT TIMESTAMPDIFF(MICROSECOND, s.run_at, r.sent_at) DIV 1000 FROM recipients r JOIN schedules s ON s.id = r.schedule_id
               WHERE r.schedule_id = ? AND r.sent_at IS NOT NULL ORDER BY r.sent_at";
    sqlx::query_scalar(sql).bind(id).fetch_all(pool).await
}

/// Returns the counts of two schedules when a quarter, half and three quarters of their messages
/// were sent.
fn shares(sent_ms: &[Vec<i64>; 2]) -> Vec<[u64; 2]> {
    let mut all = sent_ms.concat();
    all.sort_unstable();
    let quarters = (1..4).filter_map(|quarter| all.get((all.len() * quarter / 4).checked_sub(1)?));
    quarters
        .map(|at| {
            sent_ms
                .each_ref()
                .map(|sent_ms| sent_ms.partition_point(|sent| sent <= at) as u64)
        })
        .collect()
}

/// What was measured. Its `Display` is the printed text.
#[derive(Clone, Debug)]
pub struct Fairness {
    /// The counts of the two large schedules at three moments.
    pub shares: Vec<[u64; 2]>,
    /// How late the first message of each small schedule was; `None`: nothing was sent.
    pub late_ms: Vec<Option<i64>>,
}

impl Fairness {
    /// Returns the largest difference of the shares, relative to their mean. 2: one of them had
    /// everything.
    fn difference(&self) -> f64 {
        let differences = self
            .shares
            .iter()
            .map(|&[one, other]| one.abs_diff(other) as f64 * 2.0 / (one + other).max(1) as f64);
        differences.fold(if self.shares.is_empty() { 2.0 } else { 0.0 }, f64::max)
    }

    /// Returns whether the small schedules were prompt and the large ones equal.
    pub fn holds(&self) -> bool {
        self.are_prompt() && self.difference() <= MAX_DIFFERENCE
    }

    fn are_prompt(&self) -> bool {
        self.late_ms
            .iter()
            .all(|late_ms| late_ms.is_some_and(|late_ms| late_ms <= MAX_LATE_MS))
    }
}

impl Display for Fairness {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let late: Vec<_> = self.late_ms.iter().flatten().copied().collect();
        let mean = late.iter().sum::<i64>() / late.len().max(1) as i64;
        writeln!(
            out,
            "Fairness    first message of {} of {} small schedules: {} ms late on average, {} ms at most (goal: {} ms)",
            late.len(),
            self.late_ms.len(),
            mean,
            late.iter().max().copied().unwrap_or_default(),
            grouped(MAX_LATE_MS as u64)
        )?;
        let shares: Vec<_> = self
            .shares
            .iter()
            .map(|&[one, other]| format!("{} : {}", grouped(one), grouped(other)))
            .collect();
        writeln!(
            out,
            "  two large schedules at a quarter, half and three quarters: {}; at most {:.1} % apart (goal: {:.0} %)",
            shares.join(", "),
            self.difference() * 100.0,
            MAX_DIFFERENCE * 100.0
        )?;
        if !self.are_prompt() {
            writeln!(out, "  WRONG: a small schedule was later")?;
        }
        if self.difference() > MAX_DIFFERENCE {
            writeln!(
                out,
                "  WRONG: the shares of the large schedules differ more"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every(step: usize, first: i64) -> Vec<i64> {
        (0..100).map(|at| first + (at * step) as i64).collect()
    }

    #[test]
    fn equal_schedules_share_equally_and_one_after_the_other_is_unfair() {
        let prompt = vec![Some(300), Some(2000)];
        let check = |large: [Vec<i64>; 2]| Fairness {
            shares: shares(&large),
            late_ms: prompt.clone(),
        };
        let equal = check([every(10, 0), every(10, 5)]);
        assert!(equal.holds(), "{equal}");
        assert_eq!(equal.shares[1], [50, 50]);
        let sequential = check([every(10, 0), every(10, 1000)]);
        assert!(!sequential.holds() && sequential.to_string().contains("WRONG"));
        assert_eq!(sequential.shares[1], [100, 0]);
        assert!(!check([Vec::new(), Vec::new()]).holds());
    }

    #[test]
    fn one_late_or_unsent_small_schedule_is_wrong() {
        for late_ms in [Some(2001), None] {
            let fairness = Fairness {
                shares: vec![[50, 50]],
                late_ms: vec![Some(1), late_ms],
            };
            assert!(!fairness.holds() && fairness.to_string().contains("WRONG"));
        }
    }
}
