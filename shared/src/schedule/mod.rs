//! A schedule: its states, its row, and the transitions that several functions make.

pub mod canary;
pub mod counts;
pub mod erasure;
pub mod event;
pub mod lifecycle;
pub mod on_uncertain;
pub mod outcome;
pub mod priority;
pub mod row;
pub mod start;
pub mod status;
pub mod unique_by;
