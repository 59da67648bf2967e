//! The statement that reads the recipients of a schedule with the variables of their texts.

use shared::{batch::texts::read_variables, message::template::Variables};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::http::page::PageRequest;

/// A recipient, and the variables of its text.
#[derive(Debug)]
pub struct Addressee {
    /// Its place in the list.
    pub seq: u32,
    /// Empty if the number came without variables.
    pub variables: Variables,
}

/// Returns the valid recipients after a place, with their variables.
pub async fn page_of_addressees(
    connection: &mut MySqlConnection,
    id: Uuid,
    page: PageRequest<u32>,
) -> sqlx::Result<Vec<Addressee>> {
    let rows = sqlx::query!(
        r#"SELECT r.seq, v.variables AS "variables?"
           FROM recipients r LEFT JOIN recipient_variables v ON v.schedule_id = r.schedule_id AND v.seq = r.seq
           WHERE r.schedule_id = ? AND r.seq > ? AND r.status <> 'INVALID' ORDER BY r.seq LIMIT ?"#,
        id,
        page.after,
        page.limit
    );
    let addressee = |seq, variables: Option<String>| {
        let variables = variables
            .as_deref()
            .map(read_variables)
            .transpose()?
            .unwrap_or_default();
        Ok(Addressee { seq, variables })
    };
    rows.fetch_all(connection)
        .await?
        .into_iter()
        .map(|row| addressee(row.seq, row.variables))
        .collect()
}
