//! The random steps, and the table of the transitions that each step may cause.

use proptest::prelude::*;
use serde_json::{Value, json};
use testkit::fixture;

use super::limits::LimitStep;

/// An operator's call of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Activate,
    Pause,
    Resume,
    Cancel,
    SendNow,
    /// Appends a new number, and one that the schedule has.
    Append(OnDuplicate, Place),
    Text,
    Rate,
    /// A window that opens so many minutes from now, for ten minutes.
    Window(i8),
    /// Pauses all schedules with the label.
    PauseLabel,
    /// Resumes them.
    ResumeLabel,
    /// Asks what would be sent.
    DryRun,
}

/// Selects one of the recipients: by its place among those that there are.
pub type Place = u8;

/// What an append does with a number that the schedule has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDuplicate {
    Skip,
    Update,
    Reject,
}

/// An operator's call for one recipient.
#[derive(Clone, Copy, Debug)]
pub struct RecipientCall {
    pub what: What,
    pub by: By,
    pub place: Place,
}

/// What becomes of the recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Cancel,
    /// It gets a number that nobody has.
    Number,
    /// It gets the number of another recipient.
    TakenNumber,
    Group(u8),
    /// It gets a reference that another recipient may have.
    Reference(u8),
}

/// How the call names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Seq,
    Reference,
    BulkSeq,
    BulkNumber,
    BulkReference,
    /// By a number that nobody has.
    Nobody,
}

impl What {
    /// Returns the new values that a call names; null for a cancellation.
    pub fn set(self, number: u32) -> Value {
        match self {
            Self::Cancel => Value::Null,
            Self::Number | Self::TakenNumber => json!({"phone": fixture::phone(number)}),
            Self::Group(group) => json!({"group": format!("G{group}")}),
            Self::Reference(reference) => json!({"reference": format!("R{reference}")}),
        }
    }
}

/// An entry of a call that names several recipients.
#[derive(Clone, Copy, Debug)]
pub struct BulkEntry {
    pub what: What,
    pub by: By,
    pub place: Place,
}

/// A call that names several recipients.
#[derive(Clone, Debug)]
pub struct BulkCall {
    pub is_cancel: bool,
    pub entries: Vec<BulkEntry>,
}

/// A change of who is told.
#[derive(Clone, Copy, Debug)]
pub enum Subscription {
    /// The schedule gets one of two callbacks, or none.
    Callback(Option<bool>),
    /// An administrator grants the key webhooks of its own, or removes the permission.
    Grant(bool),
    /// The key enables or disables one of its webhooks.
    Enable(Place, bool),
}

/// A decision about UNCERTAIN recipients.
#[derive(Clone, Copy, Debug)]
pub struct Decision {
    pub is_resend: bool,
    pub named: Named,
}

/// The recipients that a decision names: mostly such as are UNCERTAIN, if there are some.
#[derive(Clone, Copy, Debug)]
pub enum Named {
    All,
    One(Place),
    /// One by its place, one by its number, and a number that nobody has.
    Few(Place, Place),
}

/// How the carrier answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    Calm,
    /// It accepts requests, and its answers are lost.
    AnswersLost,
    /// It answers with an error, and accepts nothing.
    RequestsLost,
    /// Its answers name a part of the numbers.
    AnswersInPart,
}

#[derive(Clone, Debug)]
pub enum Step {
    /// An operator's call while no worker runs.
    Call(Call),
    /// Send and then recheck process all waiting messages, each of them twice if `twice`.
    Work { twice: bool },
    /// A call that starts the given number of milliseconds after such work has begun.
    CallDuringWork(Call, u8),
    /// A call for one recipient while no worker runs.
    Recipient(RecipientCall),
    /// A call for one recipient during such work.
    RecipientDuringWork(RecipientCall, u8),
    /// A call for several recipients, alone or so many milliseconds after such work has begun.
    Bulk(BulkCall, Option<u8>),
    /// A change of who is told.
    Subscribe(Subscription),
    /// From now on the carrier answers in another way.
    Weather(Weather),
    /// A decision about UNCERTAIN recipients, alone or during such work.
    Decide(Decision, Option<u8>),
    /// Those who got nothing are sent to again: the steps that follow are those of the new schedule.
    Resend { draft: bool },
    /// A client asks what has changed since it asked before.
    Poll,
    /// One execution of the sweep.
    Sweep,
    /// The given number of seconds passes.
    Wait(u16),
    /// All messages of both queues are lost.
    Purge,
    /// An approval, or a change of the budget.
    Limit(LimitStep),
}

