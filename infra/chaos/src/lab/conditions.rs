//! The conditions that hold at one moment of a run.
//!
//! The state of the carrier and of the network is computed from the normal state and the conditions
//! that hold. It is therefore the normal state as soon as no condition holds.

use simulator::Settings;

use super::intervention::Condition;
use crate::server::Server;

/// Identifies one interval of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntervalId(pub u32);

/// The conditions that hold, in the order in which they began.
#[derive(Default)]
pub struct Conditions(Vec<(IntervalId, Condition)>);

impl Conditions {
    /// Adds a condition.
    pub fn begin(&mut self, id: IntervalId, condition: Condition) {
        self.0.push((id, condition));
    }

    /// Removes the condition of that interval.
    pub fn end(&mut self, id: IntervalId) {
        self.0.retain(|(active, _)| *active != id);
    }

    /// Returns the carrier's settings, given the normal ones.
    pub fn carrier_settings(&self, normal: &Settings) -> Settings {
        let mut settings = normal.clone();
        for (_, condition) in &self.0 {
            match condition {
                Condition::CarrierSettings(change) => change(&mut settings),
                Condition::Refuses(_) => {}
            }
        }
        settings
    }

    /// Returns whether the port of that server is closed.
    pub fn refuses(&self, server: Server) -> bool {
        self.0.iter().any(|(_, condition)| match condition {
            Condition::Refuses(closed) => *closed == server,
            Condition::CarrierSettings(_) => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_conditions_end_independently() {
        let normal = Settings {
            status_error: 0.1,
            ..Settings::default()
        };
        let mut conditions = Conditions::default();
        conditions.begin(
            IntervalId(1),
            Condition::CarrierSettings(|carrier| carrier.status_error = 1.0),
        );
        conditions.begin(IntervalId(2), Condition::Refuses(Server::Carrier));
        conditions.begin(
            IntervalId(3),
            Condition::CarrierSettings(|carrier| carrier.busy_429 = 0.5),
        );
        conditions.end(IntervalId(1));
        let expected = Settings {
            busy_429: 0.5,
            ..normal.clone()
        };
        assert_eq!(conditions.carrier_settings(&normal), expected);
        assert!(conditions.refuses(Server::Carrier) && !conditions.refuses(Server::Database));
        conditions.end(IntervalId(2));
        conditions.end(IntervalId(3));
        assert_eq!(conditions.carrier_settings(&normal), normal);
        assert!(!conditions.refuses(Server::Carrier));
    }
}
