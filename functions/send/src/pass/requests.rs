//! The recipients that a pass still has to send to, taken as requests, and the requests in flight.
//! A recipient is named by its place in the rows of the batch.

use std::{
    collections::{HashMap, VecDeque},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use chrono::{DateTime, Utc};
use futures_util::{
    StreamExt,
    future::{BoxFuture, join, poll_fn},
    stream::FuturesUnordered,
};
use shared::{
    batch::texts::{MessageText, Texts},
    carrier::{Carrier, SendError, Submit},
    platform::{
        budget::Budget,
        db::Clock,
        fault::{self, Point},
        logs::context::carrier_span,
        queue::BatchMessage,
    },
};
use tokio::time::Instant;
use tracing::{Instrument, Span};

use super::{figures, hours::SendingHours, outcome::Answer};

/// The first requests of a pass, which have a span each even if they succeed. Of all, the spans would
/// cost as much as small requests do.
const TRACED: u32 = 8;

/// The places of the recipients that one request carries. Never empty; all get the same text.
pub type Request = Vec<usize>;

/// The requests of a pass, waiting and in flight.
pub struct Requests {
    texts: Texts,
    waiting: VecDeque<usize>,
    /// Recipients that were not accepted; they wait again once that answer is recorded.
    retries: Vec<usize>,
    /// The largest request that may carry a recipient, if one that carried it was refused.
    largest: HashMap<usize, usize>,
    in_flight: FuturesUnordered<BoxFuture<'static, Answered>>,
    /// Requests that have ended while the pass did something else.
    arrived: VecDeque<Answered>,
    /// The numbers that the requests in flight carry.
    numbers_in_flight: usize,
    /// The requests so far.
    started: u32,
}

impl Requests {
    /// Queues the recipients that are due, grouped by text, so that each group shares a request.
    pub fn new(texts: Texts, mut due: Vec<usize>) -> Self {
        due.sort_by_key(|&at| texts.of(at).number);
        Self {
            texts,
            waiting: due.into(),
            retries: Vec::new(),
            largest: HashMap::new(),
            in_flight: FuturesUnordered::new(),
            arrived: VecDeque::new(),
            numbers_in_flight: 0,
            started: 0,
        }
    }

    /// Returns whether a recipient waits for a request.
    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Returns the recipients that wait for a request, in their order.
    pub fn waiting(&self) -> impl Iterator<Item = usize> {
        self.waiting.iter().copied()
    }

    /// Removes the waiting recipients for which `is_removed` holds, and returns them in their
    /// order.
    pub fn remove(&mut self, is_removed: impl Fn(usize) -> bool) -> VecDeque<usize> {
        let (removed, waiting) = self.waiting.iter().partition(|&&at| is_removed(at));
        self.waiting = waiting;
        removed
    }

    /// Keeps only the first recipients that wait.
    pub fn keep_first(&mut self, count: usize) {
        self.waiting.truncate(count);
    }

    /// Returns the parts of the text that a recipient gets.
    pub fn parts_of(&self, at: usize) -> u16 {
        self.texts.of(at).parts
    }

    /// Queues the recipients of a request again, after its answer is recorded.
    pub fn retry_once_recorded(&mut self, request: Request) {
        self.retries.extend(request);
    }

    /// Limits the size of the requests that carry these recipients.
    pub fn reduce(&mut self, request: &Request, largest: usize) {
        self.largest.extend(request.iter().map(|&at| (at, largest)));
    }

    /// Lets another recipient be the first. A carrier that refuses the first ones may accept
    /// others.
    pub fn rotate(&mut self) {
        if !self.waiting.is_empty() {
            self.waiting
                .rotate_left(fastrand::usize(..self.waiting.len()));
        }
    }

    /// Moves the recipients of [`Self::retry_once_recorded`] to the front of the queue: what a
    /// refused number proves is known only when others are accepted after it.
    pub fn requeue_retries(&mut self) {
        for at in self.retries.drain(..).rev() {
            self.waiting.push_front(at);
        }
    }

    /// Returns the text of the next request, if a recipient waits.
    pub fn next_text(&self) -> Option<&MessageText> {
        self.waiting.front().map(|&at| self.texts.of(at))
    }

    /// Returns how many recipients the next request carries: the first ones of the queue that get
    /// the same text, at most `most` of them.
    pub fn next_len(&self, mut most: usize) -> usize {
        let number = |at: usize| self.texts.of(at).number;
        let first = self.waiting.front().map(|&at| number(at));
        for (len, &at) in self.waiting.iter().enumerate() {
            most = most.min(self.largest.get(&at).copied().unwrap_or(usize::MAX));
            if len >= most || Some(number(at)) != first {
                return len;
            }
        }
        self.waiting.len()
    }

    /// Takes the next request with the first `len` recipients.
    pub fn take(&mut self, len: usize) -> Request {
        self.waiting.drain(..len).collect()
    }

    /// Returns the text that the recipients of a request get.
    pub fn text(&self, request: &Request) -> &MessageText {
        self.texts.of(request[0])
    }

    /// Returns whether the answer to a request is outstanding.
    pub fn has_in_flight(&self) -> bool {
        self.numbers_in_flight > 0
    }

    /// Returns how many numbers are in flight: their answers are outstanding.
    pub const fn numbers_in_flight(&self) -> usize {
        self.numbers_in_flight
    }

    /// Starts a request.
    pub fn start(&mut self, request: Request, call: CarrierCall) {
        self.numbers_in_flight += request.len();
        let is_traced = self.started < TRACED;
        self.started = self.started.saturating_add(1);
        self.in_flight
            .push(Box::pin(call.submit(request, is_traced)));
    }

    /// Waits for the next answer. Returns `None` if nothing is in flight.
    pub async fn next_answer(&mut self) -> Option<Answered> {
        let answered = match self.arrived.pop_front() {
            Some(answered) => Some(answered),
            None => self.in_flight.next().await,
        };
        self.numbers_in_flight -= answered
            .as_ref()
            .map_or(0, |answered| answered.request.len());
        answered
    }

    /// Waits for `work`, a statement for example. Meanwhile the requests go on, so that a slow
    /// database neither leaves the carrier idle nor loses an answer that arrives in time.
    pub async fn go_on_during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        let (in_flight, arrived) = (&mut self.in_flight, &mut self.arrived);
        poll_fn(|context| {
            while let Poll::Ready(Some(answered)) = in_flight.poll_next_unpin(context) {
                arrived.push_back(answered);
            }
            work.as_mut().poll(context)
        })
        .await
    }
}

