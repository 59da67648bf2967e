//! The functions that run in the lab.

/// A function behind a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Function {
    /// Cuts schedules into batches, and sweeps.
    Dispatch,
    /// Sends batches.
    Send,
    /// Asks the carrier for the status of messages.
    Recheck,
    /// Posts events to webhooks.
    Notify,
}

impl Function {
    /// All functions.
    pub const ALL: [Self; 4] = [Self::Dispatch, Self::Send, Self::Recheck, Self::Notify];

    /// Returns its name, with which the names of its resources in the template begin.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dispatch => "Dispatch",
            Self::Send => "Send",
            Self::Recheck => "Recheck",
            Self::Notify => "Notify",
        }
    }
}
