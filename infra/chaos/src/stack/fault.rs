//! A fault of the stack.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use uuid::Uuid;

use super::StackClient;

/// A fault that runs on the stack.
pub struct Fault {
    /// Its name, as in `FAULT=`.
    pub name: &'static str,
    /// What happens, in one sentence, for the tables.
    pub description: &'static str,
    /// Recipients per schedule.
    pub recipients: u32,
    /// Seconds from the call of the API to `run_at`.
    pub lead_s: i64,
    /// Maximum of recipients per schedule that may end UNCERTAIN. `None`: as many as the carrier
    /// leaves without an answer.
    pub max_uncertain: Option<u64>,
    /// How it is injected.
    pub injection: Injection,
}

/// How a fault is injected, and into what.
#[derive(Clone, Copy)]
pub enum Injection {
    /// Into each schedule on its own. All such faults run at the same time.
    PerSchedule(fn(ScheduleRun) -> BoxFuture<'static, anyhow::Result<()>>),
    /// Into the whole stack. Such faults run one after the other.
    Global(fn(GlobalRun) -> BoxFuture<'static, anyhow::Result<()>>),
}

/// One schedule of a fault that is injected per schedule. The schedule is a draft when the fault
/// begins. The fault has to activate it.
pub struct ScheduleRun {
    /// Access to the stack.
    pub client: Arc<StackClient>,
    /// The schedule.
    pub id: Uuid,
    /// The schedule's time.
    pub run_at: DateTime<Utc>,
    /// The generator of everything random, from the run's seed.
    pub rng: fastrand::Rng,
}

/// All schedules of a fault that is injected into the whole stack. They are active when it begins.
pub struct GlobalRun {
    /// Access to the stack.
    pub client: Arc<StackClient>,
    /// The schedules.
    pub ids: Vec<Uuid>,
    /// The schedules' time.
    pub run_at: DateTime<Utc>,
    /// The generator of everything random, from the first run's seed.
    pub rng: fastrand::Rng,
}
