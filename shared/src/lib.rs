//! What the functions share, along the path of one message: an API call becomes rows ([`db`]), a one-time schedule
//! ([`scheduler`]), queue messages ([`queue`]), carrier requests ([`carrier`]), and rows again ([`release`] says what is due next).
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod access;
pub mod aws;
pub mod budget;
pub mod carrier;
pub mod config;
pub mod db;
pub mod dead_letters;
pub mod fault;
pub mod patience;
pub mod phone;
pub mod queue;
pub mod release;
pub mod scheduler;
pub mod secret;
pub mod status;
pub mod template;
pub mod text;
pub mod texts;
pub mod webhooks;
pub mod window;
pub mod worker;
