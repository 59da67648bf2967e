//! A one-time scheduler in memory: what it was asked to do, for the test to fire.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use shared::platform::{queue::DispatchMessage, scheduler::OneTimeScheduler};

/// See the module.
#[derive(Default)]
pub struct FakeScheduler {
    waiting: Mutex<Vec<(DispatchMessage, DateTime<Utc>)>>,
}

impl FakeScheduler {
    /// One with nothing to fire.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// What waits, with the time at which it is to fire.
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
