//! The record of receipts, in one transaction: the rows first, in the order of their keys, then their batches.
//!
//! What is recorded while somebody owns the batch is counted at its release, which waits for these rows. Else the batch is told:
//! at once by the last open message of it, so that its schedule ends; within a minute by one that may have to be sent again, or by a
//! part; not at all while a recheck comes in that time anyway. So a flood of receipts costs a batch one recheck a minute.

use std::collections::{BTreeMap, BTreeSet};

use crate::resources::receipts::store::{
    Due, Found, Left, Receipt as Row, ScheduleSeqRange, Touched, batches_of, bring_forward,
    record_late_receipts, record_receipts, what_is_left,
};
use chrono::{DateTime, TimeDelta, Utc};
use shared::{
    carrier::receipt::Receipt,
    message::status::Status,
    platform::queue::{BatchMessage, Outgoing},
    schedule::lifecycle::reopen_schedule,
};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::resources::receipts::{
    find::Whose,
    judge::{Judgement, judge},
};
use crate::{
    App, ENQUEUE_TIMEOUT,
    http::{error::ApiError, transaction::settle},
};

/// A recheck that is due within this time is not brought forward for a receipt. One that is brought
/// forward runs then, unless the receipt was the last of its batch: so a flood of receipts costs a
/// batch one recheck in that time.
const RECEIPT_RECHECK: TimeDelta = TimeDelta::seconds(60);

/// What is new in a call.
#[derive(Debug, Default)]
pub struct News {
    rows: Vec<Row>,
    late: Vec<Row>,
    asked: BTreeSet<Place>,
}

/// A recipient: its schedule, and its place in the list.
type Place = (Uuid, u32);

/// A message as the receipts so far have left it.
struct Message {
    found: Found,
    is_late: bool,
    row: Option<Row>,
}

impl News {
    /// Several receipts for one message become one row: what the first of them says is what the next one finds.
    pub fn gather<'a>(receipts: impl Iterator<Item = (&'a Receipt, &'a Whose)>) -> Self {
        let mut messages: BTreeMap<_, Message> = BTreeMap::new();
        let mut news = Self::default();
        for (receipt, whose) in receipts {
            let (found, is_late) = match whose {
                Whose::Message(found) => (found, false),
                Whose::Attempt(found) => (found, true),
                Whose::Early | Whose::Nobody => continue,
            };
            let key = (found.schedule_id, found.seq, found.attempt, is_late);
            let message = messages.entry(key).or_insert_with(|| Message {
                found: found.clone(),
                is_late,
                row: None,
            });
            match judge(&message.found, receipt) {
                Judgement::Write(row) => message.take(row),
                Judgement::Ask if !is_late => {
                    news.asked.insert((found.schedule_id, found.seq));
                }
                Judgement::Ask | Judgement::Nothing => {}
            }
        }
        for Message { is_late, row, .. } in messages.into_values() {
            if is_late {
                news.late.extend(row)
            } else {
                news.rows.extend(row)
            }
        }
        news
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.late.is_empty() && self.asked.is_empty()
    }

    /// What each recipient whose batch may have to know of it was told.
    fn told(&self) -> impl Iterator<Item = (Place, Told)> {
        let of_row = |row: &Row| {
            let asks = matches!(row.status, Status::Undeliv | Status::Expired);
            (
                (row.schedule_id, row.seq),
                Told {
                    ended: row.is_final == 1,
                    asks,
                },
            )
        };
        let of_part = |place: &Place| {
            (
                *place,
                Told {
                    ended: false,
                    asks: true,
                },
            )
        };
        self.rows
            .iter()
            .map(of_row)
            .chain(self.asked.iter().map(of_part))
    }

    /// The stretch of each schedule's list that they lie in.
    fn stretches(&self) -> Vec<ScheduleSeqRange> {
        let mut stretches: BTreeMap<Uuid, ScheduleSeqRange> = BTreeMap::new();
        for ((schedule_id, seq), _) in self.told() {
            let stretch = stretches.entry(schedule_id).or_insert(ScheduleSeqRange {
                schedule_id,
                first_seq: seq,
                last_seq: seq,
            });
            stretch.first_seq = stretch.first_seq.min(seq);
            stretch.last_seq = stretch.last_seq.max(seq);
        }
        stretches.into_values().collect()
    }
}

