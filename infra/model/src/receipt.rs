//! Receipts: the carrier pushes the status of one part of an attempt that it has accepted. A
//! receipt can arrive at any time, whether or not the batch has an owner. A receipt that changes
//! nothing is not an action.

use shared::{message::status::Status, platform::backoff::MAX_CRASHES};

use crate::{
    actions::Action,
    mix::{Broken, Mix},
    rows::Row,
    rules::{self, StatusUpdate},
    world::{PARTS, World, bit, parts_of},
};

/// A receipt for one part of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The recipient.
    pub recipient: usize,
    /// The attempt.
    pub attempt: u8,
    /// The part.
    pub part: u8,
    /// The carrier's status.
    pub status: Status,
}

impl Receipt {
    /// Returns the status update for the row. `None` if the receipt proves nothing about the row:
    /// the recheck queries all parts.
    fn status_update(self, mix: &Mix, row: &Row) -> Option<StatusUpdate> {
        // The message is found by its id if the answer with the id is recorded, or by an own id.
        let is_found = row.attempt != self.attempt || row.ids != 0 || mix.own_ids;
        let update = StatusUpdate {
            attempt: self.attempt,
            status: self.status,
            ids: parts_of(1, mix.parts),
        };
        (is_found && (mix.parts == 1 || self.status == Status::Undeliv)).then_some(update)
    }

    fn changes_row(self, mix: &Mix, row: &Row) -> bool {
        self.status_update(mix, row).is_some_and(|update| {
            let mut changed = *row;
            let written = rules::record_receipt(&mut changed, &update)
                || rules::record_late_receipt(&mut changed, &update);
            written && changed != *row
        })
    }
}

impl Mix {
    pub(crate) fn receipt_actions(&self, world: &World, actions: &mut Vec<Action>) {
        for recipient in 0..if self.pushes { self.recipients() } else { 0 } {
            let sent = (1..=self.max_attempts)
                .flat_map(|attempt| (0..PARTS).map(move |part| (attempt, part)));
            let accepted = sent.filter(|(attempt, part)| {
                world.carrier[recipient].accepted & bit(*attempt, *part) != 0
            });
            for (attempt, part) in accepted {
                let mut statuses = vec![Status::Delivrd];
                statuses.extend(self.undelivered.then_some(Status::Undeliv));
                statuses.extend(self.forgets.then_some(Status::Enroute));
                let receipts = statuses.into_iter().map(|status| Receipt {
                    recipient,
                    attempt,
                    part,
                    status,
                });
                actions.extend(
                    receipts
                        .filter(|receipt| receipt.changes_row(self, &world.rows[recipient]))
                        .map(Action::Push),
                );
            }
        }
    }
}

impl World {
    /// Records a receipt in one transaction. Makes the batch due unless its next reader is certain:
    /// an owner, whose release counts the rows, or a planned recheck.
    pub(crate) fn push(&mut self, mix: &Mix, receipt: Receipt) {
        let recipient = receipt.recipient;
        let Some(update) = receipt.status_update(mix, &self.rows[recipient]) else {
            return;
        };
        if receipt.status == Status::Delivrd {
            self.carrier[recipient].delivered |= 1 << receipt.part;
        }
        let written = self.change_row(recipient, |row, _| {
            let written = rules::record_receipt(row, &update);
            if !written {
                rules::record_late_receipt(row, &update);
            }
            written
        });
        let parked = u32::from(self.batch.crashes) >= MAX_CRASHES;
        if written
            && !self.batch.check_at.is_set()
            && !parked
            && !mix.is_broken(Broken::ReceiptThatMakesNothingDue)
            && self.batch.token.is_none()
        {
            rules::bring_forward(&mut self.batch, &mut self.schedule);
        }
    }
}
