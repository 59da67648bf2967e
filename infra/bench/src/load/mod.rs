//! The work against which the functions are measured, done without them: bare loops of the same
//! requests ([`bare`]), a straightforward service ([`straightforward`]), the same rows in multi-row
//! statements ([`rows`]), and Kannel ([`kannel`]). Also old rows ([`copies`]).

pub mod bare;
pub mod copies;
pub mod kannel;
pub mod rows;
pub mod straightforward;

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use shared::carrier::{Carrier, CarrierSettings, Login, registry::ADAPTERS};

/// The text of all messages, one part.
pub const TEXT: &str = "Your parcel arrives tomorrow between 9 and 12.";
/// Numbers whose requests are in flight at a time, per environment of send: the uncertainty that a
/// crash leaves.
pub const NUMBERS_IN_FLIGHT: usize = 200;

/// How numbers are packed into requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// As many as the carrier's protocol allows.
    Hundred,
    /// One, with an id of our own.
    Single,
}

impl Packing {
    /// Returns the numbers of a request.
    pub const fn numbers(self) -> usize {
        match self {
            Self::Hundred => 100,
            Self::Single => 1,
        }
    }

    /// Returns the settings with which the functions use it.
    pub const fn settings(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Hundred => &[],
            Self::Single => &[
                ("CARRIER_ADAPTER", "alaris"),
                ("CARRIER_OWN_IDS", "true"),
                ("CARRIER_USERNAME", "bench"),
                ("CARRIER_PASSWORD", "bench"),
            ],
        }
    }

    /// Returns the requests in flight of `environments` environments of send.
    pub const fn requests_in_flight(self, environments: usize) -> usize {
        environments * NUMBERS_IN_FLIGHT / self.numbers()
    }

    /// Returns the functions' own client of the carrier.
    pub fn client(self, url: &str) -> anyhow::Result<Arc<dyn Carrier>> {
        let own_ids = self == Self::Single;
        let adapter = ADAPTERS
            .iter()
            .find(|adapter| adapter.takes_own_ids == own_ids);
        CarrierSettings {
            adapter: adapter.context("no adapter")?,
            url: url.to_owned(),
            timeout: Duration::from_secs(20),
            own_ids,
            login: own_ids.then(|| Login {
                username: "bench".into(),
                password: "bench".to_owned().into(),
            }),
        }
        .connect()
    }
}

/// Messages, and the time that they took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rate {
    /// The number of messages.
    pub messages: u64,
    /// The time.
    pub took: Duration,
}

impl Rate {
    /// Adds other messages and their time.
    pub fn add(&mut self, other: Self) {
        self.messages += other.messages;
        self.took += other.took;
    }

    /// Returns messages per second.
    pub fn per_second(self) -> f64 {
        self.messages as f64 / self.took.as_secs_f64().max(1e-9)
    }
}
