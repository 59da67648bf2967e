//! The properties that must hold in each state, and those that must hold at rest.

use shared::{message::status::Status, platform::backoff::MAX_CRASHES};
use stateright::Property;

use crate::{
    mix::Mix,
    rows::{Age, Due, ROWS, ScheduleStatus},
    world::{End, World},
};

fn property(name: &'static str, holds: fn(&Mix, &World) -> bool) -> Property<Mix> {
    Property::always(name, holds)
}

/// Returns all properties of the protocol.
pub fn all() -> Vec<Property<Mix>> {
    vec![
        property("no recipient is sent twice", |_, world| {
            world
                .carrier
                .iter()
                .all(|carrier| carrier.times_accepted() <= 1 + carrier.allowed_resends)
        }),
        property("each accepted message is sent", |_, world| {
            let mut carriers = world.carrier.iter();
            carriers.all(|carrier| carrier.accepted & carrier.swallowed == 0)
        }),
        property("no acceptance is forgotten", |_, world| {
            (0..ROWS).all(|recipient| !world.forgets_acceptance(recipient))
        }),
        property("a status never goes back", |_, world| {
            !world.violations.went_back
        }),
        property("final is final", |_, world| !world.violations.final_changed),
        property("nothing is sent after the schedule's end", |_, world| {
            !world.violations.sent_after_end
        }),
        property("nothing is sent that has expired", |_, world| {
            !world.violations.sent_after_expiry
        }),
        property("nothing is sent that was cancelled in time", |_, world| {
            !world.violations.sent_after_cancel
        }),
        property("what was changed in time is sent as changed", |_, world| {
            !world.violations.sent_unchanged
        }),
        property("only a refused number is rejected", |_, world| {
            !world.violations.rejected_wrongly
        }),
        property("no answer is discarded", |_, world| {
            !world.violations.answer_discarded
        }),
        property("the sweep finds each due batch", |_, world| {
            world.is_found_by_sweep()
        }),
        property(
            "DELIVRD only if all known parts are delivered",
            World::is_delivered_completely,
        ),
        property("at rest no recipient is lost", |mix, world| {
            !world.is_at_rest(mix) || world.is_settled(mix)
        }),
        property(
            "at rest only what may have been sent is UNCERTAIN",
            |mix, world| !world.is_at_rest(mix) || world.is_uncertain_with_reason(),
        ),
        property("at rest the counts match the rows", |mix, world| {
            !world.is_at_rest(mix) || world.is_counted()
        }),
    ]
}

impl World {
    /// Checks that the carrier has accepted the attempt although the row's status means that it was
    /// never sent.
    fn forgets_acceptance(&self, recipient: usize) -> bool {
        let row = &self.rows[recipient];
        let denies = matches!(
            row.status,
            Status::Pending | Status::Cancelled | Status::Rejectd | Status::Suppressed
        ) || row.ended;
        row.attempt > 0
            && denies
            && self.carrier[recipient].has_accepted(row.attempt)
            && row.earlier_attempts[usize::from(row.attempt)].is_none()
    }

    fn is_found_by_sweep(&self) -> bool {
        let batch = &self.batch;
        batch.sweep_at != Due::Never
            || (batch.send_at == Due::Never
                && batch.check_at == Due::Never
                && batch.token.is_none())
    }

    fn is_delivered_completely(_: &Mix, world: &Self) -> bool {
        let whole = |recipient: usize| {
            let (row, carrier) = (&world.rows[recipient], &world.carrier[recipient]);
            row.status != Status::Delivrd
                || (row.ids != 0 && carrier.delivered & row.ids == row.ids)
        };
        (0..ROWS).all(whole)
    }

    fn is_parked(&self) -> bool {
        u32::from(self.batch.crashes) >= MAX_CRASHES
    }

    /// Checks that the state is at rest: no worker runs, no message is queued, no request is on the
    /// wire, and neither time nor the sweep can change that. Until the brake is released there is no
    /// rest.
    pub fn is_at_rest(&self, mix: &Mix) -> bool {
        let mut actions = Vec::new();
        mix.worker_actions(self, &mut actions);
        mix.queue_actions(self, &mut actions);
        mix.carrier_actions(self, &mut actions);
        let lease_runs = self.batch.token.is_some() && !self.batch.lease_over;
        actions.is_empty() && !lease_runs && !self.stopped
    }

    /// Checks that each row has a status in which it may remain, or that an operator can see it.
    fn is_settled(&self, mix: &Mix) -> bool {
        let paused = self.schedule.status == ScheduleStatus::Paused;
        let held = self.batch.missed
            && matches!(
                self.schedule.status,
                ScheduleStatus::Missed | ScheduleStatus::Paused
            );
        let ended = matches!(
            self.schedule.status,
            ScheduleStatus::Finished
                | ScheduleStatus::Missed
                | ScheduleStatus::Cancelled
                | ScheduleStatus::Paused
        );
        // A batch that was released after the schedule's end is not due again for resends.
        let stopped = self.end != End::Ahead
            || matches!(
                self.schedule.status,
                ScheduleStatus::Cancelled | ScheduleStatus::Paused
            );
        let settled = |recipient: usize| {
            let row = &self.rows[recipient];
            match row.status {
                // The rows that a crashed owner left in a paused batch are claimed after the
                // resume.
                _ if self.is_parked() || (paused && self.batch.token.is_some()) => true,
                Status::Pending => paused || (held && row.resends == 0),
                Status::Uncertain if mix.resend_uncertain => {
                    row.resends >= mix.max_resends || stopped
                }
                Status::Uncertain => !mix.own_ids || row.age == Age::PastDeadline,
                Status::Sending | Status::Acceptd | Status::Enroute => false,
                Status::Expired if row.ended => true,
                Status::Undeliv | Status::Expired => row.resends >= mix.max_resends || stopped,
                _ => true,
            }
        };
        (0..mix.recipients()).all(settled) && (ended || self.is_parked())
    }

    /// Checks that each UNCERTAIN row has a request that was started, or whose process has crashed.
    fn is_uncertain_with_reason(&self) -> bool {
        let mut rows = self.rows.iter().zip(&self.carrier);
        rows.all(|(row, carrier)| row.status != Status::Uncertain || carrier.may_have_sent)
    }

    fn is_counted(&self) -> bool {
        !self.uncounted
            || self.is_parked()
            || (self.schedule.status == ScheduleStatus::Paused && self.batch.token.is_some())
    }
}
