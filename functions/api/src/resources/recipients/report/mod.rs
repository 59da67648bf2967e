//! Lists of recipients as reports, in CSV or NDJSON: long pages of one flat row per recipient.
//!
//! A page is written chunk by chunk ([`page`]): a chunk of rows is read ([`store`]), completed with
//! what its schedule and its batches say ([`list`]), and appended ([`row`]).

pub mod example;
pub mod list;
pub mod page;
pub mod row;
pub mod store;
