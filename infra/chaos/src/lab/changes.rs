//! The changes that an operator asked for, and whether the API made them.

use std::sync::{Mutex, PoisonError};

use axum::http::StatusCode;
use chrono::{DateTime, Utc};

/// The changes of a run.
#[derive(Default)]
pub struct Changes(Mutex<Vec<Change>>);

/// A change that was answered.
#[derive(Clone, Copy)]
pub struct Change {
    /// When it was answered.
    pub at: DateTime<Utc>,
    /// Whether it was made. If not, it came too late.
    pub is_made: bool,
}

impl Changes {
    /// Records an answer, unless it is an error of the server.
    pub fn record(&self, at: DateTime<Utc>, status: StatusCode) {
        if status.is_success() || status == StatusCode::CONFLICT {
            let is_made = status.is_success();
            let mut changes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            changes.push(Change { at, is_made });
        }
    }

    /// Returns all changes, in the order of their answers.
    pub fn all(&self) -> Vec<Change> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
