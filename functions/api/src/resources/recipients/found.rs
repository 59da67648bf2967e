//! The statement that reads recipients at known places: those that were found by a reference or a
//! group. The lists show them as they show others.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::json;
use shared::message::status::Status;
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::resources::recipients::{
    names::RecipientKey,
    report::store::{ReportFilter, ReportedRecipient},
    store::Recipient,
};

/// A recipient as the table has it.
#[derive(Debug)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct FoundRecipient {
    pub schedule_id: Uuid,
    pub seq: u32,
    pub phone: Option<String>,
    pub input: Option<String>,
    pub position: Option<u32>,
    pub status: String,
    pub attempt: u32,
    pub sends: u32,
    pub resends: u32,
    pub message_id: Option<String>,
    pub carrier_status: Option<String>,
    pub error: Option<String>,
    pub sent_at: Option<DateTime<Utc>>,
    pub final_at: Option<DateTime<Utc>>,
}

impl FoundRecipient {
    /// Returns its place.
    pub const fn key(&self) -> RecipientKey {
        RecipientKey {
            schedule_id: self.schedule_id,
            seq: self.seq,
        }
    }
}

impl From<FoundRecipient> for Recipient {
    fn from(found: FoundRecipient) -> Self {
        Self {
            seq: found.seq,
            phone: found.phone,
            input: found.input,
            position: found.position,
            call: None,
            status: found.status,
            attempt: found.attempt,
            sends: found.sends,
            resends: found.resends,
            message_id: found.message_id,
            carrier_status: found.carrier_status,
            error: found.error,
            sent_at: found.sent_at,
            final_at: found.final_at,
        }
    }
}

impl From<FoundRecipient> for ReportedRecipient {
    fn from(found: FoundRecipient) -> Self {
        Self {
            seq: found.seq,
            phone: found.phone,
            input: found.input,
            status: found.status,
            attempt: found.attempt,
            sends: found.sends,
            resends: found.resends,
            message_id: found.message_id,
            carrier_status: found.carrier_status,
            error: found.error,
            sent_at: found.sent_at,
            final_at: found.final_at,
        }
    }
}

/// Returns those of the recipients at these places that match a filter, in the order of `keys`.
pub async fn recipients_at(
    connection: &mut MySqlConnection,
    keys: &[RecipientKey],
    filter: ReportFilter<'_>,
) -> sqlx::Result<Vec<FoundRecipient>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let named: Vec<_> = keys
        .iter()
        .map(|key| (key.schedule_id.simple().to_string(), key.seq))
        .collect();
    let status = filter.status.map(Status::as_str);
    let found = sqlx::query_as!(
        FoundRecipient,
        r#"SELECT r.schedule_id AS "schedule_id: Uuid", r.seq, IF(r.phone LIKE '#%', NULL, r.phone) AS phone, r.input, r.position, r.status, r.attempt, r.sends AS "sends!: u32", r.resends,
             r.message_id, r.carrier_status, r.error, r.sent_at AS "sent_at: DateTime<Utc>", r.final_at AS "final_at: DateTime<Utc>"
           FROM JSON_TABLE(?, '$[*]' COLUMNS (id CHAR(32) PATH '$[0]', seq INT UNSIGNED PATH '$[1]')) named
           STRAIGHT_JOIN recipients r ON r.schedule_id = UNHEX(named.id) AND r.seq = named.seq
           WHERE (? OR r.status <> 'INVALID') AND (? IS NULL OR r.status = ?)
             AND (? IS NULL OR r.sent_at >= ?) AND (? IS NULL OR r.sent_at < ?)
             AND (? IS NULL OR r.sent_at >= ? OR r.final_at >= ? OR (r.final_at IS NULL AND r.attempt > 0))"#,
        json!(named).to_string(),
        filter.with_invalid,
        status,
        status,
        filter.from,
        filter.from,
        filter.to,
        filter.to,
        filter.changed_since,
        filter.changed_since,
        filter.changed_since
    );
    let found = found.fetch_all(connection).await?.into_iter();
    let mut found: HashMap<_, _> = found.map(|found| (found.key(), found)).collect();
    Ok(keys.iter().filter_map(|key| found.remove(key)).collect())
}
