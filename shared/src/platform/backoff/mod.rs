//! How long the system waits: for an answer, before it tries again, before it gives up. Every such number stands here, with its reason.
//! Pure, but for the jitter, which keeps many workers that met the same trouble from coming back at the same moment.
//!
//! What no wait ever does is use up a message's chances: those are counted elsewhere, by what the carrier said of the message itself.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::platform::{config::Env, queue};

// ---- an invocation and its lease ---------------------------------------------------------------------------------------------------

/// A batch may be claimed this long before it is due: messages come early. Send sleeps the rest; recheck asks a little sooner.
pub const CLAIM_EARLY: TimeDelta = TimeDelta::seconds(3);
/// The sweep takes a batch up this long after its lease has ended: every clock in a comparison is the database's, so it need not be long.
pub const AFTER_LEASE: TimeDelta = TimeDelta::seconds(1);
/// Claims without a release after which a batch is parked until a person looks at it: otherwise a bug that ends the process would turn
/// wave after wave UNCERTAIN. Twice may be bad luck, such as two deployments.
pub const MAX_CRASHES: u32 = 3;
/// An answer waits at most so long for others before it is recorded: what a crash may make UNCERTAIN besides what is in flight.
pub const FLUSH_AFTER: Duration = Duration::from_millis(250);
/// Between two tries to record an answer that the database does not take: a failover lasts seconds, and its answers are facts.
pub const WRITE_PAUSE: Duration = Duration::from_millis(500);
/// The sweep begins no other round when less than this is left to its invocation: a round of a thousand batches takes some seconds.
pub const SWEEP_RESERVE: Duration = Duration::from_secs(20);

// ---- the database ------------------------------------------------------------------------------------------------------------------

/// For a connection: longer than a server that is only busy, shorter than what a waiting client of the API endures.
pub const DATABASE_CONNECT: Duration = Duration::from_secs(5);
/// How often a statement that lost a deadlock is said again; each time the other side has got on.
pub const LOCK_CONFLICT_TRIES: u32 = 5;

/// Before a statement that lost a deadlock is said for the time `tries` + 1.
pub const fn after_lock_conflict(tries: u32) -> Duration {
    Duration::from_millis(20 * tries as u64 * tries as u64)
}

// ---- the carrier -------------------------------------------------------------------------------------------------------------------

/// A carrier that does not take a connection in that time is down, and nothing was sent.
pub const CARRIER_CONNECT: Duration = Duration::from_secs(5);
/// An idle connection that the carrier closes just as a request goes out makes that request uncertain, 100 recipients at once. So it is
/// given up first: five seconds is the shortest common keep-alive time (Node.js). It is kept all the same, as the requests of a batch
/// follow each other within milliseconds.
pub const CARRIER_IDLE: Duration = Duration::from_secs(4);
/// A carrier may ask for a pause of an hour; a longer one is more likely a mistake.
pub const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);
/// A wait longer than this goes through the queue, where it costs nothing.
pub const WAIT_IN_PLACE: Duration = Duration::from_secs(5);

// ---- the queues --------------------------------------------------------------------------------------------------------------------

/// The longest delay that SQS takes.
pub const MAX_DELAY: Duration = Duration::from_secs(900);
/// A message is to arrive at least this long before its due time, and less than a second more: send waits the rest, to the
/// millisecond. A delay in whole seconds, rounded up, would be up to a second late; this also hides a cold start. [`CLAIM_EARLY`]
/// is three seconds, so the clocks may differ by one.
pub const MESSAGE_EARLY: Duration = Duration::from_millis(800);
/// How often entries that SQS reported as failed are sent again at once; the sweep finds the rest.
pub const QUEUE_TRIES: u32 = 3;

/// Before entries are sent again that were refused `tried` times.
pub const fn after_queue_refusal(tried: u32) -> Duration {
    Duration::from_millis(50 * tried as u64 * tried as u64)
}

// ---- dispatch and the sweep --------------------------------------------------------------------------------------------------------

/// Events come up to this much before the lead begins: the clocks of EventBridge and the database are not one.
pub const CLOCK_TOLERANCE: TimeDelta = TimeDelta::seconds(10);
/// The sweep enqueues, with the exact delay, what falls due within this time: two of its minutes.
pub const SWEEP_AHEAD: TimeDelta = TimeDelta::seconds(120);
/// What is due too far away for a queue gets into the sweep's sight so long before: one of its minutes, and a quarter for its lateness.
pub const SWEEP_BEFORE: TimeDelta = TimeDelta::seconds(75);
/// A parked batch is looked at, and logged for its alarm, this often.
pub const PARKED: TimeDelta = TimeDelta::minutes(32);

/// The sweep comes every minute: what it should have taken up so long ago is stuck, and shown as such.
pub const OVERDUE: TimeDelta = TimeDelta::minutes(10);

