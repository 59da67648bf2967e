//! One invocation: a handler that runs to its end, dies, or is frozen and goes on later. A frozen one is not polled at all: its requests
//! and statements wait in the sockets, as they do for a frozen process.

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
    /// The invocation that reaches a fault point.
    pub static CURRENT: Arc<Invocation>;
}

/// See the module.
pub struct Invocation {
    /// Fresh for each.
    pub id: u64,
    /// On the run's clock.
    /// Its end, real time.
    pub deadline: Instant,
    dead: AtomicBool,
    frozen: AtomicBool,
    was_frozen: AtomicBool,
    waker: AtomicWaker,
}

impl Invocation {
    /// One that begins now, with so much real time.
    pub fn new(id: u64, budget: Duration) -> Arc<Self> {
        let (dead, frozen, was_frozen, waker) = Default::default();
        Arc::new(Self {
            id,
            deadline: Instant::now() + budget,
            dead,
            frozen,
            was_frozen,
            waker,
        })
    }

    /// Its process dies here and now.
    pub fn kill(&self) {
        self.dead.store(true, Relaxed);
    }

    /// Its process is frozen.
    pub fn freeze(&self) {
        self.was_frozen.store(true, Relaxed);
        self.frozen.store(true, Relaxed);
    }

    /// It goes on.
    pub fn thaw(&self) {
        self.frozen.store(false, Relaxed);
        self.waker.wake();
    }

    /// Runs `handler` to its end; `None`: it died, at a fault point, after `fuse`, or because its time was up.
    pub async fn run<F: Future>(
        self: &Arc<Self>,
        handler: F,
        fuse: Option<Duration>,
    ) -> Option<F::Output> {
        let mut handler = pin!(CURRENT.scope(Arc::clone(self), handler));
        let handler = poll_fn(|context| {
            self.waker.register(context.waker());
            if self.frozen.load(Relaxed) {
                return Poll::Pending;
            }
            match handler.as_mut().poll(context) {
                Poll::Pending if self.dead.load(Relaxed) => Poll::Ready(None),
                other => other.map(Some),
            }
        });
        match select(pin!(handler), pin!(self.end(fuse))).await {
            Either::Left((ended, _)) => ended,
            Either::Right(_) => None,
        }
    }

    /// Lambda ends what has not been frozen at its deadline.
    async fn end(&self, fuse: Option<Duration>) {
        let deadline = self.deadline.saturating_duration_since(Instant::now());
        tokio::time::sleep(fuse.map_or(deadline, |fuse| fuse.min(deadline))).await;
        if self.was_frozen.load(Relaxed) {
            pending::<()>().await;
        }
    }
}
