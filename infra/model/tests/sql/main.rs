//! The rules of the model against the statements: every combination of the values that a rule tells apart is written as rows, the
//! real function of `shared::platform::db` is called on it, and rows matched and columns afterwards must be those that the rule says.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::trivially_copy_pass_by_ref,
    clippy::inconsistent_struct_constructor
)]

mod claim;
mod cut;
mod missed;
mod moves;
mod outcomes;
mod release;
mod table;
