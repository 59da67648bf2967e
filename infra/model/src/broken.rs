//! The test of the check: each rule, left out, and what then goes wrong.

use crate::mix::{Broken, Mix};

const ONE: Mix = Mix {
    requests: &[0b001],
    ..Mix::CALM
};
const DOUBLED: &str = "doubled 0";
const LOST: &str = "at rest nothing is lost";
const THROWN_AWAY: &str = "no answer is thrown away";

/// Rules that are left out, the smallest mix that shows why they are there, and the property that fails there.
pub const BROKEN: [(Mix, &str); 13] = [
    // Since no request starts under a lease that is over, the token of a mark is the second lock of the same door: both are open here.
    (
        Mix {
            broken: &[Broken::MarkWithoutToken, Broken::StartAfterLease],
            freeze: true,
            ..ONE
        },
        DOUBLED,
    ),
    (
        Mix {
            broken: &[Broken::StartAfterLease],
            own_ids: true,
            freeze: true,
            ..ONE
        },
        DOUBLED,
    ),
    (
        Mix {
            broken: &[Broken::AnswerNeedsToken],
            freeze: true,
            ..ONE
        },
        THROWN_AWAY,
    ),
    (
        Mix {
            broken: &[Broken::NoPoke],
            freeze: true,
            ..ONE
        },
        LOST,
    ),
    (
        Mix {
            broken: &[Broken::UnmarkWithoutToken],
            freeze: true,
            ..ONE
        },
        DOUBLED,
    ),
    (
        Mix {
            broken: &[Broken::LeftoversPending],
            crash: true,
            ..ONE
        },
        DOUBLED,
    ),
    (
        Mix {
            broken: &[Broken::LostIsNotAccepted],
            lost: true,
            ..ONE
        },
        DOUBLED,
    ),
    (
        Mix {
            broken: &[Broken::NoQuietTime],
            own_ids: true,
            lost: true,
            ..ONE
        },
        DOUBLED,
    ),
    (
        Mix {
            broken: &[Broken::QuietWhenRecorded],
            own_ids: true,
            lost: true,
            ..ONE
        },
        DOUBLED,
    ),
    (
        Mix {
            broken: &[Broken::VerdictWithoutPoke],
            own_ids: true,
            lost: true,
            freeze: true,
            forgets: true,
            ..ONE
        },
        LOST,
    ),
    (
        Mix {
            broken: &[Broken::ReceiptWithoutPoke],
            own_ids: true,
            lost: true,
            pushes: true,
            forgets: true,
            ..ONE
        },
        LOST,
    ),
    (
        Mix {
            broken: &[Broken::HoldWithoutSchedule],
            lateness: true,
            moves: 1,
            ..ONE
        },
        LOST,
    ),
    (
        Mix {
            broken: &[Broken::HoldSurvivesCancel],
            lateness: true,
            moves: 1,
            ..ONE
        },
        LOST,
    ),
];
