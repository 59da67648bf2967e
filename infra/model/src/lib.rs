//! The send protocol as a model.

pub mod broken;
pub mod cut;
pub mod database;
pub mod finish;
pub mod mixes;
pub mod model;
pub mod pass;
pub mod recheck;
pub mod rules;
pub mod steps;
pub mod world;
