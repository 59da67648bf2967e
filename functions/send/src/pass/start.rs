//! Which requests of a pass start next, how large they are, and when.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::{
    Pass, outcome,
    requests::{CarrierCall, Request},
    turn::{NextRequest, Slot, Start, WAIT_IN_PLACE},
};

/// A request that starts after its recipients are marked.
pub struct StartingRequest {
    /// The request.
    pub request: Request,
    /// When it starts; `None`: at once.
    pub at: Option<DateTime<Utc>>,
}

impl Pass<'_> {
    /// Takes the requests that may start now, in addition to those in flight. If one has to wait,
    /// `wake_at` is set to when to try again.
    pub(super) async fn next_requests(&mut self) -> Vec<StartingRequest> {
        if self.unrecorded.is_empty() {
            self.requests.requeue_retries();
        }
        // After the window has closed nothing starts; the release postpones the rest.
        self.summary.stopped |= !self.hours.allow(self.sender.worker.db.now());
        let mut starting = Vec::new();
        let mut numbers = self.requests.numbers_in_flight();
        while !self.summary.stopped && self.has_room(numbers) {
            let Some(start) = self.next_start().await else {
                break;
            };
            let request = self.requests.take(start.messages as usize);
            numbers += request.len();
            starting.push(StartingRequest {
                request,
                at: start.at,
            });
        }
        starting
    }

    /// Returns whether the next request may start beside so many numbers in flight.
    fn has_room(&self, numbers: usize) -> bool {
        let most = if self.throttle.is_single() {
            1
        } else {
            self.sender.settings.in_flight
        };
        numbers == 0 || numbers + self.next_len() <= most
    }

    /// Returns how the next request starts; `None` if none may start now.
    async fn next_start(&mut self) -> Option<Start> {
        let parts = self.requests.next_text()?.parts;
        let now = Instant::now();
        let not_before = self.throttle.not_before().filter(|at| *at > now);
        // Checked before the wait: the batch is released at once instead of after a sleep that
        // leaves no time to send.
        if !self.has_time_after(not_before.map_or(Duration::ZERO, |at| at - now)) {
            self.summary.stopped = true;
            return None;
        }
        if let Some(at) = not_before {
            self.wake_at = Some(at);
            return None;
        }
        let refreshed = self.requests.go_on_during(self.turn.refresh_limit()).await;
        if let Err(error) = refreshed {
            self.stop_without_turn(&error);
            return None;
        }
        let len = self.next_len();
        let request = NextRequest {
            messages: len as u32,
            full: self.full_len(parts).max(len) as u32,
            parts: parts.into(),
            has_more: self.requests.waiting().nth(len).is_some(),
        };
        match self.requests.go_on_during(self.turn.ask(&request)).await {
            Ok(Slot::At(start)) => Some(start),
            Ok(Slot::AskAgainAt(at)) => {
                self.wait_for_turn(at);
                None
            }
            Err(error) => {
                self.stop_without_turn(&error);
                None
            }
        }
    }

    /// Waits in place until `at`, or stops the pass if that takes too long.
    fn wait_for_turn(&mut self, at: DateTime<Utc>) {
        let wait = (at - self.sender.worker.db.now())
            .to_std()
            .unwrap_or_default();
        if wait > WAIT_IN_PLACE || self.turn.has_waited_long() {
            self.summary.turn_in = Some(wait);
            self.summary.stopped = true;
        } else if self.has_time_after(wait) {
            self.wake_at = Some(Instant::now() + wait);
        } else {
            self.summary.stopped = true;
        }
    }

    /// Returns whether a request that starts after `wait` ends in time.
    fn has_time_after(&self, wait: Duration) -> bool {
        let timeout = self.sender.settings.timeout;
        self.budget.allows(wait + timeout, self.recording_share())
    }

    fn recording_share(&self) -> Duration {
        self.sender.worker.timing.backoff.recording_share
    }

    /// Returns how many recipients the next request carries.
    fn next_len(&self) -> usize {
        if self.throttle.is_careful() {
            return self.requests.next_len(1);
        }
        let max_numbers = self.sender.worker.carrier.max_numbers();
        let most = if self.summary.accepted {
            max_numbers
        } else {
            outcome::request_size(self.batch.refusals, max_numbers)
        };
        let parts = self.requests.next_text().map_or(1, |text| text.parts);
        let most = most
            .min(self.full_len(parts))
            .min(self.sender.settings.in_flight);
        self.requests.next_len(most)
    }

    /// Returns how many recipients a full request carries, if each message has so many parts.
    fn full_len(&self, parts: u16) -> usize {
        let max_numbers = self.sender.worker.carrier.max_numbers();
        self.turn.request_size(max_numbers, parts)
    }

    /// Returns the call of the carrier for a request whose recipients are marked.
    pub(super) fn call(&self, starting: &StartingRequest) -> CarrierCall {
        let request = &starting.request;
        let worker = &self.sender.worker;
        let carrier = Arc::clone(&worker.carrier);
        // A carrier that takes our own ids gets one number per request.
        let own_id = carrier
            .can_ask_own_id()
            .then(|| self.rows[request[0]].own_id(self.claim.batch.schedule_id));
        CarrierCall {
            carrier,
            batch: self.claim.batch,
            starts_at: starting.at,
            clock: worker.db.clock.clone(),
            hours: self.hours.clone(),
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
