//! The plan of a run: the schedule, the carrier, and which faults happen how often and when. Values
//! only; [`super::run`] executes them.

use std::time::Duration;

use fastrand::Rng;
use shared::platform::fault::Point;
use simulator::Settings;

pub use super::{
    expectation::Expectation,
    intervention::{Act, ApiCall, Condition, Intervention},
};
use crate::server::Server;

/// The plan of one run. With [`Plan::calm`] nothing goes wrong.
#[derive(Clone)]
pub struct Plan {
    /// Recipients at the beginning.
    pub recipients: u32,
    /// `BATCH_SIZE`
    pub batch_size: u32,
    /// Maximum of numbers per request, so that a small batch takes several.
    pub request_size: usize,
    /// `rate` of the schedule.
    pub rate: Option<u32>,
    /// The text.
    pub text: String,
    /// `max_attempts` of the schedule.
    pub max_attempts: u32,
    /// Whether `on_uncertain` of the schedule is `resend`.
    pub resends_uncertain: bool,
    /// `max_lateness_s` of each schedule. May be shorter than the API allows, so that a backlog
    /// takes seconds.
    pub max_lateness_s: u32,
    /// `send_within_s` of the main schedule. May be shorter than the API allows.
    pub send_within_s: Option<u32>,
    /// The recipients of the main schedule's canary, who all have to be DELIVRD within ten minutes.
    pub canary: Option<u32>,
    /// The window of the main schedule opens so many minutes after its time, within the minute
    /// before. `None`: it has no window.
    pub opens_after_min: Option<i32>,
    /// Seconds from the call to the schedule's time, if not drawn.
    pub ahead_s: Option<u32>,
    /// Further schedules.
    pub others: Vec<OtherSchedule>,
    /// Recipients per number. If there are several, the schedule is `unique_by: reference`.
    pub copies: u32,
    /// How [`ApiCall::Resend`] copies. Then each recipient has a reference and variables.
    pub resends: Option<ResendFaults>,
    /// The limit of the carrier in message parts per second that is configured before the run.
    pub parts_per_second: Option<u32>,
    /// `VELOCITY_PARTS_PER_HOUR`; 0: nobody is too fast.
    pub velocity: u32,
    /// Days after the end of a schedule until its personal data is erased; 0: never.
    pub retain_days: u32,
    /// The form of the carrier's API.
    pub form: CarrierForm,
    /// The carrier's normal settings.
    pub carrier: Settings,
    /// HTTP time-out, real time.
    pub timeout: Duration,
    /// Sends every request twice. Only for the test that shows that this is found.
    pub submits_twice: bool,
    /// Time budget of an invocation, real time. Its lease has production's length on the run's
    /// clock, whatever this is.
    pub budget: Duration,
    /// Maximum of environments per function at a time.
    pub environments: usize,
    /// The queues.
    pub queues: QueueFaults,
    /// EventBridge's one-time schedules.
    pub events: SchedulerFaults,
    /// The events that a webhook gets, of all schedules; none: there is no webhook. It accepts them
    /// unless a condition says otherwise.
    pub webhook_events: &'static [&'static str],
    /// Share of the sweeps that do not run.
    pub sweeps_skipped: f64,
    /// Environments that are killed.
    pub kills: Kills,
    /// What happens at fault points.
    pub traps: Vec<Trap>,
    /// What happens when.
    pub script: Vec<Scheduled>,
    /// How many recipients may be UNCERTAIN at the end.
    pub uncertain: UncertainLimit,
    /// Whether every recipient must be DELIVRD at the end.
    pub all_delivered: bool,
    /// What is expected of the times at which the schedules are sent.
    pub expectations: Vec<Expectation>,
}

/// A further schedule of a run. Faults at fault points, and calls of the API, affect the main
/// schedule only.
#[derive(Clone, Copy)]
pub struct OtherSchedule {
    /// Its time, in seconds after that of the main schedule.
    pub after_s: i64,
    /// Its recipients.
    pub recipients: u32,
}

