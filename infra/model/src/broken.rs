//! The test of the check: each rule, left out, and what then goes wrong.

use crate::world::{Broken, Mix};

/// A rule that is left out, the smallest mix that shows why it is there, and the property that fails there.
pub const BROKEN: [(Mix, &str); 11] = [
    (Mix { broken: &[Broken::MarkWithoutToken, Broken::StartAfterLease], freeze: true, requests: &[0b001], ..Mix::CALM }, "doubled 0"),
    (Mix { broken: &[Broken::AnswerNeedsToken], freeze: true, requests: &[0b001], ..Mix::CALM }, "no answer is thrown away"),
    (Mix { broken: &[Broken::NoPoke], freeze: true, requests: &[0b001], ..Mix::CALM }, "at rest nothing is lost"),
    (Mix { broken: &[Broken::UnmarkWithoutToken], freeze: true, requests: &[0b001], ..Mix::CALM }, "no acceptance is forgotten"),
    (Mix { broken: &[Broken::NoQuietTime], own_ids: true, lost: true, requests: &[0b001], ..Mix::CALM }, "no acceptance is forgotten"),
    (Mix { broken: &[Broken::QuietWhenRecorded], own_ids: true, lost: true, requests: &[0b001], ..Mix::CALM }, "no acceptance is forgotten"),
    (Mix { broken: &[Broken::VerdictWithoutPoke], own_ids: true, lost: true, freeze: true, forgets: true, requests: &[0b001], ..Mix::CALM }, "at rest nothing is lost"),
    (Mix { broken: &[Broken::LeftoversPending], crash: true, requests: &[0b001], ..Mix::CALM }, "no acceptance is forgotten"),
    (Mix { broken: &[Broken::StartAfterLease], own_ids: true, freeze: true, requests: &[0b001], ..Mix::CALM }, "no acceptance is forgotten"),
    (Mix { broken: &[Broken::HoldWithoutSchedule], lateness: true, moves: 1, requests: &[0b001], ..Mix::CALM }, "at rest nothing is lost"),
    (Mix { broken: &[Broken::LostIsNotAccepted], lost: true, requests: &[0b001], ..Mix::CALM }, "no acceptance is forgotten"),
];
