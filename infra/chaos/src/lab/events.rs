//! One-time schedules that behave like EventBridge's on the run's clock: they fire at least once,
//! up to a minute late. With the plan's faults they do not fire, fire several times, hours early or
//! late, or after they were deleted.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use shared::platform::{queue::DispatchMessage, scheduler::OneTimeScheduler};

use super::{plan::SchedulerFaults, rng::SharedRng};

/// A one-time schedule that will fire.
#[derive(Clone, Copy)]
pub struct Event {
    /// When it fires.
    pub at: DateTime<Utc>,
    /// The event that dispatch receives.
    pub message: DispatchMessage,
    /// How many invocations Lambda has repeated.
    pub retries: u32,
}

/// The one-time schedules of a run.
pub struct LabScheduler {
    rng: SharedRng,
    faults: SchedulerFaults,
    events: Mutex<Vec<Event>>,
}

impl LabScheduler {
    /// Starts without schedules.
    pub fn new(rng: SharedRng, faults: SchedulerFaults) -> Arc<Self> {
        Arc::new(Self {
            rng,
            faults,
            events: Mutex::default(),
        })
    }

    fn events(&self) -> MutexGuard<'_, Vec<Event>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when the next schedule fires.
    pub fn next_at(&self) -> Option<DateTime<Utc>> {
        self.events().iter().map(|event| event.at).min()
    }

    /// Removes and returns a schedule that fires now.
    pub fn fire(&self, now: DateTime<Utc>) -> Option<Event> {
        let mut events = self.events();
        let place = events.iter().position(|event| event.at <= now)?;
        Some(events.swap_remove(place))
    }

    /// Repeats an invocation that failed. Lambda repeats an asynchronous invocation twice, after
    /// one minute and after two, and then gives it up: returns false.
    pub fn retry(&self, event: Event, now: DateTime<Utc>) -> bool {
        let repeats = event.retries < 2;
        if repeats {
            let retries = event.retries + 1;
            self.events().push(Event {
                at: now + TimeDelta::minutes(retries.into()),
                retries,
                ..event
            });
        }
        repeats
    }
}

#[async_trait]
impl OneTimeScheduler for LabScheduler {
    async fn create(&self, message: DispatchMessage, fire_at: DateTime<Utc>) -> anyhow::Result<()> {
        if self.faults.never {
            return Ok(());
        }
        let usual = if self.rng.chance(0.2) {
            self.rng.delta(0..=60_000)
        } else {
            self.rng.delta(0..=2_000)
        };
        let at = fire_at + usual + self.rng.delta(0..=u64::from(self.faults.late_s) * 1000);
        let early = self
            .faults
            .early_s
            .iter()
            .map(|&early_s| fire_at - TimeDelta::seconds(early_s.into()));
        let again = self
            .faults
            .again_s
            .iter()
            .map(|&again_s| at + TimeDelta::seconds(again_s.into()));
        self.events()
            .extend(early.chain([at]).chain(again).map(|at| Event {
                at,
                message,
                retries: 0,
            }));
        Ok(())
    }

    async fn delete(&self, message: DispatchMessage) -> anyhow::Result<()> {
        if !self.faults.ignore_deletion {
            self.events().retain(|event| event.message != message);
        }
        Ok(())
    }
}
