//! The stack: the real binaries, under the AWS emulator, with faults from all sides. `points` kills, holds and panics processes at
//! their fault points; `world` has everything else in reach; [`Fault`] is what can be done with it, and [`play`] does it.

mod carrier;
mod database;
mod eventbridge;
mod functions;
mod people;
mod play;
mod points;
mod queues;
mod world;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use uuid::Uuid;

pub use play::play;
pub use world::World;

/// A fault that is played on the stack.
pub struct Fault {
    /// As in `FAULT=`.
    pub name: &'static str,
    /// What happens, for people.
    pub what: &'static str,
    /// Recipients of each schedule.
    pub recipients: u32,
    /// Seconds from the call to `run_at`.
    pub lead_s: i64,
    /// Most recipients of a schedule that may end UNCERTAIN; `None`: as many as the carrier leaves unanswered.
    pub uncertain: Option<u64>,
    /// How it is done.
    pub how: How,
}

/// What a fault is done to.
#[derive(Clone, Copy)]
pub enum How {
    /// To each schedule on its own: all such faults are played at the same time.
    Each(fn(One) -> BoxFuture<'static, anyhow::Result<()>>),
    /// To everything at once: one such fault is played after the other.
    All(fn(Everything) -> BoxFuture<'static, anyhow::Result<()>>),
}

/// A schedule that a fault befalls. It is a draft when the fault begins; the fault has to let go of it.
pub struct One {
    /// Where.
    pub world: Arc<World>,
    /// Which.
    pub id: Uuid,
    /// Its time.
    pub run_at: DateTime<Utc>,
    /// For whatever is random.
    pub random: fastrand::Rng,
}

/// What a fault of the whole world befalls.
pub struct Everything {
    /// Where.
    pub world: Arc<World>,
    /// All schedules.
    pub ids: Vec<Uuid>,
    /// Their time.
    pub run_at: DateTime<Utc>,
    /// For whatever is random.
    pub random: fastrand::Rng,
}

/// All of them.
pub fn faults() -> Vec<Fault> {
    let parts = [
        functions::faults(),
        queues::faults(),
        eventbridge::faults(),
        people::faults(),
        database::faults(),
        carrier::faults(),
    ];
    parts.into_iter().flatten().collect()
}
