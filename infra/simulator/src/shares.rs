//! What may happen to a message or a request, each with its share of all: the settings' tables for one draw each.

use crate::life::Fate;
use crate::settings::{Settings, SettingsError};

/// The setting's name, what it brings about, and its share.
pub(crate) type Share<T> = (&'static str, T, f64);

/// Why a request is refused before acceptance.
#[derive(Debug, Clone, Copy)]
pub(crate) enum FaultBefore {
    /// `400 NO ROUTES`.
    NoRoutes,
    /// 429.
    Busy,
    /// 503.
    Unavailable,
}

/// What goes wrong with the answer after acceptance.
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

/// What goes wrong with a status query.
#[derive(Debug, Clone, Copy)]
pub(crate) enum StatusFault {
    Error,
    Html,
    Hang,
}

impl Settings {
    /// Whether every share lies within its range, and the shares of one draw within 1.
    pub(crate) fn check_shares(&self) -> Result<(), SettingsError> {
        check(&self.fates())?;
        check(&self.faults_before())?;
        check(&self.faults_after())?;
        check(&self.status_faults())
    }

    pub(crate) fn fates(&self) -> [Share<Fate>; 7] {
        let odd = if self.odd_for_ever {
            Fate::OddForEver
        } else {
            Fate::Odd
        };
        [
            ("undeliv", Fate::Undeliv, self.undeliv),
            ("expired", Fate::Expired, self.expired),
            ("rejectd", Fate::Rejectd, self.rejectd),
            ("deleted", Fate::Deleted, self.deleted),
            ("unknown", Fate::Unknown, self.unknown),
            ("odd", odd, self.odd),
            ("stuck", Fate::Stuck, self.stuck),
        ]
    }

    pub(crate) fn faults_before(&self) -> [Share<FaultBefore>; 3] {
        [
            ("refuse_4xx", FaultBefore::NoRoutes, self.refuse_4xx),
            ("busy_429", FaultBefore::Busy, self.busy_429),
            (
                "error_5xx_before",
                FaultBefore::Unavailable,
                self.error_5xx_before,
            ),
        ]
    }

    pub(crate) fn faults_after(&self) -> [Share<FaultAfter>; 7] {
        [
            (
                "hang_after_accept",
                FaultAfter::Hang,
                self.hang_after_accept,
            ),
            (
                "reset_after_accept",
                FaultAfter::Reset,
                self.reset_after_accept,
            ),
            (
                "error_5xx_after_accept",
                FaultAfter::Unavailable,
                self.error_5xx_after_accept,
            ),
            ("empty_object", FaultAfter::EmptyObject, self.empty_object),
            ("empty_array", FaultAfter::EmptyArray, self.empty_array),
            ("partial", FaultAfter::Partial, self.partial),
            ("html", FaultAfter::Html, self.html),
        ]
    }

    pub(crate) fn status_faults(&self) -> [Share<StatusFault>; 3] {
        [
            ("status_error", StatusFault::Error, self.status_error),
            ("status_html", StatusFault::Html, self.status_html),
            ("status_hang", StatusFault::Hang, self.status_hang),
        ]
    }
}

fn check<T>(shares: &[Share<T>]) -> Result<(), SettingsError> {
    for (name, _, share) in shares {
        if !(0.0..=1.0).contains(share) {
            return Err(SettingsError::new(
                name,
                format!("must be from 0 to 1, not {share}"),
            ));
        }
    }
    // One draw decides between them. A hair more than 1 is allowed: ten times 0.1 isn't 1 either.
    if shares.iter().map(|(_, _, share)| share).sum::<f64>() > 1.0 + 1e-9 {
        let names = shares
            .iter()
            .map(|(name, _, _)| *name)
            .collect::<Vec<_>>()
            .join(", ");
        return Err(SettingsError::new(
            &names,
            "must not come to more than 1 together",
        ));
    }
    Ok(())
}
