//! The statements of dry runs.

use sqlx::MySqlConnection;
use uuid::Uuid;

/// A recipient whose text a dry run renders.
#[derive(Debug)]
pub struct Addressee {
    /// The place in the list.
    pub seq: u32,
    /// The phone number.
    pub phone: String,
    /// The variables as JSON, if the number came with some.
    pub variables: Option<String>,
}

/// Consecutive places of a list, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    pub first: u32,
    pub last: u32,
}

/// Returns those of `phones` that a schedule has already, in no particular order.
pub async fn numbers_in_schedule(
    connection: &mut MySqlConnection,
    id: Uuid,
    phones: &[&str],
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"SELECT r.phone AS "phone!"
           FROM JSON_TABLE(?, '$[*]' COLUMNS (phone VARCHAR(16) PATH '$')) given
           STRAIGHT_JOIN recipients r FORCE INDEX (phone_once)
             ON r.phone = CONVERT(given.phone USING ascii) AND r.schedule_id = ?"#,
        serde_json::json!(phones).to_string(),
        id
    )
    .fetch_all(connection)
    .await
}

/// Returns the recipients at some places who would be sent to, with their variables: neither invalid
/// entries, nor recipients that were cancelled.
pub async fn addressees_at(
    connection: &mut MySqlConnection,
    id: Uuid,
    places: Places,
) -> sqlx::Result<Vec<Addressee>> {
    sqlx::query_as!(
        Addressee,
        r#"SELECT r.seq, r.phone AS "phone!", v.variables AS "variables?"
           FROM recipients r LEFT JOIN recipient_variables v ON v.schedule_id = r.schedule_id AND v.seq = r.seq
           WHERE r.schedule_id = ? AND r.seq BETWEEN ? AND ? AND r.phone IS NOT NULL AND r.status = 'PENDING' ORDER BY r.seq"#,
        id,
        places.first,
        places.last
    )
    .fetch_all(connection)
    .await
}
