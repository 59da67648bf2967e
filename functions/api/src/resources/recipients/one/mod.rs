//! Single recipients of a schedule, which are cancelled or changed until they are sent: one by its
//! address in the path, or many in one call.

pub mod address;
pub mod bulk;
pub mod carry_out;
pub mod edit;
pub mod outcome;
pub mod single;
pub mod store;
pub mod write;
