//! Each handler against a real database. The tests are one binary, because 20 binaries that each
//! link the API would take minutes and gigabytes.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

mod access;
mod account_validation;
mod append;
mod attention;
mod batches;
mod carriers;
mod change;
mod create;
mod dead_letter_queue;
mod dead_letters;
mod delivery_lists;
mod dry_run;
mod ends;
mod events;
mod forecast;
mod idempotency;
mod issuer;
mod lists;
mod messages;
mod missed;
mod openapi;
mod openapi_examples;
mod openapi_page;
mod priority;
mod rate;
mod receipt_attempts;
mod receipt_batches;
mod receipt_signatures;
mod receipts;
mod responses;
mod schedule_validation;
mod sessions;
mod state_changes;
mod suppressions;
mod uncertain;
mod uncertain_races;
mod variables;
mod webhook_deliveries;
mod webhook_secrets;
mod webhook_validation;
mod webhooks;
mod window;
