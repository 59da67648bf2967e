//! Marks of rows that are next to each other: one statement without a list of them.

use chrono::{DateTime, Utc};
use sqlx::MySqlConnection;

use crate::{
    batch::{
        SeqRange,
        claim::Claim,
        rows::{BatchRow, FlushRow, Step},
    },
    message::status::Status,
};

/// Rows that are next to each other and that one statement marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkRange {
    /// Their positions.
    pub seqs: SeqRange,
    /// The attempt that each of them has before the mark.
    pub attempt: u32,
}

impl MarkRange {
    /// Returns the range that marks exactly these rows, in the order of their positions, if there is
    /// one: `open` are all rows of the batch that may be PENDING, in that order too.
    pub fn of(marked: &[FlushRow], open: &[BatchRow]) -> Option<Self> {
        let (first, last) = (marked.first()?, marked.last()?);
        let is_first_mark = |row: &FlushRow| {
            row.step == Step::Mark && row.resend == 0 && row.attempt == first.attempt
        };
        let from = open.partition_point(|row| row.seq < first.seq);
        let between = open[from..].iter().take_while(|row| row.seq <= last.seq);
        let pending = between.filter(|row| row.status == Status::Pending);
        let is_whole = marked.iter().all(is_first_mark)
            && marked
                .iter()
                .map(|row| row.seq)
                .eq(pending.map(|row| row.seq));
        is_whole.then_some(Self {
            seqs: SeqRange {
                first: first.seq,
                last: last.seq,
            },
            attempt: first.attempt,
        })
    }
}

/// Marks a range like [`flush`](super::rows::flush), at a third of its cost: nothing is parsed or joined per row.
///
/// Returns the number of matched rows.
pub async fn mark_range(
    db: &mut MySqlConnection,
    claim: &Claim,
    range: MarkRange,
    now: DateTime<Utc>,
) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "UPDATE recipients r JOIN batches b ON b.schedule_id = r.schedule_id AND b.batch_no = ? JOIN schedules s ON s.id = b.schedule_id
         SET r.attempt = r.attempt + 1, r.sent_at = ?, r.id_start = NULL, r.id_rest = NULL, r.error = NULL, r.carrier_status = NULL, r.status = 'SENDING'
         WHERE r.schedule_id = ? AND r.seq BETWEEN ? AND ? AND r.attempt = ? AND r.status = 'PENDING' AND b.claim_token = ?
           AND s.status = 'running'",
        claim.batch.batch_no,
        now,
        claim.batch.schedule_id,
        range.seqs.first,
        range.seqs.last,
        range.attempt,
        claim.token
    );
    Ok(done.execute(db).await?.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(seq: u32, status: Status) -> BatchRow {
        BatchRow {
            seq,
            phone: String::new(),
            status,
            attempt: 0,
            resends: 0,
            message_id: None,
            carrier_status: None,
            sent_at: None,
            final_at: None,
        }
    }

    fn mark(seq: u32) -> FlushRow {
        FlushRow {
            seq,
            attempt: 0,
            step: Step::Mark,
            resend: 0,
            status: Status::Sending,
            message_id: None,
            error: None,
            is_final: 0,
        }
    }

    #[test]
    fn rows_are_marked_by_range_only_if_no_other_row_could_match() {
        let rows = [
            open(1, Status::Sending),
            open(2, Status::Pending),
            open(4, Status::Suppressed),
            open(5, Status::Pending),
            open(9, Status::Pending),
        ];
        let range = |marked: &[FlushRow]| {
            MarkRange::of(marked, &rows).map(|range| (range.seqs.first, range.seqs.last))
        };
        assert_eq!(range(&[mark(2), mark(5)]), Some((2, 5)));
        assert_eq!(range(&[mark(2), mark(5), mark(9)]), Some((2, 9)));
        assert_eq!(range(&[mark(2), mark(9)]), None, "5 is not marked");
        assert_eq!(range(&[]), None);
        let again = FlushRow {
            attempt: 1,
            ..mark(5)
        };
        assert_eq!(range(&[mark(2), again.clone()]), None);
        assert_eq!(range(&[again]), Some((5, 5)));
        let resend = FlushRow {
            resend: 1,
            ..mark(2)
        };
        assert_eq!(range(&[resend]), None);
    }
}
