//! One recheck pass: asking, and recording what was said.

use shared::message::status::Status;

use crate::{
    database::{Age, ROWS, Row},
    mix::{Broken, Mix},
    rules::{self, StatusUpdate},
    world::{PARTS, Place, World, bit, parts_of},
};

/// What the carrier says of one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Word {
    /// It knows no such id.
    NotFound,
    /// A status, or an UNKNOWN.
    Is(Status),
    /// No answer.
    Failed,
}

/// What it says of a message: by part.
pub type Words = [Word; PARTS as usize];

/// One word for all parts: delivered when all are, failed when one is.
pub fn join(words: &[Word]) -> Word {
    let has = |any: &[Status]| {
        words
            .iter()
            .copied()
            .find(|word| matches!(word, Word::Is(status) if any.contains(status)))
    };
    if let Some(failure) = has(&[Status::Undeliv]) {
        return failure;
    }
    if words.contains(&Word::Failed) {
        return Word::Failed;
    }
    if let Some(open) = has(&[Status::Enroute, Status::Acceptd]) {
        return open;
    }
    match words.iter().filter(|word| **word == Word::NotFound).count() {
        0 => has(&[Status::Unknown]).unwrap_or(words[0]),
        missing if missing == words.len() => Word::NotFound,
        _ => Word::Is(Status::Enroute),
    }
}

impl World {
    /// Every answer that the carrier may give to a question now.
    pub fn sayings(&self, mix: &Mix, worker: usize, at: usize) -> Vec<Words> {
        let attempt = self.workers[worker].attempts[at];
        let asked = self.asked(mix, worker, at);
        let mut sayings = vec![[Word::NotFound; PARTS as usize]];
        for part in (0..PARTS).filter(|part| asked & (1 << part) != 0) {
            let words = self.words(mix, at, bit(attempt, part));
            let with = |saying: Words| {
                words.clone().into_iter().map(move |word| {
                    let mut saying = saying;
                    saying[usize::from(part)] = word;
                    saying
                })
            };
            sayings = sayings.into_iter().flat_map(with).collect();
        }
        sayings
    }

    /// Parts whose ids are asked for: those of the answer, or all of our own.
    fn asked(&self, mix: &Mix, worker: usize, at: usize) -> u8 {
        match (self.workers[worker].seen[at], self.rows[at].ids) {
            (Status::Uncertain, _) | (_, 0) => parts_of(1, mix.parts),
            (_, ids) => ids,
        }
    }

    fn words(&self, mix: &Mix, at: usize, bit: u8) -> Vec<Word> {
        if self.carrier[at].accepted & bit == 0 {
            return vec![Word::NotFound];
        }
        let mut words = vec![Word::Is(Status::Delivrd)];
        words.extend(mix.undelivered.then_some(Word::Is(Status::Undeliv)));
        if mix.forgets || mix.parts > 1 {
            words.extend([
                Word::Is(Status::Enroute),
                Word::Is(Status::Unknown),
                Word::Failed,
            ]);
        }
        words
    }

    /// One question is answered.
    pub fn ask(&mut self, mix: &Mix, worker: usize, at: usize, said: Words) {
        let asked = self.asked(mix, worker, at);
        let words: Vec<Word> = (0..PARTS)
            .filter(|part| asked & (1 << part) != 0)
            .map(|part| said[usize::from(part)])
            .collect();
        for part in (0..PARTS).filter(|part| said[usize::from(*part)] == Word::Is(Status::Delivrd))
        {
            self.carrier[at].delivered |= 1 << part;
        }
        let place = self.judge(mix, worker, at, join(&words));
        self.workers[worker].places[at] = place;
    }

    fn judge(&self, mix: &Mix, worker: usize, at: usize, word: Word) -> Place {
        let seen = self.workers[worker].seen[at];
        let row = &self.rows[at];
        let (at_deadline, uncertain) = (row.age == Age::Old, seen == Status::Uncertain);
        match word {
            Word::Is(status) if status.is_final() && status != Status::Unknown => {
                Place::Said(status)
            }
            Word::Is(_) if at_deadline && !uncertain => Place::Said(Status::Unknown),
            Word::Is(Status::Unknown) => Place::Rest,
            Word::Is(status) if status == seen => Place::Rest,
            Word::Is(status) => Place::Said(status),
            Word::NotFound if uncertain && mix.is_broken(Broken::QuietWhenRecorded) => {
                Place::NotFound
            }
            Word::NotFound
                if uncertain && (row.age >= Age::Quiet || mix.is_broken(Broken::NoQuietTime)) =>
            {
                Place::Said(Status::Pending)
            }
            Word::NotFound | Word::Failed if at_deadline && !uncertain => {
                Place::Said(Status::Unknown)
            }
            Word::NotFound | Word::Failed => Place::Rest,
        }
    }

    /// The statement that records what was said.
    pub fn record(&mut self, mix: &Mix, worker: usize) {
        let owns = self.owns(worker);
        let news = self.workers[worker]
            .places
            .iter()
            .any(|place| matches!(place, Place::Said(_) | Place::NotFound));
        if news && !mix.is_broken(Broken::VerdictWithoutPoke) {
            rules::poke(&mut self.batch, &mut self.schedule, owns);
        }
        for at in 0..ROWS {
            let it = &self.workers[worker];
            let quiet = self.rows[at].age >= Age::Quiet;
            let status = match it.places[at] {
                Place::Said(status) => status,
                Place::NotFound if quiet => Status::Pending,
                _ => continue,
            };
            let found = it.seen[at] == Status::Uncertain && status != Status::Pending;
            let ids = if found { parts_of(1, mix.parts) } else { 0 };
            let said = StatusUpdate {
                attempt: it.attempts[at],
                status,
                ids,
            };
            self.change(at, |row, _| rules::verdict(row, owns, &said));
        }
        self.workers[worker].places = [Place::Rest; ROWS];
    }
}

/// What a recheck pass does with a row.
pub fn question(mix: &Mix, row: &Row) -> Place {
    match row.status {
        Status::Acceptd | Status::Enroute => Place::Ask,
        Status::Uncertain if mix.own_ids => Place::Ask,
        _ => Place::Rest,
    }
}