/// A request that has ended.
pub struct Answered {
    /// The request.
    pub request: Request,
    /// Its answer.
    pub answer: Answer,
    /// When it started, on the database's clock.
    pub started_at: DateTime<Utc>,
    /// How long it took.
    pub response: Duration,
}

/// One call of the carrier, with everything that it needs.
pub struct CarrierCall {
    /// The carrier.
    pub carrier: Arc<dyn Carrier>,
    /// The batch, for fault points.
    pub batch: BatchMessage,
    /// When the request starts; `None`: at once.
    pub starts_at: Option<DateTime<Utc>>,
    /// The clock of `starts_at`.
    pub clock: Clock,
    /// When it may start.
    pub hours: SendingHours,
    /// The numbers, in the order of the request.
    pub phones: Vec<String>,
    /// The text that all of them get.
    pub text: MessageText,
    /// The sender address; the carrier's default if `None`.
    pub sender: Option<String>,
    /// Our id of the message, if the carrier takes one.
    pub own_id: Option<String>,
    /// The time left to the invocation.
    pub budget: Budget,
    /// Longest wait for the carrier's answer.
    pub timeout: Duration,
    /// Time that the record of the answer needs after it.
    pub recording_share: Duration,
}

impl CarrierCall {
    /// Submits the request at its time. If it is not traced, and fails, its span begins at its end.
    async fn submit(self, request: Request, is_traced: bool) -> Answered {
        let wait = self.starts_at.map(|at| (at - self.clock.now()).to_std());
        if let Some(Ok(wait)) = wait {
            tokio::time::sleep(wait).await;
        }
        let (started_at, started) = (self.clock.now(), Instant::now());
        let answer = if let Some(reason) = self.obstacle(started_at) {
            Err(SendError::NotAccepted {
                reason: reason.to_owned(),
            })
        } else {
            let mut span = Span::none();
            if is_traced {
                span = carrier_span(request.len());
            }
            let answer = self.submit_now().instrument(span.clone()).await;
            if !is_traced && answer.is_err() {
                span = carrier_span(request.len());
            }
            span.record("outcome", outcome(&answer));
            answer
        };
        Answered {
            request,
            answer,
            started_at,
            response: started.elapsed(),
        }
    }

    /// Returns why the request may not start, if it may not.
    fn obstacle(&self, now: DateTime<Utc>) -> Option<&'static str> {
        // An environment that was frozen after the mark resumes here, possibly long after its
        // lease.
        if !self.budget.allows(self.timeout, self.recording_share) {
            return Some("no time left to send");
        }
        (!self.hours.allow(now)).then_some("the window is closed, or the schedule has ended")
    }

    async fn submit_now(self) -> Answer {
        let numbers: Vec<&str> = self.phones.iter().map(String::as_str).collect();
        let submit = Submit {
            numbers: &numbers,
            text: &self.text.text,
            sender: self.sender.as_deref(),
            own_id: self.own_id.as_deref(),
            parts: self.text.parts.into(),
        };
        let reached = fault::reach(Point::InFlight, self.batch);
        let started = Instant::now();
        let (answer, ()) = join(self.carrier.submit(submit), reached).await;
        figures::record_request(&answer, started.elapsed());
        answer
    }
}

/// Returns the word of the traces for an answer.
fn outcome(answer: &Answer) -> &'static str {
    match answer {
        Ok(_) => "accepted",
        Err(SendError::Busy { .. }) => "busy",
        Err(SendError::NotAccepted { .. }) => "not accepted",
        Err(SendError::Refused { .. }) => "refused",
        Err(SendError::AccountRefused { .. }) => "account refused",
        Err(SendError::Lost { .. }) => "lost",
    }
}
