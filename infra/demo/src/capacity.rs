//! The proof that a run has used the carrier's limit and kept it. Pure; the tests show that it can
//! fail.

use std::fmt::{self, Display, Formatter};

use crate::{carrier::Requests, proof::Findings, summary::grouped};

/// What a run has to reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Goals {
    /// The smallest share of the limit that is used.
    pub least_used: f64,
    /// The largest share of requests that are answered 429.
    pub most_refused: f64,
}

impl Goals {
    /// Returns the goals: lower ones if the system has to learn the limit.
    pub const fn new(is_learned: bool) -> Self {
        if is_learned {
            Self {
                least_used: 0.90,
                most_refused: 0.05,
            }
        } else {
            Self {
                least_used: 0.97,
                most_refused: 0.01,
            }
        }
    }
}

/// What was measured. Its `Display` is the printed text.
#[derive(Clone, Copy, Debug)]
pub struct CapacityUse {
    /// The limit in message parts per second.
    pub limit: u32,
    /// The goals.
    pub goals: Goals,
    /// The accepted message parts.
    pub parts: u64,
    /// The time from the first to the last acceptance.
    pub took_ms: u64,
    /// The requests.
    pub requests: Requests,
}

impl CapacityUse {
    /// Takes the acceptances from the findings of the proof.
    pub fn new(limit: u32, is_learned: bool, findings: &Findings, requests: Requests) -> Self {
        let times = findings.first_accepted_ms.zip(findings.last_accepted_ms);
        Self {
            limit,
            goals: Goals::new(is_learned),
            parts: findings.matched,
            took_ms: times.map_or(0, |(first, last)| last.abs_diff(first)),
            requests,
        }
    }

    /// Returns the used share of the limit; 0 if no time has passed.
    pub fn used(&self) -> f64 {
        let possible = f64::from(self.limit) * self.took_ms as f64 / 1000.0;
        if possible > 0.0 {
            self.parts as f64 / possible
        } else {
            0.0
        }
    }

    /// Returns the share of requests that were answered 429.
    pub fn refused(&self) -> f64 {
        self.requests.busy as f64 / self.requests.all.max(1) as f64
    }

    /// Returns whether both goals are reached.
    pub fn holds(&self) -> bool {
        self.used() >= self.goals.least_used && self.refused() <= self.goals.most_refused
    }
}

impl Display for CapacityUse {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let (used, refused) = (self.used() * 100.0, self.refused() * 100.0);
        let (least, most) = (
            self.goals.least_used * 100.0,
            self.goals.most_refused * 100.0,
        );
        writeln!(
            out,
            "Capacity    {used:.1} % of {} parts/s used: {} parts in {:.1} s (goal: at least {least:.0} %)",
            grouped(self.limit.into()),
            grouped(self.parts),
            self.took_ms as f64 / 1000.0
        )?;
        writeln!(
            out,
            "  {refused:.2} % of {} requests answered 429 (goal: at most {most:.0} %)",
            grouped(self.requests.all)
        )?;
        if used < least {
            writeln!(out, "  WRONG: less of the limit was used")?;
        }
        if refused > most {
            writeln!(out, "  WRONG: more requests were answered 429")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(parts: u64, busy: u64, is_learned: bool) -> CapacityUse {
        let findings = Findings {
            matched: parts,
            first_accepted_ms: Some(5_000),
            last_accepted_ms: Some(15_000),
            ..Findings::default()
        };
        let requests = Requests { all: 1000, busy };
        CapacityUse::new(1000, is_learned, &findings, requests)
    }

    #[test]
    fn too_little_use_or_too_many_refusals_fail() {
        // Parts in ten seconds, refused of 1,000 requests, learned, expected.
        let table = [
            (9_700, 10, false, true),
            (9_690, 0, false, false),
            (9_900, 11, false, false),
            (9_000, 50, true, true),
            (8_990, 0, true, false),
            (9_900, 51, true, false),
            (0, 0, true, false),
        ];
        for (parts, busy, is_learned, expected) in table {
            let measured = measured(parts, busy, is_learned);
            assert_eq!(measured.holds(), expected, "{measured}");
            assert_eq!(measured.to_string().contains("WRONG"), !expected);
        }
    }

    #[test]
    fn the_text_shows_both_shares_and_their_goals() {
        assert_eq!(
            measured(9_890, 2, false).to_string(),
            "Capacity    98.9 % of 1,000 parts/s used: 9,890 parts in 10.0 s (goal: at least 97 %)\n  \
             0.20 % of 1,000 requests answered 429 (goal: at most 1 %)\n"
        );
    }

    #[test]
    fn a_run_without_acceptances_fails() {
        let nothing = CapacityUse::new(1000, true, &Findings::default(), Requests::default());
        assert!(!nothing.holds());
    }
}