fn call() -> impl Strategy<Value = Call> {
    use Call::{
        Activate, Append, Cancel, DryRun, Pause, PauseLabel, Rate, Resume, ResumeLabel, SendNow,
        Text, Window,
    };
    use OnDuplicate::{Reject, Skip, Update};
    let on_duplicate = prop_oneof![Just(Skip), Just(Update), Just(Reject)];
    prop_oneof![
        2 => Just(Activate), 3 => Just(Pause), 4 => Just(Resume), 2 => Just(Cancel),
        2 => Just(SendNow), 3 => (on_duplicate, any::<Place>()).prop_map(|(kind, place)| Append(kind, place)),
        1 => Just(Text), 2 => Just(Rate),
        1 => prop_oneof![Just(-5_i8), Just(3), Just(8)].prop_map(Window),
        3 => Just(PauseLabel), 3 => Just(ResumeLabel), 1 => Just(DryRun),
    ]
}

fn recipient_call() -> impl Strategy<Value = RecipientCall> {
    let what = prop_oneof![
        4 => Just(What::Cancel), 2 => Just(What::Number), 1 => Just(What::TakenNumber),
        1 => (0_u8..4).prop_map(What::Group), 1 => (0_u8..16).prop_map(What::Reference),
    ];
    let by = prop_oneof![
        2 => Just(By::Seq), 2 => Just(By::Reference), 1 => Just(By::BulkSeq),
        1 => Just(By::BulkNumber), 1 => Just(By::BulkReference),
    ];
    (what, by, any::<Place>()).prop_map(|(what, by, place)| RecipientCall { what, by, place })
}

fn bulk_call() -> impl Strategy<Value = BulkCall> {
    let what = prop_oneof![
        2 => Just(What::Number), 3 => Just(What::TakenNumber),
        1 => (0_u8..4).prop_map(What::Group), 2 => (0_u8..16).prop_map(What::Reference),
    ];
    let by = prop_oneof![
        4 => Just(By::BulkSeq), 3 => Just(By::BulkNumber), 3 => Just(By::BulkReference), 1 => Just(By::Nobody),
    ];
    // Few places, so that some entries name the same recipient.
    let entry = (what, by, 0_u8..6, any::<Place>());
    let entries = (any::<Place>(), proptest::collection::vec(entry, 2..7));
    (proptest::bool::weighted(0.3), entries).prop_map(|(is_cancel, (base, entries))| {
        let entry = |(what, by, near, far): (What, By, u8, Place)| BulkEntry {
            what: if is_cancel { What::Cancel } else { what },
            by,
            place: if near < 4 {
                base.wrapping_add(near)
            } else {
                far
            },
        };
        BulkCall {
            is_cancel,
            entries: entries.into_iter().map(entry).collect(),
        }
    })
}

fn subscription() -> impl Strategy<Value = Subscription> {
    prop_oneof![
        4 => any::<Option<bool>>().prop_map(Subscription::Callback),
        3 => any::<bool>().prop_map(Subscription::Grant),
        3 => (any::<Place>(), proptest::bool::weighted(0.7)).prop_map(|(place, enables)| Subscription::Enable(place, enables)),
    ]
}

fn decision() -> impl Strategy<Value = Decision> {
    let named = prop_oneof![
        2 => Just(Named::All), 5 => any::<Place>().prop_map(Named::One),
        1 => any::<(Place, Place)>().prop_map(|(one, other)| Named::Few(one, other)),
    ];
    let decision = (any::<bool>(), named);
    decision.prop_map(|(is_resend, named)| Decision { is_resend, named })
}