impl Message {
    fn take(&mut self, mut row: Row) {
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

/// Records what is new, has the batches looked at that need it, and returns how many messages it changed.
pub async fn record(app: &App, news: &News, now: DateTime<Utc>) -> Result<u64, ApiError> {
    let mut transaction = app.db.pool.begin().await?;
    let written = write(&mut transaction, news, now).await;
    let (recorded, dues) = settle(transaction, written).await?;
    enqueue(app, &dues, now).await;
    Ok(recorded)
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
        // What has been sent again since it was read is an earlier attempt by now.
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

/// What the receipts for one batch have in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Told {
    /// A final state.
    ended: bool,
    /// One that is sent again, if the schedule says so; or a part, which is to be asked about with the others.
    asks: bool,
}

async fn dues(
    db: &mut MySqlConnection,
    news: &News,
    now: DateTime<Utc>,
) -> Result<Vec<Due>, ApiError> {
    let stretches = news.stretches();
    if stretches.is_empty() {
        return Ok(Vec::new());
    }
    let batches = batches_of(db, &stretches).await?.into_iter();
    let mut batches: BTreeMap<Place, (Touched, Option<Told>)> = batches
        .map(|batch| ((batch.schedule_id, batch.first_seq), (batch, None)))
        .collect();
    for ((schedule_id, seq), told) in news.told() {
        // The last batch that begins at the recipient or before it.
        let batch = batches
            .range_mut((schedule_id, 0)..=(schedule_id, seq))
            .next_back();
        if let Some((_, (_, so_far))) = batch.filter(|(_, (touched, _))| touched.last_seq >= seq) {
            let so_far = so_far.get_or_insert_default();
            so_far.ended |= told.ended;
            so_far.asks |= told.asks;
        }
    }
    let mut dues = Vec::new();
    for (touched, told) in batches
        .into_values()
        .filter_map(|(touched, told)| Some((touched, told?)))
    {
        if may_need(&touched, told, now) {
            let left = what_is_left(
                db,
                touched.schedule_id,
                (touched.first_seq, touched.last_seq),
            )
            .await?;
            if let Some(check_at) = when(&touched, told, left, now) {
                dues.push(Due {
                    schedule_id: touched.schedule_id,
                    batch_no: touched.batch_no,
                    check_at,
                });
            }
        }
    }
    Ok(dues)
}

/// Whether nobody looks at the batch soon.
fn may_need(touched: &Touched, told: Told, now: DateTime<Utc>) -> bool {
    let late = touched
        .check_at
        .is_none_or(|check_at| check_at > now + RECEIPT_RECHECK);
    late && !touched.is_taken && (told.ended || told.asks || touched.check_at.is_none())
}

/// When somebody has to look at it; `None`: when it is due.
fn when(touched: &Touched, told: Told, left: Left, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    match left {
        Left {
            open: false,
            uncertain: false,
        } => Some(now),
        // Those are asked for again and again where that can be done: not for every receipt.
        Left {
            open: false,
            uncertain: true,
        } => Some(now + RECEIPT_RECHECK),
        Left { open: true, .. } => {
            (told.asks || touched.check_at.is_none()).then_some(now + RECEIPT_RECHECK)
        }
    }
}

/// Straight to the recheck queue: one small message a batch, where a sweep by dispatch would read every running schedule and every due
/// batch for it. What the queue does not take, the sweep of the minute finds.
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
            "the recheck queue did not take all; the sweep will find them"
        ),
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    const NOTHING: Left = Left {
        open: false,
        uncertain: false,
    };

    fn touched(check_in_s: Option<i64>, is_taken: bool, now: DateTime<Utc>) -> Touched {
        let check_at = check_in_s.map(|seconds| now + TimeDelta::seconds(seconds));
        Touched {
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
            Told::default(),
            Told {
                ended: true,
                asks: false,
            },
            Told {
                ended: true,
                asks: true,
            },
        );
        let (open, uncertain) = (
            Left {
                open: true,
                uncertain: true,
            },
            Left {
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
            ("a part", Some(600), false, Told { ended: false, asks: true }, open, Some(60)),
            ("another word", Some(600), false, word, open, None),
            ("the last one, asked about within the minute", Some(60), false, failed, NOTHING, None),
            ("the last one, overdue", Some(-600), false, failed, NOTHING, None),
            ("somebody's", Some(600), true, failed, NOTHING, None),
            ("at rest, found to be on its way", None, false, word, open, Some(60)),
            ("at rest, and ended", None, false, ended, NOTHING, Some(0)),
            ("at rest, and parked or owned", None, true, ended, NOTHING, None),
        ];
        for (what, check_in_s, is_taken, told, left, expected) in table {
            let touched = touched(check_in_s, is_taken, now);
            let due = may_need(&touched, told, now)
                .then(|| when(&touched, told, left, now))
                .flatten();
            assert_eq!(due.map(|due| (due - now).num_seconds()), expected, "{what}");
        }
    }
}
