//! A schedule: its states, its row, and the moves in its life that more than one function makes.

pub mod counts;
pub mod event;
pub mod lifecycle;
pub mod on_uncertain;
pub mod row;
pub mod status;
