//! Records receipts in one transaction: the rows first, in the order of their keys, then their
//! batches.
//!
//! If the batch is claimed, its release waits for these rows and counts them. Otherwise the next
//! recheck is brought forward: to now, if the last open message of the batch has ended, so that the
//! schedule can finish; to within a minute, if a message may have to be sent again or a part was
//! reported; not at all, if a recheck is due in that time anyway. So a flood of receipts costs a
//! batch one recheck per minute.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use shared::{
    batch::SeqRange,
    carrier::receipt::Receipt,
    message::status::Status,
    platform::{
        metrics::{self, Counter, Measure},
        queue::{BatchMessage, Outgoing},
    },
    schedule::lifecycle::reopen_schedule,
};
use sqlx::MySqlConnection;
use uuid::Uuid;

use super::{
    effect::{Effect, effect},
    matching::Match,
    store::{
        AffectedBatch, Due, MatchedAttempt, OpenMessages, ReceiptRow, affected_batches,
        bring_forward, open_messages, record_late_receipts, record_receipts,
    },
};
use crate::{
    App, ENQUEUE_TIMEOUT,
    http::{error::ApiError, transaction::transaction},
};

/// A recheck that is due within this time is not brought forward for a receipt. One that is brought
/// forward runs then, unless the receipt was the last of its batch: so a flood of receipts costs a
/// batch one recheck in that time.
const RECEIPT_RECHECK: TimeDelta = TimeDelta::seconds(60);

/// The changes that the receipts of a call make.
#[derive(Debug, Default)]
pub struct News {
    rows: Vec<ReceiptRow>,
    late: Vec<ReceiptRow>,
    queried: BTreeSet<Place>,
}

/// A recipient: its schedule and its seq.
type Place = (Uuid, u32);

/// A message after the receipts so far.
struct Message {
    found: MatchedAttempt,
    is_late: bool,
    row: Option<ReceiptRow>,
}

impl News {
    /// Gathers the changes. Several receipts for one message become one row: each receipt is applied to
    /// the result of the one before it.
    pub fn gather<'a>(receipts: impl Iterator<Item = (&'a Receipt, &'a Match)>) -> Self {
        let mut messages: BTreeMap<_, Message> = BTreeMap::new();
        let mut news = Self::default();
        for (receipt, matches) in receipts {
            let (found, is_late) = match matches {
                Match::Message(found) => (found, false),
                Match::Attempt(found) => (found, true),
                Match::TooEarly | Match::NoMessage => continue,
            };
            let key = (found.schedule_id, found.seq, found.attempt, is_late);
            let message = messages.entry(key).or_insert_with(|| Message {
                found: found.clone(),
                is_late,
                row: None,
            });
            match effect(&message.found, receipt) {
                Effect::Write(row) => message.take(row),
                Effect::Query if !is_late => {
                    news.queried.insert((found.schedule_id, found.seq));
                }
                Effect::Query | Effect::Nothing => {}
            }
        }
        for Message { is_late, row, .. } in messages.into_values() {
            if is_late {
                news.late.extend(row);
            } else {
                news.rows.extend(row);
            }
        }
        news
    }

    /// Returns whether there is no change.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.late.is_empty() && self.queried.is_empty()
    }

    /// Returns the changes of each recipient, as far as they matter to its batch.
    fn changes(&self) -> impl Iterator<Item = (Place, Change)> {
        let of_row = |row: &ReceiptRow| {
            let needs_pass = matches!(row.status, Status::Undeliv | Status::Expired);
            (
                (row.schedule_id, row.seq),
                Change {
                    ended: row.is_final == 1,
                    needs_pass,
                },
            )
        };
        let of_part = |place: &Place| {
            (
                *place,
                Change {
                    ended: false,
                    needs_pass: true,
                },
            )
        };
        self.rows
            .iter()
            .map(of_row)
            .chain(self.queried.iter().map(of_part))
    }

    /// Returns the range of each schedule's recipients that has changes.
    fn ranges(&self) -> BTreeMap<Uuid, SeqRange> {
        let mut ranges: BTreeMap<Uuid, SeqRange> = BTreeMap::new();
        for ((schedule_id, seq), _) in self.changes() {
            let range = ranges.entry(schedule_id).or_insert(SeqRange::new(seq, seq));
            range.first = range.first.min(seq);
            range.last = range.last.max(seq);
        }
        ranges
    }
}

