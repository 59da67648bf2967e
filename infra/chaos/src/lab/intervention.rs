//! Events outside the functions: single acts, and conditions that hold for an interval.
//!
//! A plan cannot change the carrier's settings or close a port for good. It can only name a
//! [`Condition`] and its length. The run ends the condition, so that no fault can forget to.

use simulator::Settings;

use super::function::Function;
use crate::server::Server;

/// Something that happens outside the functions.
#[derive(Clone, Copy)]
pub enum Intervention {
    /// Happens once.
    Once(Act),
    /// Holds from now on, for some time on the run's clock.
    During {
        /// What differs from the normal state.
        condition: Condition,
        /// Its length in seconds.
        for_s: u32,
    },
}

/// An act that happens once and needs no restoring.
#[derive(Clone, Copy)]
pub enum Act {
    /// Resets every connection to the database.
    CutDatabaseConnections,
    /// Another client holds locks on the schedule's rows.
    LockRows {
        /// For so many milliseconds of real time.
        real_ms: u64,
    },
    /// Purges all queues.
    PurgeQueues,
    /// An operator calls the API.
    Call(ApiCall),
    /// An operator stops all sending.
    StopSending,
    /// An operator resumes it.
    ResumeSending,
    /// An administrator sets the budget of all sending: so many message parts in a month.
    SetBudget(u64),
}

/// A condition that differs from the normal state while it holds.
#[derive(Clone, Copy)]
pub enum Condition {
    /// This function changes the carrier's settings.
    CarrierSettings(fn(&mut Settings)),
    /// The server's port is closed, and its open connections are reset when it closes.
    Refuses(Server),
    /// Lambda throttles a function: its messages and events wait. Of dispatch, no sweep runs.
    Throttles(Function),
    /// The environments of a function cannot reach the database.
    WithoutDatabase(Function),
    /// Another client holds most of the connections that the database server accepts.
    HoldsConnections,
    /// The receiver of the webhook answers with this status.
    WebhookAnswers(u16),
}

/// A call of the API.
#[derive(Clone, Copy)]
pub enum ApiCall {
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
    /// `POST …/resend`, repeated until the list is complete. It may be killed, as
    /// [`super::plan::Plan::resends`] says.
    Resend,
    /// `POST …/recipients` with so many new ones.
    Append(u32),
    /// `POST …/recipients/cancel` with a few random ones.
    CancelRecipients,
    /// `DELETE /v1/people/{phone}` of a random number of the main list. It may be killed.
    ErasePerson,
    /// `PATCH …/recipients` with new numbers for a few random ones.
    ChangeNumbers,
    /// `PATCH` with a `run_at` so many seconds from now.
    Reschedule(i64),
    /// `PATCH` with another text.
    ChangeText,
    /// `PATCH` with a window that opens so many minutes from now; if not positive, it is open.
    ChangeWindow(i32),
    /// `PATCH /v1/carriers/main` with this limit in message parts per second.
    SetLimit(u32),
}

impl Intervention {
    /// An operator calls the API.
    pub const fn call(call: ApiCall) -> Self {
        Self::Once(Act::Call(call))
    }

    /// Returns the server that needs a proxy for this to be possible.
    pub const fn proxied_server(self) -> Option<Server> {
        match self {
            Self::Once(Act::CutDatabaseConnections) => Some(Server::Database),
            Self::Once(
                Act::LockRows { .. }
                | Act::PurgeQueues
                | Act::Call(_)
                | Act::StopSending
                | Act::ResumeSending
                | Act::SetBudget(_),
            ) => None,
            Self::During { condition, .. } => match condition {
                Condition::Refuses(server) => Some(server),
                Condition::CarrierSettings(_)
                | Condition::Throttles(_)
                | Condition::WithoutDatabase(_)
                | Condition::HoldsConnections
                | Condition::WebhookAnswers(_) => None,
            },
        }
    }
}
