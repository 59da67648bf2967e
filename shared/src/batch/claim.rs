//! The claim of a batch: the right of one worker to work on it until its lease ends.
//!
//! A claim is a conditional UPDATE with a fresh token and a lease. If two workers claim the same
//! batch, one of them succeeds; the other matches 0 rows and does nothing.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::{
    batch::SeqRange,
    carrier::capacity::{CARRIER, LimitKind},
    message::window::Window,
    platform::{backoff::MAX_CRASHES, db::Db, queue::BatchMessage},
    schedule::{on_uncertain::OnUncertain, priority::Priority, status::ScheduleStatus},
};

/// A batch may be claimed this long before it is due, because messages arrive early. Send sleeps
/// until the due time; recheck asks a little early.
pub(super) const CLAIM_EARLY: TimeDelta = TimeDelta::seconds(3);
/// The sweep takes up a batch this long after its lease has ended. It can be short, because each
/// clock in a comparison is the database's.
const SWEEP_AFTER_LEASE: TimeDelta = TimeDelta::seconds(1);

/// The right to work on one batch until its lease ends.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// The batch.
    pub batch: BatchMessage,
    /// The token, fresh for each claim.
    pub token: Uuid,
    /// When the claim was made, on the database's clock.
    pub at: DateTime<Utc>,
    /// The end of the lease.
    pub until: DateTime<Utc>,
}

impl Claim {
    /// Returns a claim with a fresh token; it takes effect when one of the statements here
    /// succeeds.
    pub fn new(batch: BatchMessage, at: DateTime<Utc>, until: DateTime<Utc>) -> Self {
        Self {
            batch,
            token: Uuid::new_v4(),
            at,
            until,
        }
    }
}

/// A claimed batch, and the columns of its schedule that a pass needs.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts about a batch"
)]
pub struct ClaimedBatch {
    /// The first `recipients.seq`.
    pub first_seq: u32,
    /// The last `recipients.seq`.
    pub last_seq: u32,
    /// The planned time, from which lateness and the time for resends count.
    pub planned_at: DateTime<Utc>,
    /// When a message is due to be sent.
    pub send_at: Option<DateTime<Utc>>,
    /// When a status is due to be asked for.
    pub check_at: Option<DateTime<Utc>>,
    /// Send passes in a row without an acceptance, this one included.
    pub tries: u32,
    /// Send passes in a row in which the carrier refused requests and accepted none.
    pub refusals: u32,
    /// Recheck passes since the last send, this one included.
    pub checks: u32,
    /// How often the sweep has enqueued the kind of work that this pass does not do.
    pub requeues: u32,
    /// PENDING rows are held: the batch was found too late, and an operator has not decided yet.
    pub missed: bool,
    /// The batch is one of a canary, and others are held behind it.
    pub is_canary: bool,
    /// `schedules.status`
    pub schedule_status: ScheduleStatus,
    /// The text, or the template of the texts.
    pub message: String,
    /// The number of parts of each message.
    pub parts: u16,
    /// The sender address.
    pub sender: Option<String>,
    /// Messages per second.
    pub rate: Option<u32>,
    /// `schedules.priority`
    pub priority: Priority,
    /// `schedules.send_window`
    pub send_window: Option<String>,
    /// `schedules.max_lateness_s`
    pub max_lateness_s: u32,
    /// The end of the schedule: what has not been sent by then ends EXPIRED.
    pub ends_at: Option<DateTime<Utc>>,
    /// `schedules.max_resends`
    pub max_resends: u32,
    /// `schedules.resend_within_s`
    pub resend_within_s: u32,
    /// `schedules.on_uncertain`
    pub on_uncertain: OnUncertain,
    /// A webhook subscribes to messages that have ended.
    pub wants_final_events: bool,
    /// A schedule has batches that wait for their turn.
    pub turns_exist: bool,
    /// `schedule_costs.prices_version` of the schedule.
    pub prices_version: Option<u32>,
    /// There is a budget.
    pub budgets_exist: bool,
    /// The carrier's limit on submissions is configured over the API, or learned.
    pub limit_known: bool,
    /// `carriers.open_slots`
    pub open_slots: u32,
    /// `carriers.progress_at`
    pub progress_at: Option<DateTime<Utc>>,
    /// `carriers.outage_from`
    pub outage_from: Option<DateTime<Utc>>,
    /// `carriers.outage_until`
    pub outage_until: Option<DateTime<Utc>>,
}

impl ClaimedBatch {
    /// Returns the recipients of the batch.
    pub const fn range(&self) -> SeqRange {
        SeqRange::new(self.first_seq, self.last_seq)
    }

    /// Returns whether nothing of the batch may be sent any more: its schedule's end has passed, or
    /// the window opens only after it.
    pub fn is_over(&self, now: DateTime<Utc>) -> bool {
        self.ends_at.is_some_and(|ends_at| {
            let window = Window::of(self.send_window.as_deref());
            window.map_or(now, |window| window.next_open(now)) >= ends_at
        })
    }
}

