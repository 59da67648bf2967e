//! Counts of what the carrier was asked and what it answered: `GET /stats`.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

/// Full seconds for which rates are kept.
const SECONDS: u64 = 10;

/// What `GET /stats` answers. Seconds are those of the clock, not rolling ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Submit requests, refused ones included.
    pub requests: u64,
    /// Submit requests accepted, whatever their answer became.
    pub accepted_requests: u64,
    /// Messages accepted, each part of a long text for itself: the ledger's length.
    pub accepted: u64,
    /// Ids issued for a number named a second time in one request.
    pub duplicates: u64,
    /// Submit requests refused before acceptance, by cause; a cause that never occurred is missing.
    pub refused: BTreeMap<String, u64>,
    /// Answers spoilt, by setting; one that never took effect is missing.
    pub faults: BTreeMap<String, u64>,
    /// Status queries.
    pub status_queries: u64,
    /// Messages accepted in each of the last ten full seconds, the oldest first.
    pub acceptances_per_second: Vec<u64>,
    /// Submit requests in the last full second.
    pub requests_last_second: u64,
    /// The most submit requests in any second.
    pub requests_peak_per_second: u64,
    /// Submit requests being answered right now.
    pub in_flight: u64,
    /// The most at any moment.
    pub in_flight_peak: u64,
}

#[derive(Default)]
struct Second {
    at_s: u64,
    requests: u64,
    acceptances: u64,
}

/// The running counts.
#[derive(Default)]
pub(crate) struct Tally {
    totals: Stats,
    seconds: VecDeque<Second>,
}

impl Tally {
    /// A submit request came in.
    pub(crate) fn request_begins(&mut self, now_ms: u64) {
        self.totals.requests += 1;
        self.totals.in_flight += 1;
        self.totals.in_flight_peak = self.totals.in_flight_peak.max(self.totals.in_flight);
        let second = self.second(now_ms);
        second.requests += 1;
        let requests = second.requests;
        self.totals.requests_peak_per_second = self.totals.requests_peak_per_second.max(requests);
    }

    /// A submit request was answered, or its client has gone.
    pub(crate) fn request_ends(&mut self) {
        // A reset may have come in between.
        self.totals.in_flight = self.totals.in_flight.saturating_sub(1);
    }

    /// A submit request was accepted with so many messages and duplicates.
    pub(crate) fn accepted(&mut self, now_ms: u64, messages: u64, duplicates: u64) {
        self.totals.accepted_requests += 1;
        self.totals.accepted += messages;
        self.totals.duplicates += duplicates;
        self.second(now_ms).acceptances += messages;
    }

    /// A submit request was refused.
    pub(crate) fn refused(&mut self, cause: &str) {
        *self.totals.refused.entry(cause.to_owned()).or_default() += 1;
    }

    /// An answer was spoilt.
    pub(crate) fn fault(&mut self, setting: &str) {
        *self.totals.faults.entry(setting.to_owned()).or_default() += 1;
    }

    /// A status was asked for.
    pub(crate) fn status_query(&mut self) {
        self.totals.status_queries += 1;
    }

    /// The counts from 0 again; requests under way stay so.
    pub(crate) fn reset(&mut self) {
        let in_flight = self.totals.in_flight;
        *self = Self::default();
        self.totals.in_flight = in_flight;
        self.totals.in_flight_peak = in_flight;
    }

    /// The counts as they stand.
    pub(crate) fn stats(&self, now_ms: u64) -> Stats {
        let this_second = now_ms / 1_000;
        let at = |at_s| self.seconds.iter().find(|second| second.at_s == at_s);
        Stats {
            acceptances_per_second: (this_second.saturating_sub(SECONDS)..this_second)
                .map(|at_s| at(at_s).map_or(0, |second| second.acceptances))
                .collect(),
            requests_last_second: at(this_second.saturating_sub(1))
                .map_or(0, |second| second.requests),
            ..self.totals.clone()
        }
    }

    fn second(&mut self, now_ms: u64) -> &mut Second {
        let at_s = now_ms / 1_000;
        if self.seconds.back().is_none_or(|last| last.at_s != at_s) {
            self.seconds.push_back(Second {
                at_s,
                ..Second::default()
            });
            if self.seconds.len() as u64 > SECONDS + 1 {
                self.seconds.pop_front();
            }
        }
        let last = self.seconds.len() - 1;
        &mut self.seconds[last]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_told_for_full_seconds() {
        let mut tally = Tally::default();
        for now_ms in [95_000, 95_999, 96_000, 97_000] {
            tally.request_begins(now_ms);
            tally.accepted(now_ms, 100, 0);
            tally.request_ends();
        }
        let stats = tally.stats(97_500);
        assert_eq!(stats.acceptances_per_second[8..], [200, 100]);
        assert_eq!(
            (stats.requests_last_second, stats.requests_peak_per_second),
            (1, 2)
        );
        assert_eq!(
            (stats.accepted, stats.in_flight, stats.in_flight_peak),
            (400, 0, 1)
        );
    }
}
