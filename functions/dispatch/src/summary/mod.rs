//! Summaries of finished schedules: how long their messages took, as percentiles.
//!
//! The sweep computes them, a part of the list after another, and writes what it has after each
//! part. So a list of any length takes little memory, and a sweep that is killed loses one part. If
//! two sweeps work on one summary, the first that writes a part goes on with it.

pub mod histogram;
pub mod store;

use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared::{batch::SeqRange, platform::db};
use tokio::time::Instant;
use uuid::Uuid;

use self::{
    histogram::Histogram,
    store::{DurationCount, PlannedBatch, SummaryRow},
};
use crate::{Dispatcher, sweep::errors::SweepErrors};

/// How long one sweep computes summaries: nothing waits for them.
const TIME: Duration = Duration::from_secs(5);
/// How many summaries are computed in turn, a part of each, so that a long list does not keep short
/// ones waiting.
const IN_TURN: u32 = 20;
/// A part ends with the batch that reaches so many places of the list.
const PART_PLACES: u32 = 20_000;
/// Most batches of a part: each takes a statement of its own if it is planned for another time.
const PART_BATCHES: u32 = 100;

/// The durations of the messages of a schedule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Durations {
    /// From the planned time of a message to its first request.
    pub due_to_sent: Histogram,
    /// From the last request of a message to its final state.
    pub sent_to_final: Histogram,
}

impl Durations {
    fn add(&mut self, counted: DurationCount) {
        let DurationCount { count, .. } = counted;
        if let (Some(bucket), Some(max_ms)) = (counted.due_bucket, counted.due_max_ms) {
            self.due_to_sent.add(bucket, count, max_ms);
        }
        if let (Some(bucket), Some(max_ms)) = (counted.final_bucket, counted.final_max_ms) {
            self.sent_to_final.add(bucket, count, max_ms);
        }
    }
}

/// A summary that is being computed.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The schedule.
    pub schedule_id: Uuid,
    /// How often it had finished when the computation began.
    pub finishes: u32,
    /// The batch at which the computation goes on.
    pub next_batch: u32,
    /// The durations in the batches before.
    pub durations: Durations,
}

impl Summary {
    /// Returns the summary as its row has it; `None`: its histograms cannot be read.
    fn of(row: &SummaryRow) -> Option<Self> {
        let durations = match &row.histograms {
            Some(json) => serde_json::from_str(json).ok()?,
            None => Durations::default(),
        };
        Some(Self {
            schedule_id: row.schedule_id,
            finishes: row.finishes,
            next_batch: row.next_batch,
            durations,
        })
    }
}

impl Dispatcher {
    /// Computes summaries, for some seconds. `has_time` returns whether another part may start.
    pub async fn compute_summaries(&self, has_time: &impl Fn() -> bool) -> anyhow::Result<()> {
        let started = Instant::now();
        let has_time = || started.elapsed() < TIME && has_time();
        let mut errors = SweepErrors::default();
        loop {
            let rows = store::summaries_to_compute(&self.db, IN_TURN)
                .await
                .context("looking for summaries to compute")?;
            let is_last_page = rows.len() < IN_TURN as usize;
            let completed = self.compute_in_turn(rows, &has_time, &mut errors).await?;
            // Those that could not be computed would be found again.
            if is_last_page || completed == 0 || !has_time() {
                return errors.last();
            }
        }
    }

    /// Computes these summaries, a part of each in turn, until all are complete or the time is up.
    /// Returns how many were completed.
    async fn compute_in_turn(
        &self,
        rows: Vec<SummaryRow>,
        has_time: &impl Fn() -> bool,
        errors: &mut SweepErrors,
    ) -> anyhow::Result<u32> {
        let mut open = Vec::with_capacity(rows.len());
        for row in &rows {
            match Summary::of(row) {
                Some(summary) => open.push(summary),
                None => errors.note_of(row.schedule_id, self.begin_anew(row).await)?,
            }
        }
        let mut completed = 0;
        while !open.is_empty() {
            let mut next = Vec::with_capacity(open.len());
            for summary in open {
                if !has_time() {
                    return Ok(completed);
                }
                let id = summary.schedule_id;
                match self.compute_part(summary).await {
                    Ok(Part::More(summary)) => next.push(summary),
                    Ok(Part::Completed) => completed += 1,
                    Ok(Part::Overtaken) => {}
                    Err(error) => errors.note_of(id, Err(error))?,
                }
            }
            open = next;
        }
        Ok(completed)
    }