/// Claims a batch that has something to send. Returns false if the batch is done, owned by another
/// worker, paused, parked, not due, held behind a [canary](super::canary), or stopped by the
/// [brake](super::brake).
pub async fn claim_to_send(db: &Db, claim: &Claim) -> sqlx::Result<bool> {
    let BatchMessage {
        schedule_id,
        batch_no,
    } = claim.batch;
    let done = sqlx::query!(
        "UPDATE batches b JOIN schedules s ON s.id = b.schedule_id
         SET b.crashes = b.crashes + 1, b.tries = b.tries + 1, b.claim_token = ?, b.claimed_until = ?, b.sweep_at = ?, b.waiting = 0,
           b.requeues = IF(b.check_at IS NULL, 0, b.requeues)
         WHERE b.schedule_id = ? AND b.batch_no = ? AND b.send_at <= ?
           AND (b.claim_token IS NULL OR b.claimed_until < ?) AND b.crashes < ?
           AND (s.status = 'cancelled' OR (s.status = 'running' AND (s.held_after IS NULL OR b.batch_no <= s.held_after)
             AND NOT EXISTS (SELECT 1 FROM brakes x WHERE x.name = 'sending' AND x.set_at IS NOT NULL)))",
        claim.token,
        claim.until,
        claim.until + SWEEP_AFTER_LEASE,
        schedule_id,
        batch_no,
        claim.at + CLAIM_EARLY,
        claim.at,
        MAX_CRASHES
    );
    Ok(done.execute(db).await?.rows_affected() == 1)
}

/// Claims a batch whose statuses are due to be asked for. The status of its schedule does not
/// matter: rechecks continue during a pause and after a cancellation.
pub async fn claim_to_check(db: &Db, claim: &Claim) -> sqlx::Result<bool> {
    let BatchMessage {
        schedule_id,
        batch_no,
    } = claim.batch;
    let done = sqlx::query!(
        // The condition on `check_at` keeps a duplicate recheck message from starting a second
        // chain.
        "UPDATE batches SET crashes = crashes + 1, checks = checks + 1, claim_token = ?, claimed_until = ?, sweep_at = ?,
           requeues = IF(send_at IS NULL, 0, requeues)
         WHERE schedule_id = ? AND batch_no = ? AND check_at <= ? AND (claim_token IS NULL OR claimed_until < ?) AND crashes < ?",
        claim.token,
        claim.until,
        claim.until + SWEEP_AFTER_LEASE,
        schedule_id,
        batch_no,
        claim.at + CLAIM_EARLY,
        claim.at,
        MAX_CRASHES
    );
    Ok(done.execute(db).await?.rows_affected() == 1)
}

/// Reads the batch that was just claimed. Returns `None` if another worker has claimed it
/// meanwhile.
pub async fn read_claimed(db: &Db, claim: &Claim) -> sqlx::Result<Option<ClaimedBatch>> {
    sqlx::query_as!(
        ClaimedBatch,
        r#"SELECT b.first_seq, b.last_seq, b.planned_at AS "planned_at: DateTime<Utc>", b.send_at AS "send_at: DateTime<Utc>",
             b.check_at AS "check_at: DateTime<Utc>", b.tries, b.refusals, b.checks, b.requeues,
             b.missed_at IS NOT NULL AS "missed!: bool", s.held_after IS NOT NULL AS "is_canary!: bool", s.status AS "schedule_status: ScheduleStatus", s.message, s.parts, s.sender, s.rate, s.send_window,
             s.priority AS "priority: Priority", s.max_lateness_s, s.max_resends, s.resend_within_s, s.on_uncertain AS "on_uncertain: OnUncertain",
             COALESCE(s.send_until, s.run_at + INTERVAL s.send_within_s SECOND) AS "ends_at: DateTime<Utc>",
             EXISTS (SELECT 1 FROM webhooks w FORCE INDEX (by_owner)
                     WHERE (w.owner = s.created_by OR w.owner IS NULL) AND w.callback_hash IS NULL AND w.disabled_at IS NULL
                       AND FIND_IN_SET('messages.final', COALESCE(w.selected_events, w.events)) > 0)
               OR EXISTS (SELECT 1 FROM webhooks w WHERE w.id = s.callback_id AND w.disabled_at IS NULL
                            AND FIND_IN_SET('messages.final', w.selected_events) > 0) AS "wants_final_events!: bool",
             l.learned_per_second IS NOT NULL OR COALESCE(l.per_second, l.requests_per_second, 0) > 0 AS "limit_known!: bool",
             c.open_slots, c.progress_at AS "progress_at: DateTime<Utc>", c.outage_from AS "outage_from: DateTime<Utc>", c.outage_until AS "outage_until: DateTime<Utc>",
             EXISTS (SELECT 1 FROM turns) AS "turns_exist!: bool",
             (SELECT m.prices_version FROM schedule_costs m WHERE m.schedule_id = s.id) AS prices_version, EXISTS (SELECT 1 FROM budgets) AS "budgets_exist!: bool"
           FROM batches b JOIN schedules s ON s.id = b.schedule_id
             JOIN carriers c ON c.name = ? JOIN carrier_limits l ON l.carrier = c.name AND l.kind = ?
           WHERE b.schedule_id = ? AND b.batch_no = ? AND b.claim_token = ?"#,
        CARRIER,
        LimitKind::Submit.as_str(),
        claim.batch.schedule_id,
        claim.batch.batch_no,
        claim.token
    )
    .fetch_optional(db)
    .await
}
