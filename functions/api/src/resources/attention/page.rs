//! The pages of a list of schedules that need an operator. All of them are read and sorted here: no
//! index has the people that a schedule affects.

use std::cmp::Reverse;

use uuid::Uuid;

use crate::{http::page::PageRequest, resources::attention::store::Affected};

/// The order of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// Those that affect the most people first; among equal ones the newest.
    #[default]
    People,
    /// The schedules that were created last first.
    Newest,
}

impl Sort {
    /// Every order.
    pub const ALL: [Self; 2] = [Self::People, Self::Newest];

    /// Returns the value in the API: the member to sort by; a minus means the greatest first.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::People => "-people",
            Self::Newest => "-created_at",
        }
    }

    /// Returns the place of an entry in this order. Ids contain the time of their creation.
    const fn place(self, position: Position) -> (Reverse<u64>, Reverse<u128>) {
        let people = match self {
            Self::People => position.people,
            Self::Newest => 0,
        };
        (Reverse(people), Reverse(position.schedule_id.as_u128()))
    }
}

/// The end of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// [`Affected::people`] of its last entry.
    pub people: u64,
    /// [`Affected::schedule_id`] of its last entry.
    pub schedule_id: Uuid,
}

impl Position {
    /// Returns the position of an entry.
    pub const fn of(affected: &Affected) -> Self {
        Self {
            people: affected.people,
            schedule_id: affected.schedule_id,
        }
    }

    /// Parses a cursor that [`Position::write`] has formatted.
    pub fn read(cursor: &str) -> Option<Self> {
        let (people, id) = cursor.strip_prefix('t')?.split_once('-')?;
        Some(Self {
            people: u64::from_str_radix(people, 16).ok()?,
            schedule_id: Uuid::try_parse(id).ok()?,
        })
    }

    /// Formats a cursor.
    pub fn write(self) -> String {
        format!("t{:x}-{}", self.people, self.schedule_id.simple())
    }
}

/// Returns the entries of a page, and the position at which the list continues, if it does.
pub fn page_of(
    mut all: Vec<Affected>,
    sort: Sort,
    request: PageRequest<Option<Position>>,
) -> (Vec<Affected>, Option<Position>) {
    let place = |affected: &Affected| sort.place(Position::of(affected));
    if let Some(after) = request.after {
        all.retain(|affected| place(affected) > sort.place(after));
    }
    all.sort_unstable_by_key(place);
    let more = all.len() > request.limit as usize;
    all.truncate(request.limit as usize);
    let next = all.last().filter(|_| more).map(Position::of);
    (all, next)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn affected(people: u64, id: u128) -> Affected {
        Affected {
            schedule_id: Uuid::from_u128(id),
            people,
            batches: 1,
            since: None,
        }
    }

    #[test]
    fn the_most_people_come_first_and_then_the_newest() {
        let all = || {
            [(5, 1), (7, 2), (5, 3), (0, 4)]
                .map(|(people, id)| affected(people, id))
                .to_vec()
        };
        let ids = |sort| {
            let request = PageRequest {
                after: None,
                limit: 9,
            };
            let (page, next) = page_of(all(), sort, request);
            assert_eq!(next, None);
            page.iter()
                .map(|affected| affected.schedule_id.as_u128())
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(Sort::People), [2, 3, 1, 4]);
        assert_eq!(ids(Sort::Newest), [4, 3, 2, 1]);
    }

    #[test]
    fn a_cursor_parses_as_it_was_formatted() {
        for (people, id) in [(0, 0), (7, 1), (u64::MAX, u128::MAX)] {
            let position = Position::of(&affected(people, id));
            assert_eq!(Position::read(&position.write()), Some(position));
        }
        for cursor in [
            "",
            "t",
            "t-1",
            "t1",
            "t1-x",
            "s0",
            "tffffffffffffffffff-0190a0b0c0d07000800000000000000f",
            "t1-0190",
        ] {
            assert_eq!(Position::read(cursor), None, "{cursor}");
        }
    }

    proptest! {
        #[test]
        fn the_pages_together_are_the_list(
            people in proptest::collection::vec(0_u64..4, 0..30), limit in 1_u32..9, newest: bool,
        ) {
            let sort = if newest { Sort::Newest } else { Sort::People };
            let all: Vec<_> = people.iter().zip(1..).map(|(people, id)| affected(*people, id)).collect();
            let read = |after, limit| page_of(all.clone(), sort, PageRequest { after, limit });
            let (expected, _) = read(None, 100);
            let (mut walked, mut after) = (Vec::new(), None);
            loop {
                let (page, next) = read(after, limit);
                walked.extend(page);
                after = next;
                if after.is_none() {
                    break;
                }
            }
            prop_assert_eq!(walked, expected);
        }
    }
}
