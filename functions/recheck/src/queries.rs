//! The status queries of a pass, within the carrier's limit.

use std::{cell::Cell, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt, stream};

use crate::figures;
use shared::{
    batch::worker::Worker,
    carrier::{
        StatusAnswer, StatusError,
        capacity::{Ask, Capacity, Grant, Limit},
    },
    platform::budget::Budget,
};

/// A pass waits at most this long for its next slot. The rest of the batch then waits for the next
/// pass, and the environment is free for another batch.
const LONGEST_WAIT: TimeDelta = TimeDelta::seconds(2);
/// Under a limit, a pass begins no query after this time, so that the batches of a large schedule
/// do not occupy every environment.
const LONGEST_PASS: TimeDelta = TimeDelta::seconds(5);

/// A message to ask about.
pub struct Question {
    /// The place of the recipient in the rows of the batch.
    pub at: usize,
    /// Its message ids, joined by commas.
    pub ids: String,
}

/// A status query and its answer.
pub struct StatusQuery {
    /// The place of the recipient in the rows of the batch.
    pub at: usize,
    /// When the carrier was asked.
    pub asked_at: DateTime<Utc>,
    /// How long the answer took.
    pub took: Duration,
    /// `None`: not asked, since no time was left.
    pub answer: Option<Result<StatusAnswer, StatusError>>,
}

/// What the queries of a pass have in common.
pub struct Queries<'a> {
    /// The carrier, the database's clock, and timing.
    pub worker: &'a Worker,
    /// The limit on queries.
    pub capacity: &'a Capacity,
    /// What is known about the limit; read again after a 429.
    pub limit: Cell<Limit>,
    /// The schedule is asked about first.
    pub is_small: bool,
    /// The time of the invocation.
    pub budget: Budget,
    /// Longest wait for the carrier's answer.
    pub timeout: Duration,
    /// Queries in flight.
    pub in_flight: usize,
    /// How many of the questions may be asked by now.
    pub granted: Cell<usize>,
    /// The last response time.
    pub response: Cell<Option<Duration>>,
}

impl Queries<'_> {
    /// Asks the questions in their order, many at once. Those that are left over, because the time
    /// is up or the carrier is busy, are not in the result.
    pub async fn ask_all(&self, questions: &[Question]) -> Vec<StatusQuery> {
        let until = self.worker.db.now() + LONGEST_PASS;
        let queries = stream::unfold(0, |next| async move {
            let question = questions.get(next)?;
            if !self.has_time() {
                return None;
            }
            if next >= self.granted.get() {
                let count = self.admit(&questions[next..], until).await?;
                self.granted.set(next + count);
            }
            Some((self.query(question), next + 1))
        });
        queries.buffer_unordered(self.in_flight).collect().await
    }

    fn has_time(&self) -> bool {
        let recording_share = self.worker.timing.backoff.recording_share;
        self.budget.allows(self.timeout, recording_share)
    }

    /// Waits until the first of the questions may be asked. Returns how many may be asked then, or
    /// `None` if the pass has to end.
    async fn admit(&self, questions: &[Question], until: DateTime<Utc>) -> Option<usize> {
        let limit = self.limit.get();
        if limit.per_second().is_none() && limit.requests_per_second.is_none() {
            return Some(questions.len());
        }
        let db = &self.worker.db;
        let wave = Wave::of(&limit, questions, self.in_flight);
        let ask = Ask {
            units: wave.units,
            least_units: wave.units,
            slot_units: wave.units,
            requests: wave.queries as u32,
            is_high: self.is_small,
            has_more: wave.queries < questions.len(),
            response: self.response.take(),
        };
        let wait_until = until.min(db.now() + LONGEST_WAIT);
        loop {
            match self.capacity.ask(&ask).await {
                Ok(Grant::At(granted)) => {
                    self.sleep_until(granted.start).await;
                    return Some(wave.queries);
                }
                Ok(Grant::AskAgainAt(at)) if at <= wait_until => self.sleep_until(at).await,
                Ok(Grant::AskAgainAt(_)) => return None,
                // What was answered is still recorded.
                Err(error) => {
                    tracing::warn!(%error, "the limit on queries could not be read");
                    return None;
                }
            }
        }
    }

    async fn sleep_until(&self, at: DateTime<Utc>) {
        let wait = (at - self.worker.db.now()).to_std().unwrap_or_default();
        tokio::time::sleep(wait).await;
    }

    /// Asks for one status, unless no time is left.
    async fn query(&self, question: &Question) -> StatusQuery {
        let asked_at = self.worker.db.now();
        let (mut answer, mut took) = (None, Duration::ZERO);
        if self.has_time() {
            let started = std::time::Instant::now();
            let answered = self.worker.carrier.status(&question.ids).await;
            took = started.elapsed();
            self.response.set(Some(took));
            figures::record_query(&answered, took);
            if let Err(StatusError::Busy { retry_after, .. }) = &answered {
                self.record_refusal(asked_at, *retry_after).await;
            }
            answer = Some(answered);
        }
        StatusQuery {
            at: question.at,
            asked_at,
            took,
            answer,
        }
    }

    /// Records a 429, and asks for a slot again before the next query.
    async fn record_refusal(&self, asked_at: DateTime<Utc>, retry_after: Option<Duration>) {
        self.granted.set(0);
        let recorded = self.capacity.record_refusal(asked_at, retry_after).await;
        let limit = match recorded {
            Ok(()) => self.capacity.read().await,
            Err(error) => Err(error),
        };
        match limit {
            Ok(limit) => self.limit.set(limit),
            Err(error) => tracing::warn!(%error, "a 429 could not be recorded"),
        }
    }
}

/// Queries that share a slot.
struct Wave {
    queries: usize,
    /// Their message ids: the carrier counts parts.
    units: u32,
}

impl Wave {
    /// Returns the first questions that fit into a slot, at least one.
    fn of(limit: &Limit, questions: &[Question], in_flight: usize) -> Self {
        let units = |question: &Question| question.ids.split(',').count() as u32;
        let most_units = limit.request_units(u32::MAX, 1);
        let most_queries = limit.requests_per_second.map_or(in_flight, |limit| {
            in_flight.min((limit / 5.0).max(1.0) as usize)
        });
        let mut wave = Self {
            queries: 0,
            units: 0,
        };
        for question in questions.iter().take(most_queries) {
            let units = units(question);
            if wave.queries > 0 && wave.units + units > most_units {
                break;
            }
            wave.queries += 1;
            wave.units += units;
        }
        wave
    }
}
