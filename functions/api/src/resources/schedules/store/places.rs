//! The places of a list: its end, and its gaps.

use std::ops::RangeInclusive;

use shared::message::place::{PLACES, Place};
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

/// Returns the ranges that the places of a list are in: its positions, and those of the copies of its
/// numbers.
pub async fn parts_of_list(
    connection: &mut MySqlConnection,
    id: Uuid,
) -> sqlx::Result<Vec<RangeInclusive<u32>>> {
    let mut parts = Vec::new();
    for copy in 0..=Place::of(last_seq(connection, id).await?).copy {
        let first = Place { position: 1, copy }.seq();
        let last: Option<u32> = sqlx::query_scalar!(
            "SELECT MAX(seq) FROM recipients WHERE schedule_id = ? AND seq BETWEEN ? AND ?",
            id,
            first,
            first + (PLACES - 2)
        )
        .fetch_one(&mut *connection)
        .await?;
        parts.extend(last.map(|last| first..=last));
    }
    Ok(parts)
}
