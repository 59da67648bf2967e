//! The test of the check: each rule, left out, and what then goes wrong.

use crate::world::{Broken, Mix};

/// A rule that is left out, the smallest mix that shows why it is there, and the property that fails there.
pub const BROKEN: [(Mix, &str); 11] = [
    (Mix { broken: Some(Broken::MarkWithoutToken), freeze: true, requests: &[0b001], ..Mix::CALM }, "doubled 0"),
    (Mix { broken: Some(Broken::AnswerNeedsToken), freeze: true, requests: &[0b001], ..Mix::CALM }, "no answer is thrown away"),
    (Mix { broken: Some(Broken::NoPoke), freeze: true, requests: &[0b001], ..Mix::CALM }, "at rest nothing is lost"),
    (Mix { broken: Some(Broken::UnmarkWithoutToken), freeze: true, requests: &[0b001], ..Mix::CALM }, "no acceptance is forgotten"),
    (Mix { broken: Some(Broken::NoQuietTime), own_ids: true, lost: true, requests: &[0b001], ..Mix::CALM }, "no acceptance is forgotten"),
    (Mix { broken: Some(Broken::QuietWhenRecorded), own_ids: true, lost: true, requests: &[0b001], ..Mix::CALM }, "no acceptance is forgotten"),
    (Mix { broken: Some(Broken::VerdictWithoutPoke), own_ids: true, lost: true, freeze: true, forgets: true, requests: &[0b001], ..Mix::CALM }, "at rest nothing is lost"),
    (Mix { broken: Some(Broken::LeftoversPending), crash: true, requests: &[0b001], ..Mix::CALM }, "no acceptance is forgotten"),
    (Mix { broken: Some(Broken::StartAfterLease), own_ids: true, freeze: true, requests: &[0b001], ..Mix::CALM }, "no acceptance is forgotten"),
    (Mix { broken: Some(Broken::HoldWithoutSchedule), lateness: true, moves: 1, requests: &[0b001], ..Mix::CALM }, "at rest nothing is lost"),
    (Mix { broken: Some(Broken::LostIsNotAccepted), lost: true, requests: &[0b001], ..Mix::CALM }, "no acceptance is forgotten"),
];