impl Message {
    fn take(&mut self, mut row: ReceiptRow) {
        if let Some(first) = &self.row {
            row.message_id.clone_from(&first.message_id);
        }
        self.found.status = row.status;
        self.found.carrier_status = Some(row.carrier_status.clone());
        self.found
            .message_id
            .get_or_insert_with(|| row.message_id.clone());
        self.row = Some(row);
    }
}

/// Records the changes and brings rechecks forward where needed. Returns the number of changed
/// messages.
pub async fn record(app: &App, news: &News, now: DateTime<Utc>) -> Result<u64, ApiError> {
    let (recorded, dues) = transaction(&app.db, |transaction| {
        Box::pin(write(transaction, news, now))
    })
    .await?;
    for row in news.rows.iter().filter(|row| row.is_final == 1) {
        record_end(row, now);
    }
    enqueue(app, &dues, now).await;
    Ok(recorded)
}

/// Records the metrics of a message that has ended.
fn record_end(row: &ReceiptRow, now: DateTime<Utc>) {
    if row.status != Status::Delivrd {
        metrics::count(Counter::Undelivered, 1);
        return;
    }
    metrics::count(Counter::Delivered, 1);
    if let Some(Ok(time)) = row.sent_at.map(|sent_at| (now - sent_at).to_std()) {
        metrics::record_time(Measure::TimeToDelivered, time);
    }
}

async fn write(
    db: &mut MySqlConnection,
    news: &News,
    now: DateTime<Utc>,
) -> Result<(u64, Vec<Due>), ApiError> {
    let mut recorded = 0;
    if !news.rows.is_empty() {
        recorded = record_receipts(db, &news.rows, now).await?;
    }
    if recorded < news.rows.len() as u64 || !news.late.is_empty() {
        // A message that was sent again since it was matched has become an earlier attempt.
        let late: Vec<_> = news.late.iter().chain(&news.rows).cloned().collect();
        recorded += record_late_receipts(db, &late, now).await?;
    }
    let dues = dues(db, news, now).await?;
    if !dues.is_empty() {
        bring_forward(db, &dues).await?;
    }
    for schedule_id in dues
        .iter()
        .map(|due| due.schedule_id)
        .collect::<BTreeSet<_>>()
    {
        reopen_schedule(db, schedule_id).await?;
    }
    Ok((recorded, dues))
}

/// The combined report of the receipts of one batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Change {
    /// A message has ended.
    ended: bool,
    /// A message may have to be sent again, or a part was reported, so that all parts are queried.
    needs_pass: bool,
}

async fn dues(
    db: &mut MySqlConnection,
    news: &News,
    now: DateTime<Utc>,
) -> Result<Vec<Due>, ApiError> {
    let mut batches: BTreeMap<Place, (AffectedBatch, Option<Change>)> = BTreeMap::new();
    for (schedule_id, range) in news.ranges() {
        let affected = affected_batches(db, schedule_id, range).await?.into_iter();
        batches.extend(affected.map(|batch| ((schedule_id, batch.first_seq), (batch, None))));
    }
    for ((schedule_id, seq), changes) in news.changes() {
        // The last batch that begins at or before the recipient.
        let batch = batches
            .range_mut((schedule_id, 0)..=(schedule_id, seq))
            .next_back();
        if let Some((_, (_, so_far))) = batch.filter(|(_, (batch, _))| batch.last_seq >= seq) {
            let so_far = so_far.get_or_insert_default();
            so_far.ended |= changes.ended;
            so_far.needs_pass |= changes.needs_pass;
        }
    }
    let mut dues = Vec::new();
    for (batch, changes) in batches
        .into_values()
        .filter_map(|(batch, changes)| Some((batch, changes?)))
    {
        if may_need(&batch, changes, now) {
            let left = open_messages(
                db,
                batch.schedule_id,
                SeqRange::new(batch.first_seq, batch.last_seq),
            )
            .await?;
            if let Some(check_at) = when(&batch, changes, left, now) {
                dues.push(Due {
                    schedule_id: batch.schedule_id,
                    batch_no: batch.batch_no,
                    check_at,
                });
            }
        }
    }
    Ok(dues)
}

