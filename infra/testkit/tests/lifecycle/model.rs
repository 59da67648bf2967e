//! What the answers of the API promise: who is in the list, under which names, and who is sent to.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value, json};
use testkit::fixture;

use super::states::{Place, What};

/// The labels of the schedules.
pub const LABEL: &str = "cycle";
/// The recipients of a new schedule.
pub const RECIPIENTS: u32 = 12;
/// Numbers that a run may use.
const MOST_NUMBERS: u32 = 400;
/// How often in a row a schedule may be sent again.
pub const MOST_RESENDS: u8 = 5;

/// Returns whether each message to a number of a fixture ends UNDELIV; the others end DELIVRD. Three
/// in a row: a resend copies two in a transaction.
pub fn fails(number: u32) -> bool {
    matches!(number % 8, 4..=6)
}

/// Returns the numbers to which messages end UNDELIV, as the carrier's settings name them.
pub fn failing_numbers() -> Vec<String> {
    let failing = (1..MOST_NUMBERS).filter(|number| fails(*number));
    failing.map(fixture::phone).collect()
}

/// A recipient, as the answers so far have promised it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The number of the fixture.
    pub number: u32,
    pub reference: Option<String>,
    pub group: Option<String>,
    /// A cancellation was answered as in time.
    pub is_cancelled: bool,
}

impl Expected {
    pub fn phone(&self) -> String {
        fixture::phone(self.number)
    }

    /// Records a change that was answered as in time.
    pub fn apply(&mut self, what: What, number: u32) {
        match what {
            What::Cancel => self.is_cancelled = true,
            What::Number | What::TakenNumber => self.number = number,
            What::Group(group) => self.group = Some(format!("G{group}")),
            What::Reference(reference) => self.reference = Some(format!("R{reference}")),
        }
    }

    /// Returns the entry of a list.
    pub fn entry(&self) -> Value {
        json!({"phone": self.phone(), "reference": self.reference, "group": self.group})
    }
}

/// A recipient that was resolved as sent.
#[derive(Clone, Copy, Debug)]
pub struct Closed {
    /// How many messages the carrier had accepted.
    pub accepted: usize,
}

/// The schedule that the current one follows, if that sends again.
#[derive(Clone, Debug)]
pub struct Original {
    pub id: uuid::Uuid,
    /// Those who have got nothing, of it and of the cancelled schedules that followed it.
    pub left: Vec<Expected>,
    /// How often in a row it sends again.
    pub generation: u8,
}

/// The recipients of the current schedule.
#[derive(Debug, Default)]
pub struct Model {
    /// By place in the list.
    pub recipients: BTreeMap<u32, Expected>,
    /// What the carrier had accepted for each number before the schedule existed.
    pub accepted_before: HashMap<String, usize>,
    /// The schedule that it follows.
    pub original: Option<Original>,
    /// A recipient was changed during a pass, or the carrier has lost answers: a message may rest
    /// UNCERTAIN.
    pub may_be_uncertain: bool,
    /// How often it was decided that the message to a number is sent again.
    pub resent: HashMap<String, usize>,
    /// The recipients that were resolved as sent, by place in the list.
    pub closed: BTreeMap<u32, Closed>,
    last_number: u32,
}

impl Model {
    /// Fills the list of the first schedule: some have a group, all have a reference, and two have the same.
    pub fn first() -> Self {
        let expected = |seq: u32| Expected {
            number: seq,
            reference: Some(format!("R{}", seq.min(RECIPIENTS - 1))),
            group: (!seq.is_multiple_of(3)).then(|| format!("G{}", seq % 3)),
            is_cancelled: false,
        };
        Self {
            recipients: (1..=RECIPIENTS).map(|seq| (seq, expected(seq))).collect(),
            last_number: RECIPIENTS,
            ..Self::default()
        }
    }

    /// Replaces the list by that of a schedule that sends again.
    pub fn follow(&mut self, original: Original, accepted: HashMap<String, usize>) {
        self.recipients = (1..).zip(original.left.clone()).collect();
        self.accepted_before = accepted;
        self.original = Some(original);
        self.may_be_uncertain = false;
        self.resent.clear();
        self.closed.clear();
    }

    /// Returns how often it was decided that the message to a number is sent again.
    pub fn resent(&self, phone: &str) -> usize {
        self.resent.get(phone).copied().unwrap_or_default()
    }

    /// Returns how often that was decided about messages of this schedule.
    pub fn resent_in_all(&self) -> u64 {
        self.resent.values().sum::<usize>() as u64
    }

    /// Returns a number that no recipient has had.
    pub fn new_number(&mut self) -> u32 {
        self.last_number += 1;
        assert!(self.last_number < MOST_NUMBERS);
        self.last_number
    }

    /// Returns the place in the list that a step has selected.
    pub fn seq(&self, place: Place) -> u32 {
        let at = usize::from(place) % self.recipients.len();
        *self.recipients.keys().nth(at).unwrap()
    }

    /// Returns the recipients that a reference names.
    pub fn with_reference(&self, reference: &str) -> BTreeSet<u32> {
        let named = self
            .recipients
            .iter()
            .filter(|(_, recipient)| recipient.reference.as_deref() == Some(reference));
        named.map(|(seq, _)| *seq).collect()
    }

    /// Returns how many recipients each group has.
    pub fn groups(&self) -> BTreeMap<Option<String>, u64> {
        let mut groups = BTreeMap::new();
        for recipient in self.recipients.values() {
            *groups.entry(recipient.group.clone()).or_default() += 1;
        }
        groups
    }

    /// Returns how many messages the carrier has accepted of the current schedule, by number.
    pub fn accepted(&self, ledger: &HashMap<String, usize>) -> HashMap<String, usize> {
        let since = |(phone, times): (&String, &usize)| {
            let before = self.accepted_before.get(phone).copied().unwrap_or_default();
            (phone.clone(), times - before)
        };
        ledger
            .iter()
            .map(since)
            .filter(|(_, times)| *times > 0)
            .collect()
    }

    /// Returns another recipient than this one.
    pub fn other(&self, seq: u32) -> Option<&Expected> {
        let mut others = self.recipients.iter().filter(|(other, _)| **other != seq);
        others.next().map(|(_, recipient)| recipient)
    }
}
