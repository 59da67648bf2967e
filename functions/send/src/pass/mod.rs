//! One pass over a claimed batch: requests in flight, and *flushes* between them.
//!
//! A flush is one statement that records the requests that have ended and marks the requests that
//! start next. A crash therefore leaves only the recipients in flight UNCERTAIN, not the batch.

mod answers;
pub mod figures;
mod flush;
mod hours;
mod outcome;
mod refusals;
mod requests;
mod reservation;
mod result;
mod spending;
mod start;
mod suppressions;
mod throttle;
mod turn;

use std::time::Duration;

use chrono::{DateTime, Utc};
use shared::{
    batch::{
        claim::{Claim, ClaimedBatch},
        release::Policy,
        rows::{BatchRow, FlushRow},
        texts::Texts,
        worker::Claimed,
    },
    platform::{
        budget::Budget,
        db::describe::describe_one,
        fault::{self, Point},
    },
};
use tokio::time::{Instant, sleep_until, timeout_at};

use self::{
    hours::SendingHours,
    refusals::Refusals,
    requests::{Answered, Requests},
    result::PassSummary,
    spending::Spending,
    start::StartingRequest,
    suppressions::SuppressionCheck,
    throttle::Throttle,
    turn::Turn,
};
use crate::Sender;

/// An answer waits at most this long for other answers before it is recorded. If the process
/// crashes, these answers become UNCERTAIN in addition to the requests in flight.
const FLUSH_AFTER: Duration = Duration::from_millis(250);
/// Answers are recorded, and the next requests marked, as soon as one of so many parts of the
/// numbers in flight is free. Fewer flushes would leave the carrier idle; more of them cost
/// transactions.
const WORTH_A_FLUSH: usize = 8;
/// After so many accepted requests in a pass, another batch may be sent beside it. A carrier whose
/// limit matters has answered 429 by then.
const OPEN_AFTER: u32 = 4;
/// The longest wait for answers to requests that started together.
const LINGER: Duration = Duration::from_millis(10);

