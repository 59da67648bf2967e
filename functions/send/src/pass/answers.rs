//! What a pass does with an answer: its rows are recorded by the next flush, and the pass goes on,
//! waits, sends smaller requests, or stops.

use chrono::{DateTime, Utc};
use shared::{
    batch::{
        release::PassResult,
        rows::{FlushRow, Step},
        worker::Worker,
    },
    events::queue::enqueue,
    message::status::Status,
    platform::{
        db::describe::describe_one,
        metrics::{self, Counter},
    },
    schedule::lifecycle,
};
use std::time::Duration;

use super::{
    Pass, figures,
    flush::flush_row,
    outcome::{NextStep, rows_to_record, stored_error},
    refusals::AfterRefusal,
    requests::{Answered, Request},
    result::Busy,
};

impl Pass<'_> {
    /// Processes the answer to one request.
    pub(super) async fn process_answer(&mut self, answered: Answered) {
        let Answered {
            request,
            answer,
            started_at,
            response,
        } = answered;
        self.summary.carrier.count(response, answer.is_err());
        let rows: Vec<_> = request.iter().map(|&at| &self.rows[at]).collect();
        let (recorded, next_step) = rows_to_record(&rows, answer);
        let parts = self.requests.text(&request).parts;
        for (&at, row) in request.iter().zip(&recorded) {
            self.rows[at].status = row.status;
            self.spending.note(&self.rows[at].phone, row.status, parts);
        }
        figures::record_answer(&recorded, parts);
        self.unrecorded.extend(recorded);
        if !matches!(next_step, NextStep::Retry | NextStep::RetryWithinLimit(_)) {
            self.turn.on_answer(response);
        }
        match next_step {
            NextStep::Continue => {
                self.summary.accepted = true;
                self.summary.accepted_requests += 1;
                self.has_unrecorded_acceptances = true;
                self.throttle.on_accepted();
                self.refusals.on_accepted();
            }
            NextStep::ContinueCarefully => {
                self.summary.lost = true;
                self.summary.stopped |= self.throttle.on_lost().is_break();
            }
            NextStep::Retry => {
                self.requests.retry_once_recorded(request);
                self.summary.stopped |= self.throttle.on_not_connected().is_break();
            }
            NextStep::RetryWithinLimit(retry_after) => {
                self.requests.retry_once_recorded(request);
                self.wait_for_limit(started_at, retry_after).await;
            }
            NextStep::ReduceRequests(reason) => self.reduce(request, reason),
            NextStep::PauseSchedule(reason) => {
                let reason = format!("the carrier refuses the account: {reason}");
                self.pause_schedule(&reason, Counter::SchedulesPaused).await;
            }
        }
    }

    /// Records a 429. The next requests are asked for, whatever the limit was so far.
    async fn wait_for_limit(&mut self, started_at: DateTime<Utc>, retry_after: Option<Duration>) {
        self.summary.busy = Some(Busy { retry_after });
        let recording = self.turn.on_busy(started_at, retry_after);
        match self.requests.go_on_during(recording).await {
            Ok(true) => {}
            Ok(false) => {
                let backoff = &self.sender.worker.timing.backoff;
                let wait = backoff.through_queue(self.batch.tries, retry_after);
                self.summary.turn_in = Some(wait);
                self.summary.stopped = true;
            }
            Err(error) => self.stop_without_turn(&error),
        }
    }

    /// Stops the pass because the database does not say when the next request may start. Answers
    /// are still recorded.
    pub(super) fn stop_without_turn(&mut self, error: &anyhow::Error) {
        tracing::warn!(
            error = format!("{error:#}"),
            "the carrier's limit can't be read; stopped inside a batch"
        );
        self.summary.stopped = true;
    }

    fn reduce(&mut self, request: Request, reason: String) {
        self.summary.refusal = Some(reason.clone());
        if let AfterRefusal::Reduce(largest) = self.refusals.on_refused(&request, reason) {
            self.requests.reduce(&request, largest);
            self.requests.retry_once_recorded(request);
        }
        self.summary.stopped |= self.refusals.refuses_all();
    }

    /// Ends the numbers that the carrier refuses while it accepts others. Returns whether there are
    /// any: the next flush records them.
    pub(super) fn reject_refused(&mut self) -> bool {
        let rejected = self.refusals.take_rejected();
        for number in &rejected {
            let row = &mut self.rows[number.at];
            self.unrecorded.push(FlushRow {
                error: Some(stored_error(&number.reason)),
                is_final: 1,
                ..flush_row(row, row.attempt, Step::Skip, Status::Rejectd)
            });
            row.status = Status::Rejectd;
        }
        metrics::count(Counter::Undelivered, rejected.len() as u64);
        !rejected.is_empty()
    }

    /// Ends the pass: pauses the schedule if the carrier refuses everybody, and returns how the
    /// pass ended, for the release of the batch.
    pub async fn finish(mut self) -> PassResult {
        if let Some(reason) = self.summary.refuses_everybody(self.batch) {
            let reason = format!("the carrier refuses all requests: {reason}");
            self.pause_schedule(&reason, Counter::SchedulesPaused).await;
        }
        self.settle().await;
        self.summary.carrier.record();
        let backoff = &self.sender.worker.timing.backoff;
        self.summary.result(self.batch, backoff)
    }

    pub(super) async fn pause_schedule(&mut self, reason: &str, counter: Counter) {
        self.summary.stopped = true;
        let Worker {
            db, notify_queue, ..
        } = &self.sender.worker;
        let schedule_id = self.claim.batch.schedule_id;
        tracing::error!(schedule.id = %schedule_id, reason, "the schedule is paused");
        match lifecycle::pause(db, schedule_id, reason).await {
            Ok(deliveries) => {
                metrics::count(counter, deliveries.is_some().into());
                enqueue(notify_queue, &deliveries.unwrap_or_default(), db.now()).await;
            }
            Err(error) => {
                tracing::error!(schedule.id = %schedule_id, error = describe_one(&error), "pausing failed");
            }
        }
    }
}
