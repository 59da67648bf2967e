//! One-time schedules with EventBridge's manners on the run's clock: at least once, up to a minute late; and with what may go wrong
//! besides: never, twice, hours late, after they were deleted.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use shared::platform::{queue::DispatchMessage, scheduler::OneTimeScheduler};

use super::{dice::Dice, plan};

/// One that will fire.
#[derive(Clone, Copy)]
pub struct Event {
    /// When.
    pub at: DateTime<Utc>,
    /// What dispatch is told.
    pub message: DispatchMessage,
    /// How often Lambda has tried it.
    pub tried: u32,
}

/// See the module.
pub struct LabScheduler {
    dice: Dice,
    faults: plan::Events,
    events: Mutex<Vec<Event>>,
}

impl LabScheduler {
    /// One without schedules.
    pub fn new(dice: Dice, faults: plan::Events) -> Arc<Self> {
        Arc::new(Self {
            dice,
            faults,
            events: Mutex::default(),
        })
    }

    fn events(&self) -> MutexGuard<'_, Vec<Event>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the next one fires.
    pub fn next_at(&self) -> Option<DateTime<Utc>> {
        self.events().iter().map(|event| event.at).min()
    }

    /// One that fires now.
    pub fn fire(&self, now: DateTime<Utc>) -> Option<Event> {
        let mut events = self.events();
        let place = events.iter().position(|event| event.at <= now)?;
        Some(events.swap_remove(place))
    }

    /// Lambda tries an asynchronous invocation that failed twice more, after one minute and after two.
    pub fn failed(&self, event: Event, now: DateTime<Utc>) {
        if event.tried < 2 {
            let tried = event.tried + 1;
            self.events().push(Event {
                at: now + TimeDelta::minutes(tried.into()),
                tried,
                ..event
            });
        }
    }
}

#[async_trait]
impl OneTimeScheduler for LabScheduler {
    async fn create(&self, message: DispatchMessage, fire_at: DateTime<Utc>) -> anyhow::Result<()> {
        if self.faults.never {
            return Ok(());
        }
        let usual = if self.dice.chance(0.2) {
            self.dice.delta(0..=60_000)
        } else {
            self.dice.delta(0..=2_000)
        };
        let at = fire_at + usual + self.dice.delta(0..=u64::from(self.faults.late_s) * 1000);
        let again = self
            .faults
            .again_s
            .iter()
            .map(|&again_s| at + TimeDelta::seconds(again_s.into()));
        self.events()
            .extend(std::iter::once(at).chain(again).map(|at| Event {
                at,
                message,
                tried: 0,
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