pub fn weather() -> impl Strategy<Value = Weather> {
    prop_oneof![
        2 => Just(Weather::Calm), 2 => Just(Weather::AnswersLost), 1 => Just(Weather::RequestsLost),
        1 => Just(Weather::AnswersInPart),
    ]
}

fn during() -> impl Strategy<Value = Option<u8>> {
    proptest::option::weighted(0.3, 0_u8..50)
}

pub fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (bulk_call(), during()).prop_map(|(call, after)| Step::Bulk(call, after)),
        4 => subscription().prop_map(Step::Subscribe),
        1 => weather().prop_map(Step::Weather),
        5 => (decision(), during()).prop_map(|(decision, after)| Step::Decide(decision, after)),
        4 => call().prop_map(Step::Call),
        5 => any::<bool>().prop_map(|twice| Step::Work { twice }),
        4 => (call(), 0_u8..50).prop_map(|(call, after)| Step::CallDuringWork(call, after)),
        3 => recipient_call().prop_map(Step::Recipient),
        3 => (recipient_call(), 0_u8..50).prop_map(|(call, after)| Step::RecipientDuringWork(call, after)),
        2 => proptest::bool::weighted(0.3).prop_map(|draft| Step::Resend { draft }),
        1 => Just(Step::Poll),
        5 => Just(Step::Sweep),
        4 => prop_oneof![10 => 40_u16..140, 2 => 300_u16..600, 1 => 1_000_u16..5_000].prop_map(Step::Wait),
        1 => Just(Step::Purge),
    ]
}

/// Returns the states that the workers can reach from a state, in any number of steps.
pub fn by_workers(from: &str) -> &'static [&'static str] {
    match from {
        "draft" => &["draft"],
        "scheduled" => &["scheduled", "running", "finished", "missed"],
        "running" | "finished" | "missed" => &["running", "finished", "missed"],
        "paused" => &["paused"],
        "awaiting-approval" => &["awaiting-approval"],
        _ => &["cancelled"],
    }
}

/// Returns the states that a call can reach from a state; none if the call must be refused. The
/// state of a schedule that is missed in part depends on its batches.
pub fn by_call(from: &str, call: Call) -> &'static [&'static str] {
    use Call::{
        Activate, Append, Cancel, DryRun, Pause, PauseLabel, Rate, Resume, ResumeLabel, SendNow,
        Text, Window,
    };
    match (call, from) {
        (Append(..) | Text | Rate | Window(_) | DryRun, "draft") => &["draft"],
        (Append(..) | Text | Rate | Window(_) | DryRun, "awaiting-approval") => {
            &["awaiting-approval"]
        }
        (Activate, "draft") | (Append(..) | Text | Rate | Window(_) | DryRun, "scheduled") => {
            &["scheduled"]
        }
        (Pause | PauseLabel, "scheduled" | "running" | "paused")
        | (Text | Rate | Window(_), "paused") => &["paused"],
        (Resume | ResumeLabel, "paused") | (SendNow, "missed") => &["scheduled", "running"],
        (SendNow, "running" | "finished") | (Rate, "running") => &["running"],
        (
            Cancel,
            "draft" | "awaiting-approval" | "scheduled" | "running" | "paused" | "missed"
            | "cancelled",
        ) => &["cancelled"],
        // Calls for all schedules with a label leave the others as they are.
        (PauseLabel | ResumeLabel, _) => by_nothing(from),
        _ => &[],
    }
}

/// Returns the state itself.
pub fn by_nothing(state: &str) -> &'static [&'static str] {
    match state {
        "draft" => &["draft"],
        "scheduled" => &["scheduled"],
        "running" => &["running"],
        "finished" => &["finished"],
        "missed" => &["missed"],
        "paused" => &["paused"],
        "awaiting-approval" => &["awaiting-approval"],
        _ => &["cancelled"],
    }
}

/// Returns the states in which a schedule has begun: not before its window has opened.
pub fn has_begun(state: &str) -> bool {
    matches!(state, "running" | "finished" | "missed")
}