// ---- the API, whose gateway gives up at 30 s ---------------------------------------------------------------------------------------

/// Sooner than this a one-time schedule could miss its moment; the queue takes it.
pub const TOO_SOON_FOR_EVENTBRIDGE: TimeDelta = TimeDelta::seconds(5);
/// For word to dispatch, while the client waits; without it the sweep finds the row.
pub const ANNOUNCEMENT: Duration = Duration::from_secs(5);
/// For the database, where only its health is asked: shorter than a load balancer's patience.
pub const HEALTH: Duration = Duration::from_secs(3);
/// A call that works through many batches or letters takes no more of them after so long; the rest is the next call's.
pub const ONE_CALL: Duration = Duration::from_secs(12);
/// A dead-letter queue that does not answer in that time is told as such.
pub const LETTERS: Duration = Duration::from_secs(6);
/// A letter that somebody looks at is hidden from others for so long, should it not be put back.
pub const LETTER_HIDDEN: Duration = Duration::from_secs(30);

// ---- delivery receipts that a carrier pushes ---------------------------------------------------------------------------------------

/// A signature counts as long as its time stamp is no further from the clock: what somebody has overheard is of no use later.
pub const RECEIPT_AGE: TimeDelta = TimeDelta::minutes(5);
/// A recheck that comes within this time need not be brought forward for a receipt, and one that is, unless it was the last of its
/// batch, comes then: so a flood of receipts costs a batch one recheck in that time.
pub const RECEIPT_RECHECK: TimeDelta = TimeDelta::seconds(60);
/// So long after its request, an answer may not be recorded yet: the carrier is to come again with a receipt for such a number. Later its
/// id belongs to nobody here. A lease and its margin end well before.
pub const RECEIPT_EARLY: TimeDelta = TimeDelta::minutes(15);

// ---- webhooks ----------------------------------------------------------------------------------------------------------------------

/// A receiver that does not take a connection in that time is down.
pub const WEBHOOK_CONNECT: Duration = Duration::from_secs(5);
/// From the name's resolution to the answer's head: what a receiver should do later than that, it should do after its answer.
pub const WEBHOOK_ANSWER: Duration = Duration::from_secs(15);
/// Who has not recorded a try so long after its claim has died: twice the time of a post.
pub const DELIVERY_LEASE: TimeDelta = TimeDelta::seconds(30);
/// A delivery may be claimed this long before it is due: messages come early. Less than what a lease is longer than a post.
pub const DELIVERY_EARLY: TimeDelta = TimeDelta::seconds(3);
/// How often a delivery is posted; and how often it is claimed, should each claim end in a crash.
pub const DELIVERY_TRIES: u32 = 10;
/// After the n-th try (from 1) that failed: soon, for a restart; then over three days, for a weekend. The schedule is the one
/// that Standard Webhooks recommends.
const DELIVERY_WAITS_S: [u64; DELIVERY_TRIES as usize - 1] =
    [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400];
/// A webhook that has taken nothing for so long is disabled: longer than any one delivery is tried, so it takes more than one.
pub const WEBHOOK_FAILING: TimeDelta = TimeDelta::days(5);
/// After a rotation the secret before signs too, for a receiver to be changed in peace.
pub const SECRET_OVERLAP: TimeDelta = TimeDelta::days(1);
/// The sweep takes up so many deliveries at most, and none while the queue holds as many messages: what is due stays due until somebody
/// posts it, so a queue that is slow would else be given the same ones each minute.
pub const DELIVERIES_A_SWEEP: u32 = 1000;

/// Before a delivery is posted again that has failed `tries` times; `None`: it is not. What the receiver asks for (`Retry-After`) is kept,
/// up to an hour.
pub fn before_delivery(tries: u32, retry_after: Option<Duration>) -> Option<Duration> {
    let wait = DELIVERY_WAITS_S
        .get(tries.max(1) as usize - 1)
        .copied()
        .map(Duration::from_secs)?;
    Some(jitter(
        wait.max(retry_after.unwrap_or_default().min(MAX_RETRY_AFTER)),
    ))
}

// ---- what a deployment may set -----------------------------------------------------------------------------------------------------

/// The waits that a deployment may set. The defaults are production's; the chaos runner takes seconds.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// A request has to end this long before the deadline, for its answer to be recorded and the batch to be released.
    pub recording_share: Duration,
    /// A lease ends this long after the deadline: by then Lambda has ended the owner for certain.
    pub lease_margin: TimeDelta,
    /// How long after its due time the sweep gives a message up for lost; doubled, up to sixteen times, each time it was enqueued again.
    pub sweep: TimeDelta,
    /// The longest back-off through the queue: an outage of hours costs a batch one claim in that time, and ends that soon after the
    /// carrier's coming back.
    pub backoff_max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            recording_share: Duration::from_secs(5),
            lease_margin: TimeDelta::seconds(10),
            sweep: TimeDelta::seconds(120),
            backoff_max: Duration::from_secs(60),
        }
    }
}

