//! The execution plan of each frequent statement, on analyzed tables with 40,000 recipients and
//! 2,000 batches: the key that it uses, and that it sorts no rows.
//!
//! The statements are read from `.sqlx`, so the explained text is the executed text.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod access;
mod admission;
mod attention;
mod batches;
mod capacity;
mod erasure;
mod lists;
mod metrics;
mod money;
mod names;
mod places;
mod plans;
mod receipts;
mod references;
mod resends;
mod summaries;
mod tables;
mod webhook_events;
mod webhook_owners;
mod webhooks;
