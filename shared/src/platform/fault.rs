//! Fault points: places at which a test makes a process crash, hang or panic, at the same place
//! each time.
//!
//! They are compiled only with the feature `fault-points`, which only the build of the chaos runner
//! enables. Without it [`reach`] is empty, and a release binary contains no trace of it
//! (`infra/local/binaries.py` checks).

use crate::platform::queue::BatchMessage;

/// A place on the path of a message at which a crash has an effect.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "fault-points", derive(Debug, Hash))]
pub enum Point {
    /// Dispatch: the cut is committed, nothing enqueued.
    Cut,
    /// Dispatch: messages are on the queue, and their batches are not marked as enqueued.
    Enqueued,
    /// Send and recheck: the batch is claimed, nothing done.
    Claimed,
    /// Send: recipients are marked, no request is started.
    Marked,
    /// Send: some of a flush's marks are written, because a row has changed. Its requests do not start.
    MarkedInPart,
    /// Send: a request is on the wire.
    InFlight,
    /// Send: answers have arrived, not recorded.
    Answered,
    /// Send: answers are recorded, the batch is not released.
    Recorded,
    /// Recheck: answers have arrived, not recorded.
    Asked,
    /// Send and recheck: the batch is released, its next message is not enqueued.
    Released,
    /// Send and recheck: a canary is decided, and what it releases is not admitted.
    Decided,
    /// API: the schedule of a resend, or a part of its list, is committed, and the next part is not.
    /// It is a point of the finished schedule.
    Copied,
    /// API and dispatch: a part of the personal data of the schedule is erased, and the next part is not.
    Erased,
}

/// Does nothing.
#[cfg(not(feature = "fault-points"))]
#[inline(always)]
#[expect(
    clippy::unused_async,
    clippy::inline_always,
    reason = "the signature is that with the feature; without it the call disappears"
)]
pub async fn reach(_: Point, _: BatchMessage) {}

/// Does nothing.
#[cfg(not(feature = "fault-points"))]
#[inline(always)]
#[expect(
    clippy::unused_async,
    clippy::inline_always,
    reason = "the signature is that with the feature; without it the call disappears"
)]
pub async fn reach_together(_: Point, _: impl Iterator<Item = BatchMessage>) {}

#[cfg(feature = "fault-points")]
pub use with_faults::{Hook, install, reach, reach_together, remove};

#[cfg(feature = "fault-points")]
mod with_faults {
    use std::{
        collections::{BTreeSet, HashMap},
        sync::{Arc, LazyLock, Mutex, PoisonError},
    };

    use futures_util::future::{BoxFuture, join_all};
    use uuid::Uuid;

    use crate::platform::fault::{BatchMessage, Point};

    /// A function that is called at the points that one schedule reaches, if test and handlers
    /// share a process.
    pub type Hook = Arc<dyn Fn(Point, BatchMessage) -> BoxFuture<'static, ()> + Send + Sync>;

    static HOOKS: LazyLock<Mutex<HashMap<Uuid, Hook>>> = LazyLock::new(Mutex::default);
    static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| {
        // The error means that a provider is installed already.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        reqwest::Client::new()
    });

    /// Calls `hook` whenever a batch of that schedule reaches a point.
    pub fn install(schedule_id: Uuid, hook: Hook) {
        HOOKS
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(schedule_id, hook);
    }

    /// Removes the hook of a schedule.
    pub fn remove(schedule_id: Uuid) {
        HOOKS
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&schedule_id);
    }

    /// Reports that a batch reached a point: to the hook, else to the server at
    /// `FAULT_POINTS_URL`.
    ///
    /// The server may answer late, never (after it has killed this process), or with `panic`.
    /// Without a server the process continues.
    ///
    /// # Panics
    ///
    /// If the server answers `panic`.
    pub async fn reach(point: Point, batch: BatchMessage) {
        let hook = HOOKS
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&batch.schedule_id)
            .cloned();
        match hook {
            Some(hook) => hook(point, batch).await,
            None => report(point, &batch.schedule_id.to_string(), batch.batch_no).await,
        }
    }

    /// Reports that whole schedules, batch 0 of each, reached a point at the same time.
    ///
    /// The server gets them in one request: what it does to the process counts for all of them.
    ///
    /// # Panics
    ///
    /// If the server answers `panic`.
    pub async fn reach_together(point: Point, batches: impl Iterator<Item = BatchMessage>) {
        let schedules: BTreeSet<Uuid> = batches.map(|batch| batch.schedule_id).collect();
        let hooks: Vec<(Hook, Uuid)> = {
            let hooks = HOOKS.lock().unwrap_or_else(PoisonError::into_inner);
            let with_hook = |id: &Uuid| Some((hooks.get(id)?.clone(), *id));
            schedules.iter().filter_map(with_hook).collect()
        };
        if hooks.is_empty() {
            let ids: Vec<_> = schedules.iter().map(Uuid::to_string).collect();
            return report(point, &ids.join(","), 0).await;
        }
        let call = |(hook, schedule_id): (Hook, Uuid)| {
            let batch_no = 0;
            hook(
                point,
                BatchMessage {
                    schedule_id,
                    batch_no,
                },
            )
        };
        join_all(hooks.into_iter().map(call)).await;
    }

    async fn report(point: Point, schedules: &str, batch_no: u32) {
        let Ok(url) = std::env::var("FAULT_POINTS_URL") else {
            return;
        };
        let process = std::process::id();
        let url = format!("{url}/{point:?}/{schedules}/{batch_no}/{process}");
        let Ok(answer) = CLIENT.get(url).send().await else {
            return;
        };
        let answer = answer.text().await.unwrap_or_default();
        assert!(answer != "panic", "requested at the fault point {point:?}");
    }
}
