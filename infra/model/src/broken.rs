//! Broken variants, which prove that the check can fail: each omits a rule and violates a property.

use crate::mix::{Broken, Mix};

const ONE: Mix = Mix {
    requests: &[0b001],
    ..Mix::CALM
};
const SENT_TWICE: &str = "no recipient is sent twice";
const LOST: &str = "at rest no recipient is lost";
const DISCARDED: &str = "no answer is discarded";
const EXPIRED: &str = "nothing is sent that has expired";
const CANCELLED: &str = "nothing is sent that was cancelled in time";
const CHANGED: &str = "what was changed in time is sent as changed";
const REJECTED: &str = "only a refused number is rejected";
const UNCERTAIN: &str = "at rest only what may have been sent is UNCERTAIN";

/// One recipient is cancelled while two are marked, and a change of the third takes the batch from
/// its owner.
const CHANGED_IN_A_FLUSH: Mix = Mix {
    requests: &[0b011, 0b100],
    max_in_flight: 1,
    changes: true,
    max_attempts: 2,
    ..Mix::CALM
};

/// Each broken variant, as the smallest mix that shows why its rule exists, with the property that
/// it violates.
pub const BROKEN: [(Mix, &str); 29] = [
    // The attempt keeps two owners from marking the same recipient. The token keeps an owner that has
    // lost the batch to a change from sending what it had read.
    (
        Mix {
            broken: &[Broken::MarkWithoutToken],
            changes: true,
            ..ONE
        },
        CHANGED,
    ),
    (
        Mix {
            broken: &[Broken::StartAfterLeaseEnd],
            own_ids: true,
            freeze: true,
            ..ONE
        },
        SENT_TWICE,
    ),
    (
        Mix {
            broken: &[Broken::AnswerNeedsToken],
            freeze: true,
            ..ONE
        },
        DISCARDED,
    ),
    (
        Mix {
            broken: &[Broken::AnswerThatMakesNothingDue],
            freeze: true,
            ..ONE
        },
        LOST,
    ),
    (
        Mix {
            broken: &[Broken::UnmarkByAttemptOnly],
            freeze: true,
            ..ONE
        },
        SENT_TWICE,
    ),
    (
        Mix {
            broken: &[Broken::UnmarkNeedsToken],
            ..CHANGED_IN_A_FLUSH
        },
        UNCERTAIN,
    ),
    (
        Mix {
            broken: &[Broken::UnmarkOfSendingOnly],
            ..CHANGED_IN_A_FLUSH
        },
        UNCERTAIN,
    ),
    (
        Mix {
            broken: &[Broken::UnmarkThatMakesNothingDue],
            ..CHANGED_IN_A_FLUSH
        },
        LOST,
    ),
    (
        Mix {
            broken: &[Broken::LeftoversBecomePending],
            crash: true,
            ..ONE
        },
        SENT_TWICE,
    ),
    (
        Mix {
            broken: &[Broken::LostAnswerCountsAsNotAccepted],
            lost: true,
            ..ONE
        },
        SENT_TWICE,
    ),
    (
        Mix {
            broken: &[Broken::NoQuietTime],
            own_ids: true,
            lost: true,
            ..ONE
        },
        SENT_TWICE,
    ),
    (
        Mix {
            broken: &[Broken::QuietTimeCheckedAtRecord],
            own_ids: true,
            lost: true,
            ..ONE
        },
        SENT_TWICE,
    ),
    (
        Mix {
            broken: &[Broken::StatusUpdateThatMakesNothingDue],
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
            broken: &[Broken::ReceiptThatMakesNothingDue],
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
            broken: &[Broken::ExpiryWithoutToken],
            end: true,
            freeze: true,
            moves: 1,
            ..ONE
        },
        EXPIRED,
    ),
    (
        Mix {
            broken: &[Broken::EndCheckedAtClaimOnly],
            end: true,
            ..ONE
        },
        "nothing is sent after the schedule's end",
    ),
    (
        Mix {
            broken: &[Broken::ExpiryIsResent],
            end: true,
            max_resends: 1,
            max_in_flight: 1,
            moves: 1,
            ..Mix::CALM
        },
        EXPIRED,
    ),
    (
        Mix {
            broken: &[Broken::RefusedResendIsHeld],
            throttle: true,
            lateness: true,
            undelivered: true,
            max_resends: 1,
            ..ONE
        },
        LOST,
    ),
    (
        Mix {
            broken: &[Broken::RejectedWithoutAcceptance],
            refuse: true,
            ..ONE
        },
        REJECTED,
    ),
    (
        Mix {
            broken: &[Broken::AccountRefusalCountsAsNumber],
            account: true,
            ..Mix::CALM
        },
        REJECTED,
    ),
    (
        Mix {
            broken: &[Broken::ReturnWithoutTurn],
            admission: true,
            queues: true,
            ..ONE
        },
        LOST,
    ),
    (
        Mix {
            broken: &[Broken::TurnEndsUnchecked],
            admission: true,
            queues: true,
            ..ONE
        },
        LOST,
    ),
    (
        Mix {
            broken: &[Broken::BrakeReleasesNothing],
            brake: true,
            moves: 1,
            queues: true,
            ..ONE
        },
        LOST,
    ),
    (
        Mix {
            broken: &[Broken::ClaimedBatchWaits],
            admission: true,
            queues: true,
            crash: true,
            moves: 2,
            ..ONE
        },
        LOST,
    ),
    (
        Mix {
            broken: &[Broken::HoldIgnoresSchedule],
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
    (
        Mix {
            broken: &[Broken::CancelIgnoresMark],
            changes: true,
            ..ONE
        },
        CANCELLED,
    ),
    (
        Mix {
            broken: &[Broken::ChangeKeepsClaim],
            changes: true,
            ..ONE
        },
        CHANGED,
    ),
    (
        Mix {
            broken: &[Broken::RequestCarriesNumberTwice],
            same_number: true,
            ..Mix::CALM
        },
        "each accepted message is sent",
    ),
];
