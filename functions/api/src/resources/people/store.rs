//! The statements about one number in all tables.

use chrono::{DateTime, Utc};
use shared::{
    batch::rows::SEND_UNTIL,
    message::{phone::Phone, status::Status},
    schedule::erasure::ErasableSchedule,
};
use sqlx::MySqlConnection;
use uuid::Uuid;

/// A place of a number: a recipient of a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct PhonePlace {
    pub schedule_id: Uuid,
    pub copy: u8,
    pub seq: u32,
    pub status: String,
}

impl PhonePlace {
    /// Returns whether it waits to be sent, so that it can be cancelled.
    pub fn is_waiting(&self) -> bool {
        self.status == Status::Pending.as_str()
    }
}

/// Returns places of a number after another, in the order of the key.
pub async fn places_of_phone(
    connection: &mut MySqlConnection,
    phone: Phone,
    after: Option<&PhonePlace>,
    limit: u32,
) -> sqlx::Result<Vec<PhonePlace>> {
    let (id, copy) = after.map_or((Uuid::nil(), 0), |after| (after.schedule_id, after.copy));
    sqlx::query_as!(
        PhonePlace,
        r#"SELECT schedule_id AS "schedule_id: Uuid", copy, seq, status FROM recipients FORCE INDEX (phone_once)
           WHERE phone = ? AND schedule_id >= ? AND (schedule_id > ? OR copy > ?) ORDER BY schedule_id, copy LIMIT ?"#,
        phone.to_string(),
        id,
        id,
        copy,
        limit
    )
    .fetch_all(connection)
    .await
}

/// A recipient, locked.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct LockedPlace {
    pub phone: Option<String>,
    pub status: String,
    pub error: Option<String>,
}

impl LockedPlace {
    /// Returns whether nothing is ever sent to it again, under the lock of its schedule: its message
    /// has ended for good, or its schedule has.
    pub fn is_erasable(&self, schedule: &ErasableSchedule, now: DateTime<Utc>) -> bool {
        match Status::parse(&self.status) {
            Some(
                Status::Cancelled
                | Status::Suppressed
                | Status::Delivrd
                | Status::Deleted
                | Status::Rejectd
                | Status::Unknown,
            ) => true,
            Some(Status::Undeliv | Status::Expired) => {
                self.error.as_deref() == Some(SEND_UNTIL) || schedule.is_never_resent(now)
            }
            _ => false,
        }
    }
}

/// Reads a recipient, and locks it until the transaction ends.
pub async fn lock_place(
    connection: &mut MySqlConnection,
    id: Uuid,
    seq: u32,
) -> sqlx::Result<Option<LockedPlace>> {
    sqlx::query_as!(
        LockedPlace,
        "SELECT phone, status, error FROM recipients WHERE schedule_id = ? AND seq = ? FOR UPDATE",
        id,
        seq
    )
    .fetch_optional(connection)
    .await
}

/// What is left of a suppression: the number, and since when it is suppressed.
#[derive(Clone, Copy, Debug, Default)]
pub struct EmptiedSuppression {
    /// Whether the number is suppressed.
    pub exists: bool,
    /// Reasons that were erased.
    pub reasons: u64,
}

/// Erases the reasons of a suppression, which are free text, and keeps the number.
pub async fn empty_suppression(
    connection: &mut MySqlConnection,
    phone: Phone,
) -> sqlx::Result<EmptiedSuppression> {
    let phone = phone.to_string();
    let notes = sqlx::query!("DELETE FROM suppression_notes WHERE phone = ?", phone);
    let notes = notes.execute(&mut *connection).await?.rows_affected();
    let reason = sqlx::query!(
        "UPDATE suppressions SET reason = NULL WHERE phone = ? AND reason IS NOT NULL",
        phone
    );
    let reason = reason.execute(&mut *connection).await?.rows_affected();
    let found = sqlx::query_scalar!(
        r#"SELECT COUNT(*) AS "found!: i64" FROM suppressions WHERE phone = ?"#,
        phone
    );
    Ok(EmptiedSuppression {
        exists: found.fetch_one(connection).await? > 0,
        reasons: notes + reason,
    })
}
