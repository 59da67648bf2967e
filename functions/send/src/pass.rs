//! One pass over a claimed batch: requests in flight, and between them *flushes*, each a statement that records what has ended and
//! marks what starts next. So a crash leaves UNCERTAIN what is in flight, not the batch.

mod flush;
mod suppressed;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures_util::{
    StreamExt,
    future::{BoxFuture, join},
    stream::FuturesUnordered,
};
use shared::{
    batch::{
        claim::{Claim, ClaimedBatch},
        release::{PassResult, Policy},
        rows::{BatchRow, FlushRow},
        texts::Texts,
        worker::{Claimed, Worker},
    },
    carrier::Submit,
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

use crate::{
    Sender,
    outcome::{self, Answer, Sequel},
    pace::Pace,
    trouble::{Next, Trouble},
};

/// An answer waits at most this long for other answers before it is recorded. If the process
/// crashes, these answers become UNCERTAIN in addition to what is in flight.
const FLUSH_AFTER: Duration = Duration::from_millis(250);

/// Places in [`Pass::rows`] that one request carries.
type Request = Vec<usize>;
type InFlight = FuturesUnordered<BoxFuture<'static, (Request, Answer)>>;

/// The state of a pass.
pub struct Pass<'a> {
    sender: &'a Sender,
    claim: &'a Claim,
    batch: &'a ClaimedBatch,
    budget: Budget,
    texts: Texts,
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
    /// Outside of it nothing is sent.
    window: Option<Window>,
    /// When it was last asked who has opted out.
    looked_at: Option<Instant>,
}

impl<'a> Pass<'a> {
    /// A pass over what of the batch is to be sent now; it leaves the rows as they are afterwards.
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
        let due = |row: &BatchRow| policy.send_at(row, timing, now).is_some_and(|at| at <= now);
        let mut waiting: Vec<usize> = rows
            .iter()
            .enumerate()
            .filter(|(_, row)| due(row))
            .map(|(at, _)| at)
            .collect();
        // Who gets the same text stands together, and shares a request.
        waiting.sort_by_key(|&at| texts.of(at).number);
        Ok(Self {
            texts,
            waiting: waiting.into(),
            pace: Pace::new(slower(sender.settings.parts_per_second, batch)),
            trouble: Trouble::after(batch.tries),
            sender,
            claim,
            batch,
            budget,
            rows,
            unrecorded: Vec::new(),
            retry: Vec::new(),
            stopped: false,
            accepted: false,
            refused: false,
            retry_after: None,
            window: Window::of(batch.send_window.as_deref()),
            looked_at: None,
        })
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
    pub fn ended(&self) -> PassResult {
        let tries = if self.accepted { 1 } else { self.batch.tries };
        let backoff = &self.sender.worker.timing.backoff;
        let wait = if self.refused {
            backoff.after_refusal(self.batch.refusals + 1)
        } else {
            backoff.through_queue(tries, self.retry_after)
        };
        PassResult::Sent {
            accepted: self.accepted,
            refused: self.refused,
            wait,
        }
    }

    /// Waits for the answers in flight: for all, or until 250 ms after the first.
    async fn collect_answers(&mut self, in_flight: &mut InFlight) {
        let Some((request, answer)) = in_flight.next().await else {
            return;
        };
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
        let Worker {
            db, notify_queue, ..
        } = &self.sender.worker;
        let schedule_id = self.claim.batch.schedule_id;
        tracing::error!(schedule.id = %schedule_id, reason, "the carrier refuses our credentials; the schedule is paused");
        let reason = format!("the carrier refuses our credentials: {reason}");
        match lifecycle::pause(db, schedule_id, &reason).await {
            Ok(told) => enqueue(notify_queue, &told.unwrap_or_default(), db.now()).await,
            Err(error) => {
                tracing::error!(schedule.id = %schedule_id, error = describe_one(&error), "pausing failed")
            }
        }
    }

