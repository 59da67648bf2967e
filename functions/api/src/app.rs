//! The state that the handlers share.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use chrono::TimeDelta;
use shared::{
    carrier::receipt::ReceiptFormat,
    events::{keys::SharedKeys, target::AllowedTargets},
    message::phone::{AllowedCountries, AllowedTypes},
    platform::{db::Db, queue::SharedQueue, run_time, scheduler::SharedScheduler},
};

use crate::{
    auth::{Caller, Gate, limits::count_entries},
    http::edge::Edge,
    resources::{
        attention::dead_letter_queue::NamedDeadLetterQueue,
        receipts::secrets::Callbacks,
        schedules::{approval::rule::ApprovalRule, forecast::DeploymentCapacity},
    },
};

/// The longest wait for a queue or the scheduler while the client waits. If the message is not
/// accepted in time, the sweep finds the row.
pub const ENQUEUE_TIMEOUT: Duration = Duration::from_secs(5);
/// A call that works through many batches or messages begins no further one after this time; the
/// client repeats the call for the rest. The gateway gives up at 30 s.
pub const CALL_BUDGET: Duration = Duration::from_secs(12);

/// How many recipients a resend copies in a transaction.
pub const RESEND_CHUNK: u32 = 5_000;

/// The clients and settings of the handlers, built once per process.
#[derive(Clone)]
pub struct App {
    /// The database.
    pub db: Db,
    /// The queue of the dispatch function, for schedules that are due immediately.
    pub dispatch_queue: SharedQueue,
    /// The queue of the recheck function, for batches whose message states are queried.
    pub recheck_queue: SharedQueue,
    /// The queue of the notify function, for webhook deliveries that are due immediately.
    pub notify_queue: SharedQueue,
    /// The keys from which the secrets of webhooks are derived.
    pub webhook_keys: SharedKeys,
    /// The URLs that a webhook may have.
    pub webhook_targets: AllowedTargets,
    /// Starts the dispatch function at a later time.
    pub scheduler: SharedScheduler,
    /// The dead-letter queues, by name.
    pub dead_letters: Vec<NamedDeadLetterQueue>,
    /// How long before its time a schedule is dispatched.
    pub dispatch_lead: Duration,
    /// The minimum time between the request of an UNCERTAIN message and its resend: until then
    /// the message may still be on its way.
    pub quiet_time: TimeDelta,
    /// What the deployment can send.
    pub capacity: DeploymentCapacity,
    /// [`RESEND_CHUNK`], except in tests of short lists.
    pub resend_chunk: u32,
    /// The deployment's `ALLOWED_COUNTRIES`; see [`App::allowed_countries`].
    pub countries: AllowedCountries,
    /// The types of numbers to which messages may be sent.
    pub number_types: AllowedTypes,
    /// The deployment's `APPROVAL_ABOVE`, `APPROVAL_ABOVE_COST` and `APPROVAL_ROLES`; see [`App::approval_rule`].
    pub approval: ApprovalRule,
    /// Authentication: signing keys, issuer, request rate, CORS origins.
    pub gate: Gate,
    /// The format of the carrier's delivery receipts and of their signatures.
    pub receipt_format: &'static dyn ReceiptFormat,
    /// The secrets of the carriers that push delivery receipts.
    pub callbacks: Callbacks,
    /// What a request through CloudFront proves.
    pub edge: Edge,
    /// The commit from which the function was built.
    pub commit: String,
}

impl App {
    /// Returns the countries to which messages may be sent now. A run-time setting that names an
    /// unknown country is logged, and the deployed countries apply.
    pub fn allowed_countries(&self) -> AllowedCountries {
        let values = run_time::values();
        let Some(given) = &values.allowed_countries else {
            return self.countries.clone();
        };
        AllowedCountries::parse(given).unwrap_or_else(|unknown| {
            tracing::error!(%unknown, "a country of the run-time settings is not known");
            self.countries.clone()
        })
    }

    /// Returns which schedules need an approval now.
    pub fn approval_rule(&self) -> ApprovalRule {
        let values = run_time::values();
        self.approval
            .overridden(values.approval_above, values.approval_roles.as_deref())
    }

    /// Counts the entries of a list that a call has read towards the rate of its caller, whether the
    /// list was accepted or not.
    pub async fn count_entries(&self, caller: &Caller, entries: &AtomicU32) -> sqlx::Result<()> {
        let entries = entries.load(Ordering::Relaxed);
        let mut connection = self.db.acquire().await?;
        let (rate, now) = (self.gate.rate(), self.db.now());
        count_entries(&mut connection, &caller.rate_key(), rate, entries, now).await
    }
}
