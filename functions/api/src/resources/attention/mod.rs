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
pub mod velocity;

use chrono::{DateTime, Utc};
use sqlx::MySqlConnection;

use crate::resources::{attention::store::Affected, schedules::attention::Kind};

/// Reads all schedules of a kind.
async fn read_all(
    kind: Kind,
    connection: &mut MySqlConnection,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Affected>> {
    match kind {
        Kind::Missed => store::missed(connection).await,
        Kind::Parked => store::parked(connection, now).await,
        Kind::Uncertain => store::uncertain(connection, now).await,
        Kind::Overdue => store::overdue(connection, now).await,
        Kind::NotBegun => store::not_begun(connection, now).await,
        Kind::AwaitingApproval => store::awaiting_approval(connection).await,
        Kind::Paused => store::paused(connection, now).await,
        Kind::Drafts => store::drafts(connection, now).await,
    }
}
