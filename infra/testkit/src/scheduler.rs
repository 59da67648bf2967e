//! A one-time scheduler in memory. It only keeps its schedules; the test fires them.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use shared::platform::{queue::DispatchMessage, scheduler::OneTimeScheduler};

/// A one-time scheduler in memory.
#[derive(Default)]
pub struct FakeScheduler {
    waiting: Mutex<Vec<(DispatchMessage, DateTime<Utc>)>>,
}

impl FakeScheduler {
    /// Creates a scheduler without schedules.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Returns the waiting messages, each with the time at which it is due to fire.
    pub fn waiting(&self) -> Vec<(DispatchMessage, DateTime<Utc>)> {
        self.waiting.lock().unwrap().clone()
    }
}

#[async_trait]
impl OneTimeScheduler for FakeScheduler {
    async fn create(&self, message: DispatchMessage, fire_at: DateTime<Utc>) -> anyhow::Result<()> {
        self.waiting.lock().unwrap().push((message, fire_at));
        Ok(())
    }

    async fn delete(&self, message: DispatchMessage) -> anyhow::Result<()> {
        self.waiting
            .lock()
            .unwrap()
            .retain(|(waiting, _)| *waiting != message);
        Ok(())
    }
}