/// The state of a pass.
pub struct Pass<'a> {
    sender: &'a Sender,
    claim: &'a Claim,
    batch: &'a ClaimedBatch,
    budget: Budget,
    /// Nothing is sent at other times.
    hours: SendingHours,
    rows: &'a mut Vec<BatchRow>,
    requests: Requests,
    /// Answers and skipped recipients that the next flush records.
    unrecorded: Vec<FlushRow>,
    /// When the oldest of these answers has to be recorded.
    flush_by: Option<Instant>,
    has_unrecorded_acceptances: bool,
    /// When the carrier's last acceptance was recorded, as far as this pass knows.
    progress_at: Option<DateTime<Utc>>,
    turn: Turn<'a>,
    /// When the next request may start, if one waits.
    wake_at: Option<Instant>,
    throttle: Throttle,
    refusals: Refusals,
    suppressions: SuppressionCheck,
    spending: Spending,
    /// The pass has had another batch admitted.
    has_opened_slot: bool,
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
        let Claimed {
            claim,
            batch,
            rows,
            rows_read_at,
        } = claimed;
        let texts = Texts::read(&sender.worker.db, claim, batch, rows).await?;
        let now = sender.worker.db.now();
        let policy = Policy::of(batch, sender.worker.carrier.can_ask_own_id(), now);
        let timing = &sender.worker.timing;
        let is_due = |row: &BatchRow| policy.send_at(row, timing, now).is_some_and(|at| at <= now);
        let due = (0..rows.len()).filter(|&at| is_due(&rows[at])).collect();
        let mut requests = Requests::new(texts, due);
        if batch.refusals > 0 {
            requests.rotate();
        }
        Ok(Self {
            requests,
            turn: Turn::new(sender, claim, batch).await?,
            spending: Spending::read(&sender.worker.db, claim, batch).await?,
            throttle: Throttle::after_tries(batch.tries),
            hours: SendingHours::of(batch),
            progress_at: batch.progress_at,
            sender,
            claim,
            batch,
            budget,
            rows,
            unrecorded: Vec::new(),
            flush_by: None,
            has_unrecorded_acceptances: false,
            wake_at: None,
            refusals: Refusals::default(),
            suppressions: SuppressionCheck::of_rows(*rows_read_at),
            has_opened_slot: false,
            summary: PassSummary::default(),
        })
    }

    /// Sends until no recipient waits, the time is up, or the pass is stopped. Records every
    /// answer before it returns.
    pub async fn run(&mut self) -> anyhow::Result<()> {
        self.skip_suppressed().await;
        self.reserve().await?;
        loop {
            self.collect_answers().await;
            self.skip_suppressed().await;
            let starting = self.next_requests().await;
            if !starting.is_empty() || !self.unrecorded.is_empty() {
                if starting.is_empty() && self.starts_before_flush() {
                    continue;
                }
                self.flush_and_start(starting).await?;
                self.open_another_slot().await;
            } else if self.wake_at.is_none()
                && !self.requests.has_in_flight()
                && !self.reject_refused()
            {
                return Ok(());
            }
        }
    }

    /// Returns whether a request starts so soon that the answers can wait for its flush.
    fn starts_before_flush(&self) -> bool {
        self.wake_at
            .zip(self.flush_by)
            .is_some_and(|(wake_at, flush_by)| wake_at < flush_by)
    }

    /// Admits one batch more, once in a pass, if the carrier has accepted several requests in a row
    /// and other workers are idle because its limit is not known yet.
    async fn open_another_slot(&mut self) {
        let admission = &self.sender.worker.admission;
        let is_useful = self.batch.turns_exist
            && !self.batch.limit_known
            && self.batch.open_slots < admission.concurrency();
        let is_open = self.summary.accepted_requests >= OPEN_AFTER && self.summary.busy.is_none();
        if !is_useful || !is_open || std::mem::replace(&mut self.has_opened_slot, true) {
            return;
        }
        if let Err(error) = self.requests.go_on_during(admission.open_slot()).await {
            // The next release admits what this call did not.
            tracing::warn!(error = describe_one(&error), "admitting batches failed");
        }
    }

    async fn flush_and_start(&mut self, starting: Vec<StartingRequest>) -> anyhow::Result<()> {
        if !self.unrecorded.is_empty() {
            fault::reach(Point::Answered, self.claim.batch).await;
        }
        self.flush_by = None;
        if self.flush(&starting).await? {
            if !starting.is_empty() {
                fault::reach(Point::Marked, self.claim.batch).await;
            }
            for starting in starting {
                let call = self.call(&starting);
                self.requests.start(starting.request, call);
            }
        }
        self.record_progress().await;
        Ok(())
    }

    /// Waits for answers, until it is worth while to record them and to mark the next requests.
    /// Returns earlier if a request may start.
    async fn collect_answers(&mut self) {
        let wake_at = self.wake_at.take();
        let Some(answered) = self.next_answer(wake_at).await else {
            return;
        };
        let now = Instant::now();
        self.flush_by.get_or_insert(now + FLUSH_AFTER);
        // Requests that started together end nearly together.
        let others_by = now + (answered.response / 16).min(LINGER);
        let mut numbers = answered.request.len();
        self.process_answer(answered).await;
        // The next slot is asked for before this one is used up.
        if self.turn.is_paced() && self.requests.has_waiting() {
            return;
        }
        let most = self.sender.settings.in_flight;
        loop {
            let is_worth_while = numbers * WORTH_A_FLUSH >= most && self.requests.has_waiting();
            let until = if is_worth_while {
                others_by
            } else {
                now + FLUSH_AFTER
            };
            match timeout_at(until, self.requests.next_answer()).await {
                Ok(Some(answered)) => {
                    numbers += answered.request.len();
                    self.process_answer(answered).await;
                }
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// Waits for the next answer, at most until `wake_at`.
    async fn next_answer(&mut self, wake_at: Option<Instant>) -> Option<Answered> {
        match wake_at {
            Some(at) if !self.requests.has_in_flight() => {
                sleep_until(at).await;
                None
            }
            Some(at) => timeout_at(at, self.requests.next_answer()).await.ok()?,
            None => self.requests.next_answer().await,
        }
    }
}
