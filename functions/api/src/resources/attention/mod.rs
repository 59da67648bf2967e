//! `/v1/attention`: every schedule that needs an operator, because it does not progress by itself,
//! listed by kind. Each entry has the people that it affects, and the calls that resolve it.

pub mod dead_letter_queue;
pub mod dead_letters;
pub mod due;
pub mod entry;
pub mod list;
pub mod overview;
pub mod page;
pub mod redrive;
pub mod routes;
pub mod store;

use chrono::{DateTime, Utc};
use sqlx::MySqlConnection;

use crate::resources::attention::store::Affected;

/// A kind of entry that rows show. Dead letters are a further kind, in the queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Schedules that were found too late, in whole or in part.
    Missed,
    /// Schedules with batches that were claimed three times without a release.
    Parked,
    /// Schedules with UNCERTAIN recipients.
    Uncertain,
    /// Schedules with batches whose due time passed long ago, although the sweep should have
    /// enqueued them.
    Overdue,
    /// Schedules that were not dispatched.
    NotBegun,
    /// Schedules that the system has paused, or a person, past their time.
    Paused,
    /// Drafts that nobody has activated in time.
    Drafts,
}

impl Kind {
    /// Every kind, in the order of urgency: first those in which recipients lose their message.
    pub const ALL: [Self; 7] = [
        Self::Missed,
        Self::Parked,
        Self::Uncertain,
        Self::Overdue,
        Self::NotBegun,
        Self::Paused,
        Self::Drafts,
    ];

    /// Returns the value in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missed => "missed",
            Self::Parked => "parked",
            Self::Uncertain => "uncertain",
            Self::Overdue => "overdue",
            Self::NotBegun => "not-begun",
            Self::Paused => "paused",
            Self::Drafts => "drafts",
        }
    }

    /// Reads all schedules of this kind.
    async fn read(
        self,
        connection: &mut MySqlConnection,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Vec<Affected>> {
        match self {
            Self::Missed => store::missed(connection).await,
            Self::Parked => store::parked(connection, now).await,
            Self::Uncertain => store::uncertain(connection, now).await,
            Self::Overdue => store::overdue(connection, now).await,
            Self::NotBegun => store::not_begun(connection, now).await,
            Self::Paused => store::paused(connection, now).await,
            Self::Drafts => store::drafts(connection, now).await,
        }
    }
}
