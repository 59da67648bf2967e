//! The queues in memory: messages with a delay to the millisecond, and counts of the requests that
//! SQS would bill.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

/// How long a message of a failed invocation stays invisible. The visibility timeout of production,
/// six minutes, would only prolong a run that has failed anyway.
const REDELIVERY: Duration = Duration::from_secs(1);
/// `maxReceiveCount` of the template: after that a message goes to the dead-letter queue.
const MAX_RECEIVES: u32 = 5;

/// A message.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Message {
    visible_at: Instant,
    /// Increases with each message of the process, so that equal times keep their order.
    serial: u64,
    /// The body.
    pub body: String,
    receives: u32,
}

impl Message {
    /// Returns the id of the message.
    pub fn id(&self) -> String {
        self.serial.to_string()
    }
}

/// Requests to a queue, as SQS bills them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueRequests {
    /// By action, such as `SendMessageBatch`. `ReceiveMessage` and `DeleteMessage` are those of the
    /// event source mapping, one per message.
    pub by_action: BTreeMap<String, u64>,
    /// Messages that were enqueued.
    pub messages: u64,
    /// Messages that an invocation failed on five times.
    pub dead_letters: u64,
}

#[derive(Default)]
struct State {
    messages: BinaryHeap<Reverse<Message>>,
    in_flight: u64,
    next_serial: u64,
    requests: QueueRequests,
}

/// A queue.
#[derive(Default)]
pub struct MemoryQueue {
    state: Mutex<State>,
    changed: Notify,
}

impl MemoryQueue {
    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request.
    pub fn count(&self, action: &str) {
        let mut state = self.state();
        *state
            .requests
            .by_action
            .entry(action.to_owned())
            .or_default() += 1;
    }

    /// Adds a message that becomes visible after `delay`.
    pub fn push(&self, body: String, delay: Duration) -> String {
        let mut state = self.state();
        state.next_serial += 1;
        state.requests.messages += 1;
        let message = Message {
            visible_at: Instant::now() + delay,
            serial: state.next_serial,
            body,
            receives: 0,
        };
        let id = message.id();
        state.messages.push(Reverse(message));
        drop(state);
        self.changed.notify_waiters();
        id
    }

    /// Waits for the next visible message and takes it.
    pub async fn receive(&self) -> Message {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registers before the look at the messages, so that no push in between is missed.
            changed.as_mut().enable();
            let wait = match self.take_visible() {
                Ok(message) => return message,
                Err(wait) => wait,
            };
            match wait {
                None => changed.await,
                Some(wait) => {
                    let _ = tokio::time::timeout(wait, changed).await;
                }
            }
        }
    }

    /// Takes a visible message, or returns the time until the first one becomes visible.
    fn take_visible(&self) -> Result<Message, Option<Duration>> {
        let mut state = self.state();
        let now = Instant::now();
        let first = state
            .messages
            .peek()
            .map(|Reverse(message)| message.visible_at);
        match first {
            Some(at) if at <= now => {}
            other => return Err(other.map(|at| at - now)),
        }
        let Some(Reverse(mut message)) = state.messages.pop() else {
            return Err(None);
        };
        message.receives += 1;
        state.in_flight += 1;
        *state
            .requests
            .by_action
            .entry("ReceiveMessage".to_owned())
            .or_default() += 1;
        Ok(message)
    }

    /// Deletes a message that was handled.
    pub fn delete(&self) {
        self.state().in_flight -= 1;
        self.count("DeleteMessage");
    }

    /// Returns a message whose invocation failed, or discards it after the last receive.
    pub fn give_back(&self, mut message: Message) {
        let mut state = self.state();
        state.in_flight -= 1;
        if message.receives >= MAX_RECEIVES {
            state.requests.dead_letters += 1;
            return;
        }
        message.visible_at = Instant::now() + REDELIVERY;
        state.messages.push(Reverse(message));
        drop(state);
        self.changed.notify_waiters();
    }

    /// Returns the number of messages (visible, delayed, in flight).
    pub fn lengths(&self) -> (u64, u64, u64) {
        let state = self.state();
        let now = Instant::now();
        let visible = state
            .messages
            .iter()
            .filter(|Reverse(message)| message.visible_at <= now)
            .count() as u64;
        let total = state.messages.len() as u64;
        (visible, total - visible, state.in_flight)
    }

    /// Returns whether nothing is in flight, and nothing becomes visible within `soon`.
    pub fn is_idle(&self, soon: Duration) -> bool {
        let state = self.state();
        let horizon = Instant::now() + soon;
        let next = state.messages.peek();
        state.in_flight == 0 && next.is_none_or(|Reverse(message)| message.visible_at > horizon)
    }

    /// Returns the requests so far.
    pub fn requests(&self) -> QueueRequests {
        self.state().requests.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn messages_arrive_in_the_order_of_their_times() {
        let queue = MemoryQueue::default();
        queue.push("late".to_owned(), Duration::from_millis(40));
        queue.push("soon".to_owned(), Duration::from_millis(10));
        queue.push("now".to_owned(), Duration::ZERO);
        assert!(!queue.is_idle(Duration::ZERO));
        let mut bodies = Vec::new();
        for _ in 0..3 {
            bodies.push(queue.receive().await.body);
            queue.delete();
        }
        assert_eq!(bodies, ["now", "soon", "late"]);
        assert!(queue.is_idle(Duration::from_secs(9)));
        let requests = queue.requests();
        assert_eq!(
            (requests.messages, requests.by_action["DeleteMessage"]),
            (3, 3)
        );
    }

    #[tokio::test]
    async fn a_failed_message_is_delivered_again_until_it_is_a_dead_letter() {
        let queue = MemoryQueue::default();
        queue.push("x".to_owned(), Duration::ZERO);
        let mut message = queue.receive().await;
        message.receives = MAX_RECEIVES - 1;
        queue.give_back(message);
        assert_eq!(queue.lengths(), (0, 1, 0));
        let message = queue.receive().await;
        queue.give_back(message);
        assert_eq!(queue.lengths(), (0, 0, 0));
        assert_eq!(queue.requests().dead_letters, 1);
    }
}