/// How a resend copies its list, and how it is killed besides at fault points.
#[derive(Clone, Copy)]
pub struct ResendFaults {
    /// Recipients that a transaction copies.
    pub chunk: u32,
    /// Probability of a kill at a random moment per call.
    pub killed: f64,
}

/// The form of the carrier's API.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum CarrierForm {
    /// Numbers and text.
    Bare,
    /// With an account, and long texts in parts.
    Account,
    /// Like [`CarrierForm::Account`], with message ids that the client chooses.
    OwnIds,
}

/// Faults of the queues, as shares of all messages.
#[derive(Clone, Default)]
pub struct QueueFaults {
    /// The queue refuses the message and reports that.
    pub refused: f64,
    /// The queue accepts the message and loses it.
    pub lost: f64,
    /// The message is delivered two or three times.
    pub copied: f64,
    /// The copies are delivered at the same moment; otherwise within half an hour.
    pub copies_at_once: bool,
    /// The message is delivered up to twenty minutes late.
    pub late: f64,
    /// The message is delivered to an environment that cannot reach the database.
    pub failed: f64,
    /// `failed` ends so many seconds after the schedule was posted.
    pub failed_until_s: i64,
}

/// Faults of EventBridge's one-time schedules.
#[derive(Clone, Default)]
pub struct SchedulerFaults {
    /// They do not fire.
    pub never: bool,
    /// They fire at most so many seconds late.
    pub late_s: u32,
    /// They also fire so many seconds ahead of their time.
    pub early_s: Vec<u32>,
    /// They fire again, so many seconds after the first time.
    pub again_s: Vec<u32>,
    /// They fire although they were deleted.
    pub ignore_deletion: bool,
}

/// Environments that are killed.
#[derive(Clone, Default)]
pub struct Kills {
    /// Probability of a kill per fault point that is reached.
    pub at_points: f64,
    /// Probability of a kill at a random moment per invocation.
    pub at_any_moment: f64,
    /// Maximum of kills per batch without a release between them. After three the batch is parked.
    pub in_a_row: u32,
}

/// What happens when a fault point is reached.
#[derive(Clone)]
pub struct Trap {
    /// The fault points.
    pub points: &'static [Point],
    /// Probability per reached point.
    pub share: f64,
    /// Maximum of times in a run.
    pub most: u32,
    /// The only batch that is affected, if any.
    pub batch: Option<u32>,
    /// What happens.
    pub effect: Effect,
}

impl Trap {
    /// A trap for every batch.
    pub fn new(points: &'static [Point], share: f64, most: u32, effect: Effect) -> Self {
        Self {
            points,
            share,
            most,
            batch: None,
            effect,
        }
    }
}

/// The effect of a trap.
#[derive(Clone, Copy)]
pub enum Effect {
    /// The environment is killed.
    Kill,
    /// The environment is frozen.
    Freeze {
        /// Until another owner of the batch reaches this point.
        until: Point,
        /// And so many seconds longer.
        extra_s: u32,
    },
    /// Something else happens at the same time.
    Intervene(Intervention),
}

/// An intervention at a time.
#[derive(Clone, Copy)]
pub struct Scheduled {
    /// Seconds after the schedule's time; negative before it.
    pub at_s: i64,
    /// What happens then.
    pub intervention: Intervention,
}

impl Scheduled {
    /// An intervention so many seconds after the schedule's time.
    pub const fn new(at_s: i64, intervention: Intervention) -> Self {
        Self { at_s, intervention }
    }

    /// A call of the API so many seconds after the schedule's time.
    pub const fn call(at_s: i64, call: ApiCall) -> Self {
        Self::new(at_s, Intervention::call(call))
    }

    /// A condition that holds from `from_s` to `to_s` seconds after the schedule's time.
    pub fn interval(from_s: i64, to_s: i64, condition: Condition) -> Self {
        let for_s = u32::try_from(to_s - from_s).unwrap_or_default();
        Self::new(from_s, Intervention::During { condition, for_s })
    }
}

