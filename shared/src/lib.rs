//! The code that the functions share, one folder per concern:
//!
//! - [`message`]: what is sent: status, phone number, text, template, sending window. Pure.
//! - [`schedule`]: the states of a schedule, its row, and the transitions that functions share.
//! - [`batch`]: claim, mark, record, release: everything that happens to a batch.
//! - [`carrier`]: the carrier's HTTP API, one folder per adapter.
//! - [`money`]: amounts, prices by prefix, what schedules cost, and budgets.
//! - [`events`]: events, their deliveries to webhooks, webhook secrets and allowed targets.
//! - [`access`]: roles, permissions, users and the audit log, shared by the API and `migrate`.
//! - [`platform`]: configuration, AWS, the database pool, queues, the scheduler, back-off.
//!
//! Imports point down this list's layers; `infra/local/imports.py` checks them.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod access;
pub mod batch;
pub mod carrier;
pub mod events;
pub mod message;
pub mod money;
pub mod platform;
pub mod schedule;
