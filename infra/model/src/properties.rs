//! What must hold in every state, and what at rest.

use shared::{message::status::Status, platform::backoff::MAX_CRASHES};
use stateright::Property;

use crate::{
    database::{Age, Due, Life, ROWS},
    mix::Mix,
    world::World,
};

fn property(name: &'static str, holds: fn(&Mix, &World) -> bool) -> Property<Mix> {
    Property::always(name, holds)
}

/// Every property of the protocol.
pub fn all() -> Vec<Property<Mix>> {
    vec![
        property("doubled 0", |_, world| {
            world
                .carrier
                .iter()
                .all(|it| it.times_accepted() <= 1 + it.allowed)
        }),
        property("no acceptance is forgotten", |_, world| {
            (0..ROWS).all(|at| !world.has_forgotten(at))
        }),
        property("a state never goes back", |_, world| {
            !world.noticed.went_back
        }),
        property("final is final", |_, world| !world.noticed.final_changed),
        property("no answer is thrown away", |_, world| {
            !world.noticed.answer_thrown_away
        }),
        property("what is due is in the sweep's sight", |_, world| {
            world.is_in_sight()
        }),
        property(
            "delivered when all known parts are",
            World::is_delivered_whole,
        ),
        property("at rest nothing is lost", |mix, world| {
            !world.is_at_rest(mix) || world.is_settled(mix)
        }),
        property("at rest the counts are the rows'", |mix, world| {
            !world.is_at_rest(mix) || world.is_counted()
        }),
    ]
}

impl World {
    /// The carrier has accepted the attempt, and the row says that it was never sent.
    fn has_forgotten(&self, at: usize) -> bool {
        let row = &self.rows[at];
        let denies = matches!(
            row.status,
            Status::Pending | Status::Cancelled | Status::Rejectd | Status::Suppressed
        );
        row.attempt > 0
            && denies
            && self.carrier[at].has(row.attempt)
            && row.kept[usize::from(row.attempt)].is_none()
    }

    fn is_in_sight(&self) -> bool {
        let batch = &self.batch;
        batch.sweep_at != Due::Never
            || (batch.send_at == Due::Never
                && batch.check_at == Due::Never
                && batch.token.is_none())
    }

    fn is_delivered_whole(_: &Mix, world: &Self) -> bool {
        let whole = |at: usize| {
            let (row, carrier) = (&world.rows[at], &world.carrier[at]);
            row.status != Status::Delivrd
                || (row.ids != 0 && carrier.delivered & row.ids == row.ids)
        };
        (0..ROWS).all(whole)
    }

    fn is_parked(&self) -> bool {
        u32::from(self.batch.crashes) >= MAX_CRASHES
    }

    /// No message, no worker, nothing on the wire, and time and the sweep bring nothing.
    pub fn is_at_rest(&self, mix: &Mix) -> bool {
        let mut actions = Vec::new();
        mix.worker_actions(self, &mut actions);
        mix.queue_actions(self, &mut actions);
        mix.carrier_actions(self, &mut actions);
        let lease_runs = self.batch.token.is_some() && !self.batch.lease_over;
        actions.is_empty() && !lease_runs
    }

    /// Every row is where it may stay, or where a person sees that it is kept.
    fn is_settled(&self, mix: &Mix) -> bool {
        let paused = self.schedule.status == Life::Paused;
        let held = self.batch.missed && matches!(self.schedule.status, Life::Missed | Life::Paused);
        let ended = matches!(
            self.schedule.status,
            Life::Finished | Life::Missed | Life::Cancelled | Life::Paused
        );
        let stopped = matches!(self.schedule.status, Life::Cancelled | Life::Paused);
        let settled = |at: usize| {
            let row = &self.rows[at];
            match row.status {
                // What a dead owner has left of a paused batch is taken up when it goes on.
                _ if self.is_parked() || (paused && self.batch.token.is_some()) => true,
                Status::Pending => paused || held,
                Status::Uncertain if mix.resend_uncertain => {
                    row.resends >= mix.max_resends || stopped
                }
                Status::Uncertain => !mix.own_ids || row.age == Age::Old,
                Status::Sending | Status::Acceptd | Status::Enroute => false,
                Status::Undeliv | Status::Expired => row.resends >= mix.max_resends || stopped,
                _ => true,
            }
        };
        (0..mix.recipients()).all(settled) && (ended || self.is_parked())
    }

    fn is_counted(&self) -> bool {
        !self.uncounted
            || self.is_parked()
            || (self.schedule.status == Life::Paused && self.batch.token.is_some())
    }
}
