//! `/v1/senders`: the senders that callers may choose for their schedules. A message from a sender
//! that belongs to somebody else deceives its recipients, so only an administrator chooses freely.

mod change;
pub mod field;
mod list;
pub mod permitted;
pub mod routes;
pub mod store;
