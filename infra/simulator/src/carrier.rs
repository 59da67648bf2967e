//! The carrier's state, shared by all requests.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::draws::Draws;
use crate::ledger::{Ledger, LedgerLine};
use crate::parameters::Parameters;
use crate::settings::{Settings, SettingsError};
use crate::stats::{Stats, Tally};

/// A handle to the carrier; clones share one state.
#[derive(Clone)]
pub struct Carrier(Arc<Mutex<State>>);

/// What the handle leads to.
pub(crate) struct State {
    pub(crate) settings: Settings,
    pub(crate) draws: Draws,
    pub(crate) ledger: Ledger,
    pub(crate) tally: Tally,
    pub(crate) capacity: Capacity,
    /// Counts resets, so that a ledger being read notices one.
    pub(crate) resets: u64,
}

impl Carrier {
    /// A carrier that has accepted nothing yet.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        settings.check()?;
        Ok(Self(Arc::new(Mutex::new(State {
            draws: Draws::new(settings.seed),
            settings,
            ledger: Ledger::new(),
            tally: Tally::default(),
            capacity: Capacity::default(),
            resets: 0,
        }))))
    }

    /// The state; never held across an `await`.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The settings in force.
    pub fn settings(&self) -> Settings {
        self.state().settings.clone()
    }

    /// Takes over all of `settings`, or nothing if they are out of range.
    pub fn set(&self, settings: Settings) -> Result<(), SettingsError> {
        self.state().set(settings)
    }

    /// Everything accepted so far, in order. Copies it: `GET /ledger` is for millions.
    pub fn ledger(&self) -> Vec<LedgerLine> {
        self.state().ledger.lines(0, u64::MAX).collect()
    }

    /// How many messages were accepted so far.
    pub fn accepted(&self) -> u64 {
        self.state().ledger.len()
    }

    /// The counts.
    pub fn stats(&self) -> Stats {
        self.state().tally.stats(now_ms())
    }

    /// Forgets all messages and counts and begins the draws anew. The settings stay.
    pub fn reset(&self) {
        let mut state = self.state();
        state.ledger = Ledger::new();
        state.tally.reset();
        state.capacity = Capacity::default();
        state.draws = Draws::new(state.settings.seed);
        state.resets += 1;
    }
}

impl State {
    /// Whether the credentials are right; any are if the settings name none.
    pub(crate) fn knows(&self, parameters: &Parameters) -> bool {
        let Settings {
            unauthorized,
            username,
            password,
            ..
        } = &self.settings;
        let fits =
            |wanted: &Option<String>, given: &Option<String>| wanted.is_none() || wanted == given;
        !unauthorized
            && fits(username, &parameters.username)
            && fits(password, &parameters.password)
    }

    /// Takes over all of `settings`, or nothing if they are out of range.
    pub(crate) fn set(&mut self, settings: Settings) -> Result<(), SettingsError> {
        settings.check()?;
        if settings.seed != self.settings.seed {
            self.draws = Draws::new(settings.seed);
        }
        if settings.undeliv_first_attempts == 0 {
            self.ledger.forget_attempts();
        }
        self.settings = settings;
        Ok(())
    }
}

/// The submit requests admitted during the last second.
#[derive(Default)]
pub(crate) struct Capacity(VecDeque<Instant>);

impl Capacity {
    /// Admits one more, unless any one second would then hold more than `most`; 0 is no limit.
    pub(crate) fn admit(&mut self, most: u32, now: Instant) -> bool {
        if most == 0 {
            self.0.clear();
            return true;
        }
        while self
            .0
            .front()
            .is_some_and(|admitted| now - *admitted >= Duration::from_secs(1))
        {
            self.0.pop_front();
        }
        let admitted = self.0.len() < most as usize;
        if admitted {
            self.0.push_back(now);
        }
        admitted
    }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_second_holds_more_than_the_capacity() {
        let mut capacity = Capacity::default();
        let start = Instant::now();
        let admitted = |capacity: &mut Capacity, at_ms| {
            capacity.admit(2, start + Duration::from_millis(at_ms))
        };
        let table = [
            (0, true),
            (900, true),
            (999, false),
            (1_000, true),
            (1_500, false),
            (1_900, true),
            (1_950, false),
        ];
        for (at_ms, expected) in table {
            assert_eq!(admitted(&mut capacity, at_ms), expected, "{at_ms}");
        }
    }
}
