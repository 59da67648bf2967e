//! Dispatch: cuts a due schedule into batches and enqueues them for send. Sweeps once per minute.
//!
//! The input is the event of a one-time EventBridge schedule, a message of the dispatch queue, or
//! the event of the sweep. The output is messages for send, recheck and notify. If it runs twice,
//! also at the same time, one run cuts the schedule and the other finds nothing to do.

pub mod config;
pub mod cut;
pub mod personal_data;
pub mod retention;
pub mod summary;

mod plan;
pub mod sweep;

use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use chrono::TimeDelta;
use serde::Deserialize;
use shared::{
    batch::admission::{Admission, AdmissionSettings},
    platform::{
        backoff::Backoff,
        budget::Budget,
        config::Env,
        db::Db,
        logs::context::Named,
        queue::{self, DispatchMessage, SharedQueue},
    },
};
use tracing::Span;

use crate::{personal_data::PersonalData, sweep::velocity::VelocityRule};

/// The sweep starts no further round if less than this is left to its invocation: a round of a
/// thousand batches takes some seconds.
const SWEEP_RESERVE: Duration = Duration::from_secs(20);

/// The sweep of the next minute follows this long after the last look of one.
const SWEEP_WATCH: Duration = Duration::from_secs(40);

/// The events that invoke dispatch.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Trigger {
    /// Messages of the dispatch queue.
    Queue(SqsEvent),
    /// A one-time EventBridge schedule, for one schedule of the product.
    OneTime(DispatchMessage),
    /// The sweep, every minute.
    Sweep(SweepNow),
}

/// The event of the sweep: `{"sweep":true}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepNow {
    /// Always true.
    #[serde(rename = "sweep")]
    _sweep: bool,
}

/// The messages of the dispatch queue.
#[derive(Deserialize)]
#[serde(untagged)]
enum Queued {
    Schedule(DispatchMessage),
    Sweep(#[expect(dead_code, reason = "only its shape matters")] SweepNow),
}

impl Named for Queued {
    fn span(&self, traceparent: Option<&str>) -> Span {
        match self {
            Self::Schedule(message) => message.span(traceparent),
            Self::Sweep(_) => Span::none(),
        }
    }
}

/// The trigger of a cut, stored in `schedules.dispatched_by`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DispatchedBy {
    /// A one-time EventBridge schedule, which fires ahead of time.
    EventBridge,
    /// The dispatch queue: the schedule is due at once, or cancelled.
    Queue,
    /// The sweep: neither of the others had done it.
    Sweep,
}

impl DispatchedBy {
    /// Returns the value in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EventBridge => "eventbridge",
            Self::Queue => "queue",
            Self::Sweep => "sweep",
        }
    }
}

/// Limits of the function.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long before its due time a schedule may be cut.
    pub lead: TimeDelta,
    /// How long before its due time the sweep cuts a schedule that EventBridge has not dispatched.
    pub sweep_lead: TimeDelta,
    /// Most recipients in a batch.
    pub batch_size: u32,
    /// How long the sweep stays to look again at what is overdue.
    pub watch: Duration,
    /// The delays of the sweep.
    pub backoff: Backoff,
    /// Which creators send unusually fast.
    pub velocity: VelocityRule,
}

impl Settings {
    /// Reads `DISPATCH_LEAD_S`, `SWEEP_LEAD_S` and the rule of velocities; `BATCH_SIZE` and the delays
    /// are those of the admission.
    pub fn from_env(env: &mut Env, admission: &AdmissionSettings) -> Self {
        let mut number = |name, range, default| env.number(name, range, Some(default));
        Self {
            lead: TimeDelta::seconds(number("DISPATCH_LEAD_S", 1..=900, 90).into()),
            sweep_lead: TimeDelta::seconds(number("SWEEP_LEAD_S", 0..=900, 70).into()),
            batch_size: admission.batch_size,
            watch: SWEEP_WATCH,
            backoff: admission.backoff,
            velocity: VelocityRule::from_env(env),
        }
    }
}

/// Clients and settings of the function.
pub struct Dispatcher {
    /// The database.
    pub db: Db,
    /// The queue of batches with something to send.
    pub send_queue: SharedQueue,
    /// The queue of batches with statuses to ask for.
    pub recheck_queue: SharedQueue,
    /// The queue of event deliveries.
    pub notify_queue: SharedQueue,
    /// Admits batches to the send queue.
    pub admission: Admission,
    /// Limits.
    pub settings: Settings,
    /// How long personal data is kept.
    pub personal_data: PersonalData,
}

impl Dispatcher {
    /// Handles one invocation. If it returns an error, Lambda invokes the function again, which is
    /// safe.
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
            Trigger::Sweep(_) => self.sweep_repeatedly(budget).await?,
        }
        Ok(SqsBatchResponse::default())
    }
}
