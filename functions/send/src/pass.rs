//! One pass over a claimed batch: requests in flight, and between them *flushes*, each a statement that records what has ended and
//! marks what starts next. So a crash leaves UNCERTAIN what is in flight, not the batch.

mod suppressed;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use anyhow::Context;
use futures_util::{
    StreamExt,
    future::{BoxFuture, join},
    stream::FuturesUnordered,
};
use shared::{
    budget::Budget,
    carrier::Submit,
    db::{
        self,
        batches::{self, Claim, ClaimedBatch},
        describe::describe_one,
        outcomes::{self, BatchRow, FlushRow, Step},
    },
    fault::{self, Point},
    patience::{self, FLUSH_AFTER, SECONDS_OF_RATE, WRITE_PAUSE},
    release::{Ended, Policy},
    status::Status,
    worker::Claimed,
};
use sqlx::MySqlConnection;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::{
    Sender,
    outcome::{self, Answer, Sequel},
    pace::Pace,
    trouble::{Next, Trouble},
};

/// Places in [`Pass::rows`] that one request carries.
type Request = Vec<usize>;
type InFlight = FuturesUnordered<BoxFuture<'static, (Request, Answer)>>;

/// The state of a pass.
pub struct Pass<'a> {
    sender: &'a Sender,
    claim: &'a Claim,
    batch: &'a ClaimedBatch,
    budget: Budget,
    text: Arc<str>,
    rows: &'a mut Vec<BatchRow>,
    waiting: VecDeque<usize>,
    unrecorded: Vec<FlushRow>,
    /// Rows to wait again once their answer "not accepted" is recorded.
    retry: Vec<usize>,
    pace: Pace,
    trouble: Trouble,
    stopped: bool,
    accepted: bool,
    refused: bool,
    retry_after: Option<Duration>,
    /// When it was last asked who has opted out.
    looked_at: Option<Instant>,
}

impl<'a> Pass<'a> {
    /// A pass over what of the batch is to be sent now; it leaves the rows as they are afterwards.
    pub fn new(sender: &'a Sender, claimed: &'a mut Claimed, budget: Budget) -> Self {
        let Claimed { claim, batch, rows } = claimed;
        let now = sender.worker.db.now();
        let policy = Policy::of(batch, sender.worker.carrier.can_ask_own_id(), now);
        let timing = &sender.worker.timing;
        let due = |row: &BatchRow| policy.send_at(row, timing, now).is_some_and(|at| at <= now);
        let waiting = rows.iter().enumerate().filter(|(_, row)| due(row)).map(|(at, _)| at).collect();
        Self {
            text: batch.message.as_str().into(),
            pace: Pace::new(slower(sender.settings.parts_per_second, batch)),
            trouble: Trouble::after(batch.tries),
            sender,
            claim,
            batch,
            budget,
            rows,
            waiting,
            unrecorded: Vec::new(),
            retry: Vec::new(),
            stopped: false,
            accepted: false,
            refused: false,
            retry_after: None,
            looked_at: None,
        }
    }

    /// Sends until nothing waits, time is up, or something says stop; everything that was answered is recorded.
    pub async fn run(&mut self) -> anyhow::Result<()> {
        let mut in_flight = InFlight::new();
        loop {
            self.collect_answers(&mut in_flight).await;
            self.leave_out_suppressed().await;
            let starting = self.next_requests(in_flight.len()).await;
            if !starting.is_empty() || !self.unrecorded.is_empty() {
                if !self.unrecorded.is_empty() {
                    fault::reach(Point::Answered, self.claim.batch).await;
                }
                if self.flush(&starting).await? {
                    if !starting.is_empty() {
                        fault::reach(Point::Marked, self.claim.batch).await;
                    }
                    in_flight.extend(starting.into_iter().map(|request| self.start(request)));
                }
            } else if in_flight.is_empty() {
                return Ok(());
            }
        }
    }

    /// How the pass ended.
    pub fn ended(&self) -> Ended {
        let tries = if self.accepted { 1 } else { self.batch.tries };
        let patience = &self.sender.worker.timing.patience;
        let wait = if self.refused {
            patience.after_refusal(self.batch.refusals + 1)
        } else {
            patience.through_queue(tries, self.retry_after)
        };
        Ended::Sent { accepted: self.accepted, refused: self.refused, wait }
    }

    /// Waits for the answers in flight: for all, or until 250 ms after the first.
    async fn collect_answers(&mut self, in_flight: &mut InFlight) {
        let Some((request, answer)) = in_flight.next().await else { return };
        self.note_answer(request, answer).await;
        let flush_at = Instant::now() + FLUSH_AFTER;
        while let Ok(Some((request, answer))) = timeout_at(flush_at, in_flight.next()).await {
            self.note_answer(request, answer).await;
        }
    }

