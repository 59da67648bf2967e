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
}

impl Function {
    /// All functions.
    pub const ALL: [Self; 3] = [Self::Dispatch, Self::Send, Self::Recheck];
}
