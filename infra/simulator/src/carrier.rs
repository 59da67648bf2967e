//! The carrier's state, which all requests share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::now_ms;
use crate::ledger::{Ledger, LedgerLine};
use crate::parameters::Parameters;
use crate::random::Random;
use crate::rate_limit::RateLimits;
use crate::settings::{Settings, SettingsError};
use crate::stats::{Counters, Stats};

/// A handle to the carrier. Clones share one state.
#[derive(Clone)]
pub struct Carrier(Arc<Mutex<State>>);

/// The state behind a [`Carrier`].
pub(crate) struct State {
    pub(crate) settings: Settings,
    pub(crate) random: Random,
    pub(crate) ledger: Ledger,
    pub(crate) counters: Counters,
    pub(crate) rate_limits: RateLimits,
    /// Counts the resets, so that a reader of the ledger detects one.
    pub(crate) resets: u64,
}

impl Carrier {
    /// Creates a carrier with an empty ledger. Fails if a setting is out of range.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        settings.check()?;
        Ok(Self(Arc::new(Mutex::new(State {
            random: Random::new(settings.seed),
            settings,
            ledger: Ledger::new(),
            counters: Counters::default(),
            rate_limits: RateLimits::default(),
            resets: 0,
        }))))
    }

    /// Locks the state. The guard is never held across an `await`.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the current settings.
    pub fn settings(&self) -> Settings {
        self.state().settings.clone()
    }

    /// Replaces all settings. Changes nothing if one of them is out of range.
    pub fn set(&self, settings: Settings) -> Result<(), SettingsError> {
        self.state().set(settings)
    }

    /// Returns a copy of all acceptances, in order. For millions of them, use `GET /ledger`.
    pub fn ledger(&self) -> Vec<LedgerLine> {
        self.state().ledger.lines(0, u64::MAX).collect()
    }

    /// Returns the number of accepted messages.
    pub fn accepted(&self) -> u64 {
        self.state().ledger.len()
    }

    /// Returns the counts.
    pub fn stats(&self) -> Stats {
        self.state().counters.stats(now_ms())
    }

    /// Discards all messages and counts and restarts the random sequence. Keeps the settings.
    pub fn reset(&self) {
        let mut state = self.state();
        state.ledger = Ledger::new();
        state.counters.reset();
        state.rate_limits = RateLimits::default();
        state.random = Random::new(state.settings.seed);
        state.resets += 1;
    }
}

impl State {
    /// Checks the credentials of a request. A credential that the settings leave out is not
    /// checked.
    pub(crate) fn is_authorized(&self, parameters: &Parameters) -> bool {
        let Settings {
            unauthorized,
            username,
            password,
            ..
        } = &self.settings;
        let matches = |expected: &Option<String>, given: &Option<String>| {
            expected.is_none() || expected == given
        };
        !unauthorized
            && matches(username, &parameters.username)
            && matches(password, &parameters.password)
    }

    /// Replaces all settings. Changes nothing if one of them is out of range.
    pub(crate) fn set(&mut self, settings: Settings) -> Result<(), SettingsError> {
        settings.check()?;
        if settings.seed != self.settings.seed {
            self.random = Random::new(settings.seed);
        }
        if settings.undeliv_first_attempts == 0 {
            self.ledger.discard_attempt_counts();
        }
        self.settings = settings;
        Ok(())
    }
}