    async fn note_answer(&mut self, request: Request, answer: Answer) {
        let rows: Vec<_> = request.iter().map(|&at| &self.rows[at]).collect();
        let (recorded, sequel) = outcome::record(&rows, answer, self.batch.refusals);
        for (&at, row) in request.iter().zip(&recorded) {
            self.rows[at].status = row.status;
        }
        self.accepted |= recorded.iter().any(|row| row.status == Status::Acceptd);
        self.unrecorded.extend(recorded);
        match sequel {
            Sequel::Accepted => self.trouble.accepted(),
            Sequel::Lost => self.stopped |= self.trouble.lost() == Next::Stop,
            Sequel::NotAccepted(retry_after) => {
                self.retry_after = retry_after;
                self.retry.extend(request);
                self.stopped |= self.trouble.not_accepted(retry_after) == Next::Stop;
            }
            Sequel::Refused => self.refused = true,
            Sequel::Unauthorized(reason) => self.pause(&reason).await,
        }
    }

    async fn pause(&mut self, reason: &str) {
        self.stopped = true;
        let db = &self.sender.worker.db;
        let schedule_id = self.claim.batch.schedule_id;
        tracing::error!(schedule.id = %schedule_id, reason, "the carrier refuses our credentials; the schedule is paused");
        let reason = format!("the carrier refuses our credentials: {reason}");
        if let Err(error) = batches::pause_schedule(db, schedule_id, &reason, db.now()).await {
            tracing::error!(schedule.id = %schedule_id, error = describe_one(&error), "pausing failed");
        }
    }

    /// The requests that may start now, beside those in flight; waits where nothing else is to be waited for.
    async fn next_requests(&mut self, in_flight: usize) -> Vec<Request> {
        self.waiting.extend(self.retry.iter().filter(|_| self.unrecorded.is_empty()));
        if self.unrecorded.is_empty() {
            self.retry.clear();
        }
        let mut starting = Vec::new();
        let limit = if self.trouble.is_single() { 1 } else { self.sender.settings.in_flight };
        while !self.stopped && !self.waiting.is_empty() && in_flight + starting.len() < limit {
            let free_at = (Instant::now() + self.pace.wait()).max(self.trouble.not_before().unwrap_or_else(Instant::now));
            let wait = free_at.saturating_duration_since(Instant::now());
            // Looked at before the wait: the batch is given back at once, not slept on until there is no time left.
            if !self.budget.allows(wait + self.sender.settings.timeout, self.recording_share()) {
                self.stopped = true;
                break;
            }
            if !wait.is_zero() {
                if in_flight > 0 || !starting.is_empty() || !self.unrecorded.is_empty() {
                    break;
                }
                sleep_until(free_at).await;
            }
            let request: Request = self.waiting.drain(..self.request_size().min(self.waiting.len())).collect();
            self.pace.note(request.len() * usize::from(self.batch.parts));
            starting.push(request);
        }
        starting
    }

    fn recording_share(&self) -> Duration {
        self.sender.worker.timing.patience.recording_share
    }

    fn request_size(&self) -> usize {
        let most = patience::request_size(self.batch.refusals, self.sender.worker.carrier.max_numbers());
        let most = rate_inside(self.batch).map_or(most, |rate| most.min((rate * SECONDS_OF_RATE) as usize));
        if self.trouble.is_careful() { 1 } else { most }
    }

    /// Records and marks. True: the requests may start.
    async fn flush(&mut self, starting: &[Request]) -> anyhow::Result<bool> {
        let marks = starting.iter().flatten().map(|&at| mark(&self.rows[at]));
        let mut rows = std::mem::take(&mut self.unrecorded);
        rows.extend(marks);
        let written = self.write_patiently(&rows).await.context("recording and marking")?;
        if written.matched == rows.len() as u64 && !written.lost {
            self.note_marks(starting);
            return Ok(true);
        }
        // The claim is lost, the schedule paused or cancelled, or a row has been changed by somebody: start nothing more.
        let batch = self.claim.batch;
        tracing::warn!(schedule.id = %batch.schedule_id, batch.no = batch.batch_no, claim.lost = written.lost, "stopped inside a batch");
        self.stopped = true;
        self.unrecorded.extend(starting.iter().flatten().map(|&at| unmark(&self.rows[at])));
        Ok(false)
    }

