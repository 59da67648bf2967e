//! The possible results of each random draw, with their probabilities from the settings.

use crate::message::Outcome;
use crate::random::Share;
use crate::settings::Settings;

/// A fault that prevents the acceptance of a submit request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum FaultBefore {
    /// `400 NO ROUTES`.
    NoRoutes,
    /// 429.
    Busy,
    /// 503.
    Unavailable,
}

/// A fault in the response to an accepted submit request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FaultAfter {
    Hang,
    Reset,
    Unavailable,
    EmptyObject,
    EmptyArray,
    Partial,
    Html,
}

/// A fault in the response to a status query.
#[derive(Debug, Clone, Copy)]
pub(crate) enum StatusFault {
    Error,
    Html,
    Hang,
}

impl Settings {
    /// Returns the outcomes of a message other than DELIVRD.
    pub(crate) fn message_outcomes(&self) -> [Share<Outcome>; 7] {
        let odd = if self.odd_for_ever {
            Outcome::OddForEver
        } else {
            Outcome::Odd
        };
        [
            Share::new("undeliv", Outcome::Undeliv, self.undeliv),
            Share::new("expired", Outcome::Expired, self.expired),
            Share::new("rejectd", Outcome::Rejectd, self.rejectd),
            Share::new("deleted", Outcome::Deleted, self.deleted),
            Share::new("unknown", Outcome::Unknown, self.unknown),
            Share::new("odd", odd, self.odd),
            Share::new("stuck", Outcome::Stuck, self.stuck),
        ]
    }

    /// Returns the faults that prevent the acceptance of a submit request.
    pub(crate) fn faults_before_acceptance(&self) -> [Share<FaultBefore>; 3] {
        use FaultBefore::{Busy, NoRoutes, Unavailable};
        [
            Share::new("refuse_4xx", NoRoutes, self.refuse_4xx),
            Share::new("busy_429", Busy, self.busy_429),
            Share::new("error_5xx_before", Unavailable, self.error_5xx_before),
        ]
    }

    /// Returns the faults in the response to an accepted submit request.
    pub(crate) fn faults_after_acceptance(&self) -> [Share<FaultAfter>; 7] {
        use FaultAfter::{EmptyArray, EmptyObject, Hang, Html, Partial, Reset, Unavailable};
        [
            Share::new("hang_after_accept", Hang, self.hang_after_accept),
            Share::new("reset_after_accept", Reset, self.reset_after_accept),
            Share::new(
                "error_5xx_after_accept",
                Unavailable,
                self.error_5xx_after_accept,
            ),
            Share::new("empty_object", EmptyObject, self.empty_object),
            Share::new("empty_array", EmptyArray, self.empty_array),
            Share::new("partial", Partial, self.partial),
            Share::new("html", Html, self.html),
        ]
    }

    /// Returns the faults in the response to a status query.
    pub(crate) fn status_query_faults(&self) -> [Share<StatusFault>; 3] {
        [
            Share::new("status_error", StatusFault::Error, self.status_error),
            Share::new("status_html", StatusFault::Html, self.status_html),
            Share::new("status_hang", StatusFault::Hang, self.status_hang),
        ]
    }
}
