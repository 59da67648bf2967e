//! One pass over a claimed batch: requests in flight, and *flushes* between them.
//!
//! A flush is one statement that records the requests that have ended and marks the requests that
//! start next. A crash therefore leaves only the recipients in flight UNCERTAIN, not the batch.

mod flush;
mod outcome;
mod pace;
mod requests;
mod result;
mod suppressions;
mod throttle;

use std::{sync::Arc, time::Duration};

use shared::{
    batch::{
        claim::{Claim, ClaimedBatch},
        release::{PassResult, Policy},
        rows::{BatchRow, FlushRow},
        texts::Texts,
        worker::{Claimed, Worker},
    },
    events::queue::enqueue,
    message::{status::Status, window::Window},
    platform::{
        backoff::SECONDS_OF_RATE,
        budget::Budget,
        db::describe::describe_one,
        fault::{self, Point},
    },
    schedule::lifecycle,
};
use tokio::time::{Instant, sleep_until, timeout_at};

use self::{
    outcome::{Answer, NextStep},
    pace::{Pace, rate_within_batch},
    requests::{CarrierCall, Request, Requests},
    result::PassSummary,
    suppressions::SuppressionCheck,
    throttle::Throttle,
};
use crate::Sender;

/// An answer waits at most this long for other answers before it is recorded. If the process
/// crashes, these answers become UNCERTAIN in addition to the requests in flight.
const FLUSH_AFTER: Duration = Duration::from_millis(250);

/// The state of a pass.
pub struct Pass<'a> {
    sender: &'a Sender,
    claim: &'a Claim,
    batch: &'a ClaimedBatch,
    budget: Budget,
    /// Nothing is sent while it is closed.
    window: Option<Window>,
    rows: &'a mut Vec<BatchRow>,
    requests: Requests,
    /// Answers and skipped recipients that the next flush records.
    unrecorded: Vec<FlushRow>,
    pace: Pace,
    throttle: Throttle,
    suppressions: SuppressionCheck,
    summary: PassSummary,
}

impl<'a> Pass<'a> {
    /// Prepares a pass over the recipients of the batch that are due now. The pass updates
    /// `claimed.rows` as it goes.
    pub async fn new(
        sender: &'a Sender,
        claimed: &'a mut Claimed,
        budget: Budget,
    ) -> anyhow::Result<Self> {
        let Claimed { claim, batch, rows } = claimed;
        let texts = Texts::read(&sender.worker.db, claim, batch, rows).await?;
        let now = sender.worker.db.now();
        let policy = Policy::of(batch, sender.worker.carrier.can_ask_own_id(), now);
        let timing = &sender.worker.timing;
        let is_due = |row: &BatchRow| policy.send_at(row, timing, now).is_some_and(|at| at <= now);
        let due = (0..rows.len()).filter(|&at| is_due(&rows[at])).collect();
        Ok(Self {
            requests: Requests::new(texts, due),
            pace: Pace::of_batch(batch, sender.settings.parts_per_second),
            throttle: Throttle::after_tries(batch.tries),
            window: Window::of(batch.send_window.as_deref()),
            sender,
            claim,
            batch,
            budget,
            rows,
            unrecorded: Vec::new(),
            suppressions: SuppressionCheck::default(),
            summary: PassSummary::default(),
        })
    }

    /// Sends until no recipient waits, the time is up, or the pass is stopped. Records every
    /// answer before it returns.
    pub async fn run(&mut self) -> anyhow::Result<()> {
        loop {
            self.collect_answers().await;
            self.skip_suppressed().await;
            let starting = self.next_requests().await;
            if !starting.is_empty() || !self.unrecorded.is_empty() {
                if !self.unrecorded.is_empty() {
                    fault::reach(Point::Answered, self.claim.batch).await;
                }
                if self.flush(&starting).await? {
                    if !starting.is_empty() {
                        fault::reach(Point::Marked, self.claim.batch).await;
                    }
                    for request in starting {
                        let call = self.call(&request);
                        self.requests.start(request, call);
                    }
                }
            } else if self.requests.in_flight() == 0 {
                return Ok(());
            }
        }
    }

    /// Returns how the pass ended, for the release of the batch.
    pub fn result(&self) -> PassResult {
        let backoff = &self.sender.worker.timing.backoff;
        self.summary.result(self.batch, backoff)
    }

    /// Waits for the answers in flight: for all of them, or until 250 ms after the first.
    async fn collect_answers(&mut self) {
        let Some((request, answer)) = self.requests.next_answer().await else {
            return;
        };
        self.process_answer(request, answer).await;
        let flush_at = Instant::now() + FLUSH_AFTER;
        while let Ok(Some((request, answer))) =
            timeout_at(flush_at, self.requests.next_answer()).await
        {
            self.process_answer(request, answer).await;
        }
    }

