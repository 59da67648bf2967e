//! The places of a list: its end, and its gaps.

use sqlx::MySqlConnection;
use uuid::Uuid;

/// Returns the number of the last row of a list, including refused entries; 0 for an empty list.
pub async fn last_seq(connection: &mut MySqlConnection, id: Uuid) -> sqlx::Result<u32> {
    let last: Option<u32> =
        sqlx::query_scalar!("SELECT MAX(seq) FROM recipients WHERE schedule_id = ?", id)
            .fetch_one(connection)
            .await?;
    Ok(last.unwrap_or_default())
}

/// Returns after which place a walk continues that has read all places up to this one: behind the
/// places that nobody has. The places of a list with copies have gaps of millions.
pub async fn skip_gap(connection: &mut MySqlConnection, id: Uuid, place: u32) -> sqlx::Result<u32> {
    let next: Option<u32> = sqlx::query_scalar!(
        "SELECT MIN(seq) FROM recipients WHERE schedule_id = ? AND seq > ?",
        id,
        place
    )
    .fetch_one(connection)
    .await?;
    Ok(next.map_or(place, |next| next - 1))
}
