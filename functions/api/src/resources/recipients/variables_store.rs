//! `recipient_variables`: what came with a number, from which its personal text is made.

use serde_json::json;
use shared::batch::texts::read_variables;
use shared::message::template::Variables;
use sqlx::MySqlConnection;
use std::collections::HashMap;
use uuid::Uuid;

/// A recipient and what its text is made of.
#[derive(Debug)]
pub struct Addressee {
    /// Its place.
    pub seq: u32,
    /// None where nothing came with the number.
    pub variables: Variables,
}

/// Adds variables, each a JSON object, for those of these places that a recipient has taken: the others are duplicates.
pub async fn insert_variables(
    connection: &mut MySqlConnection,
    id: Uuid,
    rows: &[(u32, &str)],
) -> sqlx::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let done = sqlx::query!(
        "INSERT INTO recipient_variables (schedule_id, seq, variables)
         SELECT ?, j.seq, j.variables
         FROM JSON_TABLE(?, '$[*]' COLUMNS (seq INT UNSIGNED PATH '$[0]', variables TEXT PATH '$[1]')) j
         STRAIGHT_JOIN recipients r ON r.schedule_id = ? AND r.seq = j.seq",
        id,
        json!(rows).to_string(),
        id
    );
    done.execute(connection).await.map(drop)
}

/// The variables of recipients of many schedules.
pub async fn variables_of(
    connection: &mut MySqlConnection,
    named: &[(Uuid, u32)],
) -> sqlx::Result<HashMap<(Uuid, u32), Variables>> {
    if named.is_empty() {
        return Ok(HashMap::new());
    }
    let named: Vec<_> = named
        .iter()
        .map(|(id, seq)| (id.simple().to_string(), seq))
        .collect();
    let rows = sqlx::query!(
        r#"SELECT v.schedule_id AS "schedule_id: Uuid", v.seq, v.variables
           FROM JSON_TABLE(?, '$[*]' COLUMNS (id CHAR(32) PATH '$[0]', seq INT UNSIGNED PATH '$[1]')) named
           STRAIGHT_JOIN recipient_variables v ON v.schedule_id = UNHEX(named.id) AND v.seq = named.seq"#,
        json!(named).to_string()
    );
    rows.fetch_all(connection)
        .await?
        .into_iter()
        .map(|row| Ok(((row.schedule_id, row.seq), read_variables(&row.variables)?)))
        .collect()
}

/// The valid recipients behind place `after`, with their variables.
pub async fn page_of_addressees(
    connection: &mut MySqlConnection,
    id: Uuid,
    (after, limit): (u32, u32),
) -> sqlx::Result<Vec<Addressee>> {
    let rows = sqlx::query!(
        r#"SELECT r.seq, v.variables AS "variables?"
           FROM recipients r LEFT JOIN recipient_variables v ON v.schedule_id = r.schedule_id AND v.seq = r.seq
           WHERE r.schedule_id = ? AND r.seq > ? AND r.status <> 'INVALID' ORDER BY r.seq LIMIT ?"#,
        id,
        after,
        limit
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