    async fn process_answer(&mut self, request: Request, answer: Answer) {
        let rows: Vec<_> = request.iter().map(|&at| &self.rows[at]).collect();
        let (recorded, next_step) = outcome::rows_to_record(&rows, answer, self.batch.refusals);
        for (&at, row) in request.iter().zip(&recorded) {
            self.rows[at].status = row.status;
        }
        self.summary.accepted |= recorded.iter().any(|row| row.status == Status::Acceptd);
        self.unrecorded.extend(recorded);
        match next_step {
            NextStep::Continue => self.throttle.on_accepted(),
            NextStep::ContinueCarefully => {
                self.summary.stopped |= self.throttle.on_lost().is_break();
            }
            NextStep::Retry(retry_after) => {
                self.summary.retry_after = retry_after;
                self.requests.retry_once_recorded(request);
                self.summary.stopped |= self.throttle.on_not_accepted(retry_after).is_break();
            }
            NextStep::ReduceRequests => self.summary.refused = true,
            NextStep::PauseSchedule(reason) => self.pause_schedule(&reason).await,
        }
    }

    async fn pause_schedule(&mut self, reason: &str) {
        self.summary.stopped = true;
        let Worker {
            db, notify_queue, ..
        } = &self.sender.worker;
        let schedule_id = self.claim.batch.schedule_id;
        tracing::error!(schedule.id = %schedule_id, reason, "the carrier refuses our credentials; the schedule is paused");
        let reason = format!("the carrier refuses our credentials: {reason}");
        match lifecycle::pause(db, schedule_id, &reason).await {
            Ok(deliveries) => {
                enqueue(notify_queue, &deliveries.unwrap_or_default(), db.now()).await;
            }
            Err(error) => {
                tracing::error!(schedule.id = %schedule_id, error = describe_one(&error), "pausing failed");
            }
        }
    }

    /// Takes the requests that may start now, in addition to those in flight. Sleeps until the next
    /// one may start if the pass has nothing else to wait for.
    async fn next_requests(&mut self) -> Vec<Request> {
        if self.unrecorded.is_empty() {
            self.requests.requeue_retries();
        }
        // After the window has closed nothing starts; the release postpones the rest.
        self.summary.stopped |= self.is_window_closed();
        let limit = if self.throttle.is_single() {
            1
        } else {
            self.sender.settings.in_flight
        };
        let mut starting = Vec::new();
        while !self.summary.stopped
            && self.requests.has_waiting()
            && self.requests.in_flight() + starting.len() < limit
        {
            let free_at = self.free_at();
            let wait = free_at.saturating_duration_since(Instant::now());
            // Checked before the wait: the batch is released at once instead of after a sleep that
            // leaves no time to send.
            if !self
                .budget
                .allows(wait + self.sender.settings.timeout, self.recording_share())
            {
                self.summary.stopped = true;
                break;
            }
            if !wait.is_zero() {
                let is_idle = self.requests.in_flight() == 0
                    && starting.is_empty()
                    && self.unrecorded.is_empty();
                if !is_idle {
                    break;
                }
                sleep_until(free_at).await;
            }
            let request = self.requests.take(self.request_size());
            self.pace.record(self.requests.parts(&request));
            starting.push(request);
        }
        starting
    }

    fn is_window_closed(&self) -> bool {
        let now = self.sender.worker.db.now();
        self.window
            .as_ref()
            .is_some_and(|window| !window.is_open(now))
    }

    /// Returns when the next request may start, by the rate and by what the carrier asked for.
    fn free_at(&self) -> Instant {
        let not_before = self.throttle.not_before().unwrap_or_else(Instant::now);
        (Instant::now() + self.pace.wait()).max(not_before)
    }

    fn recording_share(&self) -> Duration {
        self.sender.worker.timing.backoff.recording_share
    }

    /// Returns the most recipients that the next request may carry.
    fn request_size(&self) -> usize {
        if self.throttle.is_careful() {
            return 1;
        }
        let max_numbers = self.sender.worker.carrier.max_numbers();
        let most = outcome::request_size(self.batch.refusals, max_numbers);
        rate_within_batch(self.batch)
            .map_or(most, |rate| most.min((rate * SECONDS_OF_RATE) as usize))
    }

    fn call(&self, request: &Request) -> CarrierCall {
        let carrier = Arc::clone(&self.sender.worker.carrier);
        // A carrier that takes our own ids gets one number per request.
        let own_id = carrier
            .can_ask_own_id()
            .then(|| self.rows[request[0]].own_id(self.claim.batch.schedule_id));
        CarrierCall {
            carrier,
            batch: self.claim.batch,
            phones: request
                .iter()
                .map(|&at| self.rows[at].phone.clone())
                .collect(),
            text: self.requests.text(request).clone(),
            sender: self.batch.sender.clone(),
            own_id,
            budget: self.budget,
            timeout: self.sender.settings.timeout,
            recording_share: self.recording_share(),
        }
    }
}
