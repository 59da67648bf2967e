//! `/problems`: the page of each type of problem. The `type` of a problem document is the address
//! of its page.

pub mod pages;
pub mod routes;