    /// An answer that can't be recorded becomes UNCERTAIN, so a database that fails is asked again for as long as there is time. What a
    /// lost commit has written already does not match the second time, and stops the pass.
    async fn write_patiently(&self, rows: &[FlushRow]) -> sqlx::Result<Written> {
        loop {
            match db::repeat_on_deadlock(|| self.write(rows)).await {
                Err(error) if self.budget.remaining() > WRITE_PAUSE * 2 => {
                    tracing::warn!(error = describe_one(&error), "recording failed, trying again");
                    tokio::time::sleep(WRITE_PAUSE).await;
                }
                other => return other,
            }
        }
    }

    async fn write(&self, rows: &[FlushRow]) -> sqlx::Result<Written> {
        let mut transaction = self.sender.worker.db.pool.begin().await?;
        let written = self.write_rows(&mut transaction, rows).await;
        // Never left to the drop: a frozen environment would keep the locks.
        match written {
            Ok(_) => transaction.commit().await?,
            Err(_) => transaction.rollback().await?,
        }
        written
    }

    async fn write_rows(&self, db: &mut MySqlConnection, rows: &[FlushRow]) -> sqlx::Result<Written> {
        let now = self.sender.worker.db.now();
        let answers = rows.iter().any(|row| row.step == Step::Answer);
        let lost = answers && outcomes::poke_if_lost(db, self.claim, now).await?;
        if rows.iter().any(|row| row.step == Step::Mark && row.attempt > 0) {
            outcomes::keep_attempts(db, self.claim, rows).await?;
        }
        if lost {
            outcomes::record_late_answers(db, self.claim.batch, rows).await?;
        }
        Ok(Written { matched: outcomes::flush(db, self.claim, rows, now).await?, lost })
    }

    fn note_marks(&mut self, starting: &[Request]) {
        let now = self.sender.worker.db.now();
        for &at in starting.iter().flatten() {
            let row = &mut self.rows[at];
            row.resends += u32::from(mark(row).resend);
            row.attempt += 1;
            row.status = Status::Sending;
            row.sent_at = Some(now);
        }
    }

    fn start(&self, request: Request) -> BoxFuture<'static, (Request, Answer)> {
        let carrier = Arc::clone(&self.sender.worker.carrier);
        let phones: Vec<String> = request.iter().map(|&at| self.rows[at].phone.clone()).collect();
        let (text, sender, parts) = (Arc::clone(&self.text), self.batch.sender.clone(), usize::from(self.batch.parts));
        // Such a carrier gets one number a request.
        let own_id = carrier.can_ask_own_id().then(|| self.rows[request[0]].own_id(self.claim.batch.schedule_id));
        let batch = self.claim.batch;
        let (budget, timeout, recording) = (self.budget, self.sender.settings.timeout, self.recording_share());
        Box::pin(async move {
            // An environment that was frozen after the mark wakes up here, perhaps long after its lease.
            if !budget.allows(timeout, recording) {
                let reason = "no time left to send".to_owned();
                return (request, Err(shared::carrier::SendError::NotAccepted { reason, retry_after: None }));
            }
            let numbers: Vec<&str> = phones.iter().map(String::as_str).collect();
            let submit = Submit { numbers: &numbers, text: &text, sender: sender.as_deref(), own_id: own_id.as_deref(), parts };
            let (answer, ()) = join(carrier.submit(submit), fault::reach(Point::InFlight, batch)).await;
            (request, answer)
        })
    }
}

/// The schedule's rate where it has to be kept inside the batch, in small requests: where that was cut for a faster one. Else the cut has
/// spread the batches, and one goes out as fast as the carrier takes it.
fn rate_inside(batch: &ClaimedBatch) -> Option<u32> {
    batch.rate.filter(|rate| batch.last_seq - batch.first_seq >= rate * SECONDS_OF_RATE)
}

/// The carrier's limit, as this environment has it, or the schedule's own rate, in message parts a second.
fn slower(limit: Option<f64>, batch: &ClaimedBatch) -> Option<f64> {
    let rate = rate_inside(batch).map(|rate| f64::from(rate) * f64::from(batch.parts));
    limit.into_iter().chain(rate).min_by(f64::total_cmp)
}

struct Written {
    matched: u64,
    lost: bool,
}

fn mark(row: &BatchRow) -> FlushRow {
    let resend = u8::from(row.status != Status::Pending);
    flush_row(row, row.attempt, Step::Mark, (Status::Sending, resend))
}

fn unmark(row: &BatchRow) -> FlushRow {
    flush_row(row, row.attempt + 1, Step::Unmark, (Status::Pending, 0))
}

fn flush_row(row: &BatchRow, attempt: u32, step: Step, (status, resend): (Status, u8)) -> FlushRow {
    FlushRow { seq: row.seq, attempt, step, resend, status, message_id: None, error: None, is_final: 0 }
}
