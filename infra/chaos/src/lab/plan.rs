//! What happens in a run: the schedule, the carrier, and which faults come how often and when. Values only; [`super::run`] plays them.

use std::time::Duration;

use fastrand::Rng;
use shared::platform::fault::Point;
use simulator::Settings;

/// A run. Where nothing else is said, nothing goes wrong.
#[derive(Clone)]
pub struct Plan {
    /// Recipients at the beginning.
    pub recipients: u32,
    /// `BATCH_SIZE`
    pub batch_size: u32,
    /// Most numbers in a request, so that a small batch takes several.
    pub request_size: usize,
    /// `rate` of the schedule.
    pub rate: Option<u32>,
    /// The text.
    pub text: String,
    /// `max_attempts` of the schedule.
    pub max_attempts: u32,
    /// `on_uncertain` is `resend`.
    pub resends_uncertain: bool,
    /// `max_lateness_s` of the schedule.
    pub max_lateness_s: u32,
    /// In which form the carrier is spoken to.
    pub form: Spoken,
    /// How it behaves at the beginning.
    pub carrier: Settings,
    /// HTTP time-out, real time.
    pub timeout: Duration,
    /// Sends every request twice: not ours, to show that this is found out.
    pub submits_twice: bool,
    /// What an invocation has, real time. Its lease has production's length on the run's clock, whatever this is.
    pub budget: Duration,
    /// Environments of each function at a time.
    pub environments: usize,
    /// The queues.
    pub queues: Deliveries,
    /// EventBridge's one-time schedules.
    pub events: Events,
    /// Share of the sweeps that never come.
    pub sweeps_skipped: f64,
    /// Environments that die.
    pub kills: Kills,
    /// What happens at fault points.
    pub traps: Vec<Trap>,
    /// What happens when: seconds after the schedule's time.
    pub script: Vec<(i64, Act)>,
    /// What may be UNCERTAIN at the end.
    pub uncertain: Uncertain,
    /// Everybody has it at the end.
    pub everybody: bool,
}

/// The form of the carrier's API.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Spoken {
    /// Numbers and text.
    Bare,
    /// With an account, and texts in parts.
    Account,
    /// Likewise, with ids of ours.
    OwnIds,
}

/// How the queues behave: shares of all messages.
#[derive(Clone, Default)]
pub struct Deliveries {
    /// Not taken by the queue, which says so.
    pub refused: f64,
    /// Taken, and lost.
    pub lost: f64,
    /// Delivered two or three times.
    pub copied: f64,
    /// The copies come at the same moment; else some time within half an hour.
    pub copies_at_once: bool,
    /// Delivered up to twenty minutes late.
    pub late: f64,
    /// Given to an environment that can't reach the database.
    pub failed: f64,
    /// Until so many seconds after the schedule's time.
    pub failed_until_s: i64,
}

/// How one-time schedules fire.
#[derive(Clone, Default)]
pub struct Events {
    /// Never.
    pub never: bool,
    /// At most so much late.
    pub late_s: u32,
    /// Again, so long after the first time.
    pub again_s: Vec<u32>,
    /// Deleted ones fire all the same.
    pub ignore_deletion: bool,
}

/// Environments that die: shares of what they reach.
#[derive(Clone, Default)]
pub struct Kills {
    /// Of fault points.
    pub at_points: f64,
    /// Of invocations, at any moment.
    pub at_any_moment: f64,
    /// Of one batch, without a release between: at three it is parked.
    pub in_a_row: u32,
}

/// What happens when a fault point is reached.
#[derive(Clone)]
pub struct Trap {
    /// Which ones.
    pub points: &'static [Point],
    /// How often.
    pub share: f64,
    /// How many times in a run.
    pub most: u32,
    /// With this batch only.
    pub batch: Option<u32>,
    /// What.
    pub does: Does,
}

impl Trap {
    /// One with any batch.
    pub fn new(points: &'static [Point], share: f64, most: u32, does: Does) -> Self {
        Self {
            points,
            share,
            most,
            batch: None,
            does,
        }
    }
}

