//! A *mix*: which faults may happen, and which rules are broken on purpose.

use crate::{
    database::{Batch, Due, Life, ROWS, Row, Schedule},
    world::{Carrier, Noticed, WORKERS, Worker, World},
};

/// A rule that is left out, to see that the model would notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// Mark by the attempt alone.
    MarkWithoutToken,
    /// Answers under the token only.
    AnswerNeedsToken,
    /// No `make_due_if_lease_lost`.
    NoPoke,
    /// Take back a mark by the attempt alone.
    UnmarkWithoutToken,
    /// "Not found" is believed at once.
    NoQuietTime,
    /// "Not found" is believed if the quiet time is over when it is recorded, not when it was asked.
    QuietWhenRecorded,
    /// Verdicts that come after the lease do not make the batch due again.
    VerdictWithoutPoke,
    /// A receipt does not make a batch due again that nobody looks at.
    ReceiptWithoutPoke,
    /// The owner of a lost lease is failed instead of uncertain: SENDING becomes PENDING.
    LeftoversPending,
    /// A request starts under a lease that is over.
    StartAfterLease,
    /// Holding what is late does not look at the schedule.
    HoldWithoutSchedule,
    /// Cancelling does not look at batches that are owned.
    HoldSurvivesCancel,
    /// A lost answer counts as not accepted.
    LostIsNotAccepted,
}

/// What may happen.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "switches")]
pub struct Mix {
    /// Its name.
    pub name: &'static str,
    /// Requests: the recipients of each, as bits.
    pub requests: &'static [u8],
    /// Requests in flight at once.
    pub in_flight: usize,
    /// Parts of the text.
    pub parts: u8,
    /// Marks of a recipient at most; beyond is out of bounds.
    pub max_attempts: u8,
    /// `max_resends`
    pub max_resends: u8,
    /// `on_uncertain: resend`
    pub resend_uncertain: bool,
    /// The carrier can be asked by ids of ours.
    pub own_ids: bool,
    /// Processes die.
    pub crash: bool,
    /// A lease ends under a living owner.
    pub freeze: bool,
    /// Answers are lost, requests die on the wire.
    pub lost: bool,
    /// An answer leaves numbers out.
    pub partial: bool,
    /// 429.
    pub throttle: bool,
    /// A 4xx text: PENDING, and REJECTD at last.
    pub refuse: bool,
    /// The carrier says UNDELIV.
    pub undelivered: bool,
    /// The carrier says ENROUTE, and forgets: UNKNOWN at the deadline.
    pub forgets: bool,
    /// A commit whose answer is lost: the transaction is said twice.
    pub commit_lost: bool,
    /// Queues that lose and double messages; else the next message is always there.
    pub queues: bool,
    /// It becomes late.
    pub lateness: bool,
    /// Pause, resume, cancel.
    pub moves: u8,
    /// An operator decides on what is UNCERTAIN.
    pub operator: bool,
    /// The carrier pushes receipts, at any moment after it has accepted.
    pub pushes: bool,
    /// See there.
    pub broken: &'static [Broken],
}

impl Mix {
    /// Nothing ever goes wrong.
    pub const CALM: Self = Self {
        name: "calm",
        requests: &[0b001, 0b010],
        in_flight: 2,
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
        undelivered: false,
        forgets: false,
        commit_lost: false,
        queues: false,
        lateness: false,
        moves: 0,
        operator: false,
        pushes: false,
        broken: &[],
    };

    /// Its name, or the rules that are left out.
    pub fn title(&self) -> String {
        if self.broken.is_empty() {
            self.name.to_owned()
        } else {
            format!("broken: {:?}", self.broken)
        }
    }

    /// How many recipients there are.
    pub fn recipients(&self) -> usize {
        self.requests
            .iter()
            .map(|request| request.count_ones() as usize)
            .sum()
    }

    /// Whether that rule is left out.
    pub fn is_broken(&self, rule: Broken) -> bool {
        self.broken.contains(&rule)
    }

    /// A batch that has just been cut.
    pub fn world(&self) -> World {
        let batch = Batch {
            send_at: Due::Now,
            check_at: Due::Never,
            sweep_at: Due::Now,
            token: None,
            lease_over: false,
            crashes: 0,
            missed: false,
        };
        World {
            schedule: Schedule {
                status: Life::Running,
                cut: true,
            },
            batch,
            rows: [Row::NEW; ROWS],
            uncounted: false,
            late: false,
            carrier: [Carrier::default(); ROWS],
            workers: [Worker::IDLE; WORKERS],
            queued: [self.queues, false],
            moves_left: self.moves,
            noticed: Noticed::default(),
        }
    }
}
