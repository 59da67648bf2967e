//! Events and webhooks, the URLs of users to which events are posted.
//!
//! An event becomes rows of `webhook_deliveries` in the transaction of its change, one per webhook
//! that subscribes to it. The function notify posts them, signed ([`secret`]), to allowed URLs
//! ([`target`]).

pub mod keys;
pub mod queue;
pub mod record;
pub mod secret;
pub mod target;

/// The type of an event.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, schemars::JsonSchema, serde::Serialize, serde::Deserialize,
)]
pub enum EventType {
    /// A schedule was cut into batches and runs.
    #[serde(rename = "schedule.started")]
    ScheduleStarted,
    /// A user, or the system, paused the schedule.
    #[serde(rename = "schedule.paused")]
    SchedulePaused,
    /// A pause ended.
    #[serde(rename = "schedule.resumed")]
    ScheduleResumed,
    /// The schedule has nothing left to do. It may run again if an operator decides so or an answer
    /// is late.
    #[serde(rename = "schedule.finished")]
    ScheduleFinished,
    /// A user cancelled the schedule.
    #[serde(rename = "schedule.cancelled")]
    ScheduleCancelled,
    /// The schedule, or a part of it, was found too late and waits for an operator.
    #[serde(rename = "schedule.missed")]
    ScheduleMissed,
    /// The schedule waits for the approval of a second person.
    #[serde(rename = "schedule.awaiting-approval")]
    ScheduleAwaitingApproval,
    /// A second person has approved the schedule.
    #[serde(rename = "schedule.approved")]
    ScheduleApproved,
    /// A second person has rejected the schedule: it is a draft again.
    #[serde(rename = "schedule.rejected")]
    ScheduleRejected,
    /// Messages of one batch have their last status.
    #[serde(rename = "messages.final")]
    MessagesFinal,
    /// 80 percent of a budget are used.
    #[serde(rename = "budget.warning")]
    BudgetWarning,
    /// A message did not fit into a budget: its schedule is paused.
    #[serde(rename = "budget.reached")]
    BudgetReached,
    /// A test of a webhook, on request.
    #[serde(rename = "webhook.test")]
    Test,
}

impl EventType {
    /// Each type to which a webhook may subscribe.
    pub const ALL: [Self; 12] = [
        Self::ScheduleStarted,
        Self::SchedulePaused,
        Self::ScheduleResumed,
        Self::ScheduleFinished,
        Self::ScheduleCancelled,
        Self::ScheduleMissed,
        Self::ScheduleAwaitingApproval,
        Self::ScheduleApproved,
        Self::ScheduleRejected,
        Self::MessagesFinal,
        Self::BudgetWarning,
        Self::BudgetReached,
    ];

    /// Returns the value in the database, in the API and in the posted body.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ScheduleStarted => "schedule.started",
            Self::SchedulePaused => "schedule.paused",
            Self::ScheduleResumed => "schedule.resumed",
            Self::ScheduleFinished => "schedule.finished",
            Self::ScheduleCancelled => "schedule.cancelled",
            Self::ScheduleMissed => "schedule.missed",
            Self::ScheduleAwaitingApproval => "schedule.awaiting-approval",
            Self::ScheduleApproved => "schedule.approved",
            Self::ScheduleRejected => "schedule.rejected",
            Self::MessagesFinal => "messages.final",
            Self::BudgetWarning => "budget.warning",
            Self::BudgetReached => "budget.reached",
            Self::Test => "webhook.test",
        }
    }
}
