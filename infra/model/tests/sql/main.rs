//! Compares the rules of the model with the SQL statements. All combinations of the values that a
//! rule distinguishes are written to the database, and the real function is called on them. The
//! number of matched rows and the columns afterwards must be those of the rule.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::trivially_copy_pass_by_ref,
    clippy::inconsistent_struct_constructor
)]

mod admission;
mod canary;
mod cases;
mod changes;
mod claim;
mod cut;
mod flush;
mod lifecycle;
mod missed;
mod release;
mod status_updates;
mod table;
