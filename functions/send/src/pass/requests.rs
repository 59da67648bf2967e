//! The recipients that a pass still has to send to, taken as requests, and the requests in flight.
//! A recipient is named by its place in the rows of the batch.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures_util::{
    StreamExt,
    future::{BoxFuture, join},
    stream::FuturesUnordered,
};
use shared::{
    batch::texts::{MessageText, Texts},
    carrier::{Carrier, SendError, Submit},
    platform::{
        budget::Budget,
        fault::{self, Point},
        queue::BatchMessage,
    },
};

use super::outcome::Answer;

/// The places of the recipients that one request carries. Never empty; all get the same text.
pub type Request = Vec<usize>;

/// The requests of a pass, waiting and in flight.
pub struct Requests {
    texts: Texts,
    waiting: VecDeque<usize>,
    /// Recipients that were not accepted; they wait again once that answer is recorded.
    retries: Vec<usize>,
    in_flight: FuturesUnordered<BoxFuture<'static, (Request, Answer)>>,
}

impl Requests {
    /// Queues the recipients that are due, grouped by text, so that each group shares a request.
    pub fn new(texts: Texts, mut due: Vec<usize>) -> Self {
        due.sort_by_key(|&at| texts.of(at).number);
        Self {
            texts,
            waiting: due.into(),
            retries: Vec::new(),
            in_flight: FuturesUnordered::new(),
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

    /// Queues the recipients of a request again, after its answer is recorded.
    pub fn retry_once_recorded(&mut self, request: Request) {
        self.retries.extend(request);
    }

    /// Moves the recipients of [`Self::retry_once_recorded`] to the end of the queue.
    pub fn requeue_retries(&mut self) {
        self.waiting.extend(self.retries.drain(..));
    }

    /// Takes the next request: the first recipients of the queue that get the same text, at most
    /// `most` of them.
    pub fn take(&mut self, most: usize) -> Request {
        let number = |at: &usize| self.texts.of(*at).number;
        let first = self.waiting.front().map(number);
        let same = self
            .waiting
            .iter()
            .take(most)
            .take_while(|at| Some(number(at)) == first)
            .count();
        self.waiting.drain(..same).collect()
    }

    /// Returns the text that the recipients of a request get.
    pub fn text(&self, request: &Request) -> &MessageText {
        self.texts.of(request[0])
    }

    /// Returns how many message parts a request amounts to.
    pub fn parts(&self, request: &Request) -> usize {
        request.len() * usize::from(self.text(request).parts)
    }

    /// Returns how many requests are in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Starts a request.
    pub fn start(&mut self, request: Request, call: CarrierCall) {
        self.in_flight
            .push(Box::pin(async move { (request, call.submit().await) }));
    }

    /// Waits for the next answer. Returns `None` if nothing is in flight.
    pub async fn next_answer(&mut self) -> Option<(Request, Answer)> {
        self.in_flight.next().await
    }
}

/// One call of the carrier, with everything that it needs.
pub struct CarrierCall {
    /// The carrier.
    pub carrier: Arc<dyn Carrier>,
    /// The batch, for fault points.
    pub batch: BatchMessage,
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
    /// Submits the request, unless its answer could no longer be recorded in time.
    async fn submit(self) -> Answer {
        // An environment that was frozen after the mark resumes here, possibly long after its
        // lease.
        if !self.budget.allows(self.timeout, self.recording_share) {
            return Err(SendError::NotAccepted {
                reason: "no time left to send".to_owned(),
                retry_after: None,
            });
        }
        let numbers: Vec<&str> = self.phones.iter().map(String::as_str).collect();
        let submit = Submit {
            numbers: &numbers,
            text: &self.text.text,
            sender: self.sender.as_deref(),
            own_id: self.own_id.as_deref(),
            parts: self.text.parts.into(),
        };
        let reached = fault::reach(Point::InFlight, self.batch);
        let (answer, ()) = join(self.carrier.submit(submit), reached).await;
        answer
    }
}
