//! Notify and what it is given, on a real database: what is recorded, by whom and when ([`events`], [`messages`]), and what is posted
//! ([`posts`]).
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod events;
mod messages;
mod posts;
mod scene;
mod told;
