//! One invocation: a handler that runs to its end, is killed, or is frozen and continues later. A
//! frozen handler is not polled: its requests and statements wait in the sockets, as they do for a
//! frozen process.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::Poll,
    time::{Duration, Instant},
};

use futures_util::{
    future::{Either, pending, poll_fn, select},
    task::AtomicWaker,
};

tokio::task_local! {
    /// The invocation that runs now. Fault points read it.
    pub static CURRENT: Arc<Invocation>;
}

/// One invocation of a handler.
pub struct Invocation {
    /// Unique in the run.
    pub id: u64,
    /// When Lambda ends it, real time.
    pub deadline: Instant,
    killed: AtomicBool,
    frozen: AtomicBool,
    was_frozen: AtomicBool,
    waker: AtomicWaker,
}

impl Invocation {
    /// Begins an invocation with that real time budget.
    pub fn new(id: u64, budget: Duration) -> Arc<Self> {
        let (killed, frozen, was_frozen, waker) = Default::default();
        Arc::new(Self {
            id,
            deadline: Instant::now() + budget,
            killed,
            frozen,
            was_frozen,
            waker,
        })
    }

    /// Kills its process at the current await point.
    pub fn kill(&self) {
        self.killed.store(true, Relaxed);
    }

    /// Freezes its process.
    pub fn freeze(&self) {
        self.was_frozen.store(true, Relaxed);
        self.frozen.store(true, Relaxed);
    }

    /// Continues a frozen process.
    pub fn thaw(&self) {
        self.frozen.store(false, Relaxed);
        self.waker.wake();
    }

    /// Runs `handler` to its end. Returns `None` if it was killed: at a fault point, after
    /// `kill_after`, or at its deadline.
    pub async fn run<F: Future>(
        self: &Arc<Self>,
        handler: F,
        kill_after: Option<Duration>,
    ) -> Option<F::Output> {
        let mut handler = pin!(CURRENT.scope(Arc::clone(self), handler));
        let handler = poll_fn(|context| {
            self.waker.register(context.waker());
            if self.frozen.load(Relaxed) {
                return Poll::Pending;
            }
            match handler.as_mut().poll(context) {
                Poll::Pending if self.killed.load(Relaxed) => Poll::Ready(None),
                other => other.map(Some),
            }
        });
        match select(pin!(handler), pin!(self.end(kill_after))).await {
            Either::Left((ended, _)) => ended,
            Either::Right(_) => None,
        }
    }

    /// Returns when the process is killed from outside. Lambda ends a process at its deadline,
    /// except one that was frozen.
    async fn end(&self, kill_after: Option<Duration>) {
        let deadline = self.deadline.saturating_duration_since(Instant::now());
        tokio::time::sleep(kill_after.map_or(deadline, |after| after.min(deadline))).await;
        if self.was_frozen.load(Relaxed) {
            pending::<()>().await;
        }
    }
}
