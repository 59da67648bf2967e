//! Notify and its input, on a real database: which events are recorded ([`events`], [`messages`],
//! [`releases`]), and how they are posted ([`posts`]).
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod events;
mod messages;
mod no_webhook;
mod posts;
mod published;
mod releases;
mod scene;
