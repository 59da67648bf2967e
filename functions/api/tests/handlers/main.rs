//! Every handler against a real database. One binary, because twenty that each link the whole API cost minutes and gigabytes.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

mod access;
mod answers;
mod append;
mod bad_access;
mod bad_input;
mod callbacks;
mod callbacks_signed;
mod change;
mod create;
mod dead_letters;
mod dry_run;
mod events;
mod issuer;
mod lists;
mod messages;
mod moves;
mod once;
mod openapi;
mod personal;
mod sessions;
mod suppressions;
mod trouble;
mod uncertain;
mod webhook_deliveries;
mod webhooks;
mod window;
