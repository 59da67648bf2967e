//! A *mix*: the faults that can occur, and the rules that are omitted on purpose.

use crate::{
    rows::{Batch, Due, Hold, ROWS, Row, Schedule, ScheduleStatus},
    world::{CarrierState, End, TransitionViolations, WORKERS, Worker, World},
};

/// A rule that is omitted, to prove that the model detects its absence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// A mark checks the attempt but not the token.
    MarkWithoutToken,
    /// An answer is recorded only under the token.
    AnswerNeedsToken,
    /// An answer after the lease does not make the batch due again.
    AnswerThatMakesNothingDue,
    /// The removal of a mark checks the attempt but not the time of the mark.
    UnmarkByAttemptOnly,
    /// The removal of a mark needs the token.
    UnmarkNeedsToken,
    /// The removal of a mark does not match a row that the next owner has set UNCERTAIN.
    UnmarkOfSendingOnly,
    /// The removal of a mark after the lease does not make the batch due again.
    UnmarkThatMakesNothingDue,
    /// "Not found" is accepted at once.
    NoQuietTime,
    /// "Not found" is accepted if the quiet time has passed when it is recorded, not when it was
    /// queried.
    QuietTimeCheckedAtRecord,
    /// A status update after the lease does not make the batch due again.
    StatusUpdateThatMakesNothingDue,
    /// A receipt does not make a batch due again that has neither an owner nor a recheck time.
    ReceiptThatMakesNothingDue,
    /// A row that a crashed owner left SENDING becomes PENDING instead of UNCERTAIN.
    LeftoversBecomePending,
    /// A request starts after the lease has ended.
    StartAfterLeaseEnd,
    /// The hold of a late batch does not check the schedule's status.
    HoldIgnoresSchedule,
    /// A cancel does not remove the hold of a batch that has an owner.
    HoldSurvivesCancel,
    /// A lost answer is treated as "not accepted".
    LostAnswerCountsAsNotAccepted,
    /// PENDING rows expire at the schedule's end without the token.
    ExpiryWithoutToken,
    /// The schedule's end is checked when a pass begins and not when a request starts.
    EndCheckedAtClaimOnly,
    /// A row that has expired at the schedule's end is sent again like an EXPIRED of the carrier.
    ExpiryIsResent,
    /// A resend that the carrier answered with 429 is held like a row that was never sent.
    RefusedResendIsHeld,
    /// A refused row becomes REJECTD although the carrier accepted nothing in the pass.
    RejectedWithoutAcceptance,
    /// A refusal of the account is treated like that of a number: the schedule is not paused.
    AccountRefusalCountsAsNumber,
    /// A batch that returns to waiting opens no turn.
    ReturnWithoutTurn,
    /// The release of the brake does not make due what the sweep has skipped.
    BrakeReleasesNothing,
    /// A turn ends when its admission has found nothing that waits, whatever waits since.
    TurnEndsUnchecked,
    /// An operator's call makes batches wait that a crashed owner still holds.
    ClaimedBatchWaits,
    /// A recipient is cancelled although its mark has preceded.
    CancelIgnoresMark,
    /// A recipient is changed while a worker that has read it keeps its claim.
    ChangeKeepsClaim,
    /// A request carries two recipients with one number.
    RequestCarriesNumberTwice,
}