    /// Begins a summary anew whose histograms another release has written in another form. The next
    /// sweep computes it.
    async fn begin_anew(&self, row: &SummaryRow) -> anyhow::Result<()> {
        tracing::warn!(schedule.id = %row.schedule_id, "the histograms of the summary cannot be read");
        db::retry_lock_conflicts(|| store::begin_anew(&self.db, row))
            .await
            .context("beginning a summary anew")
    }

    /// Adds the next batches to a summary, and writes it.
    async fn compute_part(&self, mut summary: Summary) -> anyhow::Result<Part> {
        let id = summary.schedule_id;
        let found = store::next_batches(&self.db, id, summary.next_batch, PART_BATCHES)
            .await
            .context("reading the batches of a summary")?;
        let batches = part_of(&found);
        for planned in planned_ranges(batches) {
            let counted = store::count_durations(&self.db, id, planned).await;
            for count in counted.context("counting durations")? {
                summary.durations.add(count);
            }
        }
        let has_more = found.len() == PART_BATCHES as usize || batches.len() < found.len();
        let Some(last) = batches.last().filter(|_| has_more) else {
            return self.complete(&summary).await;
        };
        let next_batch = last.batch_no + 1;
        let saved = db::retry_lock_conflicts(|| store::save(&self.db, &summary, next_batch)).await;
        if !saved.context("saving a summary")? {
            return Ok(Part::Overtaken);
        }
        summary.next_batch = next_batch;
        Ok(Part::More(summary))
    }

    async fn complete(&self, summary: &Summary) -> anyhow::Result<Part> {
        let now = self.db.now();
        let completed = db::retry_lock_conflicts(|| store::complete(&self.db, summary, now)).await;
        Ok(if completed.context("completing a summary")? {
            Part::Completed
        } else {
            Part::Overtaken
        })
    }
}

/// What has become of a summary.
enum Part {
    /// More batches may follow.
    More(Summary),
    /// It is complete.
    Completed,
    /// Another sweep goes on with it, or the schedule has finished again.
    Overtaken,
}

/// Returns the batches of the next part.
fn part_of(batches: &[PlannedBatch]) -> &[PlannedBatch] {
    let mut places = 0_u32;
    let is_full = |batch: &PlannedBatch| {
        places = places.saturating_add(batch.last_seq - batch.first_seq + 1);
        places >= PART_PLACES
    };
    let len = batches
        .iter()
        .position(is_full)
        .map_or(batches.len(), |last| last + 1);
    &batches[..len]
}

/// A range of recipients that are planned for one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedRange {
    /// The recipients.
    pub range: SeqRange,
    /// The time.
    pub planned_at: DateTime<Utc>,
}

/// Joins neighbours that are planned for one time, as all batches of a schedule without a rate are.
fn planned_ranges(batches: &[PlannedBatch]) -> Vec<PlannedRange> {
    let alike = batches.chunk_by(|a, b| a.planned_at == b.planned_at && a.last_seq < b.first_seq);
    let range = |alike: &[PlannedBatch]| PlannedRange {
        range: SeqRange::new(alike[0].first_seq, alike[alike.len() - 1].last_seq),
        planned_at: alike[0].planned_at,
    };
    alike.map(range).collect()
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    /// Returns batches of `size` places that are planned for these seconds.
    fn batches(size: u32, seconds: &[i64]) -> Vec<PlannedBatch> {
        let batch = |(n, second): (u32, &i64)| PlannedBatch {
            batch_no: n + 1,
            first_seq: n * size + 1,
            last_seq: (n + 1) * size,
            planned_at: DateTime::UNIX_EPOCH + TimeDelta::seconds(*second),
        };
        (0..).zip(seconds).map(batch).collect()
    }

    #[test]
    fn a_part_is_bounded_by_places_and_has_at_least_one_batch() {
        for (size, given, taken) in [(500, 100, 40), (10, 100, 100), (30_000, 5, 1), (500, 0, 0)] {
            let batches = batches(size, &vec![0; given]);
            assert_eq!(part_of(&batches).len(), taken, "{given} of {size}");
        }
    }

    #[test]
    fn neighbours_of_one_time_are_read_together() {
        let ranges: Vec<_> = planned_ranges(&batches(10, &[0, 0, 5, 0]))
            .iter()
            .map(|planned| {
                (
                    planned.range.first,
                    planned.range.last,
                    planned.planned_at.timestamp(),
                )
            })
            .collect();
        assert_eq!(ranges, [(1, 20, 0), (21, 30, 5), (31, 40, 0)]);
        assert_eq!(planned_ranges(&[]), []);
    }
}
