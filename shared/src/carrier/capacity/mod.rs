//! The carrier's limits, shared by all environments of all functions.
//!
//! A carrier takes so many message parts and status queries per second, and perhaps so many HTTP
//! requests. Each limit is a row of `carrier_limits` with a GCRA (generic cell rate algorithm, ITU-T
//! I.371): the row contains the time until which the limit is used, and each granted request moves
//! that time forward. A worker calls [`Capacity::ask`] before each request and starts it at the time
//! that it was granted. If it crashes instead, that slot is lost and nothing else.
//!
//! All slots of a limit are equally long: as long as a full request takes. A carrier that counts in
//! windows of a second would otherwise find a full request too many in one of them, after some small
//! ones. Small requests share a slot, and start at the same time.
//!
//! A limit is configured, by the API or by the deployment, or it is learned from the carrier's
//! answers 429 ([`Capacity::record_refusal`]).

mod learning;
mod limit;
mod store;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use self::store::LimitRow;
pub use self::{
    learning::{FIRST_PER_SECOND, LEAST_PER_SECOND, Learned, SETTLING},
    limit::{Limit, LimitDefaults},
    store::{AskAt, LimitKey, grant, record_learned},
};
use crate::platform::{
    backoff::MAX_RETRY_AFTER,
    db::{Db, retry_lock_conflicts},
    run_time,
};

/// The name of the carrier, `carriers.name`. Today there is one.
pub const CARRIER: &str = "main";

/// A slot is granted at most this long before it starts. Little is booked ahead, so that a newcomer
/// and a schedule of high priority get a slot at once; and a worker that asks again has this long
/// to do so before a slot is lost. Slots that were granted before a 429 are used after it, so a
/// longer horizon means more refused requests.
pub const HORIZON: TimeDelta = TimeDelta::milliseconds(150);

/// Two asks of one worker are at least this far apart.
const LEAST_WAIT: TimeDelta = TimeDelta::milliseconds(5);

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitKind {
    /// Message parts that are submitted.
    Submit,
    /// Status queries: one per message part.
    Query,
}

impl LimitKind {
    /// Returns the value of `carrier_limits.kind`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::Query => "query",
        }
    }
}

/// A request for a slot.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// The most message parts or status queries that the request may carry.
    pub units: u32,
    /// The fewest: then the request may share a slot that another one has left partly unused.
    pub least_units: u32,
    /// What a full request carries: a slot is for so many units, however few the first request in
    /// it carries.
    pub slot_units: u32,
    /// HTTP requests that the slot is for.
    pub requests: u32,
    /// The schedule has priority high: nothing else is granted before.
    pub is_high: bool,
    /// The next ask follows without a wait of its own. After a slot of high priority the next slots
    /// are then kept free, for at most a second. False for the last request of a pass, and if the
    /// schedule's rate delays the next one; otherwise a high schedule that sends slowly would leave
    /// most of the limit unused.
    pub has_more: bool,
    /// The response time of the last request, if there was one.
    pub response: Option<Duration>,
}

/// What is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted {
    /// When the request may start, at most [`HORIZON`] ahead.
    pub start: DateTime<Utc>,
    /// The units that it may carry.
    pub units: u32,
}

/// The answer to an [`Ask`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// The request may start.
    At(Granted),
    /// Nothing is granted now: ask again at this time.
    AskAgainAt(DateTime<Utc>),
}

/// One limit of the carrier, for workers.
#[derive(Clone)]
pub struct Capacity {
    db: Db,
    key: LimitKey,
    deployed: LimitDefaults,
}

impl Capacity {
    /// Returns the limit `kind` of the carrier, with the deployment's defaults.
    pub fn new(db: Db, kind: LimitKind, deployed: LimitDefaults) -> Self {
        let key = LimitKey {
            carrier: CARRIER,
            kind,
        };
        Self { db, key, deployed }
    }

    /// Returns the defaults that apply now.
    pub fn defaults(&self) -> LimitDefaults {
        self.deployed.with(self.key.kind, &run_time::values())
    }

    /// Reads what is known about the limit.
    pub async fn read(&self) -> sqlx::Result<Limit> {
        Ok(self.read_row().await?.limit(self.defaults()))
    }

    /// Asks for a slot: one round trip if it is granted, two if not.
    pub async fn ask(&self, ask: &Ask) -> sqlx::Result<Grant> {
        let now = self.db.now();
        let at = AskAt {
            key: self.key,
            defaults: self.defaults(),
            now,
        };
        let granted = retry_lock_conflicts(|| grant(&self.db, &at, ask)).await?;
        if let Some(granted) = granted {
            return Ok(Grant::At(granted));
        }
        let free_at = if ask.is_high {
            retry_lock_conflicts(|| store::claim_priority(&self.db, &at)).await?
        } else {
            self.read_row().await?.free_at()
        };
        // Spread over the first half of the time in which the slot is granted: many workers do not
        // ask at the same moment, and the slot is still taken before it starts.
        let spread = HORIZON.num_milliseconds() as f64 / 2.0 * fastrand::f64();
        let again = free_at - HORIZON + TimeDelta::milliseconds(spread as i64);
        Ok(Grant::AskAgainAt(again.max(now + LEAST_WAIT)))
    }

    /// Records a 429 to a request that started at `started_at`: reduces a learned limit, once for
    /// all requests of one round, and blocks all environments for the time of a `Retry-After`.
    pub async fn record_refusal(
        &self,
        started_at: DateTime<Utc>,
        retry_after: Option<Duration>,
    ) -> sqlx::Result<()> {
        let now = self.db.now();
        if let Some(wait) = retry_after.filter(|wait| !wait.is_zero()) {
            let until = now + wait.min(MAX_RETRY_AFTER);
            retry_lock_conflicts(|| store::block_until(&self.db, self.key, until)).await?;
        }
        loop {
            let row = self.read_row().await?;
            if row.limit(self.defaults()).configured.is_some() {
                return Ok(());
            }
            let before = row.learned();
            let Some(after) = before.after_refusal(started_at, now) else {
                return Ok(());
            };
            // If another refusal was recorded meanwhile, the row is read again: it may have been one
            // of the same round.
            if retry_lock_conflicts(|| store::record_learned(&self.db, self.key, &before, &after))
                .await?
            {
                tracing::info!(
                    carrier.kind = self.key.kind.as_str(),
                    carrier.learned_per_second = after.per_second,
                    "limit learned from a 429"
                );
                return Ok(());
            }
        }
    }

    async fn read_row(&self) -> sqlx::Result<LimitRow> {
        store::read(&self.db, self.key).await
    }
}

/// Returns a time as microseconds since 1970, as the columns contain it.
fn micros(at: DateTime<Utc>) -> u64 {
    at.timestamp_micros().max(0) as u64
}

/// Returns the time of a column.
fn from_micros(us: u64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(us as i64).unwrap_or(DateTime::<Utc>::MAX_UTC)
}
