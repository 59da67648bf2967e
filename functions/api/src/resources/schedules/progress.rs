//! How far schedules have come: counts, what needs an operator, and what is sent next.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use shared::{
    message::{status::Status, window::Window},
    platform::backoff::CLOCK_TOLERANCE,
    schedule::{
        canary::{load_canaries, load_canary},
        counts::{Counts, count_by_status},
        row::Schedule,
        start::Start,
        status::ScheduleStatus,
    },
};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::{
    App,
    resources::schedules::{
        attention::{Kind, kinds_of},
        canary::{CanaryView, current_figures},
        resend::store::{ResendLink, links_of},
        store::progress::{BatchSums, sum_batches},
        summary::{ScheduleSummary, summaries},
    },
};

/// The parts of a schedule that need an operator. None of them progresses by itself, except
/// UNCERTAIN recipients whose carrier can be asked, or that are sent again by policy.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Attention {
    /// The kinds of `/v1/attention` that list it.
    pub kinds: Vec<Kind>,
    /// Batches with messages that were found too late and are held.
    pub missed_batches: u32,
    /// Batches that were claimed three times without a release.
    pub parked_batches: u32,
    /// Recipients UNCERTAIN.
    pub uncertain: u64,
}

/// How far a schedule has come.
#[derive(Debug)]
pub struct Progress {
    /// Its recipients by status.
    pub counts: Counts,
    /// What needs an operator.
    pub attention: Attention,
    /// Until then it has certainly not begun.
    pub changeable_until: Option<DateTime<Utc>>,
    /// When it is sent next.
    pub next_send_at: Option<DateTime<Utc>>,
    /// The schedule whose recipients it sends to again.
    pub resend_of: Option<Uuid>,
    /// The newest schedule that sends again to its recipients.
    pub resent_by: Option<Uuid>,
    /// How long its messages took, if it is finished and that is computed.
    pub summary: Option<ScheduleSummary>,
    /// Its canary, if it has one.
    pub canary: Option<CanaryView>,
}

impl Progress {
    fn new(app: &App, row: &Schedule, counts: Counts, sums: &BatchSums) -> Self {
        let now = app.db.now();
        let lead = TimeDelta::from_std(app.dispatch_lead).unwrap_or_default() + CLOCK_TOLERANCE;
        let attention = Attention {
            kinds: kinds_of(row, sums, now),
            missed_batches: sums.missed,
            parked_batches: sums.parked,
            uncertain: counts.get(&Status::Uncertain).copied().unwrap_or_default(),
        };
        Self {
            counts,
            attention,
            changeable_until: (row.status == ScheduleStatus::Scheduled)
                .then(|| Start::of(row).at() - lead),
            next_send_at: next_send_at(row, sums.send_at, now),
            resend_of: None,
            resent_by: None,
            summary: None,
            canary: None,
        }
    }

    fn link(&mut self, id: Uuid, links: &[ResendLink]) {
        for link in links {
            if link.schedule_id == id {
                self.resend_of = Some(link.resend_of);
            } else if link.resend_of == id {
                self.resent_by = Some(link.schedule_id);
            }
        }
    }
}

/// Returns when a schedule is sent next: when it begins, or when its first batch is due, within its
/// window. A time that has passed stays as it is: that batch waits for its turn, or is being sent.
fn next_send_at(
    row: &Schedule,
    due: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let start = Start::of(row);
    let next = match row.status {
        ScheduleStatus::Scheduled => start.at(),
        ScheduleStatus::Running => {
            let due = due?;
            match Window::of(row.send_window.as_deref()) {
                Some(window) if !window.is_open(due.max(now)) => window.next_open(due.max(now)),
                _ => due,
            }
        }
        _ => return None,
    };
    // What is left at the end is closed, not sent.
    let ended = start.end().is_some_and(|end| end <= next.max(now));
    (!ended).then_some(next)
}

/// Reads the progress of one schedule, with exact counts. Runs in one transaction with the read of
/// the row.
pub async fn read_progress(
    app: &App,
    connection: &mut MySqlConnection,
    row: &Schedule,
) -> sqlx::Result<Progress> {
    let counts = count_by_status(connection, row).await?;
    let sums = match row.batch_count {
        Some(_) => sum_batches(connection, &[row.id], app.db.now())
            .await?
            .pop(),
        None => None,
    };
    let mut progress = Progress::new(app, row, counts, &sums.unwrap_or_default());
    progress.link(row.id, &links_of(connection, &[row.id]).await?);
    let mut summaries = summaries(connection, std::iter::once(row)).await?;
    progress.summary = summaries.remove(&row.id);
    if let Some(canary) = load_canary(connection, row.id).await? {
        let figures = current_figures(connection, &canary).await?;
        progress.canary = Some(CanaryView::new(&canary, figures));
    }
    Ok(progress)
}

/// Reads the progress of a page of schedules with three statements. The counts of a batch that a
/// worker owns are those of its last release.
pub async fn read_page_progress(
    app: &App,
    connection: &mut MySqlConnection,
    rows: &HashMap<Uuid, Schedule>,
) -> sqlx::Result<HashMap<Uuid, Progress>> {
    let cut = rows.values().filter(|row| row.batch_count.is_some());
    let ids: Vec<_> = cut.map(|row| row.id).collect();
    let sums = if ids.is_empty() {
        Vec::new()
    } else {
        sum_batches(connection, &ids, app.db.now()).await?
    };
    let mut sums: HashMap<_, _> = sums
        .into_iter()
        .map(|sums| (sums.schedule_id, sums))
        .collect();
    let all: Vec<_> = rows.keys().copied().collect();
    let links = links_of(connection, &all).await?;
    let mut summaries = summaries(connection, rows.values()).await?;
    let canaries = load_canaries(connection, &all).await?;
    let mut canaries: HashMap<_, _> = canaries
        .iter()
        .map(|canary| (canary.schedule_id, CanaryView::new(canary, None)))
        .collect();
    let progress = |row: &Schedule| {
        let sums = sums.remove(&row.id).unwrap_or_default();
        let counts = counts_of(row, &sums);
        let mut progress = Progress::new(app, row, counts, &sums);
        progress.link(row.id, &links);
        progress.summary = summaries.remove(&row.id);
        progress.canary = canaries.remove(&row.id);
        (row.id, progress)
    };
    Ok(rows.values().map(progress).collect())
}

fn counts_of(row: &Schedule, sums: &BatchSums) -> Counts {
    let mut counts: Counts = Status::ALL.into_iter().map(|status| (status, 0)).collect();
    counts.extend(sums.by_status());
    if row.batch_count.is_none() {
        counts.insert(Status::Pending, row.recipient_count.into());
    }
    counts.insert(Status::Invalid, row.invalid_count.into());
    counts
}
