//! The random steps, and the table of the transitions that each step may cause.

use proptest::prelude::*;

/// An operator's call of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Activate,
    Pause,
    Resume,
    Cancel,
    SendNow,
    Append,
    Text,
    Rate,
}

#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// An operator's call while no worker runs.
    Call(Call),
    /// Send and then recheck process all waiting messages, each of them twice if `twice`.
    Work { twice: bool },
    /// A call that starts the given number of milliseconds after such work has begun.
    CallDuringWork(Call, u8),
    /// One execution of the sweep.
    Sweep,
    /// The given number of seconds passes.
    Wait(u16),
    /// All messages of both queues are lost.
    Purge,
}

fn call() -> impl Strategy<Value = Call> {
    use Call::{Activate, Append, Cancel, Pause, Rate, Resume, SendNow, Text};
    prop_oneof![
        2 => Just(Activate), 4 => Just(Pause), 5 => Just(Resume), 2 => Just(Cancel),
        2 => Just(SendNow), 2 => Just(Append), 1 => Just(Text), 2 => Just(Rate),
    ]
}

pub fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => call().prop_map(Step::Call),
        4 => any::<bool>().prop_map(|twice| Step::Work { twice }),
        4 => (call(), 0_u8..50).prop_map(|(call, after)| Step::CallDuringWork(call, after)),
        5 => Just(Step::Sweep),
        4 => prop_oneof![12 => 40_u16..140, 1 => 1_000_u16..5_000].prop_map(Step::Wait),
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
        _ => &["cancelled"],
    }
}

/// Returns the states that a call can reach from a state; none if the call must be refused. The
/// state of a schedule that is missed in part depends on its batches.
pub fn by_call(from: &str, call: Call) -> &'static [&'static str] {
    use Call::{Activate, Append, Cancel, Pause, Rate, Resume, SendNow, Text};
    match (call, from) {
        (Append | Text | Rate, "draft") => &["draft"],
        (Activate, "draft") | (Append | Text | Rate, "scheduled") => &["scheduled"],
        (Pause, "scheduled" | "running" | "paused") | (Text | Rate, "paused") => &["paused"],
        (Resume, "paused") | (SendNow, "missed") => &["scheduled", "running"],
        (SendNow, "running" | "finished") | (Rate, "running") => &["running"],
        (Cancel, "draft" | "scheduled" | "running" | "paused" | "missed" | "cancelled") => {
            &["cancelled"]
        }
        _ => &[],
    }
}