impl Backoff {
    /// `RECORDING_SHARE_S`, `LEASE_MARGIN_S`, `SWEEP_PATIENCE_S`, `BACKOFF_MAX_S`.
    pub fn from_env(env: &mut Env) -> Self {
        let usual = Self::default();
        let mut seconds =
            |name, usual: u64| u64::from(env.number(name, 1..=900, Some(usual as u32)));
        Self {
            recording_share: Duration::from_secs(seconds(
                "RECORDING_SHARE_S",
                usual.recording_share.as_secs(),
            )),
            lease_margin: TimeDelta::seconds(seconds(
                "LEASE_MARGIN_S",
                usual.lease_margin.num_seconds() as u64,
            ) as i64),
            sweep: TimeDelta::seconds(
                seconds("SWEEP_PATIENCE_S", usual.sweep.num_seconds() as u64) as i64,
            ),
            backoff_max: Duration::from_secs(seconds("BACKOFF_MAX_S", usual.backoff_max.as_secs())),
        }
    }

    /// Through the queue, after `tries` send passes in a row without an acceptance.
    pub fn through_queue(&self, tries: u32, retry_after: Option<Duration>) -> Duration {
        let wait = doubled(Duration::from_secs(1), tries, self.backoff_max);
        jitter(wait.max(retry_after.unwrap_or_default().min(MAX_DELAY)))
    }

    /// After the n-th refusal (from 1): first soon, with smaller requests, which keeps one bad number from holding ninety-nine good
    /// ones; then slower, some twenty minutes in all, since a missing route may be a carrier's passing mistake.
    pub fn after_refusal(&self, refusals: u32) -> Duration {
        const WAITS_S: [u64; 7] = [1, 2, 15, 60, 180, 300, 600];
        let at = (refusals.max(1) as usize - 1).min(WAITS_S.len() - 1);
        jitter(Duration::from_secs(WAITS_S[at]).min(self.backoff_max * 10))
    }

    /// How long the sweep waits before it enqueues a batch again that it has enqueued `requeues` times: two minutes, doubled to 32.
    /// Without it a backlog of batches is enqueued again and again, and the queue grows faster than it is worked off.
    pub fn sweep_again(&self, requeues: u32) -> TimeDelta {
        self.sweep * (1 << requeues.min(4))
    }

    /// How long after its due time the sweep enqueues a batch for the time `requeues` + 1: the sum of its patience so far.
    pub fn sweep_after(&self, requeues: u32) -> TimeDelta {
        (0..=requeues.min(40))
            .map(|requeues| self.sweep_again(requeues))
            .sum()
    }

    /// When the sweep takes up what is due at `due`: some time after it, if a message for it is enqueued now; else just before, for the
    /// sweep to enqueue it with the exact delay.
    pub fn sweep_at(&self, due: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
        if queue::within_reach(due, now) {
            due.max(now) + self.sweep
        } else {
            before_due(due)
        }
    }
}

/// When what is left to the sweep gets into its sight.
pub fn before_due(due: DateTime<Utc>) -> DateTime<Utc> {
    due - SWEEP_BEFORE
}

/// With a rate, a batch, and a request, holds no more than this many seconds of it: smaller bursts, at the price of more batches.
pub const SECONDS_OF_RATE: u32 = 2;

/// Inside an invocation, after the n-th 429 or refused connection in a row (from 1): short, because a carrier's limit counts
/// seconds. What the carrier asks for (`Retry-After`) wins.
pub fn in_place(in_a_row: u32, retry_after: Option<Duration>) -> Duration {
    jitter(retry_after.unwrap_or_else(|| {
        doubled(
            Duration::from_millis(250),
            in_a_row,
            Duration::from_secs(60),
        )
    }))
}

/// Passes with a refused request (4xx text) after which its numbers end REJECTD.
pub const MAX_REFUSALS: u32 = 8;

/// How many numbers go into one request after so many refusals: a hundred, ten, one.
pub const fn request_size(refusals: u32, max_numbers: usize) -> usize {
    let size = match refusals {
        0 => max_numbers,
        1 => 10,
        _ => 1,
    };
    if size < max_numbers {
        size
    } else {
        max_numbers
    }
}

fn doubled(first: Duration, times: u32, most: Duration) -> Duration {
    (first * 2_u32.pow(times.saturating_sub(1).min(16))).min(most)
}

/// Up to a quarter longer, never shorter: a `Retry-After` is kept.
fn jitter(wait: Duration) -> Duration {
    wait.mul_f64(1.0 + fastrand::f64() / 4.0)
}

#[cfg(test)]
mod tests;
