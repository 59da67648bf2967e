//! Dispatch: makes batches of a due schedule and puts them on the send queue; once a minute, sweeps.
//!
//! In come a one-time EventBridge schedule's event, a message of the dispatch queue, or the sweep's event; out go messages for send,
//! recheck and notify. Run twice, or twice at once, one run cuts the schedule and the other finds nothing to do.

pub mod retention;

pub mod cut;
mod plan;
mod sweep;

use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use chrono::TimeDelta;
use serde::Deserialize;
use shared::platform::{
    backoff::Backoff,
    budget::Budget,
    config::Env,
    db::Db,
    queue::{self, DispatchMessage, SharedQueue},
};

/// The sweep begins no further round if less than this is left to its invocation: a round of a
/// thousand batches takes some seconds.
const SWEEP_RESERVE: Duration = Duration::from_secs(20);

/// What invokes dispatch.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Trigger {
    /// The dispatch queue.
    Queue(SqsEvent),
    /// The one-time schedule of one schedule of ours.
    OneTime(DispatchMessage),
    /// Every minute.
    Sweep(SweepNow),
}

/// `{"sweep":true}`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepNow {
    /// Always true.
    #[serde(rename = "sweep")]
    _sweep: bool,
}

/// What the dispatch queue carries.
#[derive(Deserialize)]
#[serde(untagged)]
enum Queued {
    Schedule(DispatchMessage),
    Sweep(#[expect(dead_code, reason = "only its shape matters")] SweepNow),
}

/// What made a cut; kept in `schedules.dispatched_by`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DispatchedBy {
    /// A one-time schedule fired ahead of time.
    EventBridge,
    /// The dispatch queue: due at once, or cancelled.
    Queue,
    /// The sweep, as neither of both had done it.
    Sweep,
}

impl DispatchedBy {
    /// The word in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EventBridge => "eventbridge",
            Self::Queue => "queue",
            Self::Sweep => "sweep",
        }
    }
}

/// The numbers that dispatch works with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long before its time a schedule may be cut.
    pub lead: TimeDelta,
    /// How long before its time the sweep cuts what EventBridge has not.
    pub sweep_lead: TimeDelta,
    /// Most recipients in a batch.
    pub batch_size: u32,
    /// The sweep's.
    pub backoff: Backoff,
}

impl Settings {
    /// `DISPATCH_LEAD_S`, `SWEEP_LEAD_S`, `BATCH_SIZE`, and those of [`Backoff`].
    pub fn from_env(env: &mut Env) -> Self {
        let backoff = Backoff::from_env(env);
        let mut number = |name, range, default| env.number(name, range, Some(default));
        Self {
            lead: TimeDelta::seconds(number("DISPATCH_LEAD_S", 1..=900, 90).into()),
            sweep_lead: TimeDelta::seconds(number("SWEEP_LEAD_S", 0..=900, 70).into()),
            batch_size: number("BATCH_SIZE", 1..=10_000, 500),
            backoff,
        }
    }
}

/// Clients and settings of the function.
pub struct Dispatcher {
    /// The database.
    pub db: Db,
    /// Where batches go that have something to send.
    pub send_queue: SharedQueue,
    /// Where batches go that have something to ask.
    pub recheck_queue: SharedQueue,
    /// Where deliveries of events go.
    pub notify_queue: SharedQueue,
    /// The numbers.
    pub settings: Settings,
}

impl Dispatcher {
    /// One invocation. An error makes Lambda invoke again, which is safe.
    pub async fn handle(
        &self,
        trigger: Trigger,
        budget: Budget,
    ) -> anyhow::Result<SqsBatchResponse> {
        match trigger {
            Trigger::Queue(event) => {
                let handle = async |queued: Queued| match queued {
                    Queued::Schedule(message) => self.dispatch(message, DispatchedBy::Queue).await,
                    Queued::Sweep(_) => self.sweep(|| budget.remaining() > SWEEP_RESERVE).await,
                };
                return Ok(queue::handle_each(event, handle).await);
            }
            Trigger::OneTime(message) => self.dispatch(message, DispatchedBy::EventBridge).await?,
            Trigger::Sweep(_) => self.sweep(|| budget.remaining() > SWEEP_RESERVE).await?,
        }
        Ok(SqsBatchResponse::default())
    }
}