/// The faults that can occur, and the bounds of the exploration.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "switches")]
pub struct Mix {
    /// Its name.
    pub name: &'static str,
    /// The requests, each as a set of recipients in bits.
    pub requests: &'static [u8],
    /// Concurrent requests.
    pub max_in_flight: usize,
    /// Parts of the text.
    pub parts: u8,
    /// The maximum number of marks per recipient. States beyond it are out of bounds.
    pub max_attempts: u8,
    /// `max_resends`
    pub max_resends: u8,
    /// `on_uncertain: resend`
    pub resend_uncertain: bool,
    /// The carrier accepts own ids in queries.
    pub own_ids: bool,
    /// Processes crash.
    pub crash: bool,
    /// A lease ends while its owner is frozen; the owner continues later.
    pub freeze: bool,
    /// Answers are lost, and requests are lost on the wire.
    pub lost: bool,
    /// An answer omits numbers.
    pub partial: bool,
    /// The carrier answers 429.
    pub throttle: bool,
    /// The carrier answers with a text of 4xx: PENDING, and in the end REJECTD.
    pub refuse: bool,
    /// The carrier refuses the account, such as for lack of credit: the schedule is paused.
    pub account: bool,
    /// The schedule has an end, which can pass. An operator can move it to a later time.
    pub end: bool,
    /// The carrier reports UNDELIV.
    pub undelivered: bool,
    /// The carrier reports ENROUTE and later loses the status: UNKNOWN at the deadline.
    pub forgets: bool,
    /// The answer to a commit is lost, so that the transaction is executed twice.
    pub commit_lost: bool,
    /// The queues lose and duplicate messages. Otherwise the next message is always available.
    pub queues: bool,
    /// The batch can become late.
    pub lateness: bool,
    /// The number of pauses, resumes and cancels.
    pub moves: u8,
    /// The batch waits for its turn after the cut, and returns to waiting after a pass. Needs
    /// `queues`.
    pub admission: bool,
    /// An operator may stop all sending, which counts as a move, and resume it.
    pub brake: bool,
    /// An operator resolves UNCERTAIN rows.
    pub operator: bool,
    /// The carrier pushes receipts at any time after the acceptance.
    pub pushes: bool,
    /// Callers cancel and change recipients, each at most once.
    pub changes: bool,
    /// All recipients have the same number, each in a request of its own.
    pub same_number: bool,
    /// The omitted rules.
    pub broken: &'static [Broken],
}

impl Mix {
    /// A mix without faults.
    pub const CALM: Self = Self {
        name: "calm",
        requests: &[0b001, 0b010],
        max_in_flight: 2,
        parts: 1,
        max_attempts: 3,
        max_resends: 0,
        resend_uncertain: false,
        own_ids: false,
        crash: false,
        freeze: false,
        lost: false,
        partial: false,
        throttle: false,
        refuse: false,
        account: false,
        end: false,
        undelivered: false,
        forgets: false,
        commit_lost: false,
        queues: false,
        lateness: false,
        moves: 0,
        brake: false,
        operator: false,
        admission: false,
        pushes: false,
        changes: false,
        same_number: false,
        broken: &[],
    };

    /// Returns the requests. Each carries a number once; two recipients with one number are in
    /// different batches ([`crate::copies`]), which this model reduces to different requests.
    pub fn requests(&self) -> &'static [u8] {
        if self.is_broken(Broken::RequestCarriesNumberTwice) {
            &[0b011]
        } else {
            self.requests
        }
    }

    /// Returns its name, or the omitted rules.
    pub fn title(&self) -> String {
        if self.broken.is_empty() {
            self.name.to_owned()
        } else {
            format!("broken: {:?}", self.broken)
        }
    }

    /// Returns the number of recipients.
    pub fn recipients(&self) -> usize {
        self.requests
            .iter()
            .map(|request| request.count_ones() as usize)
            .sum()
    }

    /// Checks that the rule is omitted.
    pub fn is_broken(&self, rule: Broken) -> bool {
        self.broken.contains(&rule)
    }

    /// Returns the initial state: a batch that has just been cut.
    pub fn world(&self) -> World {
        let batch = Batch {
            send_at: Due::Now,
            waiting: self.admission,
            check_at: Due::Never,
            sweep_at: if self.admission {
                Due::Unreachable
            } else {
                Due::Now
            },
            token: None,
            lease_over: false,
            crashes: 0,
            missed: false,
        };
        World {
            schedule: Schedule {
                status: ScheduleStatus::Running,
                cut: true,
                turn: self.admission,
                hold: Hold::Nothing,
            },
            batch,
            rows: [Row::NEW; ROWS],
            uncounted: false,
            late: false,
            end: End::Ahead,
            carrier: [CarrierState::default(); ROWS],
            workers: [Worker::IDLE; WORKERS],
            queued: [self.queues && !self.admission, false],
            stopped: false,
            admission: None,
            moves_left: self.moves,
            violations: TransitionViolations::default(),
        }
    }
}
