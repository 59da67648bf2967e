//! Fault points: places where a test has a process die, hang or panic, exactly there and every time. Compiled with the feature
//! `fault-points` only, which nothing turns on but the chaos runner's build; without it [`reach`] is empty, and a release binary has
//! no trace of it (`infra/local/no-fault-points` looks).

use crate::platform::queue::BatchMessage;

/// A place on the path of a message where a crash hurts.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "fault-points", derive(Debug, Hash))]
pub enum Point {
    /// Dispatch: the cut is committed, nothing enqueued.
    Cut,
    /// Dispatch: messages are on the queue, not marked so.
    Enqueued,
    /// Send and recheck: the batch is claimed, nothing done.
    Claimed,
    /// Send: recipients are marked, no request begun.
    Marked,
    /// Send: a request is on the wire.
    InFlight,
    /// Send: answers are here, not recorded.
    Answered,
    /// Send: answers are recorded, the batch is not released.
    Recorded,
    /// Recheck: answers are here, not recorded.
    Asked,
    /// Send and recheck: the batch is released, what is due next not enqueued.
    Released,
}

/// Does nothing.
#[cfg(not(feature = "fault-points"))]
#[inline(always)]
#[expect(
    clippy::unused_async,
    clippy::inline_always,
    reason = "as it is with the feature, and gone without"
)]
pub async fn reach(_: Point, _: BatchMessage) {}

#[cfg(feature = "fault-points")]
pub use with_faults::{Hook, install, reach, remove};

#[cfg(feature = "fault-points")]
mod with_faults {
    use std::{
        collections::HashMap,
        sync::{Arc, LazyLock, Mutex, PoisonError},
    };

    use futures_util::future::BoxFuture;
    use uuid::Uuid;

    use crate::platform::fault::{BatchMessage, Point};

    /// What happens at the points that one schedule reaches, where test and handlers share a process.
    pub type Hook = Arc<dyn Fn(Point, BatchMessage) -> BoxFuture<'static, ()> + Send + Sync>;

    static HOOKS: LazyLock<Mutex<HashMap<Uuid, Hook>>> = LazyLock::new(Mutex::default);
    static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| {
        // Its error says that one is installed already.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        reqwest::Client::new()
    });

    /// Has `hook` called whenever something reaches a point with that schedule.
    pub fn install(schedule_id: Uuid, hook: Hook) {
        HOOKS
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(schedule_id, hook);
    }

    /// Ends that.
    pub fn remove(schedule_id: Uuid) {
        HOOKS
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&schedule_id);
    }

    /// Says that the point is reached and does what it is told: by the hook, else by whoever answers at `FAULT_POINTS_URL`, who may
    /// answer late, never (having killed this process), or `panic`. Nobody there: goes on.
    ///
    /// # Panics
    ///
    /// When told so.
    pub async fn reach(point: Point, batch: BatchMessage) {
        let hook = HOOKS
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&batch.schedule_id)
            .cloned();
        if let Some(hook) = hook {
            return hook(point, batch).await;
        }
        let Ok(url) = std::env::var("FAULT_POINTS_URL") else {
            return;
        };
        let BatchMessage {
            schedule_id,
            batch_no,
        } = batch;
        let url = format!(
            "{url}/{point:?}/{schedule_id}/{batch_no}/{}",
            std::process::id()
        );
        let Ok(answer) = CLIENT.get(url).send().await else {
            return;
        };
        let answer = answer.text().await.unwrap_or_default();
        assert!(answer != "panic", "told so at the fault point {point:?}");
    }
}
