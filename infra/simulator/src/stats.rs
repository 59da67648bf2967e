//! Counts of requests and results: `GET /stats`.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

/// Full seconds for which rates are stored.
const SECONDS: u64 = 10;

/// The response of `GET /stats`. Seconds are those of the clock, not a rolling window.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Submit requests, including refused ones.
    pub requests: u64,
    /// Submit requests that were accepted, including those whose response had a fault.
    pub accepted_requests: u64,
    /// Messages that were accepted, the length of the ledger. Each part of a long text counts.
    pub accepted: u64,
    /// Ids that were issued for a number that occurs again in one request.
    pub duplicates: u64,
    /// Submit requests that were refused before acceptance, by cause. Causes without a count are
    /// omitted.
    pub refused: BTreeMap<String, u64>,
    /// Responses with a fault, by setting. Settings without a count are omitted.
    pub faults: BTreeMap<String, u64>,
    /// Status queries, including refused ones.
    pub status_queries: u64,
    /// Status queries that were refused with 429.
    pub status_refused: u64,
    /// Messages that were accepted in each of the last ten full seconds, oldest first.
    pub acceptances_per_second: Vec<u64>,
    /// The highest number of messages that were accepted in any second.
    pub acceptances_peak_per_second: u64,
    /// Submit requests in the last full second.
    pub requests_last_second: u64,
    /// The highest number of submit requests in any second.
    pub requests_peak_per_second: u64,
    /// Submit requests in progress.
    pub in_flight: u64,
    /// The highest number of submit requests in progress at any moment.
    pub in_flight_peak: u64,
}

#[derive(Default)]
struct Second {
    at_s: u64,
    requests: u64,
    acceptances: u64,
}

/// The counters behind [`Stats`].
#[derive(Default)]
pub(crate) struct Counters {
    totals: Stats,
    seconds: VecDeque<Second>,
}

impl Counters {
    /// Counts a submit request that begins.
    pub(crate) fn request_begins(&mut self, now_ms: u64) {
        self.totals.requests += 1;
        self.totals.in_flight += 1;
        self.totals.in_flight_peak = self.totals.in_flight_peak.max(self.totals.in_flight);
        let second = self.second(now_ms);
        second.requests += 1;
        let requests = second.requests;
        self.totals.requests_peak_per_second = self.totals.requests_peak_per_second.max(requests);
    }

    /// Counts the end of a submit request: its response was sent, or the client disconnected.
    pub(crate) fn request_ends(&mut self) {
        // A reset may have happened in between.
        self.totals.in_flight = self.totals.in_flight.saturating_sub(1);
    }

    /// Counts an accepted submit request with its messages and duplicates.
    pub(crate) fn accepted(&mut self, now_ms: u64, messages: u64, duplicates: u64) {
        self.totals.accepted_requests += 1;
        self.totals.accepted += messages;
        self.totals.duplicates += duplicates;
        let second = self.second(now_ms);
        second.acceptances += messages;
        let peak = second.acceptances;
        self.totals.acceptances_peak_per_second = self.totals.acceptances_peak_per_second.max(peak);
    }

    /// Counts a refused submit request.
    pub(crate) fn refused(&mut self, cause: &str) {
        *self.totals.refused.entry(cause.to_owned()).or_default() += 1;
    }

    /// Counts a response with a fault.
    pub(crate) fn fault(&mut self, setting: &str) {
        *self.totals.faults.entry(setting.to_owned()).or_default() += 1;
    }

    /// Counts a status query.
    pub(crate) fn status_query(&mut self) {
        self.totals.status_queries += 1;
    }

    /// Counts a status query that was refused with 429.
    pub(crate) fn status_refused(&mut self) {
        self.totals.status_refused += 1;
    }

    /// Sets the counts to 0. Requests in progress remain counted.
    pub(crate) fn reset(&mut self) {
        let in_flight = self.totals.in_flight;
        *self = Self::default();
        self.totals.in_flight = in_flight;
        self.totals.in_flight_peak = in_flight;
    }

    /// Returns the current counts.
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
    fn rates_are_reported_for_full_seconds() {
        let mut counters = Counters::default();
        for now_ms in [95_000, 95_999, 96_000, 97_000] {
            counters.request_begins(now_ms);
            counters.accepted(now_ms, 100, 0);
            counters.request_ends();
        }
        let stats = counters.stats(97_500);
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