/// What a trap does.
#[derive(Clone)]
pub enum Does {
    /// The environment dies.
    Kill,
    /// The environment is frozen until another owner of the batch reaches that point, and so many seconds longer.
    Freeze(Point, u32),
    /// Something else happens at the same time.
    Act(Act),
}

/// Something that happens outside the functions.
#[derive(Clone)]
pub enum Act {
    /// The carrier changes.
    Carrier(fn(&mut Settings)),
    /// The carrier's port closes, or opens.
    CarrierGone(bool),
    /// Every connection to the database breaks.
    DatabaseCut,
    /// The database's port closes, or opens.
    DatabaseGone(bool),
    /// Somebody holds locks on the schedule's rows for so many real milliseconds.
    Lock(u64),
    /// All queues are purged.
    Purge,
    /// A person calls the API.
    Call(Call),
}

/// A call of the API.
#[derive(Clone, Copy)]
pub enum Call {
    /// `POST …/cancel`
    Cancel,
    /// `POST …/pause`
    Pause,
    /// `POST …/resume`
    Resume,
    /// `POST …/send-now`
    SendNow,
    /// `POST …/retry`
    Retry,
    /// `POST …/recipients` with so many new ones.
    Append(u32),
    /// `PATCH` with a time so many seconds from now.
    Reschedule(i64),
}

/// What may be UNCERTAIN at the end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Uncertain {
    /// As the carrier likes.
    Any,
    /// Nobody.
    Nobody,
    /// What was in flight in the environments that died.
    InFlight,
}

/// A text of one part, and one of three.
pub const SHORT: &str = "Your parcel is on its way.";
/// See [`SHORT`].
pub const LONG: &str = "This text is longer than one message holds, and travels in three parts, each of which is accepted, numbered and \
    asked for on its own. What became of it is what became of all of them: delivered if every part was, failed if one of them failed. A \
    carrier that loses the answer loses three ids at once; one that takes ids of ours is asked for each part by its number. So much for \
    the long ones.";

impl Plan {
    /// Nothing goes wrong.
    pub fn calm(rng: &mut Rng) -> Self {
        let delay = rng.u32(0..80);
        Self {
            recipients: rng.u32(20..=60),
            batch_size: rng.u32(10..=30),
            request_size: rng.usize(4..=15),
            rate: (rng.u32(0..4) == 0).then(|| rng.u32(5..=20)),
            text: SHORT.to_owned(),
            max_attempts: 3,
            resends_uncertain: false,
            max_lateness_s: 3_600,
            form: Spoken::Bare,
            carrier: Settings {
                seed: Some(rng.u64(..)),
                delivery_delay_ms_max: delay,
                ..Settings::default()
            },
            timeout: Duration::from_millis(400),
            submits_twice: false,
            budget: Duration::from_secs(60),
            environments: rng.usize(2..=4),
            queues: Deliveries::default(),
            events: Events::default(),
            sweeps_skipped: 0.0,
            kills: Kills::default(),
            traps: Vec::new(),
            script: Vec::new(),
            uncertain: Uncertain::Nobody,
            everybody: true,
        }
    }

    /// The carrier, or chance, decides who has it at the end.
    pub fn open_ended(rng: &mut Rng) -> Self {
        Self {
            everybody: false,
            uncertain: Uncertain::Any,
            ..Self::calm(rng)
        }
    }

    /// Whether the carrier's port is ever closed.
    pub(super) fn takes_the_carrier(&self) -> bool {
        self.acts().any(|act| matches!(act, Act::CarrierGone(_)))
    }

    /// Whether connections to the database ever break.
    pub(super) fn takes_the_database(&self) -> bool {
        self.acts()
            .any(|act| matches!(act, Act::DatabaseCut | Act::DatabaseGone(_)))
    }

    fn acts(&self) -> impl Iterator<Item = &Act> {
        let trapped = self.traps.iter().filter_map(|trap| {
            if let Does::Act(act) = &trap.does {
                Some(act)
            } else {
                None
            }
        });
        self.script.iter().map(|(_, act)| act).chain(trapped)
    }
}
