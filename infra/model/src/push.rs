//! A receipt that the carrier pushes, of one part of one attempt that it has accepted: at any moment, whoever owns the batch. One that
//! changes nothing is no step.

use shared::{message::status::Status, platform::backoff::MAX_CRASHES};

use crate::{
    database::Row,
    mix::{Broken, Mix},
    model::Action,
    rules::{self, StatusUpdate},
    world::{PARTS, World, bit, parts_of},
};

/// What the row is to become; `None`: nothing, or a question to all parts.
fn judge(mix: &Mix, row: &Row, attempt: u8, status: Status) -> Option<StatusUpdate> {
    // By its id, if the answer with it is recorded, or by one of ours.
    let known = row.attempt != attempt || row.ids != 0 || mix.own_ids;
    let verdict = StatusUpdate {
        attempt,
        status,
        ids: parts_of(1, mix.parts),
    };
    (known && (mix.parts == 1 || status == Status::Undeliv)).then_some(verdict)
}

impl Mix {
    pub(crate) fn push_actions(&self, world: &World, actions: &mut Vec<Action>) {
        for at in 0..if self.pushes { self.recipients() } else { 0 } {
            let sent = (1..=self.max_attempts)
                .flat_map(|attempt| (0..PARTS).map(move |part| (attempt, part)));
            for (attempt, part) in sent
                .filter(|(attempt, part)| world.carrier[at].accepted & bit(*attempt, *part) != 0)
            {
                let mut words = vec![Status::Delivrd];
                words.extend(self.undelivered.then_some(Status::Undeliv));
                words.extend(self.forgets.then_some(Status::Enroute));
                for status in words {
                    let changes =
                        judge(self, &world.rows[at], attempt, status).is_some_and(|said| {
                            let mut row = world.rows[at];
                            let written = rules::receipt(&mut row, &said)
                                || rules::late_receipt(&mut row, &said);
                            written && row != world.rows[at]
                        });
                    actions.extend(changes.then_some(Action::Push {
                        at,
                        attempt,
                        part,
                        status,
                    }));
                }
            }
        }
    }
}

impl World {
    /// The transaction that records it, and has the batch looked at if nobody does: neither an owner, whose release counts the rows, nor a
    /// recheck that is due some time.
    pub(crate) fn push(&mut self, mix: &Mix, at: usize, (attempt, part): (u8, u8), status: Status) {
        let Some(said) = judge(mix, &self.rows[at], attempt, status) else {
            return;
        };
        if status == Status::Delivrd {
            self.carrier[at].delivered |= 1 << part;
        }
        let written = self.change(at, |row, _| {
            let written = rules::receipt(row, &said);
            if !written {
                rules::late_receipt(row, &said);
            }
            written
        });
        let parked = u32::from(self.batch.crashes) >= MAX_CRASHES;
        if written
            && !self.batch.check_at.is_set()
            && !parked
            && !mix.is_broken(Broken::ReceiptWithoutPoke)
            && self.batch.token.is_none()
        {
            rules::bring_forward(&mut self.batch, &mut self.schedule);
        }
    }
}