    /// The requests that may start now, beside those in flight; waits where nothing else is to be waited for.
    async fn next_requests(&mut self, in_flight: usize) -> Vec<Request> {
        self.waiting
            .extend(self.retry.iter().filter(|_| self.unrecorded.is_empty()));
        if self.unrecorded.is_empty() {
            self.retry.clear();
        }
        let mut starting = Vec::new();
        let limit = if self.trouble.is_single() {
            1
        } else {
            self.sender.settings.in_flight
        };
        // Closed: nothing starts any more, and the release puts the rest off.
        self.stopped |= self
            .window
            .as_ref()
            .is_some_and(|window| !window.is_open(self.sender.worker.db.now()));
        while !self.stopped && !self.waiting.is_empty() && in_flight + starting.len() < limit {
            let free_at = (Instant::now() + self.pace.wait())
                .max(self.trouble.not_before().unwrap_or_else(Instant::now));
            let wait = free_at.saturating_duration_since(Instant::now());
            // Looked at before the wait: the batch is given back at once, not slept on until there is no time left.
            if !self
                .budget
                .allows(wait + self.sender.settings.timeout, self.recording_share())
            {
                self.stopped = true;
                break;
            }
            if !wait.is_zero() {
                if in_flight > 0 || !starting.is_empty() || !self.unrecorded.is_empty() {
                    break;
                }
                sleep_until(free_at).await;
            }
            let request = self.take_request();
            self.pace
                .note(request.len() * usize::from(self.texts.of(request[0]).parts));
            starting.push(request);
        }
        starting
    }

    /// The first that wait, as many as get the same text and fit into a request.
    fn take_request(&mut self) -> Request {
        let number = |at: &usize| self.texts.of(*at).number;
        let first = self.waiting.front().map(number);
        let same = self
            .waiting
            .iter()
            .take(self.request_size())
            .take_while(|at| Some(number(at)) == first)
            .count();
        self.waiting.drain(..same).collect()
    }

    fn recording_share(&self) -> Duration {
        self.sender.worker.timing.backoff.recording_share
    }

    fn request_size(&self) -> usize {
        let most = outcome::request_size(
            self.batch.refusals,
            self.sender.worker.carrier.max_numbers(),
        );
        let most = rate_inside(self.batch)
            .map_or(most, |rate| most.min((rate * SECONDS_OF_RATE) as usize));
        if self.trouble.is_careful() { 1 } else { most }
    }

    fn start(&self, request: Request) -> BoxFuture<'static, (Request, Answer)> {
        let carrier = Arc::clone(&self.sender.worker.carrier);
        let phones: Vec<String> = request
            .iter()
            .map(|&at| self.rows[at].phone.clone())
            .collect();
        let (text, sender) = (self.texts.of(request[0]).clone(), self.batch.sender.clone());
        // Such a carrier gets one number a request.
        let own_id = carrier
            .can_ask_own_id()
            .then(|| self.rows[request[0]].own_id(self.claim.batch.schedule_id));
        let batch = self.claim.batch;
        let (budget, timeout, recording) = (
            self.budget,
            self.sender.settings.timeout,
            self.recording_share(),
        );
        Box::pin(async move {
            // An environment that was frozen after the mark wakes up here, perhaps long after its lease.
            if !budget.allows(timeout, recording) {
                let reason = "no time left to send".to_owned();
                return (
                    request,
                    Err(shared::carrier::SendError::NotAccepted {
                        reason,
                        retry_after: None,
                    }),
                );
            }
            let numbers: Vec<&str> = phones.iter().map(String::as_str).collect();
            let submit = Submit {
                numbers: &numbers,
                text: &text.text,
                sender: sender.as_deref(),
                own_id: own_id.as_deref(),
                parts: text.parts.into(),
            };
            let (answer, ()) =
                join(carrier.submit(submit), fault::reach(Point::InFlight, batch)).await;
            (request, answer)
        })
    }
}

/// The schedule's rate where it has to be kept inside the batch, in small requests: where that was cut for a faster one. Else the cut has
/// spread the batches, and one goes out as fast as the carrier takes it.
fn rate_inside(batch: &ClaimedBatch) -> Option<u32> {
    batch
        .rate
        .filter(|rate| batch.last_seq - batch.first_seq >= rate * SECONDS_OF_RATE)
}

/// The carrier's limit, as this environment has it, or the schedule's own rate, in message parts a second.
fn slower(limit: Option<f64>, batch: &ClaimedBatch) -> Option<f64> {
    let rate = rate_inside(batch).map(|rate| f64::from(rate) * f64::from(batch.parts));
    limit.into_iter().chain(rate).min_by(f64::total_cmp)
}
