//! One recheck pass: queries the carrier and records its status updates.

use shared::message::status::Status;

use crate::{
    mix::{Broken, Mix},
    rows::{Age, ROWS, Row},
    rules::{self, StatusUpdate},
    world::{PARTS, Task, World, bit, parts_of},
};

/// The carrier's answer for one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PartStatus {
    /// The carrier has no message with this id.
    NotFound,
    /// A status, possibly UNKNOWN.
    Known(Status),
    /// The query got no answer.
    NoAnswer,
}

/// The carrier's answers for a message, indexed by part.
pub type PartStatuses = [PartStatus; PARTS as usize];

/// Combines the answers for all parts: DELIVRD if all parts are, UNDELIV if one part is.
pub fn combine(answers: &[PartStatus]) -> PartStatus {
    let find = |any: &[Status]| {
        answers
            .iter()
            .copied()
            .find(|answer| matches!(answer, PartStatus::Known(status) if any.contains(status)))
    };
    if let Some(failure) = find(&[Status::Undeliv]) {
        return failure;
    }
    if answers.contains(&PartStatus::NoAnswer) {
        return PartStatus::NoAnswer;
    }
    if let Some(open) = find(&[Status::Enroute, Status::Acceptd]) {
        return open;
    }
    let is_missing = |answer: &&PartStatus| **answer == PartStatus::NotFound;
    match answers.iter().filter(is_missing).count() {
        0 => find(&[Status::Unknown]).unwrap_or(answers[0]),
        missing if missing == answers.len() => PartStatus::NotFound,
        _ => PartStatus::Known(Status::Enroute),
    }
}

impl World {
    /// Returns all combinations of answers that the carrier can give to a query now.
    pub fn possible_answers(
        &self,
        mix: &Mix,
        worker: usize,
        recipient: usize,
    ) -> Vec<PartStatuses> {
        let attempt = self.workers[worker].attempts[recipient];
        let queried = self.queried_parts(mix, worker, recipient);
        let mut combinations = vec![[PartStatus::NotFound; PARTS as usize]];
        for part in (0..PARTS).filter(|part| queried & (1 << part) != 0) {
            let for_part = self.part_answers(mix, recipient, bit(attempt, part));
            let with_part = |combination: PartStatuses| {
                for_part.clone().into_iter().map(move |answer| {
                    let mut combination = combination;
                    combination[usize::from(part)] = answer;
                    combination
                })
            };
            combinations = combinations.into_iter().flat_map(with_part).collect();
        }
        combinations
    }

    /// Returns the parts that are queried: those with recorded ids, or all parts by own ids.
    fn queried_parts(&self, mix: &Mix, worker: usize, recipient: usize) -> u8 {
        match (
            self.workers[worker].read_status[recipient],
            self.rows[recipient].ids,
        ) {
            (Status::Uncertain, _) | (_, 0) => parts_of(1, mix.parts),
            (_, ids) => ids,
        }
    }

    fn part_answers(&self, mix: &Mix, recipient: usize, bit: u8) -> Vec<PartStatus> {
        if self.carrier[recipient].accepted & bit == 0 {
            return vec![PartStatus::NotFound];
        }
        let mut answers = vec![PartStatus::Known(Status::Delivrd)];
        answers.extend(
            mix.undelivered
                .then_some(PartStatus::Known(Status::Undeliv)),
        );
        if mix.forgets || mix.parts > 1 {
            answers.extend([
                PartStatus::Known(Status::Enroute),
                PartStatus::Known(Status::Unknown),
                PartStatus::NoAnswer,
            ]);
        }
        answers
    }

    /// Receives the answer to the query for one recipient.
    pub fn query(&mut self, mix: &Mix, worker: usize, recipient: usize, answers: PartStatuses) {
        let queried = self.queried_parts(mix, worker, recipient);
        let for_queried: Vec<PartStatus> = (0..PARTS)
            .filter(|part| queried & (1 << part) != 0)
            .map(|part| answers[usize::from(part)])
            .collect();
        let delivered = PartStatus::Known(Status::Delivrd);
        for part in (0..PARTS).filter(|part| answers[usize::from(*part)] == delivered) {
            self.carrier[recipient].delivered |= 1 << part;
        }
        let task = self.task_after_query(mix, worker, recipient, combine(&for_queried));
        self.workers[worker].tasks[recipient] = task;
    }

    fn task_after_query(
        &self,
        mix: &Mix,
        worker: usize,
        recipient: usize,
        answer: PartStatus,
    ) -> Task {
        let read = self.workers[worker].read_status[recipient];
        let row = &self.rows[recipient];
        let uncertain = read == Status::Uncertain;
        let at_deadline = row.age == Age::PastDeadline;
        let is_quiet = row.age >= Age::PastQuietTime || mix.is_broken(Broken::NoQuietTime);
        match answer {
            PartStatus::Known(status) if status.is_final() && status != Status::Unknown => {
                Task::RecordStatus(status)
            }
            PartStatus::Known(_) if at_deadline && !uncertain => {
                Task::RecordStatus(Status::Unknown)
            }
            PartStatus::Known(Status::Unknown) => Task::None,
            PartStatus::Known(status) if status == read => Task::None,
            PartStatus::Known(status) => Task::RecordStatus(status),
            PartStatus::NotFound
                if uncertain && mix.is_broken(Broken::QuietTimeCheckedAtRecord) =>
            {
                Task::NotFound
            }
            PartStatus::NotFound if uncertain && is_quiet => Task::RecordStatus(Status::Pending),
            PartStatus::NotFound | PartStatus::NoAnswer if at_deadline && !uncertain => {
                Task::RecordStatus(Status::Unknown)
            }
            PartStatus::NotFound | PartStatus::NoAnswer => Task::None,
        }
    }

    /// Records the status updates in one transaction.
    pub fn record(&mut self, mix: &Mix, worker: usize) {
        let owns = self.owns(worker);
        let has_updates = self.workers[worker]
            .tasks
            .iter()
            .any(|task| matches!(task, Task::RecordStatus(_) | Task::NotFound));
        if has_updates && !mix.is_broken(Broken::StatusUpdateThatMakesNothingDue) {
            rules::make_due_if_lease_lost(&mut self.batch, &mut self.schedule, owns);
        }
        for recipient in 0..ROWS {
            let state = &self.workers[worker];
            let is_quiet = self.rows[recipient].age >= Age::PastQuietTime;
            let status = match state.tasks[recipient] {
                Task::RecordStatus(status) => status,
                Task::NotFound if is_quiet => Status::Pending,
                _ => continue,
            };
            let found =
                state.read_status[recipient] == Status::Uncertain && status != Status::Pending;
            let ids = if found { parts_of(1, mix.parts) } else { 0 };
            let update = StatusUpdate {
                attempt: state.attempts[recipient],
                status,
                ids,
            };
            self.change_row(recipient, |row, _| {
                rules::record_status_update(row, owns, &update)
            });
        }
        self.workers[worker].tasks = [Task::None; ROWS];
    }
}

/// Returns the task of a recheck pass for a row.
pub fn recheck_task(mix: &Mix, row: &Row) -> Task {
    match row.status {
        Status::Acceptd | Status::Enroute => Task::Query,
        Status::Uncertain if mix.own_ids => Task::Query,
        _ => Task::None,
    }
}
