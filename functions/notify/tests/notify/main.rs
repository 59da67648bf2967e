//! Notify and its input, on a real database: which events are recorded ([`events`], [`messages`],
//! [`releases`], [`restricted`]), how they are posted ([`posts`]), and what a receiver that fails or hangs delays
//! ([`circuit`], [`isolation`], [`swept`]).
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod circuit;
mod events;
mod isolation;
mod messages;
mod metrics;
mod no_webhook;
mod posts;
mod published;
mod releases;
mod restricted;
mod scene;
mod swept;