/// Returns whether no pass over the batch is due soon, although one may be needed.
fn may_need(batch: &AffectedBatch, changes: Change, now: DateTime<Utc>) -> bool {
    let late = batch
        .check_at
        .is_none_or(|check_at| check_at > now + RECEIPT_RECHECK);
    late && !batch.is_taken && (changes.ended || changes.needs_pass || batch.check_at.is_none())
}

/// Returns when the next pass must be due at the latest; `None`: the due time stays.
fn when(
    batch: &AffectedBatch,
    changes: Change,
    left: OpenMessages,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    match left {
        OpenMessages {
            open: false,
            uncertain: false,
        } => Some(now),
        // UNCERTAIN messages are queried repeatedly if the carrier takes own ids: not for every receipt.
        OpenMessages {
            open: false,
            uncertain: true,
        } => Some(now + RECEIPT_RECHECK),
        OpenMessages { open: true, .. } => {
            (changes.needs_pass || batch.check_at.is_none()).then_some(now + RECEIPT_RECHECK)
        }
    }
}

/// Puts the batches on the recheck queue: one small message per batch. A sweep by dispatch would read
/// every running schedule and every due batch instead. A message that the queue refuses is left to
/// the sweep.
async fn enqueue(app: &App, dues: &[Due], now: DateTime<Utc>) {
    if dues.is_empty() {
        return;
    }
    let message = |due: &Due| {
        let batch = BatchMessage {
            schedule_id: due.schedule_id,
            batch_no: due.batch_no,
        };
        Outgoing::batch(batch, due.check_at, now)
    };
    let messages: Vec<_> = dues.iter().map(message).collect();
    match tokio::time::timeout(ENQUEUE_TIMEOUT, app.recheck_queue.send(&messages)).await {
        Ok(failed) if failed.is_empty() => {}
        _ => tracing::warn!(
            batches = dues.len(),
            "the recheck queue refused messages; the sweep will find the batches"
        ),
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    const NOTHING: OpenMessages = OpenMessages {
        open: false,
        uncertain: false,
    };

    fn batch(check_in_s: Option<i64>, is_taken: bool, now: DateTime<Utc>) -> AffectedBatch {
        let check_at = check_in_s.map(|seconds| now + TimeDelta::seconds(seconds));
        AffectedBatch {
            schedule_id: Uuid::nil(),
            batch_no: 1,
            first_seq: 1,
            last_seq: 5,
            is_taken,
            check_at,
        }
    }

    #[test]
    fn a_batch_is_told_if_nobody_looks_at_it_soon() {
        let now = Utc::now();
        let (word, ended, failed) = (
            Change::default(),
            Change {
                ended: true,
                needs_pass: false,
            },
            Change {
                ended: true,
                needs_pass: true,
            },
        );
        let (open, uncertain) = (
            OpenMessages {
                open: true,
                uncertain: true,
            },
            OpenMessages {
                open: false,
                uncertain: true,
            },
        );
        #[rustfmt::skip]
        let table = [
            ("the last one", Some(600), false, ended, NOTHING, Some(0)),
            ("the last but the uncertain", Some(600), false, ended, uncertain, Some(60)),
            ("one of many", Some(600), false, ended, open, None),
            ("one of many, to be sent again", Some(600), false, failed, open, Some(60)),
            ("a part", Some(600), false, Change { ended: false, needs_pass: true }, open, Some(60)),
            ("another word", Some(600), false, word, open, None),
            ("the last one, queried about within the minute", Some(60), false, failed, NOTHING, None),
            ("the last one, overdue", Some(-600), false, failed, NOTHING, None),
            ("somebody's", Some(600), true, failed, NOTHING, None),
            ("at rest, found to be on its way", None, false, word, open, Some(60)),
            ("at rest, and ended", None, false, ended, NOTHING, Some(0)),
            ("at rest, and parked or owned", None, true, ended, NOTHING, None),
        ];
        for (what, check_in_s, is_taken, changes, left, expected) in table {
            let batch = batch(check_in_s, is_taken, now);
            let due = may_need(&batch, changes, now)
                .then(|| when(&batch, changes, left, now))
                .flatten();
            assert_eq!(due.map(|due| (due - now).num_seconds()), expected, "{what}");
        }
    }
}
