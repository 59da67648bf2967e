//! The timeline of a run's interventions: those that the plan names, the ends of the intervals that
//! have begun, and the acts that failed and are repeated. Pure: [`super::world`] executes the
//! steps.

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    conditions::IntervalId,
    intervention::{Act, Condition, Intervention},
    plan::Scheduled,
};

/// An operator repeats a call that the API could not execute after this time.
const RETRY_DELAY: TimeDelta = TimeDelta::minutes(2);

/// What the world executes at one moment.
#[derive(Clone, Copy)]
pub enum Step {
    /// Executes an act.
    Execute(Act),
    /// Begins an interval.
    Begin(IntervalId, Condition),
    /// Ends an interval.
    End(IntervalId),
}

#[derive(Clone, Copy)]
enum Pending {
    Planned(Intervention),
    Step(Step),
}

/// The interventions that are still to come, in the order of their times.
pub struct Script {
    pending: Vec<(DateTime<Utc>, Pending)>,
    intervals: u32,
}

impl Script {
    /// Starts the timeline of a plan's script for a schedule with that time.
    pub fn new(planned: &[Scheduled], run_at: DateTime<Utc>) -> Self {
        let mut script = Self {
            pending: Vec::new(),
            intervals: 0,
        };
        for scheduled in planned {
            let at = run_at + TimeDelta::seconds(scheduled.at_s);
            script.insert(at, Pending::Planned(scheduled.intervention));
        }
        script
    }

    /// Returns when the next step is due.
    pub fn next_at(&self) -> Option<DateTime<Utc>> {
        self.pending.first().map(|(at, _)| *at)
    }

    /// Removes and returns the next step that is due.
    pub fn take_due(&mut self, now: DateTime<Utc>) -> Option<Step> {
        if self.next_at()? > now {
            return None;
        }
        match self.pending.remove(0).1 {
            Pending::Planned(intervention) => Some(self.begin(intervention, now)),
            Pending::Step(step) => Some(step),
        }
    }

    /// Returns the step that begins an intervention now. The end of an interval is put on the
    /// timeline here, for every fault.
    pub fn begin(&mut self, intervention: Intervention, now: DateTime<Utc>) -> Step {
        match intervention {
            Intervention::Once(act) => Step::Execute(act),
            Intervention::During { condition, for_s } => {
                self.intervals += 1;
                let id = IntervalId(self.intervals);
                let end = now + TimeDelta::seconds(for_s.into());
                self.insert(end, Pending::Step(Step::End(id)));
                Step::Begin(id, condition)
            }
        }
    }

    /// Repeats a step that could not be executed.
    pub fn retry(&mut self, step: Step, now: DateTime<Utc>) {
        self.insert(now + RETRY_DELAY, Pending::Step(step));
    }

    fn insert(&mut self, at: DateTime<Utc>, pending: Pending) {
        let place = self.pending.partition_point(|(other, _)| *other <= at);
        self.pending.insert(place, (at, pending));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Server;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    #[test]
    fn an_interval_ends_after_its_length() {
        let refuses = Intervention::During {
            condition: Condition::Refuses(Server::Carrier),
            for_s: 40,
        };
        let mut script = Script::new(&[Scheduled::new(-10, refuses)], at(100));
        assert!(script.take_due(at(89)).is_none());
        let Some(Step::Begin(begun, _)) = script.take_due(at(90)) else {
            panic!("no interval begins");
        };
        assert_eq!(script.next_at(), Some(at(130)));
        assert!(script.take_due(at(129)).is_none());
        assert!(matches!(script.take_due(at(130)), Some(Step::End(ended)) if ended == begun));
        assert_eq!(script.next_at(), None);
    }

    #[test]
    fn a_step_that_is_retried_delays_no_other() {
        let purge = Intervention::Once(Act::PurgeQueues);
        let mut script = Script::new(&[Scheduled::new(30, purge)], at(0));
        script.retry(Step::Execute(Act::CutDatabaseConnections), at(0));
        assert_eq!(script.next_at(), Some(at(30)));
        assert!(matches!(
            script.take_due(at(30)),
            Some(Step::Execute(Act::PurgeQueues))
        ));
        assert_eq!(script.next_at(), Some(at(120)));
    }
}
