//! Webhooks: users' own URLs that are told what happens. An event becomes rows of `webhook_deliveries` in the transaction of the change
//! that it tells, one for each webhook that wants it; the function notify posts them, signed ([`secret`]), to where it may ([`target`]).

pub mod keys;
pub mod queue;
pub mod record;
pub mod secret;
pub mod target;

/// What a webhook can be told.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, schemars::JsonSchema, serde::Serialize, serde::Deserialize,
)]
pub enum EventType {
    /// A schedule was cut into batches: it runs.
    #[serde(rename = "schedule.started")]
    ScheduleStarted,
    /// Somebody, or the system, paused it.
    #[serde(rename = "schedule.paused")]
    SchedulePaused,
    /// A pause ended.
    #[serde(rename = "schedule.resumed")]
    ScheduleResumed,
    /// Nothing of it is left to do. It may run again where a person decides so, or an answer comes late.
    #[serde(rename = "schedule.finished")]
    ScheduleFinished,
    /// Somebody cancelled it.
    #[serde(rename = "schedule.cancelled")]
    ScheduleCancelled,
    /// It, or a part of it, was found too late and waits for a person.
    #[serde(rename = "schedule.missed")]
    ScheduleMissed,
    /// Messages of one batch have their last state.
    #[serde(rename = "messages.final")]
    MessagesFinal,
    /// Asked for, to try a webhook out.
    #[serde(rename = "webhook.test")]
    Test,
}

impl EventType {
    /// Each that a webhook may want.
    pub const ALL: [Self; 7] = [
        Self::ScheduleStarted,
        Self::SchedulePaused,
        Self::ScheduleResumed,
        Self::ScheduleFinished,
        Self::ScheduleCancelled,
        Self::ScheduleMissed,
        Self::MessagesFinal,
    ];

    /// The word in the database, in the API and in what is posted.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ScheduleStarted => "schedule.started",
            Self::SchedulePaused => "schedule.paused",
            Self::ScheduleResumed => "schedule.resumed",
            Self::ScheduleFinished => "schedule.finished",
            Self::ScheduleCancelled => "schedule.cancelled",
            Self::ScheduleMissed => "schedule.missed",
            Self::MessagesFinal => "messages.final",
            Self::Test => "webhook.test",
        }
    }
}
