//! `/console`: pages with which people send lists, watch schedules and repair what needs an operator.
//! They use the public API only, so that nothing is possible here that a program could not do.

mod files;
pub mod page;
pub mod routes;

#[cfg(test)]
mod tests;
