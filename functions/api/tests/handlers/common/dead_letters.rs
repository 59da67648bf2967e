//! A dead-letter queue in memory, which hides taken messages as SQS does.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};

use api::resources::attention::dead_letter_queue::{DeadLetter, DeadLetterQueue};
use async_trait::async_trait;

/// Dead letters, and whether each is taken.
#[derive(Default)]
pub struct FakeDeadLetterQueue {
    letters: Mutex<Vec<(DeadLetter, bool)>>,
    pub broken: AtomicBool,
}

impl FakeDeadLetterQueue {
    pub fn put(&self, body: &impl ToString) {
        let mut letters = self.letters.lock().unwrap();
        let name = format!("m{}", letters.len() + 1);
        let letter = DeadLetter {
            message_id: name.clone(),
            receipt: name,
            body: body.to_string(),
            sent_at: Some(chrono::Utc::now()),
        };
        letters.push((letter, false));
    }

    /// Returns the number of dead letters, and how many of them are taken.
    pub fn counts(&self) -> (usize, usize) {
        let letters = self.letters.lock().unwrap();
        (
            letters.len(),
            letters.iter().filter(|(_, taken)| *taken).count(),
        )
    }
}

#[async_trait]
impl DeadLetterQueue for FakeDeadLetterQueue {
    async fn count(&self) -> anyhow::Result<u64> {
        anyhow::ensure!(!self.broken.load(Ordering::Relaxed), "broken");
        Ok(self.counts().0 as u64)
    }

    async fn take(&self, limit: usize) -> anyhow::Result<Vec<DeadLetter>> {
        anyhow::ensure!(!self.broken.load(Ordering::Relaxed), "broken");
        let mut letters = self.letters.lock().unwrap();
        let free = letters.iter_mut().filter(|(_, taken)| !taken).take(limit);
        let take = |(letter, taken): &mut (DeadLetter, bool)| {
            *taken = true;
            letter.clone()
        };
        Ok(free.map(take).collect())
    }

    async fn put_back(&self, back: &[DeadLetter]) {
        for (_, taken) in self
            .letters
            .lock()
            .unwrap()
            .iter_mut()
            .filter(|(letter, _)| back.contains(letter))
        {
            *taken = false;
        }
    }

    async fn delete(&self, gone: &[DeadLetter]) -> anyhow::Result<usize> {
        self.letters
            .lock()
            .unwrap()
            .retain(|(letter, _)| !gone.contains(letter));
        Ok(gone.len())
    }
}