/// How many recipients may be UNCERTAIN at the end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum UncertainLimit {
    /// Any number: the carrier decides.
    Unlimited,
    /// None.
    Zero,
    /// What was in flight in the environments that were killed.
    InFlight,
}

/// A text of one part.
pub const SHORT: &str = "Your parcel is on its way.";
/// A text of three parts.
pub const LONG: &str = "This text is longer than one message holds. It is sent in three parts, and the carrier \
    accepts, numbers and reports each part on its own. The message is delivered if every part \
    was delivered, and it has failed if one part has failed. A carrier that loses the answer \
    loses three ids at once. A carrier that takes the client's ids is asked for each part by \
    its number. That is all.";

impl Plan {
    /// Returns the most numbers of one request.
    pub const fn numbers_per_request(&self) -> usize {
        match self.form {
            CarrierForm::OwnIds => 1,
            CarrierForm::Bare | CarrierForm::Account => self.request_size,
        }
    }

    /// Nothing goes wrong, and every recipient must be DELIVRD at the end.
    pub fn calm(rng: &mut Rng) -> Self {
        let delivery_delay_ms = rng.u32(0..80);
        Self {
            recipients: rng.u32(20..=60),
            batch_size: rng.u32(10..=30),
            request_size: rng.usize(4..=15),
            rate: (rng.u32(0..4) == 0).then(|| rng.u32(5..=20)),
            text: SHORT.to_owned(),
            max_attempts: 3,
            resends_uncertain: false,
            max_lateness_s: 3_600,
            send_within_s: None,
            canary: None,
            opens_after_min: None,
            ahead_s: None,
            others: Vec::new(),
            copies: 1,
            resends: None,
            parts_per_second: None,
            form: CarrierForm::Bare,
            carrier: Settings {
                seed: Some(rng.u64(..)),
                delivery_delay_ms_max: delivery_delay_ms,
                ..Settings::default()
            },
            timeout: Duration::from_millis(400),
            retain_days: 0,
            velocity: 0,
            submits_twice: false,
            budget: Duration::from_secs(60),
            environments: rng.usize(2..=4),
            queues: QueueFaults::default(),
            events: SchedulerFaults::default(),
            webhook_events: &[],
            sweeps_skipped: 0.0,
            kills: Kills::default(),
            traps: Vec::new(),
            script: Vec::new(),
            uncertain: UncertainLimit::Zero,
            all_delivered: true,
            expectations: Vec::new(),
        }
    }

    /// Nothing goes wrong, but the carrier or chance decides which recipients are DELIVRD at the
    /// end.
    pub fn open_ended(rng: &mut Rng) -> Self {
        Self {
            all_delivered: false,
            uncertain: UncertainLimit::Unlimited,
            ..Self::calm(rng)
        }
    }

    /// Returns whether any intervention disconnects that server, so that it needs a proxy.
    pub(super) fn disconnects(&self, server: Server) -> bool {
        self.interventions()
            .any(|intervention| intervention.proxied_server() == Some(server))
    }

    /// Returns whether any intervention keeps a function from the database.
    pub(super) fn keeps_from_database(&self) -> bool {
        self.conditions()
            .any(|condition| matches!(condition, Condition::WithoutDatabase(_)))
    }

    /// Returns whether any intervention holds connections of the server that all runs share.
    pub(super) fn holds_connections(&self) -> bool {
        self.conditions()
            .any(|condition| matches!(condition, Condition::HoldsConnections))
    }

    fn conditions(&self) -> impl Iterator<Item = Condition> {
        self.interventions()
            .filter_map(|intervention| match intervention {
                Intervention::During { condition, .. } => Some(condition),
                Intervention::Once(_) => None,
            })
    }

    /// Returns the interventions of the script and of the traps.
    pub(super) fn interventions(&self) -> impl Iterator<Item = Intervention> {
        let by_traps = self.traps.iter().filter_map(|trap| match trap.effect {
            Effect::Intervene(intervention) => Some(intervention),
            Effect::Kill | Effect::Freeze { .. } => None,
        });
        self.script
            .iter()
            .map(|scheduled| scheduled.intervention)
            .chain(by_traps)
    }
}
