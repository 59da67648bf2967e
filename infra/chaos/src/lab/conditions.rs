//! The conditions that hold at one moment of a run.
//!
//! The state of the carrier and of the network is computed from the normal state and the conditions
//! that hold. It is therefore the normal state as soon as no condition holds.

use std::collections::HashSet;

use simulator::Settings;

use super::{function::Function, intervention::Condition};
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
            if let Condition::CarrierSettings(change) = condition {
                change(&mut settings);
            }
        }
        settings
    }

    /// Returns whether the port of that server is closed.
    pub fn refuses(&self, server: Server) -> bool {
        self.hold().any(|condition| match condition {
            Condition::Refuses(closed) => *closed == server,
            _ => false,
        })
    }

    /// Returns the functions that Lambda throttles.
    pub fn throttled(&self) -> HashSet<Function> {
        self.functions(|condition| match condition {
            Condition::Throttles(function) => Some(*function),
            _ => None,
        })
    }

    /// Returns the functions that cannot reach the database.
    pub fn without_database(&self) -> HashSet<Function> {
        self.functions(|condition| match condition {
            Condition::WithoutDatabase(function) => Some(*function),
            _ => None,
        })
    }

    fn functions(&self, of: fn(&Condition) -> Option<Function>) -> HashSet<Function> {
        self.hold().filter_map(of).collect()
    }

    /// Returns whether another client holds most connections to the database.
    pub fn hold_connections(&self) -> bool {
        self.hold()
            .any(|condition| matches!(condition, Condition::HoldsConnections))
    }

    /// Returns the status with which the webhook's receiver refuses events, if it does.
    pub fn webhook_answer(&self) -> Option<u16> {
        let answers = self.hold().filter_map(|condition| match condition {
            Condition::WebhookAnswers(status) => Some(*status),
            _ => None,
        });
        answers.last()
    }

    fn hold(&self) -> impl Iterator<Item = &Condition> {
        self.0.iter().map(|(_, condition)| condition)
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
